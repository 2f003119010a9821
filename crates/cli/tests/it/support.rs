//! A place to work in: a directory with sources, a repository and a cache of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

/// What a run of the program gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// All lines of the output, each an event.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }

    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let last = self.events().pop().expect("there is an event");
        assert_eq!(last["event"], "summary", "{last}");
        last
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        std::fs::create_dir(lab.path("source")).expect("a new directory");
        lab
    }

    /// With a repository.
    pub(crate) fn ready() -> Self {
        let lab = Self::new();
        lab.run(&["init", "--no-probe"]).expect(0);
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("it exists").join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain path").to_owned()
    }

    /// The tree path of something in the lab.
    pub(crate) fn tree(&self, name: &str) -> String {
        format!("/files{}", self.text(name))
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("directories");
        std::fs::write(path, bytes).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// `tintype repo …` in this lab; the environment holds nothing else.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_tintype")), args)
    }

    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("repo").args(args);
        self.prepare(&mut command);
        command
    }

    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TZ", "UTC")
            .env("TINTYPE_PASSWORD", PASSWORD)
            .env("TINTYPE_REPOSITORY", self.path("repository"))
            .env("TINTYPE_CACHE_DIR", self.path("cache"))
            .env("TINTYPE_RUNTIME_DIR", self.path("runs"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().expect("the program starts"))
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Runs a snapshot with events and gives its summary.
    #[track_caller]
    pub(crate) fn snapshot(&self, args: &[&str]) -> Value {
        let mut words = vec!["snapshot", "--json"];
        words.extend_from_slice(args);
        self.run(&words).expect(0).summary()
    }

    /// Ids, oldest first.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<String> {
        let events = self.run(&["list", "--json"]).expect(0).events();
        let listed = events.iter().filter(|event| event["event"] == "snapshot");
        listed.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The undo point that the last restore took.
    #[track_caller]
    pub(crate) fn undo_point(&self) -> String {
        let events = self.run(&["list", "--json", "--tag", "pre-restore"]).expect(0).events();
        let newest = events.iter().rfind(|event| event["event"] == "snapshot");
        newest.expect("there is one")["id"].as_str().expect("an id").to_owned()
    }

    /// Whether every byte of the repository is as it was written.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        self.run(&["verify", "--all", "--quiet"]).expect(0);
    }
}

/// Bytes that no compression makes smaller, the same each time.
pub(crate) fn noise(length: usize, seed: &str) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(seed.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Objects of the repository below a directory, sorted.
pub(crate) fn objects(lab: &Lab, below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![lab.path("repository").join(below)];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Changes a byte in the middle of a file.
pub(crate) fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("a file");
}
