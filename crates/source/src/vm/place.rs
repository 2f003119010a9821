//! A file takes the place of another, and goes back: the switch of a machine that is off.
//!
//! The plan was made a while ago, before hours of writing or an interruption. So both directions
//! look again: a machine that was started meanwhile has its disks open, and nothing is taken from
//! under it. The directory may belong to somebody who must not gain by what root does in it: no
//! link is followed.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tintype_model::plan::Check;
use tintype_model::{Error, Result};

use super::disk_file::remove;
use crate::connector::Context;
use crate::host::moment;
use crate::host::moves::{rename, sync_directory};
use crate::host::processes::{names, unused, with_open};

const CURE: &str = "shut the machine down";

/// The name is never without a file. A second time nothing is done. `moment`: noted right before.
pub(crate) fn place(
    new: &Path,
    file: &Path,
    old: Option<&Path>,
    moment: &Path,
    context: &Context,
) -> Result<()> {
    let Some(written) = found(new) else { return is_placed(new, file, old) };
    unused(&[file], CURE, context)?;
    moment::note(moment)?;
    let Some(old) = old else {
        rename(new, file)?;
        return synced(file);
    };
    let failed = |error: std::io::Error| Error::io(error, file.display());
    if found(old).is_none() {
        let was = found(file).filter(Metadata::is_file).ok_or_else(|| {
            Error::not_found(format!(
                "{}: the file that was to be replaced is gone: undo this restore, and start it \
                 again",
                file.display()
            ))
        })?;
        become_like(new, &written, &was)?;
        std::fs::hard_link(file, old).map_err(failed)?;
    }
    std::fs::rename(new, file).map_err(failed)?;
    synced(file)
}

/// What was written is gone: it took its place before, or it is lost.
fn is_placed(new: &Path, file: &Path, old: Option<&Path>) -> Result<()> {
    let placed = match (old, found(file)) {
        (_, None) => false,
        (Some(old), Some(now)) => found(old).is_some_and(|old| !is_same(&old, &now)),
        (None, Some(now)) => is_ours(&now),
    };
    if placed {
        return Ok(());
    }
    let new = new.display();
    Err(Error::not_found(format!(
        "{new}: what was restored there is gone; undo this restore, and start it again"
    )))
}

/// What was written is back under the name under which it was written.
pub(crate) fn take_back(
    new: &Path,
    file: &Path,
    old: Option<&Path>,
    context: &Context,
) -> Result<()> {
    let now = found(file);
    let Some(old) = old else {
        // Nothing was there before; it is ours if what was written was put there.
        if found(new).is_some() || !now.is_some_and(|now| is_ours(&now)) {
            return Ok(());
        }
        unused(&[file], CURE, context)?;
        rename(file, new)?;
        return synced(file);
    };
    let Some(was) = found(old) else { return Ok(()) };
    if now.as_ref().is_none_or(|now| !is_same(now, &was)) {
        unused(&[file], CURE, context)?;
        let failed = |error: std::io::Error| Error::io(error, file.display());
        if now.is_some() && found(new).is_none() {
            std::fs::hard_link(file, new).map_err(failed)?;
        }
        std::fs::rename(old, file).map_err(failed)?;
    }
    // Two names of one file stay as they are.
    remove(old)?;
    synced(file)
}

/// Owner and mode of what was there, for what is ours and nobody put something else into its place.
fn become_like(new: &Path, written: &Metadata, was: &Metadata) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(error, new.display());
    let no_link = OFlags::NOFOLLOW.bits() as i32;
    let opened = File::options().read(true).custom_flags(no_link).open(new).map_err(failed)?;
    let own = opened.metadata().map_err(failed)?;
    let is_known = own.uid() == own_user() || own.uid() == was.uid();
    if !is_known || !own.is_file() || own.nlink() != 1 || !is_same(&own, written) {
        return Err(Error::denied(format!(
            "{}: it is not what was written there: somebody replaced it",
            new.display()
        )));
    }
    fchown(&opened, Some(was.uid()), Some(was.gid())).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(was.mode() & 0o7777);
    opened.set_permissions(mode).map_err(failed)
}

/// Where a file is that a link leads to: what is replaced is the file. A file that is not there
/// yet is where its directory is.
pub(crate) fn resolved(file: &Path) -> PathBuf {
    let in_directory = || {
        let directory = std::fs::canonicalize(file.parent()?).ok()?;
        Some(directory.join(file.file_name()?))
    };
    std::fs::canonicalize(file).ok().or_else(in_directory).unwrap_or_else(|| file.to_owned())
}

/// Whether a file may be replaced now; the same is looked at again before it is.
pub(crate) fn in_use(file: &Path, context: &Context) -> Option<Check> {
    let holders = with_open([file], context);
    (!holders.is_empty()).then(|| {
        let reason = format!("{} is open: {}", file.display(), names(&holders));
        Check::block("in-use", reason, "end what uses it, or restore as new")
    })
}

fn found(file: &Path) -> Option<Metadata> {
    file.symlink_metadata().ok()
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// As a restore writes it, and nobody else but by chance.
fn is_ours(file: &Metadata) -> bool {
    file.is_file() && file.uid() == own_user() && matches!(file.mode() & 0o777, 0o600 | 0o700)
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn synced(file: &Path) -> Result<()> {
    sync_directory(file.parent().unwrap_or(Path::new("/")))
}
