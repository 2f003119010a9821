//! Files out of disk images, made by the usual tools.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tintype_model::entry::Kind;
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::connector::ReadImage;
use tintype_source::disk::{DiskFiles, Partition, Visit, open, partitions, walk};
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
    let read = files.read(path.as_bytes(), &mut |part| {
        bytes.extend_from_slice(part);
        Ok(())
    });
    let length = read.unwrap();
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
    assert_eq!((listed[0].node.kind, listed[0].node.size), (Kind::File, 6_000_000));
    assert!(content(files, "dir/A long name/file.bin") == big());
    assert!(content(files, "empty").is_empty());
    let missing = files.read(b"dir/none", &mut |_| Ok(())).unwrap_err();
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

/// Some bytes of an image are others, from a seed.
struct Altered {
    image: Arc<FileImage>,
    bytes: Vec<(u64, u8)>,
    /// Of reads, so that a reader that goes on for ever is seen.
    left: AtomicU64,
}

impl ReadImage for Altered {
    fn size_bytes(&self) -> u64 {
        self.image.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.left.store(1, Ordering::Relaxed);
            return Err(Error::canceled("too many reads"));
        }
        self.image.read_at(offset, buffer)?;
        for (at, byte) in &self.bytes {
            if let Some(place) = at.checked_sub(offset).filter(|at| *at < buffer.len() as u64) {
                buffer[place as usize] = *byte;
            }
        }
        Ok(())
    }
}

/// Everything that can be read; nothing of it must panic or go on for ever.
fn read_all(image: Arc<Altered>) -> Result<u64> {
    let partition = Partition { number: 0, range: 0..image.size_bytes() };
    let files = open(image.clone(), &partition)?;
    let mut bytes = 0;
    walk(&*files, b"", image.size_bytes(), &mut |visit| {
        if let Visit::Entry(path, _) = visit {
            // It may be damaged.
            let _ = files.read(path, &mut |part| {
                bytes += part.len() as u64;
                // What claims to be longer than its disk is not waited for.
                if bytes > 4 * image.size_bytes() {
                    return Err(Error::invalid("more than there is"));
                }
                Ok(())
            });
        }
        Ok(bytes <= 4 * image.size_bytes())
    })?;
    Ok(bytes)
}

#[test]
fn damaged_file_systems_are_read_or_refused() {
    let made = made();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for path in [&made.ext4, &made.fat] {
        let image = FileImage::open(path);
        // What is not zero, near the beginning: there the tables are.
        let mut head = vec![0; 2 << 20];
        image.read_at(0, &mut head).unwrap();
        let set: Vec<u64> = (0..).zip(&head).filter(|(_, b)| **b != 0).map(|(at, _)| at).collect();
        let mut read = 0;
        for _ in 0..150 {
            let count = 1 + random(6);
            let bytes = (0..count).map(|_| {
                let at = set[random(set.len().min(3000) as u64) as usize];
                (at, random(256) as u8)
            });
            let bytes = bytes.collect();
            let altered = Altered { image: image.clone(), bytes, left: AtomicU64::new(200_000) };
            match read_all(Arc::new(altered)) {
                Ok(_) => read += 1,
                Err(error) => assert!(!error.is(ErrorKind::Internal), "{error}"),
            }
        }
        assert!(read > 0, "some damage does not matter");
    }
}
