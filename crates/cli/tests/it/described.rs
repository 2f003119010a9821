//! The description of the API, held against the real program: whatever is asked, no answer is a
//! mistake of the server, and each is one that is described.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::run::Run;
use tintype_engine::env::Env;
use tintype_testkit::tools;

use crate::manager::{Served, program, run, serve_by};
use crate::support::{Lab, Ran, is_root};

const VERSION: &str = "4.32.5";
/// What is asked for at random may be a path or a command: it can write into the lab alone, and sees
/// no process but its own.
const CONFINED: &str = "\
mount --bind \"$0\" \"$0\"
mount --bind \"$0/run\" /run
while read -r _ _ _ _ place _; do
  case $place in \"$0\"*|/run|/proc*|/dev*|/sys*) ;;
  *) mount -o remount,bind,ro \"$place\" 2>/dev/null ;; esac
done </proc/self/mountinfo
exec \"$@\"";

fn confined(lab: &Lab) -> Served {
    let data = lab.text("data");
    let inner = program(lab, &["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--", "sh", "-c", CONFINED]).arg(lab.path("source").parent().unwrap());
    command.arg(inner.get_program()).args(inner.get_args());
    lab.prepare(&mut command);
    command.env("XDG_RUNTIME_DIR", lab.path("run")).env("TMPDIR", lab.path("temporary"));
    for made in ["run", "temporary", "source"] {
        std::fs::create_dir_all(lab.path(made)).unwrap();
    }
    serve_by(command)
}

fn post(client: &Client, path: &str, body: &Value) -> Value {
    let answer = client.exchange("POST", path, Some(body), None).unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

fn over(client: &Client, run: &Value) -> Run {
    let id = run["id"].as_str().unwrap().parse().unwrap();
    loop {
        let run = client.run(&id).unwrap();
        if run.state.is_over() {
            return run;
        }
        Env::system().clock.sleep(Duration::from_millis(20));
    }
}

/// One of everything, by the path that names it.
fn everything(lab: &Lab, client: &Client) -> BTreeMap<&'static str, String> {
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let tenant = id(&post(client, "/tenants", &json!({ "name": "acme", "spec": {} })));
    let user = json!({ "name": "eve", "tenant": tenant, "spec": { "role": "viewer" } });
    let token = json!({ "name": "of-eve", "tenant": tenant, "spec": { "role": "viewer" } });
    let (user, token) = (post(client, "/users", &user), post(client, "/tokens", &token));
    let spare = json!({ "name": "spare", "spec": { "role": "viewer" } });
    let (other_user, other_token) =
        (post(client, "/users", &spare), post(client, "/tokens", &spare));
    let place = lab.text("vault");
    let storage = json!({ "name": "vault", "spec": { "kind": "directory", "url": place } });
    lab.write("files/a", "bytes");
    let at = json!({ "path": lab.text("files") });
    let spec = json!({ "kind": "volume", "connector": "files", "at": at });
    let resource = json!({ "name": "files", "spec": spec });
    let (storage, resource) =
        (post(client, "/storages", &storage), post(client, "/resources", &resource));
    let period = json!({ "name": "daily", "frequency": { "daily": { "time": "02:30" } } });
    let spec = json!({ "scope": "full", "enabled": false, "periods": [period] });
    let profile = post(client, "/profiles", &json!({ "name": "nightly", "spec": spec }));
    let new = json!({ "scope": "partial", "resources": ["files"] });
    let taken = over(client, &post(client, "/snapshots", &new));
    let snapshot = taken.result["snapshot"].as_str().unwrap().to_owned();
    let path = format!("/snapshots/{snapshot}/bundles");
    let bundle = post(client, &path, &json!({ "plain": true }));
    over(client, &bundle["run"]);
    let upload = post(client, "/uploads", &json!({ "name": "u", "size_bytes": 500 }));
    let restore = id(&post(client, "/restores", &json!({ "snapshot": snapshot }))["run"]);
    let mut all: BTreeMap<_, _> = [
        ("/tenants/", &json!({ "id": tenant })),
        ("/users/", &user),
        ("/tokens/", &token["token"]),
        ("/storages/", &storage),
        ("/resources/", &resource),
        ("/profiles/", &profile),
        ("/bundles/", &bundle),
        ("/uploads/", &upload),
        ("spare user", &other_user),
        ("spare token", &other_token["token"]),
    ]
    .map(|(path, made)| (path, id(made)))
    .into();
    all.extend([
        ("/snapshots/", snapshot),
        ("/runs/", taken.id.to_string()),
        ("/restores/", restore),
    ]);
    all
}

