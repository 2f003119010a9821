//! How a snapshot, and a place inside it, is named on a command line.
//!
//! ```text
//! latest          the newest snapshot          latest:/etc/hosts   a path inside it
//! latest~2        the one two before it        3f2a…:/home         id prefix and path
//! 3f2a            the only id that starts so
//! ```
//! An id is 32 lower-case hexadecimal digits; any prefix that only one snapshot has will do.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::{Error, Result, entry};

const ID_DIGITS: usize = 32;
const MAX_PATH: usize = 1 << 20;
const EXAMPLE: &str = "write it like latest, latest~2 or 3f2a, the start of an id";
const PATH_EXAMPLE: &str = "write it like latest:/files/etc";
/// Candidates that an error lists.
const MAX_LISTED: usize = 8;

/// Which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest, or the `n`-th before it.
    Latest(usize),
    /// Lower-case hexadecimal digits that the id starts with.
    Prefix(String),
}

/// A snapshot, and perhaps a path inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub which: Which,
    /// A tree path (see [`entry`]): no slash at either end; empty is the root. `None` when
    /// no colon was written.
    pub path: Option<Vec<u8>>,
}

impl Selector {
    /// Reads bytes, because paths are bytes.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (which, path) = match text.iter().position(|b| *b == b':') {
            Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
            None => (text, None),
        };
        let which = std::str::from_utf8(which).map_err(|_| unknown(text))?;
        let which = parse_which(which).map_err(|e| e.context(format!("{:?}", lossy(text))))?;
        let path = path.map(parse_path).transpose()?;
        Ok(Self { which, path })
    }

    /// The position in `snapshots` (id and time, in any order) of the one that is meant.
    pub fn resolve(&self, snapshots: &[(String, Timestamp)]) -> Result<usize> {
        match &self.which {
            Which::Latest(back) => latest(snapshots, *back),
            Which::Prefix(prefix) => by_prefix(snapshots, prefix),
        }
    }
}

impl FromStr for Selector {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Latest(0) => write!(f, "latest")?,
            Which::Latest(back) => write!(f, "latest~{back}")?,
            Which::Prefix(prefix) => write!(f, "{prefix}")?,
        }
        match &self.path {
            Some(path) => write!(f, ":/{}", lossy(path)),
            None => Ok(()),
        }
    }
}

