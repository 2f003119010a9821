//! Redis of Debian on a socket of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::debian;
use crate::server::Server;

pub struct Redis {
    pub data: PathBuf,
    pub socket: PathBuf,
    server: Option<Server>,
    _directory: TempDir,
}

fn program(name: &str) -> PathBuf {
    let place = format!("/usr/bin/{name}");
    debian::program(&[&place], &["redis-server", "redis-tools"])
}

impl Redis {
    /// `settings` as on its command line: `--appendonly yes`.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("the directory is ours");
        let socket = directory.path().join("redis.sock");
        let mut redis = Self { data, socket, server: None, _directory: directory };
        redis.resume(settings);
        redis
    }

    pub fn resume(&mut self, settings: &[&str]) {
        let shown = |path: &Path| path.display().to_string();
        let own =
            ["--port", "0", "--unixsocket", &shown(&self.socket), "--dir", &shown(&self.data)];
        let arguments: Vec<String> =
            own.iter().chain(settings).map(|argument| (*argument).to_owned()).collect();
        let log = self.socket.with_file_name("log");
        let mut server = Server::start(&program("redis-server"), &arguments, &log);
        server.wait_until(&log, || {
            // A password in the settings makes it refuse, which is an answer too.
            let said = self.ask(&["PING"]);
            said.contains("PONG") || said.contains("NOAUTH")
        });
        self.server = Some(server);
    }

    pub fn is_running(&self) -> bool {
        self.server.is_some()
    }

    /// At once, as by a power failure.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// What `redis-cli` prints.
    pub fn ask(&self, words: &[&str]) -> String {
        let output =
            Command::new(program("redis-cli")).arg("-s").arg(&self.socket).args(words).output();
        let output = output.expect("redis-cli can be run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
