//! Side by side with the peers: the same data, the same machine, the same session.
//!
//! For each data set and each place of the repository every run goes through all tools in turn:
//! a fresh repository, first snapshot, unchanged, changed, restore; each restore is compared with
//! the source byte by byte. Before each measured command the machine must be quiet.

mod bars;
mod data;
mod floor;
pub(crate) mod machine;
pub(crate) mod measure;
mod memory;
mod own;
mod peers;
mod quiet;
mod report;
mod results;
mod runner;
mod sets;
mod sources;
mod store;
pub(crate) mod tools;

use crate::interrupt;
use anyhow::{Context, bail};
use results::Results;
use sets::{Medium, Set};
use std::path::PathBuf;
use tools::Tool;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data sets (default: all)
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Set>,
    /// Where the repository lies (default: each place that belongs to the set)
    #[arg(long, value_enum, value_delimiter = ',')]
    media: Vec<Medium>,
    /// How often each tool runs; the median counts
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// `restic,kopia,rustic,borg`, `none`, or `reuse` for the stored figures of this machine
    /// (default: those that are installed)
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Install the peers into the cache first
    #[arg(long)]
    install_peers: bool,
    /// Run the peers only
    #[arg(long)]
    no_own: bool,
    /// Tiny data, no report: shows that the harness works
    #[arg(long)]
    smoke: bool,
    /// Longest wait for a quiet machine before each command, in seconds
    #[arg(long, default_value_t = 120)]
    quiet_seconds: u64,
    /// Memory-backed folder for repositories and restored data
    #[arg(long, default_value = "/dev/shm")]
    memory: PathBuf,
    /// Only write docs/benchmarks.md anew from the stored figures
    #[arg(long)]
    report: bool,
}

impl Args {
    /// Tiny data measure nothing, so there is nothing to wait for.
    fn quiet_limit(&self) -> u64 {
        if self.smoke { 0 } else { self.quiet_seconds }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut results = Results::load()?;
    // Figures of data or versions that no longer run here cannot be compared with new ones.
    results.records.retain(|record| {
        let peer = tools::PEERS.into_iter().find(|peer| peer.name() == record.tool);
        let is_current = peer.is_none_or(|peer| peers::version(peer) == record.version);
        is_current && record.recipe == data::recipe(record.set, false)
    });
    results.floors.retain(|floor| floor.recipe == data::recipe(floor.set, false));
    if args.report {
        return report::write(&results);
    }
    let peers = wanted_peers(args)?;
    if args.install_peers {
        peers::install(&peers)?;
    }
    let mut tools: Vec<Tool> = Vec::new();
    let own_ready = !args.no_own && own::is_ready()?;
    if own_ready {
        tools.push(Tool::Tintype);
    }
    for peer in peers {
        if !peers::is_installed(peer) {
            bail!("{} {} is not installed; add --install-peers", peer.name(), peers::version(peer));
        }
        tools.push(peer);
    }
    let mut fresh = Results { records: Vec::new(), ..results.clone() };
    if args.smoke {
        fresh.figures.clear();
    }
    for set in chosen(&args.only, &ALL_SETS) {
        interrupt::check()?;
        let measured = runner::run_set(args, set, &tools, own_ready, &mut fresh);
        if !args.smoke {
            // What has been measured stays, whatever happens to the rest.
            fresh.records.iter().for_each(|record| results.put(record.clone()));
            (results.floors, results.index) = (fresh.floors.clone(), fresh.index.clone());
            results.figures.clone_from(&fresh.figures);
            results.save()?;
        }
        measured.with_context(|| format!("data set {} could not be measured", set.letter()))?;
    }
    if args.smoke {
        print!("{}", report::tables(&fresh));
        return Ok(());
    }
    print!("{}", report::tables(&results));
    println!("figures kept in {}", results.save()?.display());
    report::write(&results)
}

const ALL_SETS: [Set; 7] = [Set::A, Set::B, Set::C, Set::D, Set::E, Set::F, Set::P];

fn chosen<T: Copy>(wanted: &[T], all: &[T]) -> Vec<T> {
    if wanted.is_empty() { all.to_vec() } else { wanted.to_vec() }
}

fn wanted_peers(args: &Args) -> anyhow::Result<Vec<Tool>> {
    let Some(names) = &args.peers else {
        let all = tools::PEERS.into_iter();
        return Ok(all.filter(|peer| args.install_peers || peers::is_installed(*peer)).collect());
    };
    if matches!(names.as_slice(), [word] if word == "none" || word == "reuse") {
        return Ok(Vec::new());
    }
    let peer = |name: &String| tools::PEERS.into_iter().find(|peer| peer.name() == name);
    names.iter().map(|name| peer(name).with_context(|| format!("`{name}` is no peer"))).collect()
}
