//! Whether what stands at the destination is what the snapshot holds, as far as metadata tells.

use tintype_engine::crypto::keys::Keys;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::tree::{LargeXattr, TreeEntry};
use tintype_model::entry::{Kind, Node, flags};
use tintype_source::files::Owners;

/// Same kind assumed: the same size and time, or the same symlink or device. What an
/// interrupted restore has done already.
pub(super) fn content(wanted: &Node, standing: &Node) -> bool {
    if wanted.mtime != standing.mtime {
        return false;
    }
    match wanted.kind {
        kind if kind.has_content() => wanted.size == standing.size,
        Kind::Symlink => target_of(wanted) == target_of(standing),
        Kind::CharDevice | Kind::BlockDevice => number_of(wanted) == number_of(standing),
        _ => true,
    }
}

/// Mode, owner, attributes and flags, as far as they would be restored. `standing` with extras.
pub(super) fn metadata(entry: &TreeEntry, standing: &Node, owners: &Owners, keys: &Keys) -> bool {
    let wanted = &entry.node;
    let (uid_gid, mode_mask) = match owners {
        Owners::Keep => (None, 0o1777),
        Owners::Numbers => (Some((wanted.owner.uid, wanted.owner.gid)), 0o7777),
        Owners::Names(accounts) => (Some(accounts.numbers_of(&wanted.owner)), 0o7777),
    };
    let is_symlink = wanted.kind == Kind::Symlink;
    uid_gid.is_none_or(|ids| ids == (standing.owner.uid, standing.owner.gid))
        && (is_symlink || wanted.mode & mode_mask == standing.mode & mode_mask)
        && flags_of(wanted) == flags_of(standing)
        && same_xattrs(entry, standing, keys)
}

/// Security labels that the entry does not have belong to the system's policy, and stay. Large
/// values are compared by their ids.
fn same_xattrs(entry: &TreeEntry, standing: &Node, keys: &Keys) -> bool {
    let of = |node: &Node| node.extras.as_ref().map_or_else(Vec::new, |e| e.xattrs.clone());
    let (wanted, large, standing) = (of(&entry.node), &entry.large_xattrs, of(standing));
    let is_there = |large: &LargeXattr| {
        let found = standing.iter().find(|xattr| xattr.name == large.name);
        found.is_some_and(|found| keys.content_id(FrameKind::List, &found.value) == large.id)
    };
    wanted.iter().all(|xattr| standing.contains(xattr))
        && large.iter().all(is_there)
        && standing.iter().all(|xattr| {
            xattr.name.starts_with(b"security.")
                || wanted.iter().any(|w| w.name == xattr.name)
                || large.iter().any(|l| l.name == xattr.name)
        })
}

fn target_of(node: &Node) -> &[u8] {
    node.extras.as_ref().map_or(&[], |extras| &extras.target)
}

fn number_of(node: &Node) -> Option<(u32, u32)> {
    node.extras.as_ref().and_then(|extras| extras.device_number)
}

fn flags_of(node: &Node) -> u32 {
    node.extras.as_ref().map_or(0, |extras| extras.flags & flags::KEPT)
}
