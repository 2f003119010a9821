//! fake-gcs-server: the JSON API of Google Cloud Storage. It asks nobody who they are.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::keeper::Directory;
use crate::seaweedfs::certificates;
use crate::server::{Server, free_ports};
use crate::tools::go_tool;

pub struct FakeGcs {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    /// `https://127.0.0.1:port`, with a certificate of `ca`.
    pub tls_endpoint: String,
    pub ca: PathBuf,
    /// What stands for a service account's key file here: no token is fetched with it.
    pub key_file: &'static str,
    /// The account that the key file is of.
    pub account: &'static str,
    port: u16,
    _server: Server,
    _directory: Directory,
}

/// One for the whole test process.
pub fn shared() -> &'static FakeGcs {
    static SHARED: LazyLock<FakeGcs> = LazyLock::new(FakeGcs::start);
    &SHARED
}

const ACCOUNT: &str = "tests@project.iam.gserviceaccount.com";
const KEY_FILE: &str = r#"{"type":"service_account","client_email":"tests@project.iam.gserviceaccount.com","private_key":"canary-of-google","private_key_id":"1","disable_oauth":true}"#;

impl FakeGcs {
    pub fn start() -> Self {
        let program = go_tool("github.com/fsouza/fake-gcs-server", "1.52.3");
        let directory = Directory::new("");
        let path = directory.path();
        certificates(path);
        let [tls, port] = free_ports();
        let at = |name: &str| path.join(name).display().to_string();
        let arguments = [
            "-scheme=both".to_owned(),
            "-host=127.0.0.1".to_owned(),
            format!("-port={tls}"),
            format!("-port-http={port}"),
            "-backend=memory".to_owned(),
            "-log-level=error".to_owned(),
            format!("-cert-location={}", at("server.pem")),
            format!("-private-key-location={}", at("server.key")),
        ];
        let log = path.join("log");
        let mut server = Server::start(&program, &arguments, &log);
        server.wait_until(&log, || {
            ask(port, "GET", "/_internal/healthcheck", "").contains(" 200 ")
                && TcpStream::connect(("127.0.0.1", tls)).is_ok()
        });
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            tls_endpoint: format!("https://127.0.0.1:{tls}"),
            ca: path.join("ca.pem"),
            key_file: KEY_FILE,
            account: ACCOUNT,
            port,
            _server: server,
            _directory: directory,
        }
    }

    /// Makes one.
    pub fn bucket(&self, name: &str) {
        let body = format!("{{\"name\":\"{name}\"}}");
        let answer = ask(self.port, "POST", "/storage/v1/b?project=tests", &body);
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

/// Empty while nobody answers.
fn ask(port: u16, method: &str, path: &str, body: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().unwrap_or_default()
}
