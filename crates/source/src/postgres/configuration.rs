//! The configuration that a restored cluster gets, where the one that it had lay elsewhere and is not
//! there any more, or is the original's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tintype_model::plan::Check;
use tintype_model::{Error, ErrorKind, Result};

use super::included::{DIRECTORY, Included, redirected};
use super::place::Place;
use super::unpack;
use crate::connector::Stored;
use crate::host::account::acting;

const MOST_BYTES: u64 = 8 << 20;

impl Place {
    /// A cluster whose configuration lay elsewhere gets it into its own directory, unless that
    /// other place is still there to be used.
    pub(super) fn configure(&self, staged: &Path, stored: &dyn Stored) -> Result<()> {
        if self.configuration.is_some() {
            return Ok(());
        }
        let main = staged.join("postgresql.conf");
        if main.exists() {
            if self.lacks_included() {
                let read = acting(self.account, || std::fs::read_to_string(&main));
                let text = read.map_err(|error| Error::io(error, main.display()))?;
                let copies = self.copy_included(staged, stored)?;
                self.write(&main, &redirected(&text, &self.captured, &copies))?;
            }
            return Ok(());
        }
        let copies = self.copy_included(staged, stored)?;
        for (name, default) in [
            ("postgresql.conf", ""),
            ("pg_hba.conf", "local all all peer\n"),
            ("pg_ident.conf", ""),
        ] {
            let at = format!("configuration/{name}");
            let text = match stored.object(at.as_bytes(), MOST_BYTES) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // The user may not have been allowed to read it.
                Err(error) if error.is(ErrorKind::NotFound) => default.to_owned(),
                Err(error) => return Err(error),
            };
            let text = match name {
                "postgresql.conf" => redirected(&without_places(&text), &self.captured, &copies),
                _ => text,
            };
            self.write(&staged.join(name), &text)?;
        }
        Ok(())
    }

    pub(super) fn write(&self, path: &Path, text: &str) -> Result<()> {
        let wrote = unpack::file(path, self.account, &mut text.as_bytes());
        wrote.map_err(|error| Error::io(error, path.display()))
    }

    /// A copy reads nothing of the original, and nobody what is not there.
    fn lacks_included(&self) -> bool {
        let is_gone = |file: &Included| self.is_new || !file.path.exists();
        self.included.iter().any(is_gone)
    }

    /// Puts all files that were included into the data directory. Says where each is, seen from
    /// there.
    fn copy_included(
        &self,
        staged: &Path,
        stored: &dyn Stored,
    ) -> Result<BTreeMap<PathBuf, String>> {
        let named = self.included.iter().filter_map(|file| Some((&file.path, file.name.as_ref()?)));
        let named: BTreeMap<PathBuf, String> =
            named.map(|(path, name)| (path.clone(), name.clone())).collect();
        if named.is_empty() {
            return Ok(named);
        }
        let directory = staged.join(DIRECTORY);
        unpack::fresh_directory(&directory, self.account)?;
        for (path, name) in &named {
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
                return Err(Error::corrupt(format!("{name:?} is no name of an included file")));
            }
            let at = format!("configuration/included/{name}");
            let text = stored.object(at.as_bytes(), MOST_BYTES)?;
            let text = without_places(&String::from_utf8_lossy(&text));
            self.write(&directory.join(name), &redirected(&text, path, &named))?;
        }
        Ok(named.into_iter().map(|(path, name)| (path, format!("{DIRECTORY}/{name}"))).collect())
    }

    pub(super) fn check_configuration(&self) -> Option<Check> {
        if self.configuration.is_some() || !self.lacks_included() {
            return None;
        }
        let lost = self.included.iter().filter(|file| file.name.is_none());
        let lost: Vec<String> = lost.map(|file| file.path.display().to_string()).collect();
        (!lost.is_empty()).then(|| {
            let reason = format!(
                "not captured, since the user might not read it, or what it includes: {}",
                lost.join(", ")
            );
            Check::warn(
                "configuration",
                reason,
                "set by hand what is missing, and capture as a superuser",
            )
        })
    }
}

/// A configuration for another place: what names files is left out, but for other configuration.
fn without_places(text: &str) -> String {
    const PLACES: [&str; 5] =
        ["data_directory", "hba_file", "ident_file", "external_pid_file", "stats_temp_directory"];
    let lines = text.lines().map(|line| {
        let name = line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default();
        let out = PLACES.contains(&&name.to_ascii_lowercase()[..]);
        if out { format!("# {line}\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_point_at_the_original() {
        let text = "port = 5432\n data_directory = '/a'\nHBA_FILE='/b'\n# x\n";
        let want = "port = 5432\n#  data_directory = '/a'\n# HBA_FILE='/b'\n# x\n";
        assert_eq!(without_places(text), want);
    }
}
