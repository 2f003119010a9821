//! Times capturing small files: `read ROOT [THREADS]`. Walks, then opens, reads and closes
//! each file with its attributes and flags; against a bare open, read, close of the same.

#![allow(clippy::disallowed_methods)] // A benchmark measures time and owns its threads.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, openat};
use tintype_model::entry::Kind;
use tintype_source::files::{Found, Walk, WalkOptions};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let root = PathBuf::from(arguments.next().expect("read ROOT [THREADS]"));
    let threads: usize = arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(2);
    let walk = Walk::new(vec![root], WalkOptions::default());
    let mut found = Vec::new();
    while walk.next_batch(&mut found, 1000) {}
    found.retain(|found| found.node.kind == Kind::File);
    for _ in 0..3 {
        let bare_seconds = timed(&mut found, threads, bare);
        let seconds = timed(&mut found, threads, through);
        let each = |seconds: f64| seconds * 1e6 / found.len() as f64;
        println!(
            "bare {bare_seconds:.3} s ({:.2} us each), found {seconds:.3} s ({:.2} us each), ratio {:.2}",
            each(bare_seconds),
            each(seconds),
            seconds / bare_seconds
        );
    }
}

fn timed(found: &mut [Found], threads: usize, work: fn(&mut [Found])) -> f64 {
    let start = Instant::now();
    let share = found.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for part in found.chunks_mut(share) {
            scope.spawn(move || work(part));
        }
    });
    start.elapsed().as_secs_f64()
}

fn bare(found: &mut [Found]) {
    let mut buffer = vec![0; 1 << 16];
    let mut last: Option<(Vec<u8>, std::os::fd::OwnedFd)> = None;
    for found in found {
        let path = &found.path[b"files".len()..];
        let length = path.len() - found.name().len();
        if last.as_ref().is_none_or(|(dir, _)| *dir != path[..length]) {
            let dir = Path::new(std::ffi::OsStr::from_bytes(&path[..length]));
            let fd = openat(CWD, dir, OFlags::PATH, Mode::empty()).expect("it was walked");
            last = Some((path[..length].to_vec(), fd));
        }
        let (_, dir) = last.as_ref().expect("set above");
        let how = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(dir, found.name(), how, Mode::empty()).expect("readable");
        rustix::io::read(&file, &mut buffer).expect("readable");
    }
}

fn through(found: &mut [Found]) {
    let mut buffer = vec![0; 1 << 16];
    for found in found {
        let file = found.open().expect("readable");
        file.refresh(&mut found.node);
        file.load_extras(&mut found.node);
        file.read(&mut buffer).expect("readable");
        assert!(!file.changed(&found.node));
    }
}
