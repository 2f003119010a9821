//! Options that every command of `tintype repo` takes.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use tintype_model::{rate, size};

use crate::exit::usage;

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// Where the repository is: a path, or s3://bucket/prefix?endpoint=…&region=…
    #[arg(short, long, value_name = "URL", env = "TINTYPE_REPOSITORY", global = true)]
    #[arg(help_heading = "Repository")]
    pub(crate) repository: Option<String>,
    /// Read the passphrase from a file (one line)
    #[arg(long, value_name = "FILE", global = true, help_heading = "Repository")]
    #[arg(conflicts_with_all = ["password_command", "recovery_key", "recovery_key_file", "age_identity"])]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the passphrase from what a command prints
    #[arg(long, value_name = "COMMAND", global = true, help_heading = "Repository")]
    #[arg(conflicts_with_all = ["recovery_key", "recovery_key_file", "age_identity"])]
    pub(crate) password_command: Option<String>,
    /// Open with the twelve words of a recovery key, asked for at a prompt
    #[arg(long, global = true, help_heading = "Repository")]
    #[arg(conflicts_with_all = ["recovery_key_file", "age_identity"])]
    pub(crate) recovery_key: bool,
    /// Open with the recovery key in a file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Repository")]
    #[arg(conflicts_with = "age_identity")]
    pub(crate) recovery_key_file: Option<PathBuf>,
    /// Open with an age identity file (or TINTYPE_AGE_IDENTITY_FILE, if no passphrase is given)
    #[arg(long, value_name = "FILE", global = true, help_heading = "Repository")]
    pub(crate) age_identity: Option<PathBuf>,
    /// Where caches lie; default: tintype in the user's cache directory
    #[arg(long, value_name = "DIR", env = "TINTYPE_CACHE_DIR", global = true)]
    #[arg(help_heading = "Repository")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep no cache, whatever --cache-dir says: the index is read anew and held in memory
    #[arg(long, global = true, help_heading = "Repository")]
    pub(crate) no_cache: bool,

    /// One JSON event per line on standard output (docs/json.md)
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Only results and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Say more; twice: say everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    pub(crate) verbose: u8,
    /// No progress
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_progress: bool,

    /// Send at most this much, like 10MiB/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate, global = true)]
    #[arg(help_heading = "Limits")]
    pub(crate) limit_upload: Option<Rate>,
    /// Receive at most this much, like 10MiB/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate, global = true)]
    #[arg(help_heading = "Limits")]
    pub(crate) limit_download: Option<Rate>,
    /// Ask the store for one thing at most N times when it does not answer or is overloaded,
    /// with growing pauses; default: 8 (about half a minute), 3 for a directory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    #[arg(global = true, help_heading = "Limits")]
    pub(crate) tries: Option<u32>,
    /// Use at most N processors, with all programs that are run; default: all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    #[arg(global = true, help_heading = "Limits")]
    pub(crate) cpu: Option<u32>,
    /// Use about this much memory at most, like 512MiB: fewer workers, shorter queues
    #[arg(long, value_name = "SIZE", value_parser = parse_size, global = true)]
    #[arg(help_heading = "Limits")]
    pub(crate) memory: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) Option<NonZeroU64>);

fn parse_rate(text: &str) -> Result<Rate, tintype_model::Error> {
    rate::parse(text).map(|rate| Rate(rate.and_then(NonZeroU64::new)))
}

pub(crate) fn parse_size(text: &str) -> Result<u64, tintype_model::Error> {
    size::parse(text)
}

/// What is there whatever runs: program, key derivation, filters, entries on their way.
const FIXED_BYTES: u64 = 96 << 20;
/// Read buffer, compressor and parcel of one worker, with its share of open packs.
const WORKER_BYTES: u64 = 24 << 20;
/// Parts of uploads that are being filled, or on their way to a store that is far away.
const UPLOADS_BYTES: u64 = 88 << 20;
const SMALLEST_BYTES: u64 = 128 << 20;
const AHEAD_BYTES: u64 = 16 << 20;
/// So many keep a slow disk or file server busy.
const WAITING_WORKERS: usize = 6;

