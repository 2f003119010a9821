//! One line of `tintype-entries.jsonl` (docs/bundle.md).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tintype_engine::format::limits;
use tintype_engine::id::{decode_hex, encode_hex};
use tintype_engine::tree::{Content, TreeEntry};
use tintype_model::entry::{
    Extras, Kind, Node, Owner, Problem, ProblemKind, Time, Xattr, flags, is_valid_path,
};
use tintype_model::{Error, Result};

/// Longer ones are refused.
pub(super) const MOST_LINE_BYTES: usize = 4 << 20;
/// Holes of one line.
pub(super) const HOLES: usize = 4096;
/// Of all xattrs of an entry.
pub(super) const MOST_XATTRS_BYTES: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line<'l> {
    #[serde(borrow)]
    Entry(Box<EntryLine<'l>>),
    #[serde(borrow)]
    Xattr(XattrLine<'l>),
    /// Offset and length.
    Holes(Vec<(u64, u64)>),
}

/// How content was stored: in the same way it is stored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Parcel,
    Chunks,
}

type Text<'l> = Option<Cow<'l, str>>;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct EntryLine<'l> {
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    path: Text<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: Cow<'l, str>,
    mode: u16,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    user: Text<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    group: Text<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_hex: Option<String>,
    mtime: (i64, u32),
    ctime: (i64, u32),
    inode: u64,
    device: u64,
    links: u32,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Form>,
    #[serde(skip_serializing_if = "is_zero_flags")]
    flags: u32,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    target: Text<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_number: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemLine>,
}

#[derive(Serialize, Deserialize)]
struct ProblemLine {
    kind: u8,
    message: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct XattrLine<'l> {
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    name: Text<'l>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
    /// In hex.
    value: Cow<'l, str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks it")]
fn is_zero_flags(number: &u32) -> bool {
    *number == 0
}

const KINDS: [(Kind, &str); 10] = [
    (Kind::File, "file"),
    (Kind::Directory, "directory"),
    (Kind::Symlink, "symlink"),
    (Kind::Fifo, "fifo"),
    (Kind::CharDevice, "char-device"),
    (Kind::BlockDevice, "block-device"),
    (Kind::Socket, "socket"),
    (Kind::Image, "image"),
    (Kind::Stream, "stream"),
    (Kind::Unknown, "unknown"),
];

/// Text, or else its bytes; nothing where there are none.
fn split(bytes: &[u8]) -> (Text<'_>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok("") => (None, None),
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(encode_hex(bytes))),
    }
}

fn join(text: Text<'_>, hex: Option<String>, most_bytes: usize, what: &str) -> Result<Vec<u8>> {
    let bytes = match (text, hex) {
        (Some(text), None) => text.into_owned().into_bytes(),
        (None, Some(hex)) => bytes_of(&hex, what)?,
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => return Err(Error::corrupt(format!("{what} is there twice"))),
    };
    if bytes.len() <= most_bytes {
        Ok(bytes)
    } else {
        Err(Error::corrupt(format!("{what} has more than {most_bytes} bytes")))
    }
}

fn bytes_of(hex: &str, what: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; hex.len() / 2];
    decode_hex(hex, &mut bytes).ok_or_else(|| Error::corrupt(format!("{what} is not in hex")))?;
    Ok(bytes)
}

fn time(time: Time) -> (i64, u32) {
    (time.seconds, time.nanoseconds)
}

impl<'l> EntryLine<'l> {
    pub(super) fn of(entry: &'l TreeEntry) -> Self {
        let node = &entry.node;
        let (path, path_hex) = split(&entry.path);
        let (user, user_hex) = split(&node.owner.user);
        let (group, group_hex) = split(&node.owner.group);
        let extras = node.extras.as_deref();
        let (target, target_hex) = split(extras.map_or(&[][..], |extras| &extras.target));
        let kind = KINDS.iter().find(|(kind, _)| *kind == node.kind).map_or("", |(_, name)| name);
        Self {
            path,
            path_hex,
            kind: kind.into(),
            mode: node.mode,
            uid: node.owner.uid,
            gid: node.owner.gid,
            user,
            user_hex,
            group,
            group_hex,
            mtime: time(node.mtime),
            ctime: time(node.ctime),
            inode: node.inode,
            device: node.device,
            links: node.links,
            size: node.size,
            content: match &entry.content {
                Content::None => None,
                Content::Slot(_) => Some(Form::Parcel),
                Content::References { .. } => Some(Form::Chunks),
            },
            flags: extras.map_or(0, |extras| extras.flags),
            target,
            target_hex,
            device_number: extras.and_then(|extras| extras.device_number),
            problem: node.problem().map(|problem| ProblemLine {
                kind: problem.kind as u8,
                message: problem.message.clone(),
            }),
        }
    }

