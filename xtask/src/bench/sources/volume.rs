//! 500,000 files on btrfs, of which ten change: ours asks the file system, the others look.

use super::super::sets::Set;
use super::super::tools::Tool;
use super::super::{Args, data};
use super::lab::Lab;
use super::{Figure, median};
use crate::{interrupt, walk};
use serde_json::json;
use std::path::{Path, PathBuf};
use tintype_testkit::volumes::Mounted;

const ROUNDS: usize = 3;
const CHANGED: usize = 10;
/// Of those that are installed; the others need minutes.
const PEERS: [Tool; 2] = [Tool::Restic, Tool::Kopia];

pub(super) fn measure(args: &Args, tools: &[Tool], scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(args, scratch)?;
    let size = if args.smoke { 512 << 20 } else { 8 << 30 };
    let mounted = Mounted::sized_in(&lab.path("volume.img"), "btrfs", size);
    // What Tintype keeps lies beside it.
    let root = mounted.path.join("data");
    std::fs::create_dir(&root)?;
    data::make(Set::C, args.smoke, &root)?;
    let files = some_files(&root)?;
    let resource = json!({ "kind": "volume", "name": "files", "connector": "btrfs",
        "at": { "path": root } });
    let first = lab.capture(&resource)?;
    let peers: Vec<Tool> = PEERS.into_iter().filter(|peer| tools.contains(peer)).collect();
    let mut beside = vec![format!("first {:.2} s", first.usage.seconds)];
    lab.was_quiet();
    let (mut seconds, mut memory) = (Vec::new(), String::new());
    for round in 0..ROUNDS {
        change(&files, round)?;
        let taken = lab.capture(&resource)?;
        seconds.push(taken.usage.seconds);
        beside.push(format!("{:.2} s", taken.usage.seconds));
        memory = taken.memory();
    }
    beside.push(memory);
    let title = "500,000 files on btrfs, ten changed";
    let own = Figure::new(format!("{title}: time"), median(seconds), "s").at_most(1.0);
    let mut figures = vec![own.beside(beside.join(", ")).quiet(lab.was_quiet())];
    // After ours: reading every file of what is mounted changes its times.
    for peer in &peers {
        lab.init(*peer)?;
        lab.snapshot(*peer, &root)?;
    }
    lab.was_quiet();
    change(&files, ROUNDS)?;
    for peer in peers {
        let seconds = lab.snapshot(peer, &root)?.seconds;
        let name = format!("{title}: time of {}", peer.name());
        figures.push(Figure::new(name, seconds, "s").quiet(lab.was_quiet()));
    }
    Ok(figures)
}

/// Far from each other.
fn some_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in walk::names(root)? {
        interrupt::check()?;
        let folder = root.join(folder);
        files.extend(walk::names(&folder)?.into_iter().map(|name| folder.join(name)));
    }
    let stride = files.len() / CHANGED;
    Ok(files.into_iter().step_by(stride.max(1)).take(CHANGED).collect())
}

fn change(files: &[PathBuf], round: usize) -> anyhow::Result<()> {
    for file in files {
        std::fs::write(file, format!("changed in round {round}\n").repeat(40))?;
    }
    // What is still unwritten belongs to whoever wrote it.
    rustix::fs::sync();
    Ok(())
}
