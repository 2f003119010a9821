//! Exchanges what was restored with what is there, entry by entry, and back. Each can be done a
//! second time from wherever the first ended.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use super::carry;
use super::journal::{Identity, Journal, identity};
use super::later;
use super::layout::Layout;
use super::metadata::copy_metadata;
use crate::host::moment;
use crate::volume::escape::{escaped, plain};
use crate::volume::times::{keeping_own_times, keeping_times};
use crate::volume::{opened, place};

/// Shows what was restored.
pub(super) fn switch(layout: &Layout) -> Result<()> {
    let journal = match Journal::read(layout)? {
        Some(journal) => journal,
        None => begin(layout)?,
    };
    if moment::noted(&layout.shown())?.is_some() {
        // All of it was done; what is there now is its users'.
        return sync(&layout.live);
    }
    make(&layout.spare())?;
    let carried: BTreeSet<PathBuf> = journal.carried.iter().map(|path| path_of(path)).collect();
    for (name, new) in &journal.entries {
        let name = path_of(name);
        let live = layout.live.join(&name);
        let staged = layout.staged().join(&name);
        // Afterwards it is others': what they write there is not exchanged again.
        if identity(&staged)?.as_ref() == Some(new) {
            into_place(&staged, &live, &layout.spare().join(&name))?;
        }
        // Between two renames it may have waited there.
        rename_if_there(&layout.spare().join(&name), &staged)?;
    }
    if layout.only.is_none() {
        let new: BTreeSet<PathBuf> =
            journal.entries.iter().map(|(name, _)| path_of(name)).collect();
        for name in names(&layout.live)? {
            let is_ours = layout.live.join(&name) == layout.container;
            if !is_ours && !new.contains(&name) && !carried.contains(&name) {
                rename_if_there(&layout.live.join(&name), &layout.staged().join(&name))?;
            }
        }
    }
    for path in &carried {
        carry::over(&layout.restored(), &layout.volume(), path)?;
    }
    if layout.only.is_none() {
        copy_metadata(&layout.tops().1, &layout.live)?;
        moment::note(&layout.shown())?;
    }
    sync(&layout.live)
}

/// Writes down what will be exchanged.
fn begin(layout: &Layout) -> Result<Journal> {
    let staged = layout.staged();
    let mut entries = Vec::new();
    for name in names(&staged)? {
        let found = identity(&staged.join(&name))?;
        let found = found.ok_or_else(|| Error::unavailable("what was staged vanishes"))?;
        entries.push((escaped(name.as_os_str().as_bytes()), found));
    }
    if let Some(only) = &layout.only
        && entries.len() != 1
    {
        return Err(Error::unavailable(format!(
            "{}: {only} is not staged whole; restore again",
            staged.display()
        )));
    }
    let mut carried = Vec::new();
    if layout.in_place {
        carried = carry::find(layout)?;
    }
    if layout.only.is_none() {
        let (old, new) = layout.tops();
        for (from, to) in [(&layout.live, &old), (&staged, &new)] {
            make(to)?;
            copy_metadata(from, to)?;
        }
    }
    let settled = later::settled(layout, &layout.moment())?;
    moment::note(&layout.switched())?;
    let journal = Journal { entries, carried, settled, ..Journal::default() };
    journal.write(layout)?;
    Ok(journal)
}

/// Takes it back; also a switch that was interrupted, or never began. What was restored gets another
/// place if it was written to.
pub(super) fn back(layout: &Layout) -> Result<()> {
    let Some(mut journal) = Journal::read(layout)? else { return Ok(()) };
    if journal.is_over {
        return Err(over(layout));
    }
    if journal.settled_back.is_none() {
        journal.settled_back = Some(later::settled_back(layout)?);
        journal.others = added(layout, &journal)?;
        journal.others.extend(written_anew(layout, &journal)?);
        journal.write(layout)?;
    }
    if !journal.is_back {
        exchange_back(layout, &journal)?;
        journal.is_back = true;
        journal.write(layout)?;
    }
    keep_written(layout, &journal)?;
    moment::forget(&layout.switched())?;
    moment::forget(&layout.shown())?;
    keeping_times(&layout.live, || Journal::remove(layout))
}

fn exchange_back(layout: &Layout, journal: &Journal) -> Result<()> {
    let aside = layout.container.join("added");
    make(&aside)?;
    for (name, other) in &journal.others {
        let name = path_of(name);
        let live = layout.live.join(&name);
        if identity(&live)?.as_ref() == Some(other) {
            rename_if_there(&live, &aside.join(&name))?;
        }
    }
    for path in journal.carried.iter().rev() {
        carry::over(&layout.volume(), &layout.restored(), &path_of(path))?;
    }
    for (name, new) in &journal.entries {
        let name = path_of(name);
        let (live, staged) = (layout.live.join(&name), layout.staged().join(&name));
        let spare = layout.spare().join(&name);
        if identity(&live)?.as_ref() == Some(new) {
            // What was there waits in one of two places, or there was nothing.
            let old = if identity(&spare)?.is_some() { &spare } else { &staged };
            if identity(old)?.is_some() {
                let away = layout.container.join("undone");
                make(&away)?;
                into_place(old, &live, &away.join(&name))?;
                rename_if_there(&away.join(&name), &staged)?;
            } else {
                rename_if_there(&live, &staged)?;
            }
        } else {
            rename_if_there(&spare, &live)?;
            // What was restored is gone, or aside: what was there waits yet.
            if identity(&live)?.is_none() && identity(&staged)?.as_ref() != Some(new) {
                rename_if_there(&staged, &live)?;
            }
            // An undoing that was interrupted.
            rename_if_there(&layout.container.join("undone").join(&name), &staged)?;
        }
    }
    if layout.only.is_none() {
        let new: BTreeSet<PathBuf> =
            journal.entries.iter().map(|(name, _)| path_of(name)).collect();
        let away = layout.container.join("undone");
        make(&away)?;
        for name in names(&layout.staged())?.into_iter().filter(|name| !new.contains(name)) {
            let live = layout.live.join(&name);
            // Made for what was carried over.
            rename_if_there(&live, &away.join(&name))?;
            rename_if_there(&layout.staged().join(&name), &live)?;
        }
        copy_metadata(&layout.tops().0, &layout.live)?;
    }
    sync(&layout.live)
}

