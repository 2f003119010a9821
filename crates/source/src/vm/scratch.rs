//! Where a machine's QEMU keeps aside what its guest overwrites, and makes the socket of its exports.
//!
//! QEMU runs as another user, and a guest may have broken out into it. So only these files and one
//! directory for the socket are its own; all else, and the directory above them, is ours: nobody
//! puts a link where something is made or given away.

use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tintype_model::{Error, Result};

use crate::connector::Context;

pub(crate) struct Scratch {
    place: PathBuf,
    /// Whom QEMU runs as, if that is somebody else.
    owner: Option<u32>,
}

impl Scratch {
    pub(crate) fn make(owner: Option<u32>, context: &Context) -> Result<Self> {
        let owner = owner.filter(|owner| *owner != rustix::process::geteuid().as_raw());
        // Short, for the name of a socket is at most 107 bytes long.
        let mut number = 0;
        let place = loop {
            let place = context.scratch.join(format!("vm{number}"));
            match DirBuilder::new().mode(0o700).create(&place) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                result => break result.map(|()| place),
            }
        };
        let place = place.map_err(|error| Error::io(error, context.scratch.display()))?;
        let scratch = Self { place, owner };
        let sockets = scratch.sockets();
        let made = DirBuilder::new().mode(0o700).create(&sockets);
        made.map_err(|error| Error::io(error, sockets.display()))?;
        scratch.give(&sockets)?;
        if scratch.owner.is_some() {
            // QEMU must pass; it sees nothing else there.
            for passed in [&context.scratch, &scratch.place] {
                std::fs::set_permissions(passed, Permissions::from_mode(0o711))
                    .map_err(|error| Error::io(error, passed.display()))?;
            }
        }
        Ok(scratch)
    }

    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    fn sockets(&self) -> PathBuf {
        self.place.join("s")
    }

    /// Of the exports.
    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets().join("nbd")
    }

    /// Lets QEMU write to what was just made here.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let opened = File::options().read(true).custom_flags(flags).open(path);
        opened
            .and_then(|opened| fchown(opened, Some(owner), None))
            .map_err(|error| Error::io(error, path.display()))
    }

    /// QEMU holds nothing of it any more, or is gone.
    pub(crate) fn remove(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.place.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::host::account::{acting, find};
    use crate::host::tests::context;

    #[test]
    fn only_the_files_and_the_sockets_are_qemus() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (uid, gid) = find("nobody").expect("every host has it");
        let own = tempfile::tempdir().unwrap();
        let context = Context { scratch: own.path().to_owned(), ..context() };
        let scratch = Scratch::make(Some(uid), &context).unwrap();
        let disk = scratch.place().join("disk-0");
        std::fs::write(&disk, "").unwrap();
        scratch.give(&disk).unwrap();
        let as_qemu = |call: &dyn Fn() -> std::io::Result<()>| acting(Some((uid, gid)), call);
        as_qemu(&|| std::fs::write(&disk, "old content")).unwrap();
        as_qemu(&|| std::fs::write(scratch.socket(), "")).unwrap();
        as_qemu(&|| symlink("/etc/passwd", scratch.place().join("job.xml"))).unwrap_err();
        as_qemu(&|| std::fs::remove_file(&disk)).unwrap_err();
        as_qemu(&|| std::fs::read_dir(own.path()).map(drop)).unwrap_err();
        // A link is not followed, wherever it comes from.
        let victim = own.path().join("victim");
        std::fs::write(&victim, "").unwrap();
        let link = scratch.place().join("disk-1");
        symlink(&victim, &link).unwrap();
        scratch.give(&link).unwrap_err();
        assert_eq!(victim.metadata().unwrap().uid(), 0);
        scratch.remove().unwrap();
        assert!(!scratch.place().exists());
    }
}
