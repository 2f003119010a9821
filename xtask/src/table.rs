//! Plain-text tables, and Markdown ones, from the same rows.

/// A table: one header, rows of as many cells. The first column is aligned left, the rest right.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<H: Into<String>>(header: impl IntoIterator<Item = H>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.header.len(), String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = std::iter::once(&self.header).chain(&self.rows);
            cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    fn lines(&self, separator: &str, edge: &str, rule: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for (number, row) in std::iter::once(&self.header).chain(&self.rows).enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            let line = format!("{edge}{}{edge}", cells.collect::<Vec<_>>().join(separator));
            text.push_str(if edge.is_empty() { line.trim_end() } else { line.trim() });
            text.push('\n');
            if number == 0 && rule {
                let right = "---:|".repeat(widths.len().saturating_sub(1));
                text.push_str(&format!("|---|{right}\n"));
            }
        }
        text
    }

    /// For a terminal.
    pub(crate) fn plain(&self) -> String {
        self.lines("  ", "", false)
    }

    /// For a Markdown file.
    pub(crate) fn markdown(&self) -> String {
        self.lines(" | ", " | ", true)
    }
}

/// Bytes with a binary unit, three digits or so: `1.4 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Groups of three digits: `1 234 567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(2 << 30), "2.0 GiB");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "s"]);
        table.row(["a", "10.5"]);
        assert_eq!(table.plain(), "name     s\na     10.5\n");
        assert_eq!(table.markdown(), "| name |    s |\n|---|---:|\n| a    | 10.5 |\n");
    }
}
