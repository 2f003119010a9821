//! Directories that lie above what was captured, where no walk went through them.

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use tintype_model::entry::{Kind, Node};

use super::owners::Accounts;
use super::stat::{stat_fd, unknown_node};

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
