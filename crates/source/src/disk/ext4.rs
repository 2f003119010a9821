//! ext2, ext3 and ext4, by a reader that knows their journal: what was not yet in its place when
//! the image was taken is read from there.

use std::sync::Arc;

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, Metadata};
use tintype_model::entry::{Kind, Node, Owner, Problem, ProblemKind, Time, file_name};
use tintype_model::{Error, ErrorKind, Result};

use super::{DiskEntry, DiskFiles, Each, MOST_ENTRIES, Window, too_many};
use crate::connector::ReadImage as _;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

const PIECE_BYTES: usize = 1 << 20;

struct Reader(Window);

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Boxed> {
        self.0.read_at(start, into).map_err(Into::into)
    }
}

pub(super) struct Ext4Files(Ext4);

impl Ext4Files {
    pub(super) fn open(window: Window) -> Result<Self> {
        Ext4::load(Box::new(Reader(window))).map(Self).map_err(|error| failed(error, b""))
    }

    fn entry(&self, name: &[u8], path: &[u8], metadata: &Metadata) -> Result<DiskEntry> {
        let kind = kind(metadata.file_type());
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid(), ..Owner::default() };
        let mut node = Node {
            mode: metadata.mode() & 0o7777,
            owner: Arc::new(owner),
            mtime: Time {
                seconds: metadata.modified().seconds(),
                nanoseconds: metadata.modified().nanoseconds(),
            },
            size: if kind.has_content() { metadata.len() } else { 0 },
            ..Node::new(kind)
        };
        if kind == Kind::Symlink {
            let target = self.0.read_link(path).map_err(|error| failed(error, path))?;
            let target: &[u8] = target.as_ref();
            node.extras_mut().target = target.to_vec();
        }
        Ok(DiskEntry { name: name.to_vec(), node })
    }
}

fn failed(error: Ext4Error, path: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(path);
    let place = format!("ext4, /{}", shown.trim_start_matches('/'));
    let kind = match error {
        // What the image itself could not give: the repository's own word.
        Ext4Error::Io(source) => {
            return match source.downcast::<Error>() {
                Ok(error) => error.context(place),
                Err(other) => Error::new(ErrorKind::Unavailable, format!("{place}: {other}")),
            };
        }
        Ext4Error::NotFound => ErrorKind::NotFound,
        // The guest's file system, not what is stored of it.
        Ext4Error::Corrupt(_) => ErrorKind::Invalid,
        _ => ErrorKind::Unsupported,
    };
    Error::new(kind, format!("{place}: {error}"))
}

fn kind(kind: FileType) -> Kind {
    match kind {
        _ if kind.is_dir() => Kind::Directory,
        _ if kind.is_symlink() => Kind::Symlink,
        _ if kind.is_regular_file() => Kind::File,
        _ if kind.is_fifo() => Kind::Fifo,
        _ if kind.is_block_dev() => Kind::BlockDevice,
        _ if kind.is_char_dev() => Kind::CharDevice,
        _ => Kind::Socket,
    }
}

impl DiskFiles for Ext4Files {
    fn kind(&self) -> &'static str {
        "ext4"
    }

    fn has_owners(&self) -> bool {
        true
    }

    fn stat(&self, path: &[u8]) -> Result<DiskEntry> {
        let absolute = absolute(path);
        let metadata = self.0.symlink_metadata(&absolute[..]);
        let metadata = metadata.map_err(|error| failed(error, path))?;
        self.entry(file_name(path), &absolute, &metadata)
    }

    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>> {
        let absolute = absolute(path);
        let fail = |error| failed(error, path);
        let mut entries = Vec::new();
        for found in self.0.read_dir(&absolute[..]).map_err(fail)? {
            let found = found.map_err(fail)?;
            let name = found.file_name();
            let name: &[u8] = name.as_ref();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == MOST_ENTRIES {
                return Err(too_many());
            }
            let looked = found.metadata().map_err(fail);
            let looked = looked.and_then(|metadata| {
                let path = [&absolute[..], b"/", name].concat();
                self.entry(name, &path, &metadata)
            });
            entries.push(looked.unwrap_or_else(|error| unknown(name, &error)));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &[u8], each: &mut Each<'_>) -> Result<u64> {
        let absolute = absolute(path);
        let mut file = self.0.open(&absolute[..]).map_err(|error| failed(error, path))?;
        let (mut buffer, mut length) = (vec![0; PIECE_BYTES], 0);
        loop {
            let mut filled = 0;
            while filled < buffer.len() {
                let read = file.read_bytes(&mut buffer[filled..]);
                match read.map_err(|error| failed(error, path))? {
                    0 => break,
                    read => filled += read,
                }
            }
            if filled == 0 {
                return Ok(length);
            }
            each(&buffer[..filled])?;
            length += filled as u64;
        }
    }
}

/// One that is damaged; those beside it are not.
fn unknown(name: &[u8], error: &Error) -> DiskEntry {
    let mut node = Node::new(Kind::Unknown);
    let message = error.to_string();
    node.extras_mut().problem = Some(Problem { kind: ProblemKind::Unreadable, message });
    DiskEntry { name: name.to_vec(), node }
}

fn absolute(path: &[u8]) -> Vec<u8> {
    [b"/", path.strip_prefix(b"/").unwrap_or(path)].concat()
}
