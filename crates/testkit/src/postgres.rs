//! PostgreSQL 15 of Debian: a cluster of its own on a socket of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::debian;
use crate::server::{Server, free_ports};

pub struct Postgres {
    /// The data directory; its parent holds the socket and the log and may be entered by all.
    pub data: PathBuf,
    pub port: u16,
    /// Of a cluster whose configuration lies outside of its data directory.
    configuration: Option<PathBuf>,
    server: Option<Server>,
    directory: TempDir,
}

/// Superuser of every cluster here, and the account as which root runs it.
pub const USER: &str = "postgres";

pub fn program(name: &str) -> PathBuf {
    let path = format!("/usr/lib/postgresql/15/bin/{name}");
    debian::program(&[&path], &["postgresql-15"])
}

/// The account that a server runs as: servers refuse to run as root.
fn account() -> Option<&'static str> {
    let output = Command::new("id").arg("-u").output().expect("id can be run");
    (output.stdout == b"0\n").then_some(USER)
}

fn as_account(program: &Path) -> Command {
    match account() {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(program);
            command
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command.current_dir("/").output().expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Postgres {
    /// A new cluster that trusts everybody on its socket, and asks for passwords on the network.
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// With more arguments of `initdb`, and settings as `name=value`.
    pub fn start_with(initdb: &[&str], settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).expect("the directory is ours");
        let data = directory.path().join("data");
        let mut command = as_account(&program("initdb"));
        command.arg("-D").arg(&data).args(["-U", USER, "--no-sync", "-A", "scram-sha-256"]);
        run(command.args(["--auth-local", "trust"]).args(initdb));
        let [port] = free_ports();
        let mut cluster = Self { data, port, configuration: None, server: None, directory };
        cluster.resume(settings);
        cluster
    }

    /// Takes its configuration out of the data directory, as Debian has it. It must be stopped.
    pub fn configure_outside(&mut self) -> PathBuf {
        let place = self.make_directory("etc");
        let mut text = String::new();
        for (name, setting) in
            [("pg_hba.conf", "hba_file"), ("pg_ident.conf", "ident_file"), ("postgresql.conf", "")]
        {
            let path = place.join(name);
            std::fs::rename(self.data.join(name), &path).expect("it is stopped");
            if !setting.is_empty() {
                text.push_str(setting);
                text.extend([" = '", &path.display().to_string(), "'\n"]);
            }
        }
        let settings = [
            format!("data_directory = '{}'\n", self.data.display()),
            format!("port = {}\nunix_socket_directories = '{}'\n", self.port, self.host()),
        ];
        text.extend(settings);
        let file = place.join("postgresql.conf");
        let own = std::fs::read_to_string(&file).expect("it was just moved");
        std::fs::write(&file, own + &text).expect("root may");
        self.configuration = Some(file.clone());
        file
    }

    /// Starts what was stopped.
    pub fn resume(&mut self, settings: &[&str]) {
        let host = self.host();
        let own = [
            format!("port={}", self.port),
            format!("unix_socket_directories={host}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), self.data.display().to_string()];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        if let Some(file) = &self.configuration {
            arguments.extend(["-c".to_owned(), format!("config_file={}", file.display())]);
        }
        let log = self.directory.path().join("log");
        let mut server = Server::start_as(account(), &program("postgres"), &arguments, &log);
        server.wait_until(&log, || {
            let mut ready = Command::new(program("pg_isready"));
            let ready = ready.args(["-q", "-h", &host, "-p", &self.port.to_string()]).status();
            ready.is_ok_and(|status| status.success())
        });
        self.server = Some(server);
    }

    /// Directory of the socket.
    pub fn host(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Somewhere beside the data directory; owned by the server.
    pub fn make_directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        run(as_account(Path::new("mkdir")).arg(&path));
        path
    }

    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        query(&self.host(), self.port, database, sql)
    }

    /// `pgbench` with these arguments, running.
    pub fn pgbench(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = Command::new(program("pgbench"));
        command.args(["-h", &self.host(), "-p", &self.port.to_string(), "-U", USER]);
        command.args(arguments).arg("postgres").current_dir("/");
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().expect("pgbench can be run")
    }

    /// Without a checkpoint, as after a power failure.
    pub fn kill(&mut self) {
        self.stop("immediate");
    }

    pub fn stop(&mut self, mode: &str) {
        stop(&self.data, mode);
        self.server = None;
    }
}

/// Asks any server on a socket; panics with what it says if it refuses.
pub fn query(host: &str, port: u16, database: &str, sql: &str) -> String {
    let mut command = as_account(&program("psql"));
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-U", USER]);
    // As an argument it would be taken for a connection string if it looks like one.
    command.env("PGDATABASE", database);
    run(command.args(["-p", &port.to_string(), "-c", sql]))
}

/// Stops the server of a data directory, if one runs.
pub fn stop(data: &Path, mode: &str) {
    if data.join("postmaster.pid").exists() {
        let mut command = as_account(&program("pg_ctl"));
        command.arg("-D").arg(data).args(["-w", "-m", mode, "stop"]).current_dir("/");
        // It may have ended by itself.
        let _ = command.output();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}
