//! Paths and entries, as requests and answers have them.

use tintype_api::content::{
    Change, Difference, DifferenceCounts, Entry, EntryKind, EntryQuery, EntryTime,
};
use tintype_api::problem::Code;
use tintype_model::entry::{Kind, is_valid_path};
use tintype_runner::vault::{
    Altered, At, Changed, DiffCounts, Found, OnDisk, What, decode_hex, encode_hex,
};

use crate::http::failure::{Failure, Outcome};

/// Of a tree path, as the format bounds it.
const PATH_BYTES: usize = 64 << 10;

/// A path in a tree; empty: the root.
pub(in crate::http) fn path_of(text: Option<&str>, hex: Option<&str>) -> Outcome<Vec<u8>> {
    let wrong = |what: &str| Err(Failure::new(Code::Invalid, what.to_owned()));
    let bytes = match (text, hex) {
        (Some(_), Some(_)) => return wrong("`path` and `path_hex` say the same: give one"),
        (text, None) => text.unwrap_or_default().as_bytes().to_vec(),
        (None, Some(hex)) => bytes_of(hex)?,
    };
    let mut path = &bytes[..];
    while let Some(rest) = path.strip_prefix(b"/") {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    if path.is_empty() || is_valid_path(path, PATH_BYTES) {
        return Ok(path.to_vec());
    }
    wrong("a path has names with a slash between them, none of them empty, `.` or `..`")
}

pub(super) fn bytes_of(hex: &str) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; hex.len() / 2];
    let is_right = hex.len().is_multiple_of(2) && decode_hex(hex, &mut bytes).is_some();
    let wrong = || Failure::new(Code::Invalid, "there should be pairs of hexadecimal digits");
    is_right.then_some(bytes).ok_or_else(wrong)
}

pub(super) fn at_of(query: &EntryQuery) -> Outcome<At> {
    let path = path_of(query.path.as_deref(), query.path_hex.as_deref())?;
    let disk = match &query.disk {
        None if query.partition.is_some() => {
            return Err(Failure::new(Code::Invalid, "`partition` is one of a `disk`"));
        }
        None => None,
        Some(disk) => {
            let image = path_of(Some(disk), None)?;
            Some(OnDisk { image, partition: query.partition })
        }
    };
    Ok(At { path, disk })
}

/// Text, and its bytes where it is none.
fn named(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(encode_hex(bytes))),
    }
}

pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

pub(super) fn entry_of(found: &Found) -> Entry {
    let Found { path, node } = found;
    let owner = &node.owner;
    let (path, path_hex) = named(path);
    let (user, user_hex) = named(&owner.user);
    let (group, group_hex) = named(&owner.group);
    let target = node.extras.as_ref().map(|extras| &extras.target[..]).filter(|t| !t.is_empty());
    let (target, target_hex) = target.map(named).map_or((None, None), |(t, hex)| (Some(t), hex));
    Entry {
        path,
        path_hex,
        kind: kind_of(node.kind),
        mode: format!("{:04o}", node.mode),
        uid: owner.uid,
        gid: owner.gid,
        user,
        user_hex,
        group,
        group_hex,
        size: node.size,
        mtime: EntryTime { seconds: node.mtime.seconds, nanoseconds: node.mtime.nanoseconds },
        links: node.links,
        target,
        target_hex,
        problem: node.problem().map(|problem| problem.message.clone()),
        is_lost: node.is_lost(),
    }
}

/// Both ways, so that none is forgotten.
const KINDS: [(Kind, EntryKind); 10] = [
    (Kind::File, EntryKind::File),
    (Kind::Directory, EntryKind::Directory),
    (Kind::Symlink, EntryKind::Symlink),
    (Kind::Fifo, EntryKind::Fifo),
    (Kind::CharDevice, EntryKind::CharDevice),
    (Kind::BlockDevice, EntryKind::BlockDevice),
    (Kind::Socket, EntryKind::Socket),
    (Kind::Image, EntryKind::Image),
    (Kind::Stream, EntryKind::Stream),
    (Kind::Unknown, EntryKind::Unknown),
];

fn kind_of(kind: Kind) -> EntryKind {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found.map_or(EntryKind::Unknown, |(_, told)| *told)
}

pub(super) fn kind_for(told: EntryKind) -> Kind {
    let found = KINDS.iter().find(|(_, known)| *known == told);
    found.map_or(Kind::Unknown, |(kind, _)| *kind)
}

pub(super) fn change_of(what: Altered) -> Change {
    match what {
        Altered::Added => Change::Added,
        Altered::Removed => Change::Removed,
        Altered::Changed(What::Content) => Change::Content,
        Altered::Changed(What::Metadata) => Change::Metadata,
        Altered::Changed(What::Type) => Change::Type,
    }
}

pub(super) fn difference_of(changed: Changed) -> Difference {
    let Changed { path, what, old, new } = changed;
    let (text, path_hex) = named(&path);
    let entry = |node| entry_of(&Found { path: path.clone(), node });
    let (old, new) = (old.map(entry), new.map(entry));
    Difference { path: text, path_hex, change: change_of(what), old, new }
}

pub(super) fn counts_of(counts: DiffCounts) -> DifferenceCounts {
    let DiffCounts {
        added,
        added_bytes,
        removed,
        removed_bytes,
        content,
        metadata,
        types,
        grown_bytes,
    } = counts;
    DifferenceCounts {
        added,
        added_bytes,
        removed,
        removed_bytes,
        content,
        metadata,
        types,
        grown_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let of = |text: &str| path_of(Some(text), None).ok();
        assert_eq!(of("/files/etc/"), Some(b"files/etc".to_vec()));
        assert_eq!(of("//"), Some(Vec::new()));
        for bad in ["a/../b", "a//b", "./a", "a\0b"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(path_of(None, Some("61ff")).unwrap(), b"a\xff");
        for bad in ["6", "6x", "é0", "2e2e"] {
            assert!(path_of(None, Some(bad)).is_err(), "{bad}");
        }
        assert!(path_of(Some("a"), Some("61")).is_err());
    }
}
