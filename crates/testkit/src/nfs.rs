//! An NFS server without the kernel (NFS-Ganesha), and clients of it (libnfs).

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::debian::need;
use crate::server::{Server, free_ports};

pub struct Nfs {
    /// What the server reads, alone in a directory as in `/etc/ganesha`.
    pub configuration: PathBuf,
    port: u16,
    _server: Server,
    _directory: TempDir,
}

impl Nfs {
    /// Exports a directory as `/export`, to all of this host. What it remembers of files it asks for
    /// again after a second: by default it takes a minute.
    pub fn start(path: &Path) -> Self {
        need(&["ganesha.nfsd"], &["nfs-ganesha-vfs"]);
        need(&["nfs-cat", "nfs-cp"], &["libnfs-utils"]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        for name in ["state", "ganesha"] {
            std::fs::create_dir(directory.path().join(name)).expect("the directory is ours");
        }
        let [port] = free_ports();
        let settings = format!(
            "NFS_CORE_PARAM {{ NFS_Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; \
             Enable_NLM = false; Enable_RQUOTA = false; }}\n\
             NFSv4 {{ Graceless = true; RecoveryRoot = {}; }}\n\
             EXPORT {{ Export_Id = 1; Path = \"{}\"; Pseudo = /export; Access_Type = RW; \
             Squash = No_Root_Squash; SecType = sys; Attr_Expiration_Time = 1; \
             FSAL {{ Name = VFS; }} }}\n",
            at("state"),
            path.display()
        );
        let configuration = directory.path().join("ganesha/ganesha.conf");
        std::fs::write(&configuration, settings).expect("the directory is ours");
        let file = configuration.display().to_string();
        let arguments = ["-F", "-f", &file, "-L", &at("log"), "-p", &at("pid")].map(str::to_owned);
        let out = directory.path().join("out");
        let mut server = Server::start(Path::new("ganesha.nfsd"), &arguments, &out);
        server.wait_for(SocketAddr::from(([127, 0, 0, 1], port)), &directory.path().join("log"));
        Self { configuration, port, _server: server, _directory: directory }
    }

    fn url(&self, name: &str) -> String {
        format!("nfs://127.0.0.1/export/{name}?version=4&nfsport={}", self.port)
    }

    /// What a client reads that comes now, or why it cannot.
    pub fn read(&self, name: &str) -> Result<String, String> {
        let cat = Command::new("timeout").args(["60", "nfs-cat", &self.url(name)]).output();
        let cat = cat.expect("nfs-cat can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if cat.status.success() { Ok(text(&cat.stdout)) } else { Err(text(&cat.stderr)) }
    }

    /// What a client says that writes a file.
    pub fn write(&self, from: &Path, name: &str) -> String {
        let mut copy = Command::new("timeout");
        let copy = copy.args(["60", "nfs-cp"]).arg(from).arg(self.url(name)).output();
        String::from_utf8_lossy(&copy.expect("nfs-cp can be run").stderr).into_owned()
    }

    /// A client that has a file open and has read its beginning only: it waits until it can go on.
    pub fn open(&self, name: &str) -> NfsReader {
        let mut child = Command::new("timeout")
            .args(["120", "nfs-cat", &self.url(name)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("nfs-cat can be run");
        let mut first = [0];
        let output = child.stdout.as_mut().expect("piped");
        output.read_exact(&mut first).expect("the file is not empty");
        NfsReader { child, first: first[0] }
    }
}

pub struct NfsReader {
    child: Child,
    first: u8,
}

impl NfsReader {
    /// All of the file, and whether the client was content.
    pub fn rest(mut self) -> (Vec<u8>, bool) {
        let mut all = vec![self.first];
        let output = self.child.stdout.as_mut().expect("piped");
        output.read_to_end(&mut all).expect("a pipe can be read");
        (all, self.child.wait().expect("it is ours").success())
    }
}
