//! A Samba server, and a client that stays attached.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::debian::need;
use crate::server::{Server, free_ports};

pub struct Samba {
    port: u16,
    _server: Server,
    _directory: TempDir,
}

impl Samba {
    /// Exports a directory as `share`, to guests, who write as root.
    pub fn start(path: &Path) -> Self {
        need(&["smbd"], &["samba"]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().display();
        let [port] = free_ports();
        let settings = format!(
            "[global]\nserver role = standalone server\ninterfaces = 127.0.0.1\n\
             bind interfaces only = yes\nsmb ports = {port}\ndisable netbios = yes\n\
             map to guest = Bad User\nlog file = {place}/log\nprivate dir = {place}\n\
             lock directory = {place}\nstate directory = {place}\ncache directory = {place}\n\
             pid directory = {place}\nncalrpc dir = {place}/rpc\n\
             [share]\npath = {}\nread only = no\nguest ok = yes\nforce user = root\n",
            path.display()
        );
        let file = directory.path().join("smb.conf");
        std::fs::write(&file, settings).expect("the directory is ours");
        let file = file.display().to_string();
        let arguments = ["-F", "--no-process-group", "-s", &file].map(str::to_owned);
        let log = directory.path().join("out");
        let mut server = Server::start(Path::new("smbd"), &arguments, &log);
        server.wait_for(SocketAddr::from(([127, 0, 0, 1], port)), &log);
        Self { port, _server: server, _directory: directory }
    }

    pub fn attach(&self) -> SmbClient {
        need(&["smbclient"], &["smbclient"]);
        let port = self.port.to_string();
        // Whoever waits for its answer does not wait for ever.
        let mut child = Command::new("timeout")
            .args([
                "60",
                "smbclient",
                "-N",
                "-U",
                "guest",
                "-p",
                &port,
                "-s",
                "/dev/null",
                "//127.0.0.1/share",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("smbclient can be run");
        let input = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        SmbClient { child, input, output }
    }
}

/// One connection, from beginning to end.
pub struct SmbClient {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl SmbClient {
    /// Reads a file that holds one of some texts, and says which.
    pub fn read<'t>(&mut self, name: &str, texts: &[&'t str]) -> &'t str {
        // One line at a time: what comes together waits for what comes next.
        writeln!(self.input, "get {name} -").expect("smbclient listens");
        let mut said = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let length = self.output.read(&mut buffer).expect("smbclient answers");
            assert!(length > 0, "smbclient ended: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&buffer[..length]);
            let text = String::from_utf8_lossy(&said);
            if let Some(found) = texts.iter().find(|wanted| text.contains(**wanted)) {
                return found;
            }
        }
    }
}

impl Drop for SmbClient {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
