//! A place on a disk, as it is written: `2:/etc/fstab`, or `/etc/fstab` where only one partition
//! can be meant.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::builder::TypedValueParser;
use tintype_model::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inside {
    pub(crate) partition: Option<u32>,
    /// Without slashes at its ends; empty: all of it.
    pub(crate) path: Vec<u8>,
}

/// For clap.
pub(crate) fn parser() -> impl TypedValueParser<Value = Inside> {
    clap::builder::OsStringValueParser::new().try_map(|text: OsString| parse(text.as_bytes()))
}

fn parse(text: &[u8]) -> Result<Inside> {
    let (partition, path) = match text.iter().position(|byte| *byte == b':') {
        Some(colon) if colon > 0 && text[..colon].iter().all(u8::is_ascii_digit) => {
            let digits = String::from_utf8_lossy(&text[..colon]);
            let number = digits.parse();
            let number = number.map_err(|_| Error::invalid("no partition has such a number"))?;
            (Some(number), &text[colon + 1..])
        }
        _ => (None, text),
    };
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    let names: Vec<&[u8]> = names.collect();
    if names.iter().any(|name| matches!(*name, b"." | b"..")) {
        return Err(Error::invalid("a path on a disk goes down from its root, without . and .."));
    }
    Ok(Inside { partition, path: names.join(&b'/') })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_before_a_colon_is_a_partition() {
        let of = |text: &str| parse(text.as_bytes()).unwrap();
        let inside = |partition, path: &str| Inside { partition, path: path.into() };
        assert_eq!(of("2:/etc/fstab"), inside(Some(2), "etc/fstab"));
        assert_eq!(of("2:"), inside(Some(2), ""));
        assert_eq!(of("/etc//x/"), inside(None, "etc/x"));
        assert_eq!(of("/a:b"), inside(None, "a:b"));
        assert_eq!(of(":/x"), inside(None, ":/x"));
        assert!(parse(b"/etc/../x").is_err() && parse(b"99999999999:/").is_err());
    }
}
