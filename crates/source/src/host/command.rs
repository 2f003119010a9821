//! Programs of others. Passphrases and keys of storages stand in our environment; what a child
//! inherits, everybody can read in `/proc/PID/environ` who has the child's account, and a server
//! that a restore started keeps it for as long as it runs.

use std::ffi::OsStr;
use std::process::Command;

/// Where things are, who we are, and which language and time are ours.
const PASSED_ON: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"];
const PASSED_ON_BEGIN: [&str; 2] = ["LC_", "XDG_"];

/// A program that learns nothing else from our environment; whoever starts it adds what it needs.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let passed_on = std::env::vars_os().filter(|(name, _)| is_passed_on(name));
    command.env_clear().envs(passed_on);
    command
}

fn is_passed_on(name: &OsStr) -> bool {
    let is_one = |name: &str| {
        PASSED_ON.contains(&name) || PASSED_ON_BEGIN.iter().any(|begin| name.starts_with(begin))
    };
    name.to_str().is_some_and(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_passed_on() {
        for name in ["PATH", "HOME", "LANG", "LC_ALL", "XDG_RUNTIME_DIR"] {
            assert!(is_passed_on(OsStr::new(name)), "{name}");
        }
        for name in ["TINTYPE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MYSQL_PWD", "X"] {
            assert!(!is_passed_on(OsStr::new(name)), "{name}");
        }
    }
}
