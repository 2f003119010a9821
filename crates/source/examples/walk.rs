//! Times a walk: `walk ROOT [HELPERS] [RUNS] [bare]`. Prints entries, seconds and peak memory.
//! `bare` times the least that any walk must do: getdents and statx, in no order, in parallel.

#![allow(clippy::disallowed_methods)] // A benchmark measures time and owns its threads.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, StatxFlags, openat, statx};

use tintype_source::files::{Walk, WalkOptions};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let root = PathBuf::from(arguments.next().expect("walk ROOT [HELPERS] [RUNS]"));
    let mut number = |default: usize| {
        arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(default)
    };
    let (helpers, runs) = (number(1), number(3));
    if arguments.next().is_some() {
        for _ in 0..runs {
            let start = Instant::now();
            let entries = bare(&root, helpers + 1);
            report(entries, start.elapsed().as_secs_f64());
        }
        return;
    }
    for _ in 0..runs {
        let start = Instant::now();
        let walk = Walk::new(vec![root.clone()], WalkOptions::default());
        let (mut entries, mut problems, mut size_bytes) = (0u64, 0u64, 0u64);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|| walk.help());
            }
            let mut batch = Vec::new();
            loop {
                let more = walk.next_batch(&mut batch, 256);
                for found in batch.drain(..) {
                    entries += 1;
                    problems += u64::from(found.node.problem().is_some());
                    size_bytes += found.node.size;
                }
                if !more {
                    break;
                }
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        print!("{problems} problems, {size_bytes} bytes, ");
        report(entries, seconds);
    }
}

fn report(entries: u64, seconds: f64) {
    let each = seconds * 1e6 / entries as f64;
    println!("{entries} entries, {seconds:.3} s, {each:.3} us each, peak {} kB", peak_kilobytes());
}

/// Threads take directories from a stack until it stays empty.
fn bare(root: &Path, threads: usize) -> u64 {
    let stack = Mutex::new(vec![root.to_owned()]);
    let (open, entries) = (AtomicU64::new(1), AtomicU64::new(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
                while open.load(Ordering::SeqCst) > 0 {
                    let Some(path) = stack.lock().expect("no thread panics").pop() else {
                        std::thread::yield_now();
                        continue;
                    };
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let fd = openat(CWD, &path, flags, Mode::empty()).expect("a readable tree");
                    let mut directory = RawDir::new(&fd, &mut buffer);
                    let mut count = 0;
                    while let Some(Ok(entry)) = directory.next() {
                        let name = entry.file_name();
                        if name == c"." || name == c".." {
                            continue;
                        }
                        count += 1;
                        let how = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
                        let stat = statx(&fd, name, how, StatxFlags::BASIC_STATS);
                        if stat.is_ok_and(|stat| u32::from(stat.stx_mode) & 0o170_000 == 0o040_000)
                        {
                            open.fetch_add(1, Ordering::SeqCst);
                            let below = path.join(OsStr::from_bytes(name.to_bytes()));
                            stack.lock().expect("no thread panics").push(below);
                        }
                    }
                    entries.fetch_add(count, Ordering::Relaxed);
                    open.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    entries.into_inner()
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}
