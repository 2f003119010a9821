//! What an entry is called in an archive (docs/bundle.md, names of members).

use std::borrow::Cow;
use std::fmt::Write as _;

use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, Result};

use super::{END, ENTRIES, HEADER, INCOMPLETE};

/// Fields of a zip that hold a length have 16 bits; a directory has a slash more.
const MOST_ZIP_BYTES: usize = 65_535;

/// The replacement character, which marks what follows as bytes.
const MARK: char = char::REPLACEMENT_CHARACTER;

/// Refuses paths that would take the place of our own members.
pub(super) fn check(path: &[u8]) -> Result<()> {
    let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    let own = [HEADER, ENTRIES, END, INCOMPLETE];
    if own.iter().any(|name| name.as_bytes() == top) {
        let name = String::from_utf8_lossy(top);
        return Err(Error::unsupported(format!(
            "a bundle cannot hold /{name}: the name is its own"
        )));
    }
    Ok(())
}

/// Of a member in a zip.
pub(super) fn in_zip(path: &[u8], node: &Node) -> Result<Vec<u8>> {
    let name = placed(&escaped(path), node);
    if name.len() <= MOST_ZIP_BYTES {
        return Ok(name);
    }
    let start = String::from_utf8_lossy(&path[..80]).into_owned();
    Err(Error::unsupported(format!(
        "/{start}…: a zip cannot hold so long a path; --format tar can"
    )))
}

/// Of a member in a tar: the bytes themselves.
pub(super) fn in_tar(path: &[u8], node: &Node) -> Vec<u8> {
    placed(path, node)
}

fn placed(path: &[u8], node: &Node) -> Vec<u8> {
    match node.kind {
        Kind::Directory => [path, b"/"].concat(),
        _ if node.is_lost() => [INCOMPLETE.as_bytes(), b"/", path].concat(),
        _ => path.to_vec(),
    }
}

/// As text that no other path is written as: a mark of the path's own is escaped too.
fn escaped(path: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(path) {
        Ok(text) if !text.contains(MARK) => return Cow::Borrowed(path),
        _ => {}
    }
    let mut out = String::with_capacity(path.len() * 2);
    let escape = |out: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(out, "{MARK}{byte:02X}");
        }
    };
    for piece in path.utf8_chunks() {
        for character in piece.valid().chars() {
            match character {
                MARK => escape(&mut out, MARK.encode_utf8(&mut [0; 4]).as_bytes()),
                other => out.push(other),
            }
        }
        escape(&mut out, piece.invalid());
    }
    Cow::Owned(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_text_is_escaped() {
        assert_eq!(&*escaped("a/ö".as_bytes()), "a/ö".as_bytes());
        assert_eq!(&*escaped(b"a\xff/b"), "a\u{fffd}FF/b".as_bytes());
        let own = "a\u{fffd}FF".as_bytes();
        assert_eq!(&*escaped(own), "a\u{fffd}EF\u{fffd}BF\u{fffd}BDFF".as_bytes());
    }

    #[test]
    fn the_names_of_our_own_members_are_refused() {
        for own in [&b"tintype-end.json"[..], b"tintype-incomplete/files/x", b"tintype-bundle.json"]
        {
            assert!(check(own).is_err());
        }
        assert!(check(b"files/tintype-end.json").is_ok() && check(b"tintype.json").is_ok());
    }

    proptest! {
        #[test]
        fn no_two_paths_have_one_name(
            a in prop::collection::vec(prop::sample::select(vec![b'a', b'F', 0xef, 0xbf, 0xbd, 0xff]), 1..9),
            b in prop::collection::vec(prop::sample::select(vec![b'a', b'F', 0xef, 0xbf, 0xbd, 0xff]), 1..9),
        ) {
            prop_assert_eq!(escaped(&a) == escaped(&b), a == b);
            prop_assert!(std::str::from_utf8(&escaped(&a)).is_ok());
        }
    }
}
