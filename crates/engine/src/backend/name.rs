//! Which names objects may have. Checked by every driver, so that what works on one store
//! works on all of them.

use tintype_model::{Error, Result};

pub const MAX_NAME_BYTES: usize = 200;

/// The first component that no object may have: drivers keep unfinished files there.
pub const TEMPORARY: &str = "tmp";

/// Lower case letters, digits, `.`, `_`, `-`, `/`; at most 200 bytes; no empty component, none
/// that starts with a dot; not below `tmp/`.
pub fn check_name(name: &str) -> Result<()> {
    let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
    let good = name.len() <= MAX_NAME_BYTES
        && name.bytes().all(legal)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && name.split('/').next() != Some(TEMPORARY);
    if good { Ok(()) } else { Err(Error::invalid(format!("{name:?} is no name for an object"))) }
}

/// Empty, or the name of a directory with its slash.
pub fn check_prefix(prefix: &str) -> Result<()> {
    match prefix.strip_suffix('/') {
        None if prefix.is_empty() => Ok(()),
        Some(directory) => check_name(directory),
        None => Err(Error::invalid(format!("{prefix:?} is no prefix: it must end in a slash"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "config", "data/0f/x.y_z-1", "a/tmp", "tmpx/a", &"a".repeat(200)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "A",
            "a b",
            "ä",
            "tmp/a",
            "tmp",
            &"a".repeat(201),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_prefix("").is_ok() && check_prefix("a/b/").is_ok());
        assert!(check_prefix("a").is_err() && check_prefix("/").is_err());
    }
}
