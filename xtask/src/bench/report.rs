//! The report: tables for the terminal, and `docs/benchmarks.md`.

use super::bars::{self, Bar};
use super::data;
use super::results::{Record, Results};
use super::sets::{Medium, Set};
use super::tools::{Job, PEERS, Place, Tool};
use super::{ALL_SETS, peers, sources};
use crate::figures::{self, Part};
use crate::table::{Table, bytes, count};
use std::path::{Path, PathBuf};

const TOOLS: [Tool; 5] = [Tool::Tintype, PEERS[0], PEERS[1], PEERS[2], PEERS[3]];
const MEDIA: [Medium; 3] = [Medium::Memory, Medium::Disk, Medium::S3];

/// All tables, for a terminal.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (title, table) in all(results) {
        text.push_str(&format!("\n{title}\n{}", table.plain()));
    }
    text
}

/// Writes docs/benchmarks.md.
pub(super) fn write(results: &Results) -> anyhow::Result<()> {
    figures::put(Part::Bench, &page(results))
}

fn page(results: &Results) -> String {
    let mut text = String::from(HEAD);
    text.push_str(&format!("\n## Machine\n\n{}.\n", results.machine.line()));
    text.push_str("\n## Bars\n\n");
    text.push_str(&bars_table(&bars::evaluate(results)).markdown());
    text.push_str("\n## Figures\n\nEach cell: seconds (median of the runs), peak memory in MiB. ");
    text.push_str(
        "The last column: how many times as fast as the fastest peer; below 1 we lose.\n",
    );
    for (title, table) in all(results) {
        text.push_str(&format!("\n### {title}\n\n{}", table.markdown()));
    }
    text.push_str(&other_figures(results));
    text.push_str(&data_sets(results));
    text.push_str(&commands());
    text
}

const HEAD: &str = "# Benchmarks

Written by `./x bench`, its last section by `cargo xtask load`; do not edit by hand. Every tool runs on the same machine with the same
data, in turn. Sources are read once before each tool, so that they are in the page cache as far
as the machine leaves them there. Before each command the machine must be 95 % idle for a second; figures for which this wait was given up are marked with `*`. Each restore was
compared with the source byte by byte; a tool that restores something else has no figure. Peak
memory is the resident set of the largest process as the kernel counts it. Where the time goes:
[profiles.md](profiles.md).
";

fn all(results: &Results) -> Vec<(String, Table)> {
    let mut tables = Vec::new();
    for set in ALL_SETS {
        for medium in MEDIA {
            let any = results.records.iter().any(|r| (r.set, r.medium) == (set, medium));
            if any {
                let title = format!("{} {}; {}", set.letter(), set.title(), medium.title());
                tables.push((title, table(results, set, medium)));
            }
        }
    }
    if !results.figures.is_empty() {
        let title = format!("{} {}", Set::P.letter(), Set::P.title());
        tables.push((title, sources::table(&results.figures)));
    }
    tables
}

fn table(results: &Results, set: Set, medium: Medium) -> Table {
    let header = ["operation"].into_iter().chain(TOOLS.map(Tool::name)).chain(["× fastest peer"]);
    let mut table = Table::new(header);
    for op in set.operations() {
        let cell =
            |tool: Tool| results.get(set, medium, *op, tool.name()).map_or("–".into(), timing);
        let ratio = bars::ratio(results, set, medium, *op);
        let mut row = vec![op.title().to_owned()];
        row.extend(TOOLS.map(cell));
        row.push(ratio.map(|found| format!("{found:.2}")).unwrap_or_default());
        table.row(row);
        let stored = |tool: Tool| {
            let record = results.get(set, medium, *op, tool.name());
            record.and_then(|r| r.last(|sample| sample.stored_bytes)).map_or("–".into(), bytes)
        };
        let is_new = matches!(op, super::sets::Op::First | super::sets::Op::Changed);
        if is_new && medium != Medium::S3 {
            let mut row = vec![format!("stored after {}", op.title())];
            row.extend(TOOLS.map(stored));
            table.row(row);
        }
    }
    table
}

