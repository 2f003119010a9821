//! Files out of disk images, made by the usual tools.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tintype_model::entry::Kind;
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::connector::ReadImage;
use tintype_source::disk::{DiskFiles, open, partitions};
use tintype_testkit::debian::need;

use crate::support::run;

pub(crate) struct FileImage(File);

impl FileImage {
    pub(crate) fn open(path: &Path) -> Arc<Self> {
        Arc::new(Self(File::open(path).unwrap()))
    }
}

impl ReadImage for FileImage {
    fn size_bytes(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.0.read_exact_at(buffer, offset).map_err(|error| Error::io(error, "image"))
    }
}

pub(crate) fn content(files: &dyn DiskFiles, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = files.read(path.as_bytes(), &mut bytes).unwrap();
    assert_eq!(length, bytes.len() as u64);
    bytes
}

fn tool(program: &str, words: &[&str]) {
    let words: Vec<&std::ffi::OsStr> = words.iter().map(std::ffi::OsStr::new).collect();
    run(program, &words);
}

struct Made {
    directory: tempfile::TempDir,
    ext4: PathBuf,
    fat: PathBuf,
}

/// One file system of each kind, with the same tree.
fn made() -> Made {
    need(&["mkfs.vfat"], &["dosfstools"]);
    need(&["mcopy"], &["mtools"]);
    need(&["mke2fs"], &["e2fsprogs"]);
    need(&["sfdisk"], &["fdisk"]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let tree = at("tree");
    std::fs::create_dir_all(tree.join("dir/A long name")).unwrap();
    std::fs::write(tree.join("dir/A long name/file.bin"), big()).unwrap();
    std::fs::write(tree.join("empty"), b"").unwrap();
    let (ext4, fat) = (at("ext4"), at("fat"));
    for image in [&ext4, &fat] {
        File::create(image).unwrap().set_len(36 << 20).unwrap();
    }
    let text = |path: &Path| path.display().to_string();
    tool("/sbin/mke2fs", &["-q", "-t", "ext4", "-d", &text(&tree), &text(&ext4)]);
    tool("/sbin/mkfs.vfat", &["-F", "32", &text(&fat)]);
    let (directories, empty) = (text(&tree.join("dir")), text(&tree.join("empty")));
    tool("mcopy", &["-s", "-i", &text(&fat), &directories, &empty, "::"]);
    Made { directory, ext4, fat }
}

fn big() -> Vec<u8> {
    (0..3_000_000u32).flat_map(|number| [number as u8, (number >> 8) as u8]).collect()
}

impl Made {
    /// A disk with a table, and file systems in partitions of it.
    fn disk(&self, table: &str, parts: &[(u64, &Path)]) -> Arc<FileImage> {
        let disk = self.directory.path().join("disk");
        File::create(&disk).unwrap().set_len(128 << 20).unwrap();
        let mut sfdisk = Command::new("/sbin/sfdisk");
        let child = sfdisk.arg("-q").arg(&disk).stdin(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), table.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let file = File::options().write(true).open(&disk).unwrap();
        for (sector, part) in parts {
            file.write_all_at(&std::fs::read(part).unwrap(), sector * 512).unwrap();
        }
        FileImage::open(&disk)
    }
}

fn holds_the_tree(files: &dyn DiskFiles) {
    let names = |path: &str| -> Vec<String> {
        let listed = files.list(path.as_bytes()).unwrap();
        listed.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect()
    };
    let top: Vec<String> = names("").into_iter().filter(|name| name != "lost+found").collect();
    assert_eq!(top, ["dir", "empty"]);
    assert_eq!(names("dir"), ["A long name"]);
    let listed = files.list(b"dir/A long name").unwrap();
    assert_eq!((listed[0].kind, listed[0].size_bytes), (Kind::File, 6_000_000));
    assert!(content(files, "dir/A long name/file.bin") == big());
    assert!(content(files, "empty").is_empty());
    let missing = files.read(b"dir/none", &mut Vec::new()).unwrap_err();
    assert!(missing.is(ErrorKind::NotFound), "{missing}");
}

#[test]
fn files_are_read_out_of_partitions_of_every_table() {
    let made = made();
    let sectors = 36 << 11;
    let gpt = format!(
        "label: gpt\nstart=2048, size={sectors}, type=U\nstart=100352, size={sectors}, type=L\n"
    );
    let mbr = format!(
        "label: dos\nstart=2048, size={sectors}, type=c\nstart=100352, type=5\n\
         start=102400, size={sectors}, type=83\n"
    );
    for (table, ext4_at, numbers) in [(gpt, 100_352, [1, 2]), (mbr, 102_400, [1, 5])] {
        let disk = made.disk(&table, &[(2048, &made.fat), (ext4_at, &made.ext4)]);
        let mut found = partitions(&*disk).unwrap();
        found.retain(|partition| partition.number != 2 || numbers[1] == 2);
        assert_eq!(found.iter().map(|partition| partition.number).collect::<Vec<_>>(), numbers);
        for (partition, kind) in found.iter().zip(["fat", "ext4"]) {
            let files = open(disk.clone(), partition).unwrap();
            assert_eq!(files.kind(), kind);
            holds_the_tree(&*files);
        }
    }
}

#[test]
fn a_disk_without_a_table_is_one_file_system_and_others_are_named() {
    let made = made();
    for image in [&made.ext4, &made.fat] {
        let image = FileImage::open(image);
        let found = partitions(&*image).unwrap();
        assert_eq!(found[0].number, 0);
        holds_the_tree(&*open(image, &found[0]).unwrap());
    }
    let other = made.directory.path().join("swap");
    File::create(&other).unwrap().set_len(8 << 20).unwrap();
    tool("/sbin/mkswap", &[&other.display().to_string()]);
    let image = FileImage::open(&other);
    let found = partitions(&*image).unwrap();
    let error = open(image, &found[0]).err().unwrap();
    assert!(error.is(ErrorKind::Unsupported) && error.to_string().contains("swap"), "{error}");
}
