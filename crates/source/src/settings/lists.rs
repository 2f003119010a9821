//! Lists of what is installed and enabled, as text.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::connector::Context;
use crate::host::{self, program};

const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
const MOST_UNITS: usize = 100_000;

/// Who was asked, and what it said: name, version and architecture on each line. Nothing, where no
/// package manager that is known answers.
pub(super) fn packages(context: &Context) -> (Option<&'static str>, Vec<u8>) {
    let dpkg = ["-W", "-f", "${binary:Package}\t${Version}\t${Architecture}\t${Status}\n"];
    let rpm = ["-qa", "--qf", "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n"];
    for (manager, asked, arguments) in [("dpkg", "dpkg-query", dpkg), ("rpm", "rpm", rpm)] {
        let mut command = host::command(asked);
        if let Ok(list) = program::run(context, command.args(arguments), ANSWERS_WITHIN)
            && !list.is_empty()
        {
            return (Some(manager), list);
        }
    }
    (None, Vec::new())
}

/// Units that an administrator enabled, one on each line, with what wants them: the links in
/// `/etc/systemd/system/*.wants` and `*.requires`.
pub(super) fn units() -> Vec<u8> {
    units_in(Path::new("/etc/systemd/system"))
}

fn units_in(folder: &Path) -> Vec<u8> {
    let mut lines = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let wanting = entry.file_name();
        let is_list = [&b".wants"[..], b".requires"]
            .iter()
            .any(|suffix| wanting.as_bytes().ends_with(suffix));
        if !is_list {
            continue;
        }
        for unit in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if lines.len() < MOST_UNITS {
                let name = unit.file_name();
                lines.insert([name.as_bytes(), b"\t", wanting.as_bytes(), b"\n"].concat());
            }
        }
    }
    lines.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_by_what_wants_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("multi-user.target.wants")).unwrap();
        std::fs::create_dir(dir.path().join("other")).unwrap();
        std::fs::write(dir.path().join("other/no.service"), b"").unwrap();
        let unit = dir.path().join("multi-user.target.wants/ssh.service");
        std::os::unix::fs::symlink("/lib/ssh.service", unit).unwrap();
        assert_eq!(units_in(dir.path()), b"ssh.service\tmulti-user.target.wants\n");
    }
}
