//! Other hosts: `agent` as a process of its own, with a store that it writes to itself.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tintype_engine::env::Env;
use tintype_testkit::redis::Redis;
use tintype_testkit::seaweedfs;

use crate::manager::{Served, program, run, serve, serve_at};
use crate::support::{Lab, Ran};

const PATIENCE: Duration = Duration::from_mins(2);

/// An agent that works.
pub(crate) struct Agent {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    pub(crate) fn start(lab: &Lab, name: &str, more: &[&str]) -> Self {
        let data = lab.text(&format!("agent-{name}"));
        let words = [&["agent", "--data", &data][..], more].concat();
        let mut child =
            program(lab, &words).stdout(Stdio::piped()).spawn().expect("the program starts");
        let (told, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let listen = Box::new(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        Env::system().tasks.spawn(listen).unwrap();
        Self { child, lines }
    }

    /// Has joined, and has been heard.
    pub(crate) fn joined(lab: &Lab, name: &str) -> Self {
        let token = token(lab);
        let agent = Self::start(lab, name, &["--join", &token, "--name", name]);
        agent.works();
        agent
    }

    /// It has reached its manager.
    pub(crate) fn works(&self) {
        while !self.line().starts_with("works for the manager at ") {}
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the agent says something")
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn end(mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// It ends by itself.
    fn ends(mut self) -> i32 {
        let mut code = None;
        until("the agent ends", || {
            code = self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1));
            code.is_some()
        });
        code.unwrap()
    }
}

fn token(lab: &Lab) -> String {
    run(lab, &["agent", "token"]).expect(0).out.trim().to_owned()
}

/// A manager with a storage that every host reaches, and that agents delete nothing in.
pub(crate) fn served(lab: &Lab) -> Served {
    let served = serve(lab, None);
    served.login(lab);
    let store = seaweedfs::shared();
    let place = lab.path("").file_name().unwrap().to_string_lossy().to_lowercase();
    let place: String = place.chars().filter(char::is_ascii_alphanumeric).collect();
    let url = format!("s3://agents/{place}?endpoint={}", store.endpoint);
    let add = ["storage", "add", "cloud", "--url", &url, "--access-key", store.access_key];
    let of_agents = ["--agent-access-key", store.writer_access_key, "--default", "--shared"];
    let mut command = program(lab, &[&add[..], &of_agents].concat());
    command.env("TINTYPE_ACCESS_SECRET", store.secret_key);
    command.env("TINTYPE_AGENT_ACCESS_SECRET", store.writer_secret_key);
    Ran::of(&command.output().unwrap()).expect(0);
    served
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Env::system().clock;
    let end = clock.elapsed() + PATIENCE;
    while !is_so() {
        assert!(clock.elapsed() < end, "{what}");
        clock.sleep(Duration::from_millis(50));
    }
}

/// A volume on the host of an agent, with a file in it.
fn volume(lab: &Lab, agent: &str, name: &str, hooks: &str) {
    lab.write(&format!("{name}/deep/file"), format!("of {name}"));
    let path = lab.text(name);
    let file = format!("{name}.yaml");
    lab.write(
        &file,
        format!(
            "version: 1\nresources:\n- {{ kind: volume, name: {name}, connector: files, at: {{ path: \
             {path} }}{hooks} }}\n"
        ),
    );
    let file = lab.text(&file);
    run(lab, &["agent", "apply", agent, &file]).expect(0);
}

fn events(lab: &Lab, words: &[&str]) -> Vec<Value> {
    let events = run(lab, &[words, &["--json"]].concat()).expect(0).events();
    events.into_iter().filter(|event| event["event"] != "summary").collect()
}

fn runs(lab: &Lab) -> Vec<Value> {
    events(lab, &["run", "list"])
}

fn snapshots(lab: &Lab) -> Vec<Value> {
    events(lab, &["snapshot", "list"])
}

/// The hook of a capture says that it began, and waits.
const WAITS: &str = "echo . >> began; while [ -e began -a ! -e go ]; do sleep 0.1; done";

fn waiting(lab: &Lab) -> String {
    let script = format!("cd {} && {WAITS}", lab.text(""));
    format!(", hooks: [ {{ phase: pre-quiesce, command: [ sh, -c, \"{script}\" ] }} ]")
}

fn began(lab: &Lab) -> usize {
    std::fs::read(lab.path("began")).map_or(0, |text| text.len() / 2)
}

#[test]
fn what_lies_on_another_host_is_found_captured_and_restored_there() {
    let lab = Lab::new();
    let served = served(&lab);
    let agent = Agent::joined(&lab, "web1");
    let listed = run(&lab, &["agent", "list"]).expect(0).out;
    assert!(listed.lines().any(|l| l.starts_with("web1") && l.contains(" here ")), "{listed}");
    let found = run(&lab, &["agent", "discover", "web1"]).expect(0).out;
    assert!(found.starts_with("version: 1\nresources:"), "{found}");
    let own = run(&lab, &["resource", "discover"]).expect(0).out;
    assert!(own.starts_with("version: 1\nresources:") && own.contains("kind: settings"), "{own}");
    volume(&lab, "web1", "site", "");
    run(&lab, &["snapshot", "create", "--app", "site"]).expect(0);
    let taken = snapshots(&lab).remove(0);
    assert_eq!((&taken["captured"], &taken["is_complete"]), (&1.into(), &true.into()), "{taken}");
    // A part is no snapshot for anybody, and gone.
    assert_eq!(snapshots(&lab).len(), 1);
    lab.write("site/deep/file", "broken");
    let plan = run(&lab, &["restore", "latest", "--app", "site", "--dry-run"]).expect(0).out;
    assert!(plan.contains("in place on agent web1"), "{plan}");
    run(&lab, &["restore", "latest", "--app", "site", "--confirm", "site"]).expect(0);
    assert_eq!(lab.read("site/deep/file"), b"of site");
    let all = snapshots(&lab);
    assert_eq!(all.len(), 2, "the undo point is one, too");
    let of_site = all.iter().find(|snapshot| snapshot["trigger"] == "manual").unwrap();
    let undo = all.iter().find(|snapshot| snapshot["trigger"] == "pre-restore").unwrap();
    let undo = undo["id"].as_str().unwrap();
    run(&lab, &["restore", undo, "--confirm", "site"]).expect(0);
    assert_eq!(lab.read("site/deep/file"), b"broken");
    let id = of_site["id"].as_str().unwrap();
    let beside = lab.text("beside");
    let set = format!("site.path={beside}");
    run(&lab, &["restore", id, "--as-new", "site=site2", "--set", &set]).expect(0);
    assert_eq!(lab.read("beside/deep/file"), b"of site");
    let to = lab.text("look");
    let path = "/tenants/system/volumes/site/deep";
    run(&lab, &["restore", id, "--path", path, "--to", &to, "--agent", "web1"]).expect(0);
    assert_eq!(lab.read("look/file"), b"of site");
    // Two at once: each by its name.
    let file = format!("{path}/file");
    let to = lab.text("both");
    let both = ["restore", id, "--path", path, "--path", &file, "--to", &to, "--agent", "web1"];
    run(&lab, &both).expect(0);
    assert_eq!(lab.read("both/deep/file"), b"of site");
    // The next one reads what changed.
    lab.write("site/deep/file", "of site");
    run(&lab, &["snapshot", "create", "--app", "site"]).expect(0);
    let log = run(&lab, &["audit", "list"]).expect(0).out;
    assert!(log.contains("agent.join") && log.contains("agent.discover"), "{log}");
    assert_eq!(agent.end(), 0);
    assert_eq!(served.stop(), 0);
}

#[test]
fn hooks_of_an_application_over_several_hosts_run_once_and_are_tried_there() {
    let lab = Lab::new();
    let _served = served(&lab);
    let (one, two) = (Agent::joined(&lab, "web1"), Agent::joined(&lab, "web2"));
    volume(&lab, "web1", "a", "");
    volume(&lab, "web2", "b", "");
    let script = format!("echo $TINTYPE_PHASE >> {}", lab.text("hooks"));
    let hook = |phase: &str| format!("{{ phase: {phase}, command: [ sh, -c, \"{script}\" ] }}");
    let phases = ["pre-quiesce", "post-thaw", "post-run", "pre-restore", "post-restore"];
    let hooks = phases.map(hook).join(", ");
    let parts = "components: [ { resource: b }, { resource: a } ]";
    let application = format!("{{ kind: application, name: shop, {parts}, hooks: [ {hooks} ] }}");
    lab.write("shop.yaml", format!("version: 1\nresources:\n- {application}\n"));
    // Of the other components the manager knows already; the file names them again.
    let known = ["a", "b"].map(|name| {
        let text = String::from_utf8(lab.read(&format!("{name}.yaml"))).unwrap();
        text.lines().skip(2).collect::<Vec<_>>().join("\n")
    });
    let all = format!("version: 1\nresources:\n{}\n- {application}\n", known.join("\n"));
    lab.write("shop.yaml", all);
    run(&lab, &["resource", "apply", &lab.text("shop.yaml")]).expect(0);
    run(&lab, &["snapshot", "create", "--app", "shop"]).expect(0);
    let ran = || String::from_utf8(lab.read("hooks")).unwrap();
    assert_eq!(ran(), "pre-quiesce\npost-thaw\npost-run\n");
    lab.write("a/deep/file", "broken");
    lab.write("b/deep/file", "broken");
    run(&lab, &["restore", "latest", "--app", "shop", "--confirm", "shop"]).expect(0);
    let lines = ran();
    let of = |phase: &str| lines.lines().filter(|line| *line == phase).count();
    assert_eq!((of("pre-restore"), of("post-restore")), (1, 1), "{lines}");
    assert_eq!(of("pre-quiesce"), 2, "once more for the undo point: {lines}");
    assert_eq!(lab.read("b/deep/file"), b"of b");
    // Tried out, it runs on the host of the first component.
    let tried = run(&lab, &["resource", "try-hook", "shop", "post-run"]).expect(0);
    assert!(tried.out.contains("sh -c"), "{}", tried.out);
    assert_eq!(ran().lines().count(), lines.lines().count() + 1);
    run(&lab, &["resource", "try-hook", "a", "post-run"]).expect(2);
    assert_eq!(two.end(), 0);
    let away = run(&lab, &["resource", "try-hook", "shop", "post-run"]).expect(1);
    assert!(away.err.contains("agent web2"), "{}", away.err);
    assert_eq!(one.end(), 0);
}

#[test]
fn a_server_is_reached_from_the_host_of_an_agent_with_a_password_that_it_is_told() {
    let lab = Lab::new();
    let _served = served(&lab);
    let agent = Agent::joined(&lab, "web1");
    let server = Redis::start(&["--save", "", "--requirepass", "canary-of-connectors"]);
    lab.write("password", "canary-of-connectors");
    std::fs::set_permissions(lab.path("password"), <_ as PermissionsExt>::from_mode(0o600))
        .unwrap();
    let set = format!("socket={}", server.socket.display());
    let add = ["connector", "add", "orders", "--connector", "redis", "--set", &set];
    let refused = run(&lab, &[&add[..], &["--agent", "web1"]].concat()).expect(1);
    assert!(refused.err.contains("agent web1"), "tried there: {}", refused.err);
    let file = lab.text("password");
    let with = ["--agent", "web1", "--password-file", &file];
    run(&lab, &[&add[..], &with].concat()).expect(0);
    let listed = run(&lab, &["connector", "list"]).expect(0).out;
    assert!(listed.contains("redis") && !listed.contains("canary"), "{listed}");
    let text = "version: 1\nresources:\n- { kind: database, name: db, connector: redis }\n";
    lab.write("db.yaml", text);
    let file = lab.text("db.yaml");
    let refused = run(&lab, &["resource", "apply", &file, "--through", "orders"]).expect(1);
    assert!(refused.err.contains("another host"), "{}", refused.err);
    let through = ["--through", "orders", "--agent", "web1"];
    run(&lab, &[&["resource", "apply", &file][..], &through].concat()).expect(0);
    run(&lab, &["snapshot", "create", "--app", "db"]).expect(0);
    let ran = run(&lab, &["connector", "check", "orders"]).expect(0);
    assert!(ran.out.contains("application"), "{}", ran.out);
    run(&lab, &["connector", "delete", "orders"]).expect(5);
    assert_eq!(agent.end(), 0);
}

#[test]
fn several_hosts_are_one_snapshot_and_one_restore() {
    let lab = Lab::new();
    let _served = served(&lab);
    let (one, two) = (Agent::joined(&lab, "web1"), Agent::joined(&lab, "web2"));
    volume(&lab, "web1", "a", "");
    volume(&lab, "web2", "b", "");
    volume(&lab, "-", "c", "");
    run(&lab, &["snapshot", "create", "--full"]).expect(0);
    let taken = snapshots(&lab).remove(0);
    assert_eq!((&taken["captured"], &taken["failed"]), (&4.into(), &0.into()), "{taken}");
    for name in ["a", "b", "c"] {
        lab.write(&format!("{name}/deep/file"), "broken");
    }
    let apps = ["--app", "a", "--app", "b", "--app", "c"];
    let plan = run(&lab, &[&["restore", "latest", "--dry-run"][..], &apps].concat()).expect(0).out;
    assert!(plan.contains("on agent web1") && plan.contains("on agent web2"), "{plan}");
    let id = taken["id"].as_str().unwrap();
    let confirm = ["--confirm", &id[..8]];
    run(&lab, &[&["restore", "latest"][..], &apps, &confirm].concat()).expect(0);
    for name in ["a", "b", "c"] {
        assert_eq!(lab.read(&format!("{name}/deep/file")), format!("of {name}").as_bytes());
    }
    // One that is gone takes its own with it, says why, and the others are captured.
    drop(two);
    run(&lab, &["agent", "delete", "web2"]).expect(0);
    let ran = run(&lab, &["snapshot", "create", "--full"]).expect(3);
    assert!(ran.err.contains("incomplete"), "{}", ran.err);
    let all = snapshots(&lab);
    let last = all.iter().find(|snapshot| snapshot["is_complete"] == false).unwrap();
    assert_eq!((&last["captured"], &last["failed"]), (&3.into(), &1.into()), "{last}");
    let items = events(&lab, &["snapshot", "show", last["id"].as_str().unwrap()]);
    let items = serde_json::to_string(&items).unwrap();
    assert!(items.contains("tintype resource apply"), "the cure is said: {items}");
    let refused = run(&lab, &["restore", id, "--app", "b", "--dry-run"]).expect(1);
    assert!(refused.err.contains("was deleted"), "{}", refused.err);
    // The cure works.
    run(&lab, &["agent", "apply", "web1", &lab.text("b.yaml")]).expect(0);
    lab.write("b/deep/file", "broken");
    run(&lab, &["restore", id, "--app", "b", "--confirm", "b"]).expect(0);
    assert_eq!(lab.read("b/deep/file"), b"of b");
    assert_eq!(one.end(), 0);
}

#[test]
fn the_access_key_of_agents_is_tried_out_when_it_is_set() {
    let lab = Lab::new();
    let _served = served(&lab);
    let ran = run(&lab, &["storage", "check", "cloud"]).expect(0);
    assert!(ran.out.contains("list with theirs, and not delete"), "{}", ran.out);
    let store = seaweedfs::shared();
    let change = |id: &str, secret: &str| {
        let mut command = program(&lab, &["storage", "change", "cloud", "--agent-access-key", id]);
        Ran::of(&command.env("TINTYPE_AGENT_ACCESS_SECRET", secret).output().unwrap())
    };
    let refused = change(store.writer_access_key, "wrong").expect(1);
    assert!(refused.err.contains("agents-key"), "{}", refused.err);
    // The storage's own can delete; that is said, and taken.
    let ran = change(store.access_key, store.secret_key).expect(0);
    assert!(ran.err.contains("can delete"), "{}", ran.err);
}

#[test]
fn an_agent_that_is_killed_in_the_middle_leaves_one_end() {
    let lab = Lab::new();
    let _served = served(&lab);
    let agent = Agent::joined(&lab, "web1");
    volume(&lab, "web1", "site", &waiting(&lab));
    run(&lab, &["snapshot", "create", "--app", "site", "--detach"]).expect(0);
    until("the capture begins", || began(&lab) == 1);
    agent.kill();
    // Started again, it is told again what it was to do.
    let agent = Agent::start(&lab, "web1", &[]);
    agent.works();
    until("the capture begins again", || began(&lab) == 2);
    lab.write("go", "");
    until("the run ends", || runs(&lab)[0]["state"] == "succeeded");
    assert_eq!((runs(&lab).len(), snapshots(&lab).len()), (1, 1));
    // Not started again, it is missed, and the run says so.
    std::fs::remove_file(lab.path("go")).unwrap();
    run(&lab, &["snapshot", "create", "--app", "site", "--detach"]).expect(0);
    until("the capture begins", || began(&lab) == 3);
    agent.kill();
    until("the run ends", || runs(&lab).iter().any(|run| run["state"] == "failed"));
    let failed = runs(&lab).into_iter().find(|run| run["state"] == "failed").unwrap();
    let cause = failed["cause"].as_str().unwrap();
    assert!(cause.contains("agent web1: it was last heard of at"), "{cause}");
    lab.write("go", "");
    let listed = run(&lab, &["agent", "list"]).expect(0);
    assert!(listed.out.contains("AWAY"), "{}", listed.out);
    assert!(listed.err.contains("tintype agent --manager 127.0.0.1:"), "{}", listed.err);
    let agent = Agent::start(&lab, "web1", &[]);
    agent.works();
    run(&lab, &["snapshot", "create", "--app", "site"]).expect(0);
    assert_eq!(snapshots(&lab).len(), 2);
    assert_eq!(agent.end(), 0);
}

#[test]
fn a_manager_that_is_killed_finds_what_its_agents_did() {
    let lab = Lab::new();
    let served = served(&lab);
    let agent = Agent::joined(&lab, "web1");
    volume(&lab, "web1", "site", &waiting(&lab));
    run(&lab, &["snapshot", "create", "--app", "site", "--detach"]).expect(0);
    until("the capture begins", || began(&lab) == 1);
    let address = served.url.strip_prefix("https://").unwrap().to_owned();
    // Its drop kills it.
    drop(served);
    lab.write("go", "");
    let served = serve_at(&lab, None, &address);
    until("the run ends", || runs(&lab)[0]["state"] == "succeeded");
    assert_eq!(began(&lab), 1, "it was not done twice");
    assert_eq!(snapshots(&lab).len(), 1);
    // A restore is planned and done as ever.
    lab.write("site/deep/file", "broken");
    run(&lab, &["restore", "latest", "--app", "site", "--confirm", "site"]).expect(0);
    assert_eq!(lab.read("site/deep/file"), b"of site");
    assert_eq!(agent.end(), 0);
    assert_eq!(served.stop(), 0);
}

#[test]
fn an_identity_is_kept_renewed_and_revoked() {
    let lab = Lab::new();
    let _served = served(&lab);
    let data = lab.text("agent-web1");
    let ran = run(&lab, &["agent", "--data", &data]).expect(2);
    assert!(ran.err.contains("agent --join TOKEN"), "{}", ran.err);
    let token = token(&lab);
    let join = ["agent", "--data", &data, "--join", &token, "--name", "web1", "--only-join"];
    run(&lab, &join).expect(0);
    let again = run(&lab, &join).expect(5);
    assert!(again.err.contains("without --join"), "{}", again.err);
    let elsewhere = lab.text("agent-web2");
    let twice = run(&lab, &["agent", "--data", &elsewhere, "--join", &token]).expect(1);
    assert!(twice.err.contains("used already"), "{}", twice.err);
    let file = lab.path("agent-web1/identity.json");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let mut identity = read();
    // Most of its time is over, as far as the agent knows.
    let before = identity["certificate"]["pem"].clone();
    identity["certificate"]["issued"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&file, identity.to_string()).unwrap();
    let agent = Agent::start(&lab, "web1", &[]);
    agent.works();
    assert_ne!(read()["certificate"]["pem"], before);
    assert_eq!(read()["key"], identity["key"]);
    let second = run(&lab, &["agent", "--data", &data]).expect(5);
    assert!(second.err.contains("an agent runs"), "{}", second.err);
    run(&lab, &["agent", "delete", "web1"]).expect(0);
    assert_eq!(agent.ends(), 1);
    let refused = run(&lab, &["agent", "--data", &data]).expect(1);
    assert!(refused.err.contains("was deleted"), "{}", refused.err);
}

#[test]
fn a_storage_that_agents_cannot_reach_is_refused_before_anything_begins() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let agent = Agent::joined(&lab, "web1");
    volume(&lab, "web1", "site", &waiting(&lab));
    let ran = run(&lab, &["snapshot", "create", "--app", "site"]).expect(1);
    assert!(ran.err.contains("lies on the manager's host"), "{}", ran.err);
    assert_eq!(began(&lab), 0);
    assert_eq!(agent.end(), 0);
}

/// The manager's host burns down; it comes back elsewhere, and nobody tells the agent.
#[test]
fn a_manager_that_comes_back_elsewhere_is_found_by_its_notice() {
    let lab = Lab::new();
    let served = served(&lab);
    let agent = Agent::joined(&lab, "web1");
    volume(&lab, "web1", "site", "");
    run(&lab, &["snapshot", "create", "--full"]).expect(0);
    let data = lab.text("data");
    let storage = events(&lab, &["storage", "show", "cloud"]).remove(0);
    let url = storage["spec"]["url"].as_str().unwrap().to_owned();
    let sheet = run(&lab, &["manager", "recovery-sheet", "--data", &data]).expect(0).out;
    let of_cloud = sheet.split("Storage cloud").nth(1).unwrap();
    let words = of_cloud.lines().find_map(|line| line.trim().strip_prefix("words: ")).unwrap();
    lab.write("words", words);
    let old = served.url.clone();
    let status = events(&lab, &["status"]);
    let installation = status.iter().find_map(|one| one["installation"].as_str()).unwrap();
    drop(served);
    std::fs::remove_dir_all(lab.path("data")).unwrap();
    let words = lab.text("words");
    // It did not end, it is gone.
    let recover = ["recover", "--from", &url, "--words-file", &words, "--data", &data];
    let mut command = program(&lab, &[&recover[..], &["--take-over", installation]].concat());
    let store = seaweedfs::shared();
    command.env("AWS_ACCESS_KEY_ID", store.access_key);
    command.env("AWS_SECRET_ACCESS_KEY", store.secret_key);
    Ran::of(&command.output().unwrap()).expect(0);
    let served = serve(&lab, None);
    assert_ne!(served.url, old);
    // By itself, with the identity that it had.
    agent.works();
    let authority = lab.text("data/tls/authority.pem");
    let login = ["login", &served.url, "--authority", &authority, "--password-file"];
    run(&lab, &[&login[..], &[&lab.text("chosen")]].concat()).expect(0);
    let listed = run(&lab, &["agent", "list"]).expect(0).out;
    assert!(listed.lines().any(|l| l.starts_with("web1") && l.contains(" here ")), "{listed}");
    lab.write("site/deep/file", "broken");
    run(&lab, &["restore", "latest", "--app", "site", "--confirm", "site"]).expect(0);
    assert_eq!(lab.read("site/deep/file"), b"of site");
    assert_eq!(agent.end(), 0);
    assert_eq!(served.stop(), 0);
}
