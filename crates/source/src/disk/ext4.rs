//! ext2, ext3 and ext4, by a reader that knows their journal: what was not yet in its place when
//! the image was taken is read from there.

use std::io::Write;

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, Metadata};
use tintype_model::entry::{Kind, Time};
use tintype_model::{Error, ErrorKind, Result};

use super::{DiskEntry, DiskFiles, MOST_ENTRIES, Window, path_text};

type Boxed = Box<dyn std::error::Error + Send + Sync>;

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
}

fn failed(error: Ext4Error, path: &[u8]) -> Error {
    let kind = match &error {
        Ext4Error::NotFound => ErrorKind::NotFound,
        Ext4Error::Corrupt(_) => ErrorKind::Corrupt,
        Ext4Error::Io(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Unsupported,
    };
    let path = String::from_utf8_lossy(path);
    let mut message = format!("ext4, /{}: {error}", path.trim_start_matches('/'));
    if matches!(error, Ext4Error::Incompatible(_)) {
        // Above all a journal of an older kind that must be replayed: without that, what is read
        // would not be what was written.
        message += ": restore the disk as a file and mount that read only";
    }
    Error::new(kind, message)
}

fn entry(name: Vec<u8>, metadata: &Metadata) -> DiskEntry {
    DiskEntry {
        name,
        kind: kind(metadata.file_type()),
        size_bytes: metadata.len(),
        mode: Some(metadata.mode() & 0o7777),
        owner: Some((metadata.uid(), metadata.gid())),
        mtime: Some(Time {
            seconds: metadata.modified().seconds(),
            nanoseconds: metadata.modified().nanoseconds(),
        }),
    }
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

    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>> {
        let absolute = absolute(path)?;
        let fail = |error| failed(error, path);
        let metadata = self.0.metadata(&absolute[..]).map_err(fail)?;
        if !metadata.is_dir() {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            return Ok(vec![entry(name.to_vec(), &metadata)]);
        }
        let mut entries = Vec::new();
        for found in self.0.read_dir(&absolute[..]).map_err(fail)?.take(MOST_ENTRIES) {
            let found = found.map_err(fail)?;
            let name = found.file_name();
            let name: &[u8] = name.as_ref();
            if name != b"." && name != b".." {
                entries.push(entry(name.to_vec(), &found.metadata().map_err(fail)?));
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &[u8], to: &mut dyn Write) -> Result<u64> {
        let absolute = absolute(path)?;
        let mut file = self.0.open(&absolute[..]).map_err(|error| failed(error, path))?;
        let mut buffer = vec![0; 1 << 20];
        let mut length = 0;
        loop {
            let read = file.read_bytes(&mut buffer).map_err(|error| failed(error, path))?;
            if read == 0 {
                return Ok(length);
            }
            to.write_all(&buffer[..read]).map_err(|error| Error::io(error, "the restored file"))?;
            length += read as u64;
        }
    }
}

fn absolute(path: &[u8]) -> Result<String> {
    let path = path_text(path)?;
    Ok(format!("/{}", path.trim_matches('/')))
}
