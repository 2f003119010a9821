//! Directories that lie above what was captured, where no walk went through them.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use tintype_model::entry::{Kind, Node, Owner};
use tintype_model::{Error, Result};

use super::found::load_by_fd;
use super::owners::Accounts;
use super::stat::{stat_fd, unknown_node};

/// All metadata of an open directory; an error if something of it cannot be read.
pub(crate) fn whole_node(directory: &OwnedFd) -> Result<Node> {
    let stat = stat_fd(directory).map_err(|errno| Error::io(errno.into(), "metadata"))?;
    let owner = Owner { uid: stat.uid, gid: stat.gid, ..Owner::default() };
    let mut node = stat.node(Arc::new(owner));
    match load_by_fd(directory, &mut node) {
        None => Ok(node),
        Some(problem) => Err(Error::unavailable(problem.message)),
    }
}

/// Metadata of a directory of this host; where there is none, a plain 0755 directory.
pub fn directory_node(path: &Path, accounts: &Accounts) -> Node {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let stat = openat(CWD, path, flags, Mode::empty()).and_then(|fd| stat_fd(&fd));
    if let Ok(stat) = stat {
        stat.node(Arc::new(accounts.owner(stat.uid, stat.gid)))
    } else {
        let owner = Arc::new(accounts.owner(0, 0));
        Node { kind: Kind::Directory, mode: 0o755, owner, ..unknown_node() }
    }
}
