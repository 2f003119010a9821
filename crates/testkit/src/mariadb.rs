//! MariaDB of Debian: a server of its own on a socket of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::debian;
use crate::server::{Server, free_ports};

pub struct MariaDb {
    pub data: PathBuf,
    pub socket: PathBuf,
    pub port: u16,
    server: Option<Server>,
    _directory: TempDir,
}

const PACKAGES: [&str; 3] = ["mariadb-server", "mariadb-client", "mariadb-backup"];

fn program(name: &str) -> PathBuf {
    let places = [format!("/usr/bin/{name}"), format!("/usr/sbin/{name}")];
    debian::program(&[&places[0], &places[1]], &PACKAGES)
}

/// The server does not want to be root.
fn account() -> Option<&'static str> {
    let output = Command::new("id").arg("-u").output().expect("id can be run");
    (output.stdout == b"0\n").then_some("mysql")
}

fn run(command: &mut Command) -> String {
    let output = command.current_dir("/").output().expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl MariaDb {
    /// `root` needs no password.
    pub fn start() -> Self {
        program("mariadbd");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let socket = directory.path().join("mariadb.sock");
        let [port] = free_ports();
        let mut install = Command::new(program("mariadb-install-db"));
        install.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]);
        install.arg(format!("--datadir={}", data.display()));
        // A server that starts removes temporary tables of others from a directory that they share.
        let temporary = directory.path().join("tmp");
        std::fs::create_dir(&temporary).expect("the directory is ours");
        install.env("TMPDIR", &temporary);
        if let Some(user) = account() {
            run(Command::new("chown").arg(user).args([directory.path(), &temporary]));
            install.arg(format!("--user={user}"));
        }
        run(&mut install);
        let mut server = Self { data, socket, port, server: None, _directory: directory };
        server.resume();
        server
    }

    pub fn resume(&mut self) {
        let arguments = [
            "--no-defaults".to_owned(),
            format!("--datadir={}", self.data.display()),
            format!("--socket={}", self.socket.display()),
            format!("--pid-file={}", self.data.join("pid").display()),
            format!("--port={}", self.port),
            format!("--tmpdir={}", self.socket.with_file_name("tmp").display()),
            "--bind-address=127.0.0.1".to_owned(),
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
        ];
        let log = self.socket.with_file_name("log");
        let mut server = Server::start_as(account(), &program("mariadbd"), &arguments, &log);
        server.wait_until(&log, || self.try_sql("", "SELECT 1").is_ok());
        self.server = Some(server);
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output =
            client(&self.socket).arg(format!("--database={database}")).args(["-e", sql]).output();
        let output = output.expect("the client can be run");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

/// The command line client on a socket, as `root`.
pub fn client(socket: &Path) -> Command {
    let mut command = Command::new(program("mariadb"));
    command.args(["--no-defaults", "-uroot", "--batch", "--skip-column-names"]);
    command.arg(format!("--socket={}", socket.display()));
    command
}
