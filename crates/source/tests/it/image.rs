//! Images and block devices.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use tintype_model::ErrorKind;
use tintype_model::entry::Kind;
use tintype_source::connector::ReadImage as _;
use tintype_source::files::image::Image;
use tintype_source::files::{Accounts, Target, TargetOptions};
use tintype_testkit::volumes::{Loop, Mounted};

use crate::support::{run, skipped_without_root};

/// The directory that a device lies in, as a target, and its name there.
fn place(device: &Path) -> (Target, Vec<u8>) {
    let name = device.file_name().unwrap().as_encoded_bytes().to_vec();
    (Target::open(device.parent().unwrap(), TargetOptions::default()).unwrap(), name)
}

#[test]
fn a_sparse_image_tells_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let file = fs::File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(&[5; 4096], 32 << 20).unwrap();
    let image = Image::open(&path).unwrap();
    let node = image.node(&Accounts::default());
    assert_eq!((node.kind, node.size), (Kind::Image, 64 << 20));
    let data: u64 = image.segments().filter(|s| !s.hole).map(|s| s.length).sum();
    assert!((4096..1 << 20).contains(&data), "{data}");
    let mut buffer = [0; 4096];
    assert_eq!(image.read_full_at(&mut buffer, 32 << 20).unwrap(), 4096);
    assert_eq!(buffer, [5; 4096]);
    assert!(!image.changed());
    file.write_all_at(&[6], 0).unwrap();
    assert!(image.changed());
    assert!(Image::open(dir.path()).unwrap_err().is(ErrorKind::Invalid));
}

#[test]
fn a_device_is_read_and_written_but_not_while_it_is_in_use() {
    if skipped_without_root("block devices") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::write(&path, vec![9; 8 << 20]).unwrap();
    let device = Loop::new(&path);
    let image = Image::open(&device.device).unwrap();
    assert_eq!(image.node(&Accounts::of_host()).kind, Kind::Image);
    assert_eq!(image.size_bytes(), 8 << 20);
    assert_eq!(image.segments().count(), 1);
    drop(image);
    let (devices, name) = place(&device.device);
    let seen = devices.stat(&name).unwrap().unwrap();
    let open = |bytes| devices.open_device(&name, &seen, bytes);
    assert!(open(9 << 20).unwrap_err().is(ErrorKind::Invalid));
    // Something else took its place since it was looked at: a file, a symlink, another device.
    symlink(&device.device, dir.path().join("link")).unwrap();
    let elsewhere = Target::open(dir.path(), TargetOptions::default()).unwrap();
    for path in [&b"disk"[..], b"link"] {
        let refused = elsewhere.open_device(path, &seen, 0).unwrap_err();
        assert!(refused.is(ErrorKind::Denied), "{refused:?}");
    }
    let mut other = seen.clone();
    other.extras_mut().device_number = Some((7, u32::MAX));
    assert!(devices.open_device(&name, &other, 0).unwrap_err().is(ErrorKind::Denied));
    let target = open(8 << 20).unwrap();
    target.write_at(1 << 20, &[1; 5000]).unwrap();
    target.zero(2 << 20, 1 << 20).unwrap();
    target.zero((4 << 20) + 7, 100).unwrap();
    assert!(target.write_at((8 << 20) - 1, &[0; 2]).unwrap_err().is(ErrorKind::NoSpace));
    target.finish().unwrap();
    let read = devices.read(&name).unwrap();
    let mut bytes = [0; 5000];
    assert_eq!(read.read_full_at(&mut bytes, 1 << 20).unwrap(), 5000);
    assert!(read.is_device() && read.size_bytes() == 8 << 20 && bytes == [1; 5000]);
    drop(read);
    drop(device);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[1 << 20..][..5000], [1; 5000]);
    assert!(bytes[2 << 20..3 << 20].iter().all(|byte| *byte == 0));
    assert!(bytes[(4 << 20) + 7..][..100].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[(4 << 20) + 6], 9);

    run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), path.as_os_str()]);
    let device = Loop::new(&path);
    let at = dir.path().join("mounted");
    fs::create_dir(&at).unwrap();
    let mounted = Mounted::new_at(&[device.device.as_os_str()], &at, &[]);
    let (devices, name) = place(&device.device);
    let seen = devices.stat(&name).unwrap().unwrap();
    let error = devices.open_device(&name, &seen, 0).unwrap_err();
    drop(mounted);
    assert!(error.is(ErrorKind::Locked), "{error:?}");
}