    pub(super) fn path(&mut self) -> Result<Vec<u8>> {
        let most = limits::PATH_BYTES;
        let path = join(self.path.take(), self.path_hex.take(), most, "a path")?;
        let is_short = |part: &[u8]| part.len() <= limits::NAME_BYTES;
        if is_valid_path(&path, most) && path.split(|byte| *byte == b'/').all(is_short) {
            return Ok(path);
        }
        let shown = String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned();
        Err(Error::corrupt(format!("{shown:?} is no path that an entry may have")))
    }

    /// All but the path.
    pub(super) fn node(self) -> Result<(Node, Option<Form>)> {
        let name = |text, hex, what| join(text, hex, limits::NAME_BYTES, what);
        let owner = Owner {
            uid: self.uid,
            gid: self.gid,
            user: name(self.user, self.user_hex, "the name of an owner")?,
            group: name(self.group, self.group_hex, "the name of a group")?,
        };
        let kind = KINDS.iter().find(|(_, name)| *name == self.kind).map(|(kind, _)| *kind);
        let kind =
            kind.ok_or_else(|| Error::corrupt(format!("kind {:?} is unknown", self.kind)))?;
        let most = limits::SYMLINK_BYTES;
        let extras = Extras {
            xattrs: Vec::new(),
            flags: self.flags & flags::KEPT,
            target: join(self.target, self.target_hex, most, "the target of a symlink")?,
            device_number: self.device_number,
            problem: self.problem.map(problem).transpose()?,
        };
        let node = Node {
            kind,
            mode: self.mode,
            owner: Arc::new(owner),
            mtime: moment(self.mtime)?,
            ctime: moment(self.ctime)?,
            size: self.size,
            inode: self.inode,
            device: self.device,
            links: self.links,
            extras: (extras != Extras::default()).then(|| Box::new(extras)),
        };
        check(&node, self.content)?;
        Ok((node, self.content))
    }
}

fn moment((seconds, nanoseconds): (i64, u32)) -> Result<Time> {
    if nanoseconds < 1_000_000_000 {
        Ok(Time { seconds, nanoseconds })
    } else {
        Err(Error::corrupt("a time has more nanoseconds than a second"))
    }
}

fn problem(line: ProblemLine) -> Result<Problem> {
    let kind = ProblemKind::from_number(line.kind)
        .ok_or_else(|| Error::corrupt(format!("problem {} is unknown", line.kind)))?;
    if line.message.len() > limits::SYMLINK_BYTES {
        return Err(Error::corrupt("the message of a problem is too long"));
    }
    Ok(Problem { kind, message: line.message })
}

/// What a tree can hold (format.md §9.3, §9.4).
fn check(node: &Node, form: Option<Form>) -> Result<()> {
    let wrong = if node.mode > 0o7777 {
        "a mode has more than 12 bits"
    } else if node.kind != Kind::Symlink
        && node.extras.as_ref().is_some_and(|e| !e.target.is_empty())
    {
        "a target is of no symlink"
    } else if !node.kind.has_content() && (node.size != 0 || form.is_some()) {
        "what has no content has a size"
    } else if node.kind.has_content() && (node.size == 0) != form.is_none() {
        "size and content contradict each other"
    } else if form == Some(Form::Parcel) && node.size > u64::from(limits::CHUNK_BYTES) {
        "a file is too large for a parcel"
    } else {
        return Ok(());
    };
    Err(Error::corrupt(wrong))
}

impl<'l> XattrLine<'l> {
    pub(super) fn of(name: &'l [u8], value: &[u8]) -> Self {
        let (name, name_hex) = split(name);
        Self { name, name_hex, value: encode_hex(value).into() }
    }

    pub(super) fn xattr(self) -> Result<Xattr> {
        let name = join(self.name, self.name_hex, limits::NAME_BYTES, "the name of an xattr")?;
        let value = bytes_of(&self.value, "an xattr")?;
        if name.is_empty() || value.len() > limits::XATTR_VALUE_BYTES {
            return Err(Error::corrupt("an xattr has no name, or is too long"));
        }
        Ok(Xattr { name, value })
    }
}