/// How much may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) workers: usize,
    /// While they wait for what they read, from a slow disk or a store that is far away.
    pub(crate) most_workers: usize,
    /// Of what the walk holds ready.
    pub(crate) ahead_bytes: usize,
    /// As it was asked for.
    memory_bytes: Option<u64>,
}

impl Budget {
    /// For who writes into a store that is far away: what is on its way takes memory too, so
    /// waiting workers are added only where more memory was allowed.
    pub(crate) fn of_uploader(self) -> Self {
        let needed = FIXED_BYTES + UPLOADS_BYTES + self.ahead_bytes as u64;
        let workers = self.memory_bytes.map_or(self.workers, |memory| {
            (memory.saturating_sub(needed) / WORKER_BYTES).max(1) as usize
        });
        Self {
            workers: self.workers.min(workers),
            most_workers: self.most_workers.min(workers),
            ..self
        }
    }
}

impl Global {
    pub(crate) fn budget(&self) -> anyhow::Result<Budget> {
        // clap does not see that options of different levels contradict each other.
        if self.quiet && self.verbose > 0 {
            return Err(usage("--quiet and --verbose contradict each other"));
        }
        if let Some(n) = self.cpu {
            confine(n as usize);
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        budget(self.cpu.map_or(processors, |n| n as usize), self.memory)
    }
}

/// To N processors, this one first. Threads and programs that start later inherit it.
fn confine(count: usize) {
    let confined = sched_getaffinity(None).and_then(|allowed| {
        let first = sched_getcpu();
        let others = (0..CpuSet::MAX_CPU).filter(|cpu| *cpu != first);
        let mut chosen = CpuSet::new();
        let usable = std::iter::once(first).chain(others).filter(|cpu| allowed.is_set(*cpu));
        usable.take(count).for_each(|cpu| chosen.set(cpu));
        sched_setaffinity(None, &chosen)
    });
    if let Err(error) = confined {
        tracing::warn!(%error, "only the number of workers is limited by --cpu");
    }
}

fn budget(processors: usize, memory: Option<u64>) -> anyhow::Result<Budget> {
    let most = processors.max(WAITING_WORKERS);
    let Some(memory) = memory else {
        return Ok(Budget {
            workers: processors,
            most_workers: most,
            ahead_bytes: AHEAD_BYTES as usize,
            memory_bytes: None,
        });
    };
    if memory < SMALLEST_BYTES {
        return Err(usage(format!(
            "--memory {} cannot be kept: at least {} are needed",
            size::format(memory),
            size::format(SMALLEST_BYTES)
        )));
    }
    let ahead = (memory / 32).min(AHEAD_BYTES);
    let workers = (memory - FIXED_BYTES - ahead) / WORKER_BYTES;
    let workers = workers.max(1) as usize;
    Ok(Budget {
        workers: processors.min(workers),
        most_workers: most.min(workers),
        ahead_bytes: ahead as usize,
        memory_bytes: Some(memory),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_bounds_workers() {
        let workers = |memory| budget(16, memory).unwrap().workers;
        let most = |memory| budget(2, memory).unwrap().most_workers;
        assert_eq!((most(None), most(Some(128 << 20)), most(Some(256 << 20))), (6, 1, 6));
        assert_eq!(workers(None), 16);
        assert_eq!(workers(Some(128 << 20)), 1);
        assert_eq!(workers(Some(256 << 20)), 6);
        assert_eq!(workers(Some(4 << 30)), 16);
        assert!(budget(1, Some(64 << 20)).is_err());
        let far = |memory| {
            let Budget { workers, most_workers, .. } = budget(2, memory).unwrap().of_uploader();
            (workers, most_workers)
        };
        assert_eq!((far(None), far(Some(128 << 20))), ((2, 2), (1, 1)));
        assert_eq!((far(Some(256 << 20)), far(Some(512 << 20))), ((2, 2), (2, 6)));
    }
}
