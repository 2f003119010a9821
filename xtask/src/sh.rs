//! Runs other programs and says clearly what failed.

use crate::{interrupt, paths};
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command about to run. The environment is inherited, output goes to the terminal.
pub(crate) struct Sh(Command);

impl Sh {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(paths::root());
        Self(command)
    }

    /// Cargo, with the output folder of [`paths::target`].
    pub(crate) fn cargo() -> anyhow::Result<Self> {
        let mut sh = Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        sh.0.env("CARGO_TARGET_DIR", paths::target()?);
        // Of this package, not of those that are built. Build scripts look at them: whoever changed
        // between `cargo test` and `cargo xtask test` would build half of all dependencies each time.
        let of_package = |name: &OsStr| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| of_package(name)) {
            sh.0.env_remove(name);
        }
        Ok(sh)
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// The command line, for messages.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Runs it; an exit code other than 0 is an error.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let line = self.line();
        let status = self.0.status().with_context(|| format!("cannot start `{line}`"))?;
        interrupt::check()?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(())
    }

    /// Runs it and returns what it printed, without the last newline.
    pub(crate) fn read(mut self) -> anyhow::Result<String> {
        let line = self.line();
        let Output { status, stdout, stderr } = self
            .0
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start `{line}`"))?;
        interrupt::check()?;
        if !status.success() {
            bail!("`{line}` failed: {status}\n{}", String::from_utf8_lossy(&stderr).trim_end());
        }
        Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
    }

    pub(crate) fn into_command(self) -> Command {
        self.0
    }
}

/// The first folder of PATH that holds `program`.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
