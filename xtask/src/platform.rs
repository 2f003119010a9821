//! The long matrix: what takes too long for every change, on demand. Each test that the short suite
//! leaves out runs alone, found by its mark, so that no list has to follow it; then the tests that
//! invent their cases run with many more of them.

use crate::clock::Stopwatch;
use crate::interrupt;
use crate::leftovers::Place;
use crate::sh::Sh;
use crate::table::Table;
use anyhow::{Context, bail};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only those whose names hold one of these words
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Name what would run
    #[arg(long)]
    list: bool,
    /// How many cases each test of properties invents
    #[arg(long, default_value_t = 20_000)]
    cases: u32,
}

/// Not run alone: other tests run it, with their environment.
const HELPERS: [&str; 1] = ["backend::roles::child"];
/// Explores states for minutes even with optimization.
const OPTIMIZED: [&str; 1] = ["the_protocol_holds_in_big_scenarios"];
const PROTOCOL: [&str; 5] = ["test", "--quiet", "--release", "-p", "tintype-protocol"];
const TESTS: [&str; 5] = ["test", "--quiet", "--workspace", "--all-features", "--test=it"];
const UNITS: [&str; 6] = ["test", "--quiet", "--workspace", "--all-features", "--lib", "--bins"];
/// One line of the matrix.
struct Entry {
    name: String,
    /// Of cargo.
    words: Vec<String>,
    cases: Option<u32>,
}

impl Entry {
    fn new(name: impl Into<String>, words: &[&str], rest: &[&str]) -> Self {
        let words = words.iter().chain(rest).map(|word| (*word).to_owned()).collect();
        Self { name: name.into(), words, cases: None }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut entries = entries(args.cases)?;
    let is_wanted = |entry: &Entry| args.only.iter().any(|word| entry.name.contains(&**word));
    entries.retain(|entry| args.only.is_empty() || is_wanted(entry));
    if entries.is_empty() {
        bail!("nothing has such a name; `cargo xtask platform --list` names all");
    }
    if args.list {
        entries.iter().for_each(|entry| println!("{}", entry.name));
        return Ok(());
    }
    let (mut table, mut failed) = (Table::new(["platform", "seconds", "result"]), 0);
    for entry in &entries {
        println!("── {}", entry.name);
        let watch = Stopwatch::start();
        let place = Place::new()?;
        let mut cargo = Sh::cargo()?.args(&entry.words).env("TMPDIR", place.path());
        if let Some(cases) = entry.cases {
            cargo = cargo.env("PROPTEST_CASES", cases.to_string());
        }
        let result = cargo.run().and_then(|()| place.check());
        interrupt::check()?;
        if let Err(error) = &result {
            eprintln!("   {error:#}");
        }
        failed += u32::from(result.is_err());
        let word = if result.is_ok() { "passed" } else { "FAILED" };
        table.row([entry.name.clone(), format!("{:.0}", watch.seconds()), word.to_owned()]);
    }
    print!("\n{}", table.plain());
    if failed > 0 {
        bail!("{failed} of {} failed", entries.len());
    }
    Ok(())
}

fn entries(cases: u32) -> anyhow::Result<Vec<Entry>> {
    let list = ["--", "--ignored", "--list", "--format=terse"];
    let listed = Sh::cargo()?.args(TESTS).args(list).read();
    let listed = listed.context("the tests cannot be built")?;
    let mut entries: Vec<Entry> = Vec::new();
    for name in ignored(&listed) {
        let words = if OPTIMIZED.contains(&name) { &PROTOCOL[..] } else { &TESTS };
        entries.push(Entry::new(name, words, &["--", "--ignored", "--exact", name]));
    }
    let invented = [
        Entry::new("hostile bytes and properties", &UNITS, &[]),
        Entry::new("hostile disks", &TESTS, &["hostile_disk"]),
        Entry::new("hostile requests", &TESTS, &["hostile_requests"]),
    ];
    entries.extend(invented.map(|entry| Entry { cases: Some(cases), ..entry }));
    Ok(entries)
}

/// Names out of a list as `--list` prints it.
fn ignored(listed: &str) -> Vec<&str> {
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    names.filter(|name| !HELPERS.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_left_out() {
        let listed = "group::fifty: test\n\nbackend::roles::child: test\n0 tests, 0 benchmarks\n";
        assert_eq!(ignored(listed), ["group::fifty"]);
    }
}
