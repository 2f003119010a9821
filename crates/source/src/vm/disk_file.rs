//! A new disk image of any format that QEMU knows.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tintype_model::{Error, Result};

use super::nbd::NbdSink;
use super::server::{DiskServer, Mode};
use super::socket::Waits;
use crate::connector::{Context, ImageSink, Stored};
use crate::host::{self, program};

/// A qemu-img that only looks.
const LOOKS_WITHIN: Duration = Duration::from_mins(1);

/// Writes a stored image as a new file; what is there under that name goes.
pub(crate) fn write(
    stored: &dyn Stored,
    at: &[u8],
    file: &Path,
    format: &str,
    size_bytes: u64,
    context: &Context,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(error, file.display());
    remove(file)?;
    // Nobody else may read it before it has its owner.
    let made = File::options().create_new(true).write(true).mode(0o600).open(file);
    let made = made.map_err(failed)?;
    if format == "raw" {
        made.set_len(size_bytes).map_err(failed)?;
        stored.image(at, &RawSink { file: &made, path: file })?;
        return made.sync_all().map_err(failed);
    }
    // By the file that was made, not by its name: whoever owns the directory could put a link there.
    let held = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), made.as_raw_fd()));
    create(&held, format, size_bytes).map_err(|error| error.context(file.display()))?;
    let server = DiskServer::start(&held, format, Mode::Write, context)
        .map_err(|error| error.context(file.display()))?;
    let (sink, size) = NbdSink::open(server.socket(), "", Waits::of(context))?;
    if size < size_bytes {
        return Err(Error::invalid(format!(
            "{}: has {size} bytes, the image needs {size_bytes}",
            file.display()
        )));
    }
    stored.image(at, &Fresh(&sink))?;
    sink.flush()?;
    drop(sink);
    server.close()?;
    made.sync_all().map_err(failed)
}

pub(crate) fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(error, file.display()))
        }
        _ => Ok(()),
    }
}

/// An empty image.
pub(crate) fn create(file: &Path, format: &str, size_bytes: u64) -> Result<()> {
    let mut command = host::command("qemu-img");
    command.args(["create", "-q", "-f", format]).arg("--").arg(file).arg(size_bytes.to_string());
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        Error::io(error, "qemu-img (of the package qemu-utils) cannot be started")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::invalid(format!("{}: cannot be made: {}", file.display(), said.trim())))
}

/// Whether a file is a disk of a format that a machine can open, and holds so much. One that a machine
/// already has open is looked at all the same.
pub(crate) fn look_at(file: &Path, format: &str, size_bytes: u64, context: &Context) -> Result<()> {
    let shown = file.display();
    let found = if format == "raw" {
        file.metadata().map_err(|error| Error::io(error, &shown))?.len()
    } else {
        let mut command = host::command("qemu-img");
        command.args(["info", "--force-share", "--output=json", "-f", format]).arg("--").arg(file);
        let said = program::run(context, &mut command, LOOKS_WITHIN);
        let said = said.map_err(|error| error.context(format!("{shown} cannot be opened")))?;
        let said: serde_json::Value = serde_json::from_slice(&said)
            .map_err(|error| Error::invalid(format!("qemu-img info {shown}: {error}")))?;
        said["virtual-size"].as_u64().unwrap_or_default()
    };
    if found >= size_bytes {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{shown} holds {found} bytes, and the disk that was captured {size_bytes}: it was changed \
         while it was restored"
    )))
}

struct RawSink<'a> {
    file: &'a File,
    path: &'a Path,
}

impl ImageSink for RawSink<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| Error::io(error, self.path.display()))
    }

    /// It is new: what was not written is zeros.
    fn zero(&self, _offset: u64, _length: u64) -> Result<()> {
        Ok(())
    }
}

/// What was not written to a new image is zeros.
struct Fresh<'a>(&'a NbdSink);

impl ImageSink for Fresh<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn zero(&self, _offset: u64, _length: u64) -> Result<()> {
        Ok(())
    }
}
