//! Where tests put what they need for a moment. What is there of it afterwards is a mistake: each
//! test takes away what it made, also if it fails.

use crate::clock::{Stopwatch, sleep};
use crate::interrupt;
use anyhow::{Context, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// What died with a test is gone within this time.
const PATIENCE_SECONDS: f64 = 10.0;

/// Given to tests as `TMPDIR`.
pub(crate) struct Place(TempDir);

impl Place {
    /// Its name is short: paths of sockets are.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("tt").tempdir()?;
        // Servers run as accounts of their own.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o1777))?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// An error that names what was left behind.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            interrupt::check()?;
            let left = self.left()?;
            if left.is_empty() {
                return Ok(());
            }
            if watch.seconds() > PATIENCE_SECONDS {
                bail!("the tests left behind:\n{}", left.join("\n"));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Files, mounts, loop devices and processes.
    fn left(&self) -> anyhow::Result<Vec<String>> {
        let place = self.path().to_str().context("a plain path")?;
        let mut left = Vec::new();
        for entry in self.path().read_dir()? {
            left.push(format!("file {}", entry?.path().display()));
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts = mounts.lines().filter(|line| line.contains(place));
        left.extend(mounts.map(|line| format!("mount {line}")));
        for device in Path::new("/sys/block").read_dir().into_iter().flatten().flatten() {
            let file = device.path().join("loop/backing_file");
            let file = std::fs::read_to_string(file).unwrap_or_default();
            if file.contains(place) {
                let name = device.file_name();
                left.push(format!("device {} of {}", name.display(), file.trim()));
            }
        }
        for process in Path::new("/proc").read_dir().into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(place) {
                left.push(format!("process {}: {line}", process.file_name().display()));
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn what_is_left_is_named() {
        let place = Place::new().unwrap();
        assert_eq!(place.left().unwrap(), Vec::<String>::new());
        let file = place.path().join("left");
        std::fs::write(&file, "+").unwrap();
        let mut tail = Command::new("tail");
        let mut tail = tail.arg("-f").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
        // What it wrote says that it runs: before, its line is not its own yet.
        tail.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let left = place.left().unwrap();
        tail.kill().unwrap();
        tail.wait().unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left[0].ends_with("/left") && left[1].contains("tail -f"), "{left:?}");
    }
}
