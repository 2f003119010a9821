//! What says that a guest may be frozen, when nobody is left who froze it: a file in the scratch of
//! the session, there from right before the freeze until it is thawed. libvirt does not tell.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tintype_model::{Error, Result};

use super::source::Guard;
use crate::connector::Context;

const NAME: &str = "frozen-";
const MOST_BYTES: u64 = 64 << 10;

/// Of one guest.
#[derive(Debug, Default)]
pub(crate) struct Sign(Option<PathBuf>);

impl Sign {
    pub(crate) fn write(&mut self, guard: &Guard, context: &Context) -> Result<()> {
        let bytes = serde_json::to_vec(guard).map_err(|e| Error::internal(e.to_string()))?;
        for number in 0.. {
            let file = context.scratch.join(format!("{NAME}{number}"));
            let made = File::options().write(true).create_new(true).mode(0o600).open(&file);
            let written = match made {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                made => made.and_then(|mut made| std::io::Write::write_all(&mut made, &bytes)),
            };
            written.map_err(|error| Error::io(error, file.display()))?;
            self.0 = Some(file);
            break;
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self) {
        // One that stays costs a thaw of what is not frozen.
        let _ = self.0.take().map(std::fs::remove_file);
    }
}

/// Guests that sessions which are no more froze, each with its sign.
pub(crate) fn left_behind(context: &Context) -> Vec<(PathBuf, Guard)> {
    let files = context.dead_scratch().into_iter().flat_map(std::fs::read_dir).flatten().flatten();
    let is_sign = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(NAME);
    let signs = files.filter(|file| is_sign(&file.file_name())).map(|file| file.path());
    signs.filter_map(|file| Some((file.clone(), read(&file)?))).collect()
}

fn read(file: &Path) -> Option<Guard> {
    use std::io::Read as _;
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let opened = File::options().read(true).custom_flags(no_link).open(file).ok()?;
    let mut bytes = Vec::new();
    opened.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
