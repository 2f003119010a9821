//! CHANGELOG.md exists and has a place for what is not released yet.

use super::Finding;
use crate::paths;

const FILE: &str = "CHANGELOG.md";

pub(super) fn check() -> Vec<Finding> {
    let text = std::fs::read_to_string(paths::root().join(FILE)).unwrap_or_default();
    finding(&text).into_iter().collect()
}

fn finding(text: &str) -> Option<Finding> {
    let is_section = |line: &str| line.starts_with("## ") && line.contains("Unreleased");
    if text.lines().any(is_section) {
        return None;
    }
    let message = "is missing or has no `## [Unreleased]` section".to_owned();
    Some(Finding { file: FILE.to_owned(), line: 1, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_an_unreleased_section() {
        assert!(finding("# Changelog\n\n## [Unreleased]\n").is_none());
        assert!(finding("# Changelog\nUnreleased\n").is_some());
        assert!(finding("").is_some());
    }
}
