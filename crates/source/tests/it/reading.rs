//! Files that change, vanish or are exchanged between the walk and the reading.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use tintype_model::entry::ProblemKind;
use tintype_source::files::{Segment, WalkOptions};

use crate::support::{find, walk_all};

#[test]
fn what_took_a_files_name_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["gone", "link", "fifo", "other", "grown", "same"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::create_dir(dir.path().join("dir")).unwrap();
    fs::write(dir.path().join("dir/file"), "x").unwrap();
    let mut found = walk_all(dir.path(), 0, WalkOptions::default());
    for name in ["gone", "link", "fifo", "other"] {
        fs::rename(dir.path().join(name), dir.path().join(format!("{name}.old"))).unwrap();
    }
    symlink("secret", dir.path().join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();
    fs::write(dir.path().join("other"), "other").unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("grown"))
        .unwrap()
        .write_all(b"!")
        .unwrap();
    for name in ["t/gone", "t/link", "t/fifo", "t/other"] {
        let problem = find(&found, name).open().unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Vanished, "{name}: {problem:?}");
    }
    let grown = found.iter_mut().find(|found| found.path == b"t/grown").unwrap();
    let file = grown.open().unwrap();
    assert!(file.changed(&grown.node));
    assert!(file.refresh(&mut grown.node));
    assert_eq!(grown.node.size, 6);
    assert!(!file.changed(&grown.node));
    let mut buffer = [0; 10];
    assert_eq!(file.read(&mut buffer).unwrap(), 6);
    assert_eq!(&buffer[..6], b"grown!");
    assert!(!file.changed(&grown.node));
    let same = find(&found, "t/same");
    assert!(!same.open().unwrap().changed(&same.node));
}

#[test]
fn a_directory_that_is_exchanged_is_not_mixed_up() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20 {
        fs::create_dir(dir.path().join(format!("d{number:02}"))).unwrap();
        fs::write(dir.path().join(format!("d{number:02}/file")), "x").unwrap();
    }
    // Few descriptors: the first directories are closed again when the walk is over.
    let options = WalkOptions { open_directories: 4, ..WalkOptions::default() };
    let found = walk_all(dir.path(), 0, options);
    fs::rename(dir.path().join("d00"), dir.path().join("moved")).unwrap();
    symlink("moved", dir.path().join("d00")).unwrap();
    fs::rename(dir.path().join("d01"), dir.path().join("moved1")).unwrap();
    fs::create_dir(dir.path().join("d01")).unwrap();
    fs::write(dir.path().join("d01/file"), "y").unwrap();
    for name in ["t/d00/file", "t/d01/file"] {
        assert_eq!(find(&found, name).open().unwrap_err().kind, ProblemKind::Vanished, "{name}");
    }
    assert!(find(&found, "t/d02/file").open().is_ok());
}

#[test]
fn holes_are_found_and_dense_files_ask_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("sparse")).unwrap();
    file.set_len(8 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 4 << 20).unwrap();
    fs::write(dir.path().join("dense"), [1; 5000]).unwrap();
    fs::write(dir.path().join("empty"), []).unwrap();
    let found = walk_all(dir.path(), 0, WalkOptions::default());
    let segments =
        |name| -> Vec<Segment> { find(&found, name).open().unwrap().segments().collect() };
    let sparse = segments("t/sparse");
    assert_eq!(sparse.iter().map(|segment| segment.length).sum::<u64>(), 8 << 20);
    assert!(sparse.len() == 3 && sparse[0].hole && !sparse[1].hole && sparse[2].hole, "{sparse:?}");
    assert_eq!(sparse[1].offset, 4 << 20);
    assert_eq!(segments("t/dense"), [Segment { offset: 0, length: 5000, hole: false }]);
    assert!(segments("t/empty").is_empty());
}
