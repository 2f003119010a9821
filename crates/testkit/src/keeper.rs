//! What a test makes outside of its process goes with it, however it ends. A `static` is never
//! dropped, and `timeout` and Ctrl-C leave no time to drop anything. So a shell waits at a pipe whose
//! other end only the test's process has.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Takes something away when it is dropped, or when its process has ended.
pub struct Keeper(Child);

impl Keeper {
    /// A script of `sh`, and its arguments.
    pub fn new(script: &str, arguments: &[&OsStr]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("read -r end; {script}"), "keeper"]).args(arguments);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // What ends the test's whole group does not end this.
        shell.current_dir("/").process_group(0);
        Self(shell.spawn().expect("sh can be run"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A temporary directory of something that may live in a `static`.
pub struct Directory {
    path: PathBuf,
    _keeper: Keeper,
}

impl Directory {
    /// `more` is run after the directory was removed.
    pub fn new(more: &str) -> Self {
        let path = tempfile::tempdir().expect("a temporary directory").keep();
        // A server that dies with the same process may still write.
        let script = format!(
            "for n in 1 2 3 4 5 6 7 8 9; do rm -rf \"$1\"; [ -e \"$1\" ] || break; sleep 0.1; done; \
             {more}"
        );
        Self { _keeper: Keeper::new(&script, &[path.as_os_str()]), path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::time::{Duration, Instant};

    #[test]
    fn what_a_killed_process_made_is_taken_away() {
        let mut test = Command::new(std::env::current_exe().expect("it runs"));
        test.args(["--ignored", "--exact", "keeper::tests::child", "--nocapture"]);
        let mut test = test.process_group(0).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut said = String::new();
        while !said.contains("/made\n") {
            let mut byte = [0];
            test.stdout.as_mut().expect("piped").read_exact(&mut byte).expect("it says so");
            said.push(byte[0].into());
        }
        let place = PathBuf::from(&said[said.find('/').expect("a path")..].trim());
        assert!(place.exists());
        // As `timeout` does.
        let group = format!("-{}", test.id());
        let killed = Command::new("kill").args(["-TERM", "--", &group]).status();
        assert!(killed.expect("kill can be run").success() && test.wait().is_ok());
        let begun = Instant::now();
        while place.parent().expect("it has one").exists() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{} is there", place.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    #[ignore = "run by the other test, which kills it"]
    fn child() {
        let directory = Directory::new("");
        let place = directory.path().join("made");
        std::fs::write(&place, "").expect("the directory is ours");
        println!("{}", place.display());
        std::thread::sleep(Duration::from_mins(1));
    }
}
