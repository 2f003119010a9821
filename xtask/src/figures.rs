//! docs/benchmarks.md: two chores write into it, each its own part.

use crate::paths;
use anyhow::Context;

/// Between the two.
const BORDER: &str = "## Manager under load\n";

pub(crate) enum Part {
    /// Of `./x bench`.
    Bench,
    /// Of `cargo xtask load`; begins with [`BORDER`].
    Load,
}

/// Writes one part, and leaves the other as it is.
pub(crate) fn put(part: Part, text: &str) -> anyhow::Result<()> {
    let file = paths::root().join("docs/benchmarks.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(&file, with(&before, part, text))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}

fn with(before: &str, part: Part, text: &str) -> String {
    let at = before.find(BORDER).unwrap_or(before.len());
    let (bench, load) = before.split_at(at);
    let (bench, load) = match part {
        Part::Bench => (text, load),
        Part::Load => (bench, text),
    };
    match load.is_empty() {
        true => bench.to_owned(),
        false => format!("{}\n\n{load}", bench.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_leaves_the_other_as_it_is() {
        let load = format!("{BORDER}\nfast\n");
        let both = with("# Benchmarks\n", Part::Load, &load);
        assert_eq!(both, format!("# Benchmarks\n\n{load}"));
        assert_eq!(with(&both, Part::Load, &load), both);
        assert_eq!(with(&both, Part::Bench, "# New\n"), format!("# New\n\n{load}"));
        assert_eq!(with("# Old\n", Part::Bench, "# New\n"), "# New\n");
    }
}
