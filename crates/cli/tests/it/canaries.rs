//! Secrets are planted wherever the manager takes one, and looked for wherever it writes, answers or
//! starts something.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::run::Run;
use tintype_testkit::postgres::{self, Postgres};
use tintype_testkit::seaweedfs;

use crate::agents::until;
use crate::manager::{program, run, serve_by};
use crate::support::{Lab, Ran};

/// What a process of the manager sees of its own, of its neighbours and of the manager.
const LOOKS: &str = "\
cd \"$0\"; env > seen.env
for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done > seen.ps
";

fn post(client: &Client, path: &str, body: &Value) -> Value {
    let answer = client.exchange("POST", path, Some(body), None).unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

fn over(client: &Client, run: &Value) -> Run {
    let id = run["id"].as_str().unwrap().parse().unwrap();
    until("the run ends", || client.run(&id).unwrap().state.is_over());
    client.run(&id).unwrap()
}

/// All files below, with what they hold.
fn files(below: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut waiting) = (Vec::new(), vec![below.to_owned()]);
    while let Some(path) = waiting.pop() {
        if path.is_dir() && !path.is_symlink() {
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

struct Planted(BTreeMap<&'static str, String>);

impl Planted {
    #[track_caller]
    fn is_not_in(&self, place: &str, bytes: &[u8]) {
        // What is not text is no part of a secret.
        let text = String::from_utf8_lossy(bytes);
        for (what, secret) in &self.0 {
            assert!(!text.contains(&secret[..]), "{what} stands in {place}");
        }
    }
}

/// Everything that answers a question, and what it says.
fn answers(client: &Client) -> Vec<(String, String)> {
    let description: Value = client.get("/openapi.json").unwrap();
    let mut told = Vec::new();
    let mut ask = |path: &str| {
        let answer = client.exchange("GET", path, None, None).unwrap();
        told.push((path.to_owned(), answer.text.clone()));
        serde_json::from_str::<Value>(&answer.text).unwrap_or_default()
    };
    let paths = description["paths"].as_object().unwrap();
    let of = |path: &str| path.strip_prefix("/api/v1").unwrap().to_owned();
    for path in paths.keys().map(|path| of(path)).filter(|path| !path.contains('{')) {
        // The stream would go on.
        let list = ask(if path == "/events" { "/events?follow=false" } else { &path });
        for item in list["items"].as_array().into_iter().flatten() {
            let Some(id) = item["id"].as_str() else { continue };
            for one in paths.keys().map(|path| of(path)) {
                if one.starts_with(&format!("{path}/{{id}}")) && !one.ends_with("/content") {
                    ask(&one.replace("{id}", id));
                }
            }
        }
    }
    told
}

/// Something of everything that takes a secret.
fn plant(lab: &Lab, client: &Client, planted: &mut Planted) {
    let mut secret = |what: &'static str| {
        let text = format!("canary-{}-{}", what.replace(' ', "-"), lab.path("").display());
        let text: String = text.chars().map(|c| if c == '/' { '.' } else { c }).collect();
        planted.0.insert(what, text.clone());
        text
    };
    let user = json!({
        "name": "eve", "spec": { "role": "viewer" }, "password": secret("a user's password"),
    });
    post(client, "/users", &user);
    std::fs::create_dir(lab.path("seen")).unwrap();
    let command = json!(["sh", "-c", LOOKS, lab.path("seen")]);
    let looks = json!({ "phase": "pre-quiesce", "command": command });
    let volume = json!({
        "name": "site",
        "spec": {
            "kind": "volume", "connector": "files", "at": { "path": lab.path("site") },
            "hooks": [looks],
        },
    });
    lab.write("site/file", "of site");
    post(client, "/resources", &volume);
    let taken = over(client, &post(client, "/snapshots", &json!({ "scope": "full" })));
    assert_eq!(taken.state.name(), "succeeded", "{taken:?}");
    let snapshot = taken.result["snapshot"].as_str().unwrap();
    let bundle = json!({ "passphrase": secret("a bundle's passphrase") });
    let bundle = post(client, &format!("/snapshots/{snapshot}/bundles"), &bundle);
    over(client, &bundle["run"]);
    let plain = json!({ "plain": true });
    let plain = post(client, &format!("/snapshots/{snapshot}/bundles"), &plain);
    over(client, &plain["run"]);
    let storages: Page<Value> = client.get("/storages").unwrap();
    let cloud = storages.items.iter().find(|storage| storage["name"] == "cloud").unwrap();
    let storage = cloud["id"].as_str().unwrap();
    let key = json!({ "passphrase": secret("a passphrase of a repository") });
    post(client, &format!("/storages/{storage}/keys"), &key);
    // Nobody listens there; the run says so.
    let [port] = tintype_testkit::server::free_ports();
    let url = format!("http://127.0.0.1:{port}/b.zip?signature={}", secret("a signed URL"));
    let upload = post(client, "/uploads", &json!({ "name": "b.zip", "url": url }));
    let fetched = over(client, &json!({ "id": upload["run"] }));
    assert_eq!(fetched.state.name(), "failed");
    // What is refused is not told either.
    let wrong = json!({ "name": "n", "spec": {}, "password": secret("a field that is not known") });
    client.exchange("POST", "/tenants", Some(&wrong), None).unwrap();
    let wrong = secret("a wrong password");
    let login = json!({ "user": "admin", "password": wrong });
    client.exchange("POST", "/login", Some(&login), None).unwrap();
    let other = client.with_bearer(secret("a token that is none"));
    other.exchange("GET", "/tenants", None, None).unwrap();
}

/// A database behind a connector; what runs while it is dumped is looked at.
fn database(lab: &Lab, client: &Client, server: &Postgres, planted: &mut Planted) {
    let password = "canary-of-a-connector";
    planted.0.insert("a connector's password", password.to_owned());
    server.sql(&format!("CREATE ROLE saver SUPERUSER LOGIN PASSWORD '{password}'"));
    server.sql("CREATE DATABASE shop");
    let at = json!({ "host": "127.0.0.1", "port": server.port, "user": "saver" });
    let connector = json!({
        "name": "orders",
        "spec": { "connector": "postgres", "at": at, "password": password },
    });
    let connector = post(client, "/connectors", &connector);
    std::fs::create_dir(lab.path("seen-by-database")).unwrap();
    let looks = json!(["sh", "-c", LOOKS, lab.path("seen-by-database")]);
    let resource = json!({
        "name": "shop",
        "spec": {
            "kind": "database", "connector": "postgres", "through": connector["id"],
            "at": { "mode": "logical", "databases": ["shop"] },
            "hooks": [{ "phase": "post-thaw", "command": looks }],
        },
    });
    post(client, "/resources", &resource);
    let new = json!({ "scope": "partial", "resources": ["shop"] });
    let taken = over(client, &post(client, "/snapshots", &new));
    assert_eq!(taken.state.name(), "succeeded", "{taken:?} {:#?}", client.run_log(&taken.id, 0));
    // One that is not let in says so, and not with what.
    let wrong = "canary-of-a-wrong-connector";
    planted.0.insert("a connector's wrong password", wrong.to_owned());
    let wrong = json!({
        "name": "wrong",
        "spec": { "connector": "postgres", "at": at, "password": wrong },
    });
    let refused = client.exchange("POST", "/connectors", Some(&wrong), None).unwrap();
    assert!(!refused.status.is_success());
    planted.is_not_in("the refusal of a connector", refused.text.as_bytes());
}

/// Sealed or not: what is left out is not there.
fn left_out(lab: &Lab) {
    run(lab, &["snapshot", "create", "--manager", "--exclude-credentials"]).expect(0);
    let zip = lab.text("bare.zip");
    run(lab, &["snapshot", "export", "latest", "-o", &zip, "--plain"]).expect(0);
    let unzip = Command::new("unzip").args(["-q", &zip, "-d"]).arg(lab.path("bare")).output();
    assert!(unzip.unwrap().status.success());
    let all = files(&lab.path("bare"));
    let (_, state) = all.iter().find(|(path, _)| path.ends_with("state.jsonl")).unwrap();
    let text = String::from_utf8(state.clone()).unwrap();
    let rows = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut objects, mut keys) = (0, 0);
    for row in rows {
        match row["table"].as_str().unwrap() {
            "password" | "bearer" => panic!("{row}"),
            "secret" => {
                assert!(row.to_string().contains(r#""owner_kind":"repository""#), "{row}");
                keys += 1;
            }
            _ => objects += 1,
        }
    }
    assert!(objects > 0 && keys > 0, "{text}");
}

/// In S3, with keys that only its requests are signed with.
fn storage(lab: &Lab, planted: &mut Planted) {
    let store = seaweedfs::shared();
    let place = lab.path("").file_name().unwrap().to_string_lossy().to_lowercase();
    let place: String = place.chars().filter(char::is_ascii_alphanumeric).collect();
    let url = format!("s3://canaries/{place}?endpoint={}", store.endpoint);
    let add = ["storage", "add", "cloud", "--url", &url, "--access-key", store.access_key];
    let of_agents = ["--agent-access-key", store.writer_access_key, "--default", "--shared"];
    let mut command = program(lab, &[&add[..], &of_agents].concat());
    command.env("TINTYPE_ACCESS_SECRET", store.secret_key);
    command.env("TINTYPE_AGENT_ACCESS_SECRET", store.writer_secret_key);
    Ran::of(&command.output().unwrap()).expect(0);
    planted.0.insert("a storage's key", store.secret_key.to_owned());
    planted.0.insert("an agent's key of a storage", store.writer_secret_key.to_owned());
}

#[test]
fn no_secret_leaves_the_place_where_it_belongs() {
    let lab = Lab::new();
    let server = Postgres::start();
    let mut planted = Planted(BTreeMap::new());
    let password = "canary-of-the-database";
    planted.0.insert("the database's password", password.to_owned());
    let (port, host) = (server.port, server.host());
    let url = format!("postgres://postgres:{password}@localhost:{port}/postgres?host={host}");
    lab.write("settings.toml", "[uploads]\nallow = [\"127.0.0.1\"]\n");
    let (data, settings) = (lab.text("data"), lab.text("settings.toml"));
    let serve = ["serve", "--data", &data, "--config", &settings, "--listen", "127.0.0.1:0"];
    let mut command = program(&lab, &serve);
    let log = std::fs::File::create(lab.path("log")).unwrap();
    command.env("TINTYPE_DATABASE", url).env("RUST_LOG", "trace,h2=info").stderr(log);
    let served = serve_by(command);
    served.login(&lab);
    planted.0.insert("the administrator's password", "a password of mine".to_owned());
    let one_time = lab.read_text("one-time").trim().to_owned();
    planted.0.insert("the one-time password", one_time);
    let token = ["token", "create", "t", "--role", "administrator"];
    let token = run(&lab, &token).expect(0).out.trim().to_owned();
    planted.0.insert("a token", token.clone());
    storage(&lab, &mut planted);
    let authority = lab.read("data/tls/authority.pem");
    let client = Client::new(&served.url, Some(&authority), Some(token)).unwrap();
    plant(&lab, &client, &mut planted);
    database(&lab, &client, &server, &mut planted);
    let master_key = lab.read_text("data/master.key");
    planted.0.insert("the master key", master_key.trim().to_owned());
    for (path, text) in answers(&client) {
        planted.is_not_in(&format!("the answer of {path}"), text.as_bytes());
    }
    for seen in
        ["seen/seen.env", "seen/seen.ps", "seen-by-database/seen.env", "seen-by-database/seen.ps"]
    {
        planted.is_not_in(seen, &lab.read(seen));
    }
    let plain = lab.text("plain.zip");
    run(&lab, &["snapshot", "export", "latest", "-o", &plain, "--plain"]).expect(0);
    tintype_testkit::debian::need(&["unzip"], &["unzip"]);
    let unzip = Command::new("unzip").args(["-q", &plain, "-d"]).arg(lab.path("plain")).output();
    assert!(unzip.unwrap().status.success());
    left_out(&lab);
    let dumped = Command::new(postgres::program("pg_dump"))
        .args(["-h", &host, "-p", &port.to_string(), "-U", "postgres", "postgres"])
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    planted.is_not_in("the catalog", &dumped.stdout);
    assert_eq!(served.stop(), 0);
    planted.is_not_in("the log", &lab.read("log"));
    for bundle in ["plain", "bare"] {
        planted.is_not_in(bundle, &lab.read(&format!("{bundle}.zip")));
        for (path, bytes) in files(&lab.path(bundle)) {
            planted.is_not_in(&path, &bytes);
        }
    }
    planted.0.remove("the master key");
    for (path, bytes) in files(&lab.path("data")) {
        planted.is_not_in(&path, &bytes);
    }
}
