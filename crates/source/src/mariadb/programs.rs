//! The server's own client programs. What they need to log in stands in a private file.

use std::path::{Path, PathBuf};
use std::process::Command;

use tintype_model::{Error, Result};

use super::At;
use crate::connector::Context;
use crate::host::{self, program, secret};

/// A file of options, removed with this.
pub(super) struct Login {
    file: PathBuf,
    programs: Option<PathBuf>,
}

impl Login {
    pub(super) fn new(name: &str, at: &At, context: &Context) -> Result<Self> {
        let mut options = format!("[client]\nuser={}\n", quoted(&at.user));
        let place = match &at.socket {
            Some(path) => {
                format!("protocol=socket\nsocket={}\n", quoted(&path.display().to_string()))
            }
            None => format!("protocol=tcp\nhost={}\nport={}\n", quoted(&at.host), at.port),
        };
        options.push_str(&place);
        if let Some(file) = &at.password_file {
            let password = secret::read(file, &context.passwords)?;
            options.extend(["password=", &quoted(&password), "\n"]);
        }
        let file = context.scratch.join(format!("{}-{name}.cnf", context.label()));
        secret::write(&file, &options)?;
        Ok(Self { file, programs: at.programs.clone() })
    }

    /// `mariadb-dump`, or as it was called before.
    pub(super) fn command(&self, name: &str, before: &str) -> Result<Command> {
        let places: Vec<PathBuf> = self.programs.clone().into_iter().collect();
        let found = program::find(name, &places).or_else(|| program::find(before, &places));
        let found = found.ok_or_else(|| {
            Error::not_found(format!(
                "{name} is not on this host; install the package mariadb-client, or say with \
                 `programs` where it is"
            ))
        })?;
        let mut command = host::command(found);
        // It must come first, and no other file is read then.
        command.arg(option("--defaults-file=", &self.file)).current_dir("/");
        Ok(command)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // Scratch is removed with the run in any case.
        let _ = std::fs::remove_file(&self.file);
    }
}

fn option(name: &str, value: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(value);
    option
}

/// A value of an option file: <https://mariadb.com/kb/en/configuring-mariadb-with-option-files/>.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("\"{escaped}\"")
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

pub(super) fn identifier(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}
