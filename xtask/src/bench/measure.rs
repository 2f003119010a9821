//! Time and peak memory of one command.
//!
//! The command runs below a small process of its own (`xtask measure`), which reads
//! `getrusage(RUSAGE_CHILDREN)` when it is done: the kernel counts a child's memory from before
//! its `exec`, so a large parent would be counted as the child's.

use crate::clock::Stopwatch;
use crate::sh::Sh;
use crate::{interrupt, paths};
use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to write the figures, as JSON
    #[arg(long)]
    report: PathBuf,
    /// The command
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What the kernel counted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Wall time.
    pub(crate) seconds: f64,
    /// User and system time of all threads.
    pub(crate) cpu_seconds: f64,
    /// Peak resident memory of the largest process.
    pub(crate) peak_rss_kib: u64,
}

/// The small process: runs the command, writes the figures, ends with the command's exit code.
pub(crate) fn wrapper(args: &Args) -> ExitCode {
    let (program, rest) = args.command.split_first().expect("clap wants at least one word");
    // After an interrupt it waits for the command, so that nothing runs on behind our back.
    if let Err(error) = interrupt::install() {
        eprintln!("{error:#}");
    }
    let watch = Stopwatch::start();
    let status = Command::new(program).args(rest).status();
    let seconds = watch.seconds();
    let result = status.map_err(anyhow::Error::from).and_then(|status| {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = usage.user_time() + usage.system_time();
        let usage = Usage {
            seconds,
            cpu_seconds: cpu.num_microseconds() as f64 / 1e6,
            peak_rss_kib: usage.max_rss() as u64,
        };
        serde_json::to_writer(File::create(&args.report)?, &usage)?;
        Ok(status.code())
    });
    match result {
        Ok(Some(code)) => ExitCode::from(code as u8),
        Ok(None) => ExitCode::from(130),
        Err(error) => {
            eprintln!("cannot run {}: {error:#}", program.display());
            ExitCode::from(127)
        }
    }
}

/// A command to be measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Cmd {
    pub(super) words: Vec<OsString>,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// Working folder; the root of the repository when there is none.
    pub(super) dir: Option<PathBuf>,
}

impl Cmd {
    pub(super) fn new<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub(super) fn arg(mut self, word: impl Into<OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// As one would type it.
    pub(super) fn line(&self) -> String {
        let words = self.words.iter().map(|word| word.to_string_lossy().into_owned());
        let env = self.env.iter().map(|(name, value)| format!("{name}={}", value.display()));
        let line = env.chain(words).collect::<Vec<_>>().join(" ");
        self.dir.as_ref().map_or(line.clone(), |dir| format!("cd {}; {line}", dir.display()))
    }
}

/// Runs `command`, its output going to files in `scratch`; returns the figures and what it
/// printed on standard output.
pub(super) fn run(command: &Cmd, scratch: &Path) -> anyhow::Result<(Usage, String)> {
    let report = scratch.join("usage.json");
    let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
    let mut process = Sh::new(std::env::current_exe()?).into_command();
    process.arg("measure").arg("--report").arg(&report).arg("--").args(&command.words);
    process.envs(command.env.iter().map(|(name, value)| (name, value)));
    process.current_dir(command.dir.as_deref().unwrap_or(paths::root()));
    process.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let status = process.status().context("cannot start the measuring process")?;
    interrupt::check()?;
    let printed = String::from_utf8_lossy(&std::fs::read(&stdout)?).into_owned();
    if !status.success() {
        let errors = String::from_utf8_lossy(&std::fs::read(&stderr)?).into_owned();
        bail!("`{}` failed ({status}):\n{}{}", command.line(), tail(&printed), tail(&errors));
    }
    let usage = serde_json::from_slice(&std::fs::read(&report)?)?;
    Ok((usage, printed))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n    ");
    if last.is_empty() { last } else { format!("    {last}\n") }
}
