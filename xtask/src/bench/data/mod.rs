//! The data sets. Each is made once into the cache; the same seed makes the same bytes.

mod image;
mod incompressible;
pub(crate) mod rng;
mod small_files;
mod source_code;

use super::sets::Set;
use crate::paths;
use crate::walk::{self, Totals};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A data set on disk.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) root: PathBuf,
    pub(super) totals: Totals,
}

/// Stands beside the data when they are complete.
#[derive(Serialize, Deserialize)]
struct Stamp {
    recipe: String,
    totals: Totals,
}

/// The data of `set`, made now if they are not there yet.
pub(super) fn ensure(set: Set, smoke: bool) -> anyhow::Result<Data> {
    let base = paths::cache()?.join("bench-data");
    std::fs::create_dir_all(&base)?;
    let name = format!("{}{}", set.letter(), if smoke { "-smoke" } else { "" });
    let (root, file) = (base.join(&name), base.join(format!("{name}.json")));
    let recipe = recipe(set, smoke);
    if let Some(totals) = read_stamp(&file, &recipe) {
        return Ok(Data { root, totals });
    }
    println!("   making data set {name} in {}", root.display());
    if root.exists() {
        std::fs::remove_dir_all(&root).with_context(|| format!("{}", root.display()))?;
    }
    std::fs::create_dir(&root)?;
    make(set, smoke, &root).with_context(|| format!("cannot make data set {name}"))?;
    let totals = walk::totals(&root)?;
    std::fs::write(&file, serde_json::to_vec_pretty(&Stamp { recipe, totals })?)?;
    Ok(Data { root, totals })
}

fn read_stamp(file: &Path, recipe: &str) -> Option<Totals> {
    let stamp: Stamp = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (stamp.recipe == recipe).then_some(stamp.totals)
}

/// What identifies the bytes: figures are comparable while it stays the same.
pub(super) fn recipe(set: Set, smoke: bool) -> String {
    let text = match set {
        Set::A => incompressible::shape(smoke).describe(),
        Set::B => source_code::describe(smoke),
        Set::C | Set::E => small_files::shape(set, smoke).describe(),
        Set::D => image::shape(smoke).describe(),
        Set::F => "synthetic index".to_owned(),
        Set::P => {
            "tiny guests of Debian's kernel emulated by QEMU, the image of D on a disk of 100 GiB, \
                   the files of C on btrfs, PostgreSQL 15 with 60 times pgbench's data"
                .to_owned()
        }
    };
    format!("v1: {text}")
}

/// In an empty directory.
pub(super) fn make(set: Set, smoke: bool, root: &Path) -> anyhow::Result<()> {
    match set {
        Set::A => incompressible::make(root, &incompressible::shape(smoke)),
        Set::B => source_code::make(root, smoke),
        Set::C | Set::E => small_files::make(root, &small_files::shape(set, smoke)),
        Set::D => image::make(root, &image::shape(smoke)),
        Set::F | Set::P => Ok(()),
    }
}

/// Changes 1 % of the data in place; the same call again takes the change back.
pub(super) fn toggle_change(set: Set, smoke: bool, data: &Data) -> anyhow::Result<()> {
    match set {
        Set::D => image::toggle_change(&data.root, &image::shape(smoke)),
        _ => source_code::toggle_change(&data.root),
    }
}

/// Name of the image of set D.
pub(super) const IMAGE: &str = image::FILE;

/// How much of the image of set D is not a hole.
pub(super) fn image_used_bytes(smoke: bool) -> u64 {
    image::shape(smoke).used_bytes()
}

/// Distinct places in what is used of the image of set D, far from each other.
pub(super) fn image_places(smoke: bool, count: u64, piece_bytes: u64) -> Vec<u64> {
    image::places(&image::shape(smoke), count, piece_bytes)
}

/// Reads everything once, so that each tool finds it in the page cache.
pub(super) fn warm(data: &Data) -> anyhow::Result<()> {
    walk::each(&data.root, |relative, metadata| {
        if metadata.is_file() {
            let mut file = std::fs::File::open(walk::join(&data.root, relative))?;
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
        Ok(())
    })
}
