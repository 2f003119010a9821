//! Azurite: Azure Blob Storage, with its keys and shared access signatures.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::keeper::Directory;
use crate::server::{Server, free_ports};
use crate::tools::node_package;

pub struct Azurite {
    /// Of the account: `http://127.0.0.1:port/account`
    pub endpoint: String,
    pub account: &'static str,
    pub account_key: &'static str,
    port: u16,
    _server: Server,
    _directory: Directory,
}

/// One for the whole test process.
pub fn shared() -> &'static Azurite {
    static SHARED: LazyLock<Azurite> = LazyLock::new(Azurite::start);
    &SHARED
}

/// Which every Azurite has, and everybody knows.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const VERSION: &str = "2021-12-02";

impl Azurite {
    pub fn start() -> Self {
        let package = node_package("azurite", "3.37.0");
        let directory = Directory::new("");
        let [port] = free_ports();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let arguments = [
            package.join("dist/src/blob/main.js").display().to_string(),
            "--blobHost=127.0.0.1".to_owned(),
            format!("--blobPort={port}"),
            format!("--location={}", directory.path().display()),
            "--silent".to_owned(),
            "--skipApiVersionCheck".to_owned(),
            "--disableTelemetry".to_owned(),
        ];
        let log = directory.path().join("log");
        let mut server = Server::start(Path::new("node"), &arguments, &log);
        server.wait_for(address, &log);
        Self {
            endpoint: format!("http://{address}/{ACCOUNT}"),
            account: ACCOUNT,
            account_key: ACCOUNT_KEY,
            port,
            _server: server,
            _directory: directory,
        }
    }

    /// Makes one.
    pub fn container(&self, name: &str) {
        let date = output(
            Command::new("date").env("LC_ALL", "C").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]),
        );
        let (date, account) = (date.trim(), ACCOUNT);
        let sign = format!(
            "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{VERSION}\n\
             /{account}/{account}/{name}\nrestype:container"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it answers");
        let request = format!(
            "PUT /{account}/{name}?restype=container HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Connection: close\r\nContent-Length: 0\r\nx-ms-date: {date}\r\n\
             x-ms-version: {VERSION}\r\nAuthorization: SharedKey {account}:{}\r\n\r\n",
            signature(&sign)
        );
        stream.write_all(request.as_bytes()).expect("it answers");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.contains(" 201 "), "{answer}");
    }

    /// A shared access signature of a container: `rights` are letters of racwdl.
    pub fn sas(&self, container: &str, rights: &str) -> String {
        let (start, end) = ("2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z");
        let sign = format!(
            "{rights}\n{start}\n{end}\n/blob/{ACCOUNT}/{container}\n\n\n\n{VERSION}\nc\n\n\n\n\n\n\n"
        );
        let signature = signature(&sign);
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("sp={rights}&st={start}&se={end}&sv={VERSION}&sr=c&sig={signature}")
    }
}

/// HMAC-SHA256 with the account's key.
fn signature(text: &str) -> String {
    let key = piped(Command::new("openssl").args(["base64", "-d", "-A"]), ACCOUNT_KEY.as_bytes());
    let key = key.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut hmac = Command::new("openssl");
    hmac.args(["dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt"])
        .arg(format!("hexkey:{key}"));
    let signed = piped(&mut hmac, text.as_bytes());
    let text = piped(Command::new("openssl").args(["base64", "-A"]), &signed);
    String::from_utf8(text).expect("base64")
}

fn output(command: &mut Command) -> String {
    String::from_utf8(piped(command, b"")).expect("text")
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}");
    output.stdout
}
