//! Figures, times, paths and tables for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
pub(crate) use tintype_model::count::{counted, format as count};
use tintype_model::entry::{Kind, Node, Time};
use tintype_model::plan::{Check, Verdict};
use tintype_model::size;

pub(crate) fn bytes(count: u64) -> String {
    size::format(count)
}

pub(crate) fn time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The same, for who must know in which zone it is.
pub(crate) fn time_with_zone(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `warn   space: 3 GiB to write, 1 GiB free; make room`
pub(crate) fn check(check: &Check) -> String {
    let word = match check.outcome {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Block => "block",
    };
    let cure = check.cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
    format!("{word:<5}  {}: {}{cure}", check.name, check.message)
}

pub(crate) fn entry_time(time: Time) -> String {
    match Timestamp::new(time.seconds, time.nanoseconds as i32) {
        Ok(moment) => self::time(moment),
        Err(_) => format!("@{}", time.seconds),
    }
}

/// `4.2s`, `3m05s`, `2h07m`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// A path with a slash in front, on one line, harmless to a terminal.
pub(crate) fn path(path: &[u8]) -> String {
    let mut out = if path.first() == Some(&b'/') { String::new() } else { "/".to_owned() };
    out.push_str(&name(path));
    out
}

/// Bytes as text; control characters and what is not UTF-8 as `\xNN`.
pub(crate) fn name(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '\u{202e}' {
                let mut buffer = [0; 4];
                for byte in letter.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            } else {
                out.push(letter);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// As `ls -l` shows it: `drwxr-xr-x`.
pub(crate) fn mode(node: &Node) -> String {
    let kind = match node.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Socket => 's',
        Kind::Image => 'I',
        Kind::Stream => 'S',
        Kind::Unknown => '?',
    };
    let mut out = String::from(kind);
    for (shift, special, set) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = node.mode >> shift;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (bits & 1 != 0, node.mode & special != 0) {
            (true, true) => set,
            (false, true) => set.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    out
}

pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
        Kind::Socket => "socket",
        Kind::Image => "image",
        Kind::Stream => "stream",
        Kind::Unknown => "unknown",
    }
}

/// A line as it is, but what would steer a terminal as `\xNN`: texts of a repository (host, tags,
/// note) and messages that quote it come from whoever wrote it.
pub(crate) fn harmless(line: &str) -> Cow<'_, str> {
    let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if !line.contains(steers) {
        return line.into();
    }
    line.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(text) => name(text.as_bytes()) + &part[text.len()..],
            None => name(part.as_bytes()),
        })
        .collect()
}

/// The counts of a diff (docs/json.md), in words.
pub(crate) fn differences(counts: &Value) -> String {
    let of = |name: &str| counts[name].as_u64().unwrap_or_default();
    let grown = counts["grown_bytes"].as_i64().unwrap_or_default();
    let sign = if grown < 0 { '-' } else { '+' };
    format!(
        "{} added ({}), {} removed ({}), {} changed ({sign}{}), {} of another kind, {} with other \
         metadata",
        count(of("added")),
        bytes(of("added_bytes")),
        count(of("removed")),
        bytes(of("removed_bytes")),
        count(of("content")),
        bytes(grown.unsigned_abs()),
        count(of("types")),
        count(of("metadata"))
    )
}

/// Wider cells stand as they are.
const MOST_WIDTH: usize = 160;

/// Lines of a table; columns in `right` are aligned right.
pub(crate) struct Table {
    right: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<'h>(header: impl IntoIterator<Item = &'h str>, right: &[usize]) -> Self {
        let header = header.into_iter().map(str::to_owned).collect();
        Self { right: right.to_vec(), rows: vec![header] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| name(cell.as_bytes())).collect());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut out = String::new();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    out.push_str("  ");
                }
                // Beyond this columns are not aligned; formatting could not do it either.
                let width = widths[column].min(MOST_WIDTH);
                if self.right.contains(&column) {
                    let _ = write!(out, "{cell:>width$}");
                } else {
                    let _ = write!(out, "{cell:<width$}");
                }
            }
            out.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(seconds(0.04), "0.0s");
        assert_eq!(seconds(125.0), "2m05s");
        assert_eq!(seconds(7265.0), "2h01m");
    }

    #[test]
    fn hostile_names_cannot_write_to_a_terminal() {
        assert_eq!(name(b"a\x1b[31m\xffb\nc"), "a\\x1b[31m\\xffb\\x0ac");
        assert_eq!(path(b"files/x"), "/files/x");
        assert_eq!(harmless("a\x1b[2J\n\tb\u{9b}"), "a\\x1b[2J\n\tb\\xc2\\x9b");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["id", "size"], &[1]);
        table.row(["a".into(), "10".into()]);
        assert_eq!(table.lines(), ["id  size", "a     10"]);
    }
}