/// What is asked about there, beside what is made up: else nearly all of it would not be there.
fn configuration(client: &Client, known: &BTreeMap<&str, String>) -> String {
    let description: Value = client.get("/openapi.json").unwrap();
    let mut text = String::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let found = known.iter().find(|(of, _)| path.starts_with(&format!("/api/v1{of}{{id}}")));
        let Some((_, id)) = found else { continue };
        for method in item.as_object().unwrap().keys() {
            // Whoever asks must still be there in the end.
            let id = match (&method[..], &path[..]) {
                ("delete", "/api/v1/users/{id}") => &known["spare user"],
                ("delete", "/api/v1/tokens/{id}") => &known["spare token"],
                ("delete", _) => continue,
                _ => id,
            };
            let name = format!("{} {path}", method.to_uppercase());
            let _ = write!(
                text,
                "[[operations]]\ninclude-name = \"{name}\"\nparameters = {{ \"path.id\" = \"{id}\" }}\n"
            );
            if path.ends_with("/events") {
                // Headers that nobody knows are none of its business.
                text.push_str("checks.negative_data_rejection.enabled = false\n");
            }
        }
    }
    // The stream would go on.
    text.push_str(
        "[[operations]]\ninclude-name = \"GET /api/v1/events\"\n\
         parameters = { \"query.follow\" = \"false\" }\n\
         checks.negative_data_rejection.enabled = false\n",
    );
    text
}

fn hold_against(words: &[&str]) {
    let lab = Lab::new();
    let served = confined(&lab);
    served.login(&lab);
    let new = ["token", "create", "of-tests", "--role", "administrator"];
    let secret = run(&lab, &new).expect(0).out.trim().to_owned();
    let authority = lab.read("data/tls/authority.pem");
    let client = Client::new(&served.url, Some(&authority), Some(secret.clone())).unwrap();
    let known = everything(&lab, &client);
    lab.write("schemathesis.toml", configuration(&client, &known));
    let python = tools::python_tool("schemathesis", VERSION, "python");
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "--config-file"]);
    command.arg(lab.path("schemathesis.toml"));
    command.args(["run", &format!("{}/api/v1/openapi.json", served.url)]);
    command.args(["--header", &format!("Authorization: Bearer {secret}")]);
    command.arg("--tls-verify").arg(lab.path("data/tls/authority.pem"));
    // Rules that one schema cannot say (a name that is taken, a storage that is not there).
    command.args(["--exclude-checks", "positive_data_acceptance"]);
    command.args(["--continue-on-failure", "--generation-database", "none", "--no-color"]);
    command.args(["--request-timeout", "30"]).args(words).current_dir(lab.path("source"));
    Ran::of(&command.output().unwrap()).expect(0);
    // It was not simply refused everything.
    client.get::<Page<Value>>("/snapshots").unwrap();
}

#[test]
fn whatever_is_asked_gets_an_answer_that_is_described() {
    hold_against(&["--seed", "1", "--max-examples", "5"]);
}

#[test]
#[ignore = "asks for an hour"]
fn whatever_is_asked_for_long_gets_an_answer_that_is_described() {
    hold_against(&["--max-examples", "500"]);
}
