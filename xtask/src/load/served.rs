//! The real program as a manager, and its API.

use crate::bench::tools::Tool;
use crate::clock::Stopwatch;
use crate::interrupt;
use crate::sh::Sh;
use anyhow::{Context, ensure};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PASSWORD: &str = "a password of the load";

/// Where a manager keeps what it has.
pub(super) struct Place {
    directory: TempDir,
    program: PathBuf,
    database: Option<String>,
}

impl Place {
    pub(super) fn new(database: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, program: Tool::Tintype.program()?, database })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.data().join("tls/authority.pem")
    }

    /// The program, speaking to this manager and no other.
    pub(super) fn tintype<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Sh {
        Sh::new(&self.program).args(args).env("XDG_CONFIG_HOME", self.path().join("config"))
    }

    pub(super) fn with_database(&self, sh: Sh) -> Sh {
        match &self.database {
            Some(url) => sh.env("TINTYPE_DATABASE", url),
            None => sh,
        }
    }

    fn secret(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        use std::io::Write as _;
        let path = self.path().join(name);
        let mut options = std::fs::File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        writeln!(file, "{text}")?;
        Ok(path)
    }
}

pub(super) struct Served<'p> {
    place: &'p Place,
    child: Child,
    pub(super) url: String,
    pub(super) token: String,
    /// From its start until it listens.
    pub(super) start_seconds: f64,
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'p> Served<'p> {
    /// For the first time: somebody logs in, and gets a token.
    pub(super) fn first(place: &'p Place) -> anyhow::Result<Self> {
        let (mut served, password) = Self::start(place)?;
        let one_time = place.secret("one-time", &password.context("no first password")?)?;
        let chosen = place.secret("chosen", PASSWORD)?;
        let login = place.tintype(["login", &served.url, "--authority"]).arg(place.authority());
        let login = login.arg("--password-file").arg(one_time);
        login.arg("--new-password-file").arg(chosen).run()?;
        let token = ["token", "create", "load", "--role", "administrator"];
        place.tintype(token).read()?.trim().clone_into(&mut served.token);
        place.secret("token", &served.token)?;
        Ok(served)
    }

    pub(super) fn again(place: &'p Place) -> anyhow::Result<Self> {
        let (mut served, _) = Self::start(place)?;
        let token = std::fs::read_to_string(place.path().join("token"))?;
        token.trim().clone_into(&mut served.token);
        Ok(served)
    }

    fn start(place: &'p Place) -> anyhow::Result<(Self, Option<String>)> {
        interrupt::check()?;
        let mut command = Command::new(&place.program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.data());
        if let Some(url) = &place.database {
            command.env("TINTYPE_DATABASE", url);
        }
        let log = place.path().join("manager.log");
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let watch = Stopwatch::start();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let out = child.stdout.take().context("its output")?;
        let (url, token) = (String::new(), String::new());
        let mut served = Self { place, child, url, token, start_seconds: 0.0 };
        let mut password = None;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(told) = line.strip_prefix("first login: user admin, password ") {
                password = Some(told.to_owned());
            }
            if let Some(url) = line.strip_prefix("listens on ") {
                served.start_seconds = watch.seconds();
                url.clone_into(&mut served.url);
            }
            if line.contains("--authority") {
                break;
            }
        }
        ensure!(!served.url.is_empty(), "the manager ended: {}", served.said());
        Ok((served, password))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.place.path().join("manager.log")).unwrap_or_default()
    }

    /// Of its own memory, what is in use now.
    pub(super) fn mebibytes(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(figure.parse::<f64>()? / 1024.0)
    }

    /// A measurement of this manager.
    pub(super) fn asking(&self, what: &str) -> Sh {
        self.tintype(["debug", what])
    }

    /// A command, to this manager.
    pub(super) fn tintype<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Sh {
        let tintype = self.place.tintype(args).env("TINTYPE_URL", &self.url);
        tintype.env("TINTYPE_TOKEN", &self.token).env("TINTYPE_AUTHORITY", self.place.authority())
    }

    pub(super) fn place(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the manager ended with {status}: {}", self.said());
        Ok(())
    }
}
