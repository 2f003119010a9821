//! Going through a snapshot's tree for people.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tintype_engine::reader::ContentReader;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Root, TreeEntry};

use crate::report::with_bytes;
use crate::show;

pub(crate) fn fields(entry: &TreeEntry) -> Value {
    let node = &entry.node;
    let target = node.extras.as_deref().map(|extras| &extras.target[..]);
    let mut fields = json!({
        "kind": show::kind(node.kind),
        "mode": format!("{:04o}", node.mode),
        "uid": node.owner.uid,
        "gid": node.owner.gid,
        "size": node.size,
        "mtime": { "seconds": node.mtime.seconds, "nanoseconds": node.mtime.nanoseconds },
        "links": node.links,
        "target": null,
        "problem": node.problem().map(|p| &p.message),
    });
    let names = [("path", &entry.path), ("user", &node.owner.user), ("group", &node.owner.group)];
    for (name, bytes) in names {
        fields = with_bytes(fields, name, bytes);
    }
    match target.filter(|target| !target.is_empty()) {
        Some(target) => with_bytes(fields, "target", target),
        None => fields,
    }
}

/// As `ls -l` does.
pub(crate) fn long_line(entry: &TreeEntry, name: &str) -> String {
    let node = &entry.node;
    let owner = |name: &[u8], number: u32| {
        if name.is_empty() { number.to_string() } else { show::name(name) }
    };
    let user = owner(&node.owner.user, node.owner.uid);
    let group = owner(&node.owner.group, node.owner.gid);
    let extras = node.extras.as_deref();
    let size = match extras.and_then(|e| e.device_number) {
        Some((major, minor)) => format!("{major},{minor}"),
        None => show::count(node.size),
    };
    let mut line = format!(
        "{} {user:<8} {group:<8} {size:>15} {} {name}",
        show::mode(node),
        show::entry_time(node.mtime)
    );
    if let Some(target) = extras.map(|e| &e.target).filter(|target| !target.is_empty()) {
        let _ = write!(line, " -> {}", show::name(target));
    }
    if let Some(problem) = node.problem() {
        let _ = write!(line, "  [{}]", problem.message);
    }
    line
}

/// Every entry of a tree that could not be captured as it should.
pub(crate) fn problems(
    reader: &ContentReader<'_>,
    root: Root,
    each: &mut dyn FnMut(&TreeEntry) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cursor = Cursor::new(reader, root)?;
    while cursor.next_leaf()? {
        for entry in cursor.rest_of_leaf() {
            if entry.node.problem().is_some() {
                each(entry)?;
            }
        }
    }
    Ok(())
}