/// What was restored is staged again: it gets a place of its own if others wrote to it.
fn keep_written(layout: &Layout, journal: &Journal) -> Result<()> {
    if identity(&layout.written())?.is_some() {
        return Ok(());
    }
    let is_written = !journal.others.is_empty() || later::is_written(layout, journal)?;
    for (name, _) in &journal.others {
        let name = path_of(name);
        let aside = layout.container.join("added").join(&name);
        rename_if_there(&aside, &layout.staged().join(&name))?;
    }
    if is_written {
        rename_if_there(&layout.staged(), &layout.written())?;
    }
    Ok(())
}

/// Names at the top that are neither restored nor carried over, once all that was there is exchanged.
fn added(layout: &Layout, journal: &Journal) -> Result<Vec<(String, Identity)>> {
    if moment::noted(&layout.shown())?.is_none() {
        return Ok(Vec::new());
    }
    let top = |path: &String| path_of(path).iter().next().map(PathBuf::from);
    let known = journal.entries.iter().map(|(name, _)| name).chain(&journal.carried);
    let known: BTreeSet<PathBuf> = known.filter_map(top).collect();
    let is_other =
        |name: &PathBuf| !known.contains(name) && layout.live.join(name) != layout.container;
    let mut added = Vec::new();
    for name in names(&layout.live)?.into_iter().filter(is_other) {
        let found = identity(&layout.live.join(&name))?;
        added.extend(found.map(|found| (escaped(name.as_os_str().as_bytes()), found)));
    }
    Ok(added)
}

/// What stands where restored entries were put, and is none of them: it was written anew, as many
/// programs do, by a file beside and a rename.
fn written_anew(layout: &Layout, journal: &Journal) -> Result<Vec<(String, Identity)>> {
    let mut anew = Vec::new();
    for (name, new) in &journal.entries {
        let path = path_of(name);
        let Some(found) = identity(&layout.live.join(&path))?.filter(|found| found != new) else {
            continue;
        };
        let was_exchanged = identity(&layout.staged().join(&path))?.as_ref() != Some(new)
            || identity(&layout.spare().join(&path))?.is_some();
        anew.extend(was_exchanged.then(|| (name.clone(), found)));
    }
    Ok(anew)
}

pub(super) fn over(layout: &Layout) -> Error {
    Error::unsupported(format!(
        "{}: what was replaced is being removed already; restore the undo point that was taken \
         before",
        layout.volume().display()
    ))
}

/// Whether everything that was restored was put into its place. At the top others may have written
/// since, by a file beside and a rename: only the top itself must still be the one.
pub(super) fn is_in_place(layout: &Layout) -> Result<bool> {
    let Some(journal) = Journal::read(layout)? else { return Ok(false) };
    for (name, new) in &journal.entries {
        let name = path_of(name);
        let waits = identity(&layout.staged().join(&name))?.as_ref() == Some(new);
        let is_top = layout.only.is_some();
        if waits || is_top && identity(&layout.live.join(&name))?.as_ref() != Some(new) {
            return Ok(false);
        }
    }
    Ok(layout.volume().is_dir())
}

/// Puts `from` where `to` is; what was there is then where `from` was, or at `spare` where a file
/// system cannot exchange.
fn into_place(from: &Path, to: &Path, spare: &Path) -> Result<()> {
    let failed = |errno: Errno| {
        Error::io(errno.into(), format_args!("{} to {}", from.display(), to.display()))
    };
    let exchanged =
        keeping_own_times([from, to], || renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE));
    match exchanged {
        Ok(()) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(Errno::INVAL | Errno::NOSYS) => rename_if_there(to, spare)?,
        Err(errno) => return Err(failed(errno)),
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) if identity(to)?.is_none() => {
            rustix::fs::rename(from, to).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// Moves to where nothing is.
pub(super) fn rename_if_there(from: &Path, to: &Path) -> Result<()> {
    let failed = |errno: Errno| {
        Error::io(errno.into(), format_args!("{} to {}", from.display(), to.display()))
    };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS) if identity(to)?.is_none() => {
            rustix::fs::rename(from, to).map_err(failed)
        }
        Err(errno) => Err(failed(errno)),
    }
}

pub(super) fn make(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io(error, dir.display()))
        }
        _ => Ok(()),
    }
}

fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |errno: Errno| Error::io(errno.into(), dir.display());
    let directory = place::open(dir).map_err(failed)?;
    let mut names = opened::names(&directory).map_err(failed)?;
    names.sort_unstable();
    Ok(names.iter().map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}

pub(super) fn path_of(escaped: &str) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&plain(escaped)))
}

pub(super) fn sync(dir: &Path) -> Result<()> {
    let failed = |errno: Errno| Error::io(errno.into(), dir.display());
    rustix::fs::syncfs(place::open(dir).map_err(failed)?).map_err(failed)
}
