//! An imitation of where cloud machines get their credentials: the instance metadata service
//! (IMDSv2: a token by PUT, then the role's keys) and the token service's
//! AssumeRoleWithWebIdentity. It answers one request per connection and keeps what was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct MetadataService {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What the role is given.
#[derive(Clone)]
pub struct RoleKeys {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: String,
}

pub const ROLE: &str = "tintype-test-role";
pub const WEB_IDENTITY_TOKEN: &str = "web-identity-token-of-the-test";
const IMDS_TOKEN: &str = "imds-session-token";

impl MetadataService {
    /// Serves until the process ends.
    pub fn start(keys: RoleKeys) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that went away needs no answer.
                let _ = serve(stream, &keys, &log);
            }
        });
        Self { endpoint, asked }
    }

    /// Request lines so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

fn serve(stream: TcpStream, keys: &RoleKeys, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    while reader.read_line(&mut headers)? > 2 {}
    let headers = headers.to_lowercase();
    let length = headers.lines().find_map(|header| header.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    log.lock().expect("no holder panics").push(format!("{method} {path}"));
    let (status, answer) = answer(method, path, &headers, &String::from_utf8_lossy(&body), keys);
    write!(
        reader.into_inner(),
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\
         x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n{answer}",
        answer.len()
    )
}

fn answer(
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
    keys: &RoleKeys,
) -> (&'static str, String) {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials";
    let path = path.trim_end_matches('/');
    let with_token = headers.contains(&format!("x-aws-ec2-metadata-token: {IMDS_TOKEN}"));
    match (method, path) {
        ("PUT", "/latest/api/token") => ("200 OK", IMDS_TOKEN.to_owned()),
        ("GET", _) if !with_token => ("401 Unauthorized", String::new()),
        ("GET", ROLES) => ("200 OK", ROLE.to_owned()),
        ("GET", _) if path.strip_prefix(ROLES) == Some(&format!("/{ROLE}")) => {
            ("200 OK", instance_keys(keys))
        }
        ("POST", "") if body.contains("Action=AssumeRoleWithWebIdentity") => {
            if body.contains(&format!("WebIdentityToken={WEB_IDENTITY_TOKEN}")) {
                ("200 OK", assumed_role(keys))
            } else {
                ("400 Bad Request", String::new())
            }
        }
        _ => ("404 Not Found", String::new()),
    }
}

fn instance_keys(keys: &RoleKeys) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2020-01-01T00:00:00Z","AccessKeyId":"{}","SecretAccessKey":"{}","Token":"{}","Expiration":"2099-01-01T00:00:00Z"}}"#,
        keys.access_key, keys.secret_key, keys.session_token
    )
}

fn assumed_role(keys: &RoleKeys) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::000000000000:assumed-role/{ROLE}/tintype</Arn>\
         <AssumedRoleId>AROATEST:tintype</AssumedRoleId></AssumedRoleUser>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        keys.access_key, keys.secret_key, keys.session_token
    )
}
