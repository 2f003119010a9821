//! File systems out of images that were damaged or made to harm: what is found is read or refused,
//! without a panic and without going round in circles.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use tintype_model::entry::Kind;
use tintype_model::{Error, Result};
use tintype_source::connector::ReadImage;
use tintype_source::disk::{DiskFiles, open, partitions};
use tintype_testkit::debian::need;

use crate::support::run;

struct Bytes(Vec<u8>);

impl ReadImage for Bytes {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let from = self.0.get(offset as usize..).unwrap_or_default();
        let found = from.get(..buffer.len()).ok_or_else(|| Error::unavailable("behind its end"))?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

/// Takes so much.
fn sink(mut left: usize) -> impl FnMut(&[u8]) -> Result<()> {
    move |bytes| {
        left = left.checked_sub(bytes.len()).ok_or_else(|| Error::invalid("too much"))?;
        Ok(())
    }
}

const MOST_FOUND: usize = 200;

/// Everything that can be found, within bounds. Gives how much that was.
fn look_at(files: &dyn DiskFiles) -> usize {
    let (mut left, mut found) = (vec![Vec::new()], 0);
    while let Some(directory) = left.pop() {
        for entry in files.list(&directory).unwrap_or_default() {
            found += 1;
            if found > MOST_FOUND {
                return found;
            }
            let path = [&directory[..], b"/", &entry.name].concat();
            match entry.node.kind {
                Kind::Directory => left.push(path),
                _ => drop(files.read(&path, &mut sink(1 << 20))),
            }
        }
    }
    found
}

fn tool(program: &str, words: &[&str]) {
    run(program, &words.iter().map(std::ffi::OsStr::new).collect::<Vec<_>>());
}

/// Small ones, so that what is changed mostly matters.
fn images() -> &'static [Vec<u8>; 3] {
    static IMAGES: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    IMAGES.get_or_init(|| {
        need(&["mkfs.vfat"], &["dosfstools"]);
        need(&["mcopy"], &["mtools"]);
        need(&["mke2fs"], &["e2fsprogs"]);
        let own = tempfile::tempdir().unwrap();
        let text = |path: &Path| path.display().to_string();
        let tree = own.path().join("tree");
        std::fs::create_dir_all(tree.join("dir/A long name")).unwrap();
        std::fs::write(tree.join("dir/A long name/file.bin"), [7; 9000]).unwrap();
        std::fs::write(tree.join("short"), b"x").unwrap();
        std::os::unix::fs::symlink("dir/A long name", tree.join("link")).unwrap();
        let made = |name: &str, size: u64| {
            let image = own.path().join(name);
            std::fs::File::create(&image).unwrap().set_len(size).unwrap();
            text(&image)
        };
        let ext4 = made("ext4", 512 << 10);
        let plain =
            ["-q", "-t", "ext4", "-b", "1024", "-O", "^has_journal,^resize_inode", "-N", "32"];
        tool("/sbin/mke2fs", &[&plain[..], &["-d", &text(&tree), &ext4]].concat());
        let ext2 = made("ext2", 256 << 10);
        let plain = ["-q", "-t", "ext2", "-b", "1024", "-N", "32", "-d", &text(&tree)];
        tool("/sbin/mke2fs", &[&plain[..], &[&ext2]].concat());
        let fat = made("fat", 64 << 10);
        tool("/sbin/mkfs.vfat", &["-F", "12", &fat]);
        let (directory, short) = (text(&tree.join("dir")), text(&tree.join("short")));
        tool("mcopy", &["-s", "-i", &fat, &directory, &short, "::"]);
        [ext4, ext2, fat].map(|image| std::fs::read(image).unwrap())
    })
}

fn opened(bytes: Vec<u8>) -> Result<Box<dyn DiskFiles>> {
    let image = Arc::new(Bytes(bytes));
    let all = partitions(&*image)?;
    let first = all.first().ok_or_else(|| Error::not_found("no partition"))?;
    open(image.clone(), first)
}

#[test]
fn the_images_are_whole() {
    for image in images() {
        let files = opened(image.clone()).unwrap();
        assert!(look_at(&*files) >= 4, "{}", files.kind());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes that are not zero are changed above all: these are what it is made of.
    #[test]
    fn a_changed_image_is_read_or_refused(
        which in 0usize..3,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
        wide in any::<Option<(prop::sample::Index, u32)>>(),
    ) {
        let mut bytes = images()[which].clone();
        let used: Vec<usize> = (0..bytes.len()).filter(|at| !matches!(bytes[*at], 0 | 7)).collect();
        for (at, value) in edits {
            bytes[*at.get(&used)] = value;
        }
        if let Some((at, value)) = wide {
            let at = (*at.get(&used)).min(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Ok(files) = opened(bytes) {
            look_at(&*files);
        }
    }
}

/// A chain of clusters that leads to itself, through a directory in which nothing is in use.
#[test]
fn a_directory_without_an_end_is_refused() {
    let mut bytes = images()[2].clone();
    let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (sector, cluster) = (number(11), usize::from(bytes[13]));
    let (reserved, roots, table) = (number(14), number(17), number(22));
    let root = (reserved + usize::from(bytes[16]) * table) * sector;
    let entry = (0..roots).map(|entry| root + 32 * entry).find(|at| bytes[at + 11] == 0x10);
    let entry = entry.expect("there is a directory");
    let first = usize::from(u16::from_le_bytes([bytes[entry + 26], bytes[entry + 27]]));
    // FAT12: three bytes hold two entries.
    let place = reserved * sector + first * 3 / 2;
    if first % 2 == 0 {
        bytes[place] = first as u8;
        bytes[place + 1] = (bytes[place + 1] & 0xf0) | (first >> 8) as u8;
    } else {
        bytes[place] = (bytes[place] & 0x0f) | (first << 4) as u8;
        bytes[place + 1] = (first >> 4) as u8;
    }
    let data = root + roots * 32 + (first - 2) * cluster * sector;
    // As after the removal of all that it held.
    bytes[data..data + cluster * sector].chunks_mut(32).for_each(|entry| entry[0] = 0xe5);
    let files = opened(bytes).unwrap();
    let error = files.list(b"dir").unwrap_err();
    assert!(error.message().contains("circles"), "{error}");
    assert!(files.read(b"dir/none", &mut sink(0)).is_err());
    assert!(files.read(b"short", &mut sink(1)).is_ok(), "the rest is read");
}
