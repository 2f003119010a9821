//! Archives of a base backup into directories that are ours. Nothing in them may lead out.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, EntryType};
use tintype_model::{Error, Result};

use crate::connector::{Context, Stored};
use crate::host::account::{Account, acting, give};

/// A directory that only its owner can enter, empty.
pub(super) fn fresh_directory(path: &Path, account: Account) -> Result<()> {
    let failed = |error| Error::io(error, path.display());
    if path.symlink_metadata().is_ok() {
        std::fs::remove_dir_all(path).map_err(failed)?;
    }
    let made = DirBuilder::new().mode(0o700).create(path);
    made.and_then(|()| give(path, account)).map_err(failed)
}

/// A file that only its owner can read.
pub(super) fn file(path: &Path, account: Account, read: &mut dyn Read) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = acting(account, || options.open(path))?;
    io::copy(read, &mut file).map(drop)
}

/// Unpacks the archive at `at`.
pub(super) fn archive(
    at: &str,
    into: &Path,
    account: Account,
    stored: &dyn Stored,
    context: &Context,
) -> Result<()> {
    stored.read(at.as_bytes(), &mut |read| {
        let failed = |error| Error::io(error, at);
        let mut archive = Archive::new(read);
        for entry in archive.entries().map_err(failed)? {
            context.cancel.check()?;
            let mut entry = entry.map_err(failed)?;
            let name = entry.path().map_err(failed)?.into_owned();
            let path = into.join(inside(&name).ok_or_else(|| {
                Error::corrupt(format!("{at}: {} leads out of it", name.display()))
            })?);
            match entry.header().entry_type() {
                EntryType::Directory => directory(&path, account)?,
                EntryType::Regular => {
                    let wrote = file(&path, account, &mut entry);
                    wrote.map_err(|error| Error::io(error, path.display()))?;
                }
                other => {
                    let what = format!("{at}: {}: an entry of kind {other:?}", name.display());
                    return Err(Error::unsupported(what));
                }
            }
        }
        Ok(())
    })
}

/// Normal components only.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(clean)
}

/// One that is there already stays: the top, or one that a tablespace was put into.
fn directory(path: &Path, account: Account) -> Result<()> {
    match acting(account, || DirBuilder::new().mode(0o700).create(path)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(error, path.display())),
    }
}

/// Tablespaces as the server finds them: links, and the map from which it makes them anew when it
/// recovers.
pub(super) fn link(data: &Path, places: &BTreeMap<u32, PathBuf>, account: Account) -> Result<()> {
    let mut map = String::new();
    for (oid, place) in places {
        let link = data.join("pg_tblspc").join(oid.to_string());
        let temporary = data.join("pg_tblspc").join(format!("{oid}.new"));
        let failed = |error| Error::io(error, link.display());
        let made = acting(account, || {
            // What an interrupted attempt left; there may be nothing.
            let _ = std::fs::remove_file(&temporary);
            std::os::unix::fs::symlink(place, &temporary)?;
            std::fs::rename(&temporary, &link)
        });
        made.map_err(failed)?;
        let place = place.to_string_lossy().replace('\\', "\\\\").replace('\n', "\\\n");
        map.extend([&oid.to_string(), " ", &place, "\n"]);
    }
    let path = data.join("tablespace_map");
    // Without tablespaces there is none, and after a recovery it is spent.
    if !path.exists() {
        return Ok(());
    }
    file(&path, account, &mut map.as_bytes()).map_err(|error| Error::io(error, path.display()))
}

pub(super) fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|file| rustix::fs::syncfs(&file).map_err(Into::into));
    synced.map_err(|error| Error::io(error, path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        assert_eq!(inside(Path::new("./base/1/2")), Some("base/1/2".into()));
        for bad in ["/etc/passwd", "../x", "base/../../x"] {
            assert_eq!(inside(Path::new(bad)), None, "{bad}");
        }
    }
}