fn lossy(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

fn unknown(text: &[u8]) -> Error {
    Error::invalid(format!("{:?} names no snapshot; {EXAMPLE}", lossy(text)))
}

fn parse_which(text: &str) -> Result<Which> {
    if let Some(tail) = text.strip_prefix("latest") {
        if tail.is_empty() {
            return Ok(Which::Latest(0));
        }
        let back = tail.strip_prefix('~').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        return back.and_then(|n| n.parse().ok()).map(Which::Latest).ok_or_else(|| {
            Error::invalid(format!("{tail:?} after latest is not ~ and a number; {EXAMPLE}"))
        });
    }
    if text.is_empty() {
        return Err(Error::invalid(format!("the snapshot is missing; {EXAMPLE}")));
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(Error::invalid(format!(
            "neither latest nor an id: {bad:?} is no hexadecimal digit; {EXAMPLE}"
        )));
    }
    if text.len() > ID_DIGITS {
        let length = text.len();
        return Err(Error::invalid(format!(
            "an id has {ID_DIGITS} digits, not {length}; {EXAMPLE}"
        )));
    }
    Ok(Which::Prefix(text.to_ascii_lowercase()))
}

fn parse_path(text: &[u8]) -> Result<Vec<u8>> {
    let start = text.iter().position(|b| *b != b'/').unwrap_or(text.len());
    let end = text.iter().rposition(|b| *b != b'/').map_or(start, |last| last + 1);
    let path = &text[start..end];
    if path.is_empty() || entry::is_valid_path(path, MAX_PATH) {
        return Ok(path.to_vec());
    }
    Err(Error::invalid(format!(
        "{:?} is no path inside a snapshot: no empty, . or .. component; {PATH_EXAMPLE}",
        lossy(text)
    )))
}

fn latest(snapshots: &[(String, Timestamp)], back: usize) -> Result<usize> {
    let mut order: Vec<usize> = (0..snapshots.len()).collect();
    order.sort_by(|a, b| {
        let key = |i: usize| (snapshots[i].1, &snapshots[i].0);
        key(*b).cmp(&key(*a))
    });
    order.get(back).copied().ok_or_else(|| match snapshots.len() {
        0 => Error::not_found("there is no snapshot yet"),
        1 => Error::not_found(format!("there is no latest~{back}: there is only one snapshot")),
        n => Error::not_found(format!(
            "there is no latest~{back}: with {n} snapshots the oldest is latest~{}",
            n - 1
        )),
    })
}

fn by_prefix(snapshots: &[(String, Timestamp)], prefix: &str) -> Result<usize> {
    let matching: Vec<usize> =
        (0..snapshots.len()).filter(|i| snapshots[*i].0.starts_with(prefix)).collect();
    match matching.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::not_found(format!("no snapshot's id starts with {prefix}"))),
        many => {
            let mut listed: Vec<String> = many
                .iter()
                .take(MAX_LISTED)
                .map(|i| format!("{} ({})", snapshots[*i].0, snapshots[*i].1))
                .collect();
            if many.len() > MAX_LISTED {
                listed.push(format!("and {} more", many.len() - MAX_LISTED));
            }
            let (count, listed) = (many.len(), listed.join(", "));
            Err(Error::invalid(format!("{prefix} is the start of {count} ids: {listed}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<(String, Timestamp)> {
        [("3f2a11", 20), ("3f2b22", 30), ("a1", 10)]
            .map(|(id, s)| (id.to_owned(), Timestamp::from_second(s).unwrap()))
            .to_vec()
    }

    fn resolve(text: &str) -> Result<usize> {
        text.parse::<Selector>()?.resolve(&list())
    }

    #[test]
    fn snapshots_are_found() {
        for (text, want) in
            [("latest", 1), ("latest~0", 1), ("latest~2", 2), ("3f2a", 0), ("A", 2), ("3F2B22", 1)]
        {
            assert_eq!(resolve(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn paths_are_tree_paths() {
        for (text, want) in [
            ("latest", None),
            ("latest:", Some("")),
            ("latest:/", Some("")),
            ("latest:/files/etc/", Some("files/etc")),
            ("a1:files/a:b", Some("files/a:b")),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.path.as_deref(), want.map(str::as_bytes), "{text}");
        }
        let selector = Selector::parse(b"latest~1:/files/\xff").unwrap();
        assert_eq!(selector.path.as_deref(), Some(&b"files/\xff"[..]));
        assert_eq!("latest~1:/x".parse::<Selector>().unwrap().to_string(), "latest~1:/x");
    }

    #[test]
    fn a_wrong_name_is_explained() {
        for (text, part) in [
            ("", "is missing"),
            (":/x", "is missing"),
            ("latest~", "not ~ and a number"),
            ("latest-1", "\"-1\" after latest"),
            ("latest~99999999999999999999999", "not ~ and a number"),
            ("xyz", "'x' is no hexadecimal digit"),
            ("latest:/a/../b", "no path inside a snapshot"),
            ("latest~3", "the oldest is latest~2"),
            ("ff", "no snapshot's id starts with ff"),
            ("3f", "start of 2 ids: 3f2a11 (1970-01-01T00:00:20Z), 3f2b22"),
        ] {
            let message = resolve(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let long = "a".repeat(33);
        assert!(resolve(&long).unwrap_err().to_string().contains("32 digits, not 33"));
        let none = "latest".parse::<Selector>().unwrap().resolve(&[]).unwrap_err();
        assert_eq!(none.to_string(), "there is no snapshot yet");
    }
}
