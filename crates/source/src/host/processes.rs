//! What runs on this host, as far as `/proc` shows it to this user.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tintype_model::{Error, Result};

use crate::connector::Context;

/// So long a child of ours may take to become the program that it is to be.
const BORN_WITHIN: Duration = Duration::from_secs(2);
/// And one that was told to end may still be going.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Process {
    pub(crate) pid: u32,
    /// As the kernel has it, at most 15 bytes.
    pub(crate) name: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

impl Process {
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        Some(Self { pid, name: String::from_utf8_lossy(&name).trim_end().to_owned() })
    }

    pub(crate) fn directory(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let texts = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty());
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    fn parent(&self) -> Option<u32> {
        let stat = std::fs::read(format!("/proc/{}/stat", self.pid)).ok()?;
        // `4242 (a name) S 1 …`, proc_pid_stat(5); the name may hold anything.
        let stat = String::from_utf8_lossy(&stat);
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    }

    /// Whether it has a file of this name open, wherever that lies, and also if it was removed.
    fn has_named_open(&self, name: &str) -> bool {
        let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return false };
        open.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| {
            let last = path.file_name().and_then(|last| last.to_str());
            last.is_some_and(|last| last.strip_suffix(" (deleted)").unwrap_or(last) == name)
        })
    }

    fn has_open(&self, files: &BTreeSet<(u64, u64)>) -> bool {
        let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return false };
        open.flatten().any(|fd| {
            let meta = std::fs::metadata(fd.path());
            meta.is_ok_and(|meta| files.contains(&(meta.dev(), meta.ino())))
        })
    }
}

/// All processes, by number.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<Process> = numbers.filter_map(Process::find).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Whether any process has a file of this name open, also one in a container, if this is the host.
pub fn is_open_somewhere(name: &str) -> bool {
    all().iter().any(|process| process.has_named_open(name))
}

/// Other processes that have one of these files open. A child of ours has all that we have open until
/// it has become another program: where only children of ours are found, they are looked at again.
pub(crate) fn with_open<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    context: &Context,
) -> Vec<Process> {
    let metas = paths.into_iter().filter_map(|path| std::fs::metadata(path).ok());
    let files: BTreeSet<(u64, u64)> = metas.map(|meta| (meta.dev(), meta.ino())).collect();
    if files.is_empty() {
        return Vec::new();
    }
    let own = std::process::id();
    let until = context.clock.elapsed() + BORN_WITHIN;
    loop {
        let mut found = all();
        found.retain(|process| process.pid != own && process.has_open(&files));
        let is_settled = found.is_empty() || found.iter().any(|p| p.parent() != Some(own));
        if is_settled || context.cancel.is_canceled() || context.clock.elapsed() >= until {
            return found;
        }
        context.clock.sleep(PAUSE);
    }
}

/// Refuses while another process has one of these files open, the first of which is named.
pub(crate) fn unused(paths: &[&Path], cure: &str, context: &Context) -> Result<()> {
    let until = context.clock.elapsed() + ENDS_WITHIN;
    loop {
        let holders = with_open(paths.iter().copied(), context);
        if holders.is_empty() {
            return Ok(());
        }
        if context.cancel.is_canceled() || context.clock.elapsed() >= until {
            let shown = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            return Err(Error::locked(format!(
                "{shown} is open in {}; {cure}, then go on, or back",
                names(&holders)
            )));
        }
        context.clock.sleep(PAUSE);
    }
}

/// Other processes that have a file below a directory open for writing, as far as the paths that the
/// kernel gives tell it: not those that see it at another place (containers).
pub(crate) fn writing_below(directory: &Path) -> Vec<Process> {
    let own = std::process::id();
    let is_writing = |process: &Process| {
        let dir = format!("/proc/{}", process.pid);
        let Ok(open) = std::fs::read_dir(format!("{dir}/fd")) else { return false };
        open.flatten().any(|fd| {
            let is_below = std::fs::read_link(fd.path())
                .is_ok_and(|path| path != directory && path.starts_with(directory));
            let info = || {
                let name = fd.file_name();
                std::fs::read_to_string(format!("{dir}/fdinfo/{}", name.to_string_lossy()))
            };
            is_below && info().is_ok_and(|info| is_for_writing(&info))
        })
    };
    all().into_iter().filter(|process| process.pid != own && is_writing(process)).collect()
}

/// Of `/proc/PID/fdinfo/FD`, proc_pid_fdinfo(5): the flags of open(2), in octal.
fn is_for_writing(info: &str) -> bool {
    const ACCESS: u32 = 0o3;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| matches!(flags & ACCESS, 1 | 2))
}

/// `a (pid 1), b (pid 2)`.
pub(crate) fn names(processes: &[Process]) -> String {
    processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;
    use crate::host::tests::context;

    /// As one that was just born, and has not become another program yet.
    #[test]
    fn a_child_that_has_a_file_open_for_a_moment_is_in_nobodys_way() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sleep = Command::new("sleep");
        let mut born = sleep.arg("0.3").stdin(File::open(file.path()).unwrap()).spawn().unwrap();
        assert_eq!(names(&with_open([file.path()], &context())), "");
        born.wait().unwrap();
    }

    #[test]
    fn a_child_that_keeps_a_file_open_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = File::open(file.path()).unwrap();
        let mut child = Command::new("sleep").arg("60").stdin(held).spawn().unwrap();
        let found = names(&with_open([file.path()], &context()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&format!("sleep (pid {})", child.id())), "{found}");
    }
}