fn timing(record: &Record) -> String {
    let busy = record.samples.iter().any(|s| !super::quiet::is_quiet(s.idle_percent));
    let mark = if busy { "*" } else { "" };
    format!("{:.2}{mark} ({:.0})", record.seconds(), record.peak_rss_mib())
}

fn bars_table(bars: &[Bar]) -> Table {
    let word = |reached: Option<bool>| match reached {
        Some(true) => "reached",
        Some(false) => "**not reached**",
        None => "not measured",
    };
    let mut table = Table::new(["bar", "found", "must", "", "goal", ""]);
    for bar in bars {
        let found = if bar.found.is_empty() { "–" } else { &bar.found };
        let goal = if bar.goal.is_empty() { "" } else { word(bar.goal_reached) };
        let must = word(bar.must_reached);
        table.row([&bar.name, found, &bar.must, must, &bar.goal, goal]);
    }
    table
}

/// Bytes written, requests, the bare machine, the synthetic index.
fn other_figures(results: &Results) -> String {
    let mut table = Table::new(["tintype", "bytes written", "requests"]);
    let own = results.records.iter().filter(|record| record.tool == Tool::Tintype.name());
    let mut any = false;
    for record in own {
        let written = record.last(|sample| sample.written_bytes);
        let requests = record.last(|sample| sample.requests);
        if written.is_some() || requests.is_some() {
            any = true;
            let name =
                format!("{} {}, {}", record.set.letter(), record.op.title(), record.medium.title());
            table.row([
                name,
                written.map(bytes).unwrap_or_default(),
                requests.map(count).unwrap_or_default(),
            ]);
        }
    }
    let mut text = String::new();
    if any {
        text.push_str(&format!("\n### Bytes and requests\n\n{}", table.markdown()));
    }
    if !results.floors.is_empty() {
        let mut table =
            Table::new(["the bare machine", "walk with statx, 2 threads", "create the same files"]);
        for floor in &results.floors {
            let (walk, create) = (floor.walk_seconds, floor.create_seconds);
            table.row([
                floor.set.letter().to_string(),
                format!("{walk:.2} s"),
                format!("{create:.2} s"),
            ]);
        }
        text.push_str(&format!("\n### Floors\n\n{}", table.markdown()));
    }
    if let Some(index) = &results.index {
        text.push_str(&format!(
            "\n### F {}\n\n{} chunks: opened in {:.3} s, peak memory {} MiB, {} lookups a second.\n",
            Set::F.title(),
            count(index.chunks),
            index.open_seconds,
            index.peak_rss_kib / 1024,
            count(index.lookups_per_second as u64),
        ));
    }
    text
}

fn data_sets(results: &Results) -> String {
    let mut text = String::from("\n## Data sets\n\n");
    for set in ALL_SETS {
        let recipe = data::recipe(set, false);
        let totals = results.records.iter().find(|record| record.set == set).map(|r| r.totals);
        let size = totals.map(|t| format!(": {} files, {}", count(t.files), bytes(t.bytes)));
        text.push_str(&format!(
            "- {}{}. Recipe {recipe}.\n",
            set.letter(),
            size.unwrap_or_default()
        ));
    }
    text
}

/// The exact command lines, with names in place of folders.
fn commands() -> String {
    let mut text = String::from("\n## Commands\n");
    let job = Job {
        set: Set::B,
        place: Place::Folder(PathBuf::from("$REPOSITORY")),
        source: PathBuf::from("$SOURCE"),
        target: PathBuf::from("$TARGET"),
        state: PathBuf::from("$STATE"),
        sequence: 1,
    };
    for tool in TOOLS {
        let program = Path::new(tool.name());
        let mut lines: Vec<String> =
            tool.init(program, &job).iter().map(super::measure::Cmd::line).collect();
        lines.push(tool.snapshot(program, &job).line());
        lines.push(tool.restore(program, &job).line());
        let (name, version) = (tool.name(), peers::version(tool));
        text.push_str(&format!("\n{name} {version}:\n```\n{}\n```\n", lines.join("\n")));
    }
    text.push_str("\nSet D adds `--sparse` (restic, borg) and `--write-sparse-files` (kopia) to the restore.\n");
    text
}
