//! Files in scratch that hold what was captured: nobody else may read them, wherever their directory
//! lies and whoever must pass through it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tintype_model::{Error, Result};

/// An empty one; what is there under that name goes.
pub(crate) fn create(path: &Path) -> Result<File> {
    let failed = |error| Error::io(error, path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    File::options().create_new(true).write(true).mode(0o600).open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump");
        std::fs::write(&path, "of somebody else").unwrap();
        let file = create(&path).unwrap();
        let found = file.metadata().unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.len()), (0o600, 0));
    }
}
