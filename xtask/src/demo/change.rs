//! Changes a tree in each way a day changes one: edit, add, delete, rename, chmod.

use crate::walk;
use anyhow::Context;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const EACH: usize = 20;

/// Changes some files below `data`; returns what it did, in words.
pub(super) fn apply(data: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    walk::each(data, |relative, metadata| {
        if metadata.is_file() && !relative.starts_with("oddities") {
            files.push(data.join(relative));
        }
        Ok(())
    })?;
    // Spread over the whole tree: every n-th file.
    let step = (files.len() / (4 * EACH)).max(1);
    let chosen: Vec<&PathBuf> = files.iter().step_by(step).collect();
    let mut groups = chosen.chunks(chosen.len().div_ceil(4).clamp(1, EACH));
    let mut group = || groups.next().unwrap_or_default();
    let [edited, deleted, renamed, restricted] = [group(), group(), group(), group()];
    for file in edited {
        let mut open = fs::OpenOptions::new().append(true).open(file).with_context(|| at(file))?;
        open.write_all(b"\none more line\n")?;
    }
    for file in deleted {
        fs::remove_file(file).with_context(|| at(file))?;
    }
    for file in renamed {
        let mut name = file.file_name().expect("a file has a name").to_owned();
        name.push(".renamed");
        // A name may already have the longest length.
        if name.len() <= 255 {
            fs::rename(file, file.with_file_name(name)).with_context(|| at(file))?;
        }
    }
    for file in restricted {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).with_context(|| at(file))?;
    }
    let added = data.join("added");
    fs::create_dir(&added)?;
    for number in 0..EACH {
        fs::write(added.join(format!("note-{number}.txt")), format!("new file {number}\n"))?;
    }
    Ok(format!(
        "{} files edited, {EACH} added, {} deleted, {} renamed, {} with another mode",
        edited.len(),
        deleted.len(),
        renamed.len(),
        restricted.len()
    ))
}

fn at(file: &Path) -> String {
    format!("cannot change {}", file.display())
}
