//! File systems on loop devices, mounted for the time of a test. They need root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::debian::need;

/// Something mounted for the time of a test.
pub struct Mounted {
    pub path: PathBuf,
    /// Where it is mounted and its image, if they are its own.
    directories: Vec<TempDir>,
    image: Option<PathBuf>,
}

impl Mounted {
    /// A new file system of a kind, on an image of its own, mounted at a directory.
    pub fn image(kind: &str, at: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let image = dir.path().join("image");
        make(kind, &image, if kind == "xfs" { 1 << 30 } else { 256 << 20 });
        mount(&image, at);
        Self { path: at.to_owned(), directories: vec![dir], image: None }
    }

    /// A large one, mounted at a directory of its own. Its image is sparse.
    pub fn sized(kind: &str, size_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut mounted = Self::sized_in(&dir.path().join("image"), kind, size_bytes);
        mounted.directories.push(dir);
        mounted
    }

    /// The same with its image at a place that the caller removes.
    pub fn sized_in(image: &Path, kind: &str, size_bytes: u64) -> Self {
        let at = tempfile::tempdir().expect("a temporary directory");
        make(kind, image, size_bytes);
        mount(image, at.path());
        Self { path: at.path().to_owned(), directories: vec![at], image: None }
    }

    /// The same, mounted at a directory of its own.
    pub fn new(kind: &str) -> Self {
        // Room for an image on it.
        Self::sized(kind, 1 << 30)
    }

    /// A file system of a kind on an image that lies on this one.
    pub fn stack(&self, kind: &str) -> Self {
        let at = tempfile::tempdir().expect("a temporary directory");
        let image = self.path.join(format!("{kind}.image"));
        // The least that mkfs.xfs makes.
        make(kind, &image, 320 << 20);
        mount(&image, at.path());
        Self { path: at.path().to_owned(), directories: vec![at], image: Some(image) }
    }

    /// Memory, of so many MiB.
    pub fn tmpfs(at: &Path, mebibytes: u32) -> Self {
        let size = format!("size={mebibytes}m");
        let arguments = ["-t", "tmpfs", "-o", &size, "tmpfs"].map(OsStr::new);
        run("mount", &[&arguments[..], &[at.as_os_str()]].concat());
        Self { path: at.to_owned(), directories: Vec::new(), image: None }
    }

    /// One of the kernel's own kinds.
    pub fn kind(kind: &str, at: &Path) -> Self {
        run("mount", &["-t".as_ref(), kind.as_ref(), kind.as_ref(), at.as_os_str()]);
        Self { path: at.to_owned(), directories: Vec::new(), image: None }
    }

    /// Takes it away although it is in use.
    pub fn unmount(&self) {
        run("umount", &["-l".as_ref(), self.path.as_os_str()]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It would never be unmounted; mostly it is not frozen.
        let quiet = || std::process::Stdio::null();
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.path).stderr(quiet()).status();
        let _ = Command::new("umount").arg("-l").arg(&self.path).stderr(quiet()).status();
        if let Some(image) = &self.image {
            let _ = std::fs::remove_file(image);
        }
    }
}

fn make(kind: &str, image: &Path, size: u64) {
    match kind {
        "xfs" => need(&["mkfs.xfs"], &["xfsprogs"]),
        "btrfs" => need(&["mkfs.btrfs"], &["btrfs-progs"]),
        _ => need(&["mkfs.ext4"], &["e2fsprogs"]),
    }
    let file = std::fs::File::create(image).expect("an image can be made");
    file.set_len(size).expect("an image can be made");
    // Small blocks, which ext4 would choose here, forbid long symlinks.
    let small = if kind == "ext4" { &["-q", "-b", "4096"][..] } else { &["-q"] };
    let mut arguments: Vec<&OsStr> = small.iter().map(OsStr::new).collect();
    arguments.push(image.as_os_str());
    run(&format!("mkfs.{kind}"), &arguments);
}

fn mount(image: &Path, at: &Path) {
    run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), at.as_os_str()]);
}

pub fn run(program: &str, arguments: &[&OsStr]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}
