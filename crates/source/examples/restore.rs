//! Times the restore of small files: `restore DIR [FILES] [THREADS]`. Writes them below DIR
//! with a bare loop of the same system calls, then with [`Target`], and prints both.

#![allow(clippy::disallowed_methods)] // A benchmark measures time and owns its threads.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{
    CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, futimens,
    openat, renameat,
};
use tintype_model::entry::{Kind, Node, Time};
use tintype_source::files::{Put, Target, TargetOptions};

const IN_A_DIRECTORY: usize = 1000;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let dir = PathBuf::from(arguments.next().expect("restore DIR [FILES] [THREADS]"));
    let mut number = |default: usize| {
        arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(default)
    };
    let (files, threads) = (number(100_000), number(2));
    let data: Vec<u8> = (0..4096u32).map(|byte| (byte * 31) as u8).collect();
    for round in 0..3 {
        let bare_dir = dir.join(format!("bare-{round}"));
        let target_dir = dir.join(format!("target-{round}"));
        for base in [&bare_dir, &target_dir] {
            std::fs::create_dir_all(base).expect("DIR can be written");
        }
        let bare_seconds = timed(threads, files, |range| bare(&bare_dir, range, &data));
        let target = Target::open(&target_dir, TargetOptions::default()).expect("it was made");
        let seconds = timed(threads, files, |range| through(&target, range, &data));
        let each = |seconds: f64| seconds * 1e6 / files as f64;
        println!(
            "bare {bare_seconds:.3} s ({:.2} us each), target {seconds:.3} s ({:.2} us each), ratio {:.2}",
            each(bare_seconds),
            each(seconds),
            seconds / bare_seconds
        );
        for base in [&bare_dir, &target_dir] {
            std::fs::remove_dir_all(base).expect("it was made here");
        }
    }
}

fn timed(threads: usize, files: usize, work: impl Fn(std::ops::Range<usize>) + Sync) -> f64 {
    let start = Instant::now();
    let share = (files / threads / IN_A_DIRECTORY) * IN_A_DIRECTORY;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread * share..(thread + 1) * share));
        }
    });
    start.elapsed().as_secs_f64()
}

fn size(file: usize) -> usize {
    100 + file * 7919 % 3900
}

fn bare(base: &Path, range: std::ops::Range<usize>, data: &[u8]) {
    let mut dir = None;
    for file in range {
        if file % IN_A_DIRECTORY == 0 {
            let path = base.join(format!("d{}", file / IN_A_DIRECTORY));
            std::fs::create_dir(&path).expect("a new directory");
            let how = OFlags::RDONLY | OFlags::DIRECTORY;
            dir = Some(openat(CWD, &path, how, Mode::empty()).expect("it was made"));
        }
        let dir = dir.as_ref().expect("a range begins with a directory");
        let (temporary, name) = (format!(".tmp-{file:032}"), format!("file-{file}"));
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = openat(dir, &*temporary, how, Mode::RUSR | Mode::WUSR).expect("a new file");
        rustix::io::write(&fd, &data[..size(file)]).expect("room");
        fchown(&fd, Some(Uid::ROOT), Some(Gid::ROOT)).expect("root");
        fchmod(&fd, Mode::from_raw_mode(0o644)).expect("our own");
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let last_modification = Timespec { tv_sec: 1_600_000_000, tv_nsec: 5 };
        futimens(&fd, &Timestamps { last_access: omit, last_modification }).expect("our own");
        drop(fd);
        renameat(dir, &*temporary, dir, &*name).expect("our own");
    }
}

fn through(target: &Target, range: std::ops::Range<usize>, data: &[u8]) {
    let mtime = Time { seconds: 1_600_000_000, nanoseconds: 5 };
    let mut node = Node { mode: 0o644, mtime, ..Node::new(Kind::File) };
    for file in range {
        let dir = format!("d{}", file / IN_A_DIRECTORY);
        if file % IN_A_DIRECTORY == 0 {
            target.make_dir(dir.as_bytes()).expect("a new directory");
        }
        let path = format!("{dir}/file-{file}");
        node.size = size(file) as u64;
        let data = &data[..size(file)];
        let problems = target.write_small(path.as_bytes(), data, &node, Put::New);
        assert!(problems.expect("room").is_empty());
    }
}
