//! Our own program: built here, and what its `--json` summary says.

use super::measure::{self, Cmd};
use super::results::IndexRecord;
use super::tools::Tool;
use crate::sh::Sh;
use crate::table::count;
use anyhow::{Context, bail};
use serde::Deserialize;
use std::path::Path;

/// The fields of the last event of `tintype repo snapshot --json` that are of interest here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    event: String,
    pub(super) requests: Option<u64>,
    pub(super) bytes_written: Option<u64>,
}

/// Builds the release program. False, with a word of explanation, when it cannot do the job yet.
pub(super) fn is_ready() -> anyhow::Result<bool> {
    Sh::cargo()?.args(["build", "--release", "-p", "tintype"]).run()?;
    let program = Tool::Tintype.program()?;
    // A program that knows no commands ends well and prints nothing.
    let help = Sh::new(program).args(["repo", "snapshot", "--help"]).read().unwrap_or_default();
    if help.is_empty() {
        println!("   this tintype has no `repo snapshot`: only the peers run");
    }
    Ok(!help.is_empty())
}

/// The last line that is a summary; an empty one when there is none.
pub(super) fn summary(printed: &str) -> Summary {
    let events =
        printed.lines().rev().filter_map(|line| serde_json::from_str::<Summary>(line).ok());
    events.into_iter().find(|found| found.event == "summary").unwrap_or_default()
}

#[derive(Deserialize)]
struct IndexFigures {
    open_seconds: f64,
    peak_rss_kib: u64,
    lookups_per_second: f64,
}

/// Set F: our program measures its own index in a process that does nothing else.
pub(super) fn index(scratch: &Path, smoke: bool) -> anyhow::Result<IndexRecord> {
    let chunks: u64 = if smoke { 100_000 } else { 100_000_000 };
    println!("   F: an index of {} synthetic chunks", count(chunks));
    let folder = scratch.join("index");
    std::fs::create_dir_all(&folder)?;
    let program = Tool::Tintype.program()?;
    let cmd = Cmd::new([program.as_os_str(), "debug".as_ref(), "index-bench".as_ref()])
        .arg("--chunks")
        .arg(chunks.to_string())
        .arg("--dir")
        .arg(&folder);
    let (_, printed) = measure::run(&cmd, scratch)?;
    let Some(line) = printed.lines().rev().find(|line| line.starts_with('{')) else {
        bail!("`{}` printed no figures", cmd.line());
    };
    let found: IndexFigures = serde_json::from_str(line).with_context(|| cmd.line())?;
    std::fs::remove_dir_all(&folder)?;
    Ok(IndexRecord {
        chunks,
        open_seconds: found.open_seconds,
        peak_rss_kib: found.peak_rss_kib,
        lookups_per_second: found.lookups_per_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_summary_counts() {
        let printed = "{\"event\":\"progress\",\"requests\":1}\n{\"event\":\"summary\",\"requests\":7,\"x\":[]}\n";
        let found = summary(printed);
        assert_eq!((found.requests, found.bytes_written), (Some(7), None));
        assert_eq!(summary("no events").requests, None);
    }
}
