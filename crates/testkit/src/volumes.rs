//! File systems on loop devices, mounted for the time of a test. They need root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::need;
use crate::keeper::Keeper;

/// What is frozen would never be unmounted; mostly it is not. Then the rest goes.
const AWAY: &str = "fsfreeze -u \"$1\"; umount -l \"$1\"; shift; rm -rf --one-file-system \"$@\"";

/// Something mounted for the time of a test.
pub struct Mounted {
    pub path: PathBuf,
    _keeper: Keeper,
}

impl Mounted {
    /// By `mount` with these arguments before the place. `own` goes with it.
    pub fn new_at(arguments: &[&OsStr], at: &Path, own: &[&Path]) -> Self {
        let places = [at].into_iter().chain(own.iter().copied()).map(Path::as_os_str);
        let keeper = Keeper::new(AWAY, &places.collect::<Vec<_>>());
        run("mount", &[arguments, &[at.as_os_str()]].concat());
        Self { path: at.to_owned(), _keeper: keeper }
    }

    /// An image that is there already.
    pub fn image_at(image: &Path, at: &Path) -> Self {
        Self::looped(image, at, &[])
    }

    fn looped(image: &Path, at: &Path, own: &[&Path]) -> Self {
        Self::new_at(&["-o".as_ref(), "loop".as_ref(), image.as_os_str()], at, own)
    }

    /// A new file system of a kind, on an image of its own, mounted at a directory.
    pub fn image(kind: &str, at: &Path) -> Self {
        let own = directory();
        let image = own.join("image");
        make(kind, &image, if kind == "xfs" { 1 << 30 } else { 256 << 20 });
        Self::looped(&image, at, &[&own])
    }

    /// A large one, mounted at a directory of its own. Its image is sparse.
    pub fn sized(kind: &str, size_bytes: u64) -> Self {
        let (own, at) = (directory(), directory());
        let image = own.join("image");
        make(kind, &image, size_bytes);
        Self::looped(&image, &at, &[&own, &at])
    }

    /// The same with its image at a place that the caller removes.
    pub fn sized_in(image: &Path, kind: &str, size_bytes: u64) -> Self {
        let at = directory();
        make(kind, image, size_bytes);
        Self::looped(image, &at, &[&at])
    }

    /// The same, mounted at a directory of its own.
    pub fn new(kind: &str) -> Self {
        // Room for an image on it.
        Self::sized(kind, 1 << 30)
    }

    /// A file system of a kind on an image that lies on this one.
    pub fn stack(&self, kind: &str) -> Self {
        let at = directory();
        let image = self.path.join(format!("{kind}.image"));
        // The least that mkfs.xfs makes.
        make(kind, &image, 320 << 20);
        Self::looped(&image, &at, &[&at, &image])
    }

    /// Memory, of so many MiB.
    pub fn tmpfs(at: &Path, mebibytes: u32) -> Self {
        let size = format!("size={mebibytes}m");
        Self::new_at(&["-t", "tmpfs", "-o", &size, "tmpfs"].map(OsStr::new), at, &[])
    }

    /// One of the kernel's own kinds.
    pub fn kind(kind: &str, at: &Path) -> Self {
        Self::new_at(&["-t", kind, kind].map(OsStr::new), at, &[])
    }

    /// Takes it away although it is in use.
    pub fn unmount(&self) {
        run("umount", &["-l".as_ref(), self.path.as_os_str()]);
    }
}

/// A file as a block device.
pub struct Loop {
    pub device: PathBuf,
    _keeper: Keeper,
}

impl Loop {
    pub fn new(file: &Path) -> Self {
        let output = Command::new("losetup").args(["-f", "--show"]).arg(file).output();
        let output = output.expect("losetup (package mount) can be run");
        assert!(output.status.success(), "{output:?}");
        let device = String::from_utf8(output.stdout).expect("a plain name");
        let device = PathBuf::from(device.trim());
        let keeper = Keeper::new("losetup -d \"$1\"", &[device.as_os_str()]);
        Self { device, _keeper: keeper }
    }
}

/// A new one, which a [`Keeper`] removes.
fn directory() -> PathBuf {
    tempfile::tempdir().expect("a temporary directory").keep()
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

pub fn run(program: &str, arguments: &[&OsStr]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}
