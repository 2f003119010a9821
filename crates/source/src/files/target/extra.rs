//! What is asked before anything that stands in the target is deleted.

use tintype_model::Result;

use super::Target;
use crate::files::exclude::Excludes;
use crate::files::names::{BUFFER_SIZE_BYTES, Names};
use crate::files::stat::stat_at;

impl Target {
    /// Whether something is mounted at `path`: also a part of the same file system, whose device
    /// tells nothing. Kernels before 5.8 cannot tell, and nothing is said to be mounted.
    pub fn is_mount(&self, path: &[u8]) -> Result<bool> {
        let (parent, name) = self.root.parent(path)?;
        let stat = stat_at(&parent.fd, name).map_err(|errno| self.root.refused(path, errno))?;
        Ok(stat.is_mount)
    }

    /// Whether a walk with these excludes would leave out what the directory at `path` holds,
    /// because it is marked as a cache or holds a marker file. An empty path is the target itself.
    pub fn is_marked(&self, path: &[u8], excludes: &Excludes) -> Result<bool> {
        if !excludes.has_markers() {
            return Ok(false);
        }
        let fd = self.root.open_dir(path)?;
        let mut buffer = vec![std::mem::MaybeUninit::uninit(); BUFFER_SIZE_BYTES];
        let (names, result) = Names::read(&fd, &mut buffer);
        result.map_err(|errno| self.root.refused(path, errno))?;
        Ok(excludes.sole_name(&fd, &names).is_some())
    }
}
