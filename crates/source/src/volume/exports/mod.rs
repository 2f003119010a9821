//! Directories of this host that others reach over the network, from the configuration of the
//! servers: Samba, the NFS server of the kernel, NFS-Ganesha.

mod ganesha;
mod nfs;
mod samba;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connector::Context;
use crate::host::{self, program};

/// A longer configuration is not read.
const MOST_BYTES: u64 = 4 << 20;
/// Files that include each other deeper are not read.
const MOST_DEPTH: usize = 16;
/// Nor more of them in all: two that include each other twice are 2^16 at that depth.
const MOST_INCLUDED: usize = 256;
/// Samba may ask a directory service.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// More are left out.
const MOST_EXPORTS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Samba,
    Nfs,
}

impl Kind {
    /// As a tag.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Samba => "samba",
            Self::Nfs => "nfs",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Export {
    pub name: String,
    pub kind: Kind,
    pub path: PathBuf,
}

/// The texts of the files that a configuration includes.
struct Includes<'i> {
    text: &'i mut dyn FnMut(&Path) -> Vec<u8>,
    left: usize,
}

impl<'i> Includes<'i> {
    fn new(text: &'i mut dyn FnMut(&Path) -> Vec<u8>) -> Self {
        Self { text, left: MOST_INCLUDED }
    }

    fn read(&mut self, file: &[u8], depth: usize) -> Option<Vec<u8>> {
        let file = path(file).filter(|_| depth < MOST_DEPTH)?;
        self.left = self.left.checked_sub(1)?;
        Some((self.text)(&file))
    }
}

/// What is exported from directories that exist, by their real paths.
pub(super) fn of_this_host(context: &Context) -> Vec<Export> {
    let mut found = smb_conf(context);
    found.extend(exports_of(Path::new("/etc/exports")));
    let more = std::fs::read_dir("/etc/exports.d").into_iter().flatten().flatten();
    let mut more: Vec<_> = more.map(|entry| entry.path()).collect();
    more.sort_unstable();
    let is_list = |path: &&PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        !hidden && path.extension() == Some(OsStr::new("exports"))
    };
    found.extend(more.iter().filter(is_list).flat_map(|path| exports_of(path)));
    let ganesha = Path::new("/etc/ganesha/ganesha.conf");
    found.extend(ganesha::parse(&text(ganesha), &mut |path| text(path)));
    found.truncate(MOST_EXPORTS);
    found.retain_mut(|export| match export.path.canonicalize() {
        Ok(path) if path.is_dir() => {
            export.path = path;
            true
        }
        _ => false,
    });
    found
}

/// What Samba itself says of its configuration, which may be in a registry; else its file.
fn smb_conf(context: &Context) -> Vec<Export> {
    let file = Path::new("/etc/samba/smb.conf");
    if !file.exists() {
        return Vec::new();
    }
    let mut testparm = host::command("testparm");
    let said = program::run(context, testparm.arg("--suppress-prompt"), ANSWERS_WITHIN).ok();
    let said = said.unwrap_or_else(|| text(file));
    samba::parse(&said, &mut |path| text(path))
}

fn exports_of(path: &Path) -> Vec<Export> {
    nfs::parse(&text(path))
}

/// Nothing, if it cannot be read.
fn text(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let read = File::open(path).map(|file| file.take(MOST_BYTES).read_to_end(&mut text));
    if !matches!(read, Ok(Ok(_))) {
        text.clear();
    }
    text
}

fn path(bytes: &[u8]) -> Option<PathBuf> {
    bytes.starts_with(b"/").then(|| PathBuf::from(OsStr::from_bytes(bytes)))
}
