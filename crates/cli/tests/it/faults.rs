//! A manager whose database, store or disk is away for a while: it says what it waits for, goes on by
//! itself, and nothing is lost.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{NewSnapshot, Snapshot, SnapshotScope, Trigger};
use tintype_engine::env::Env;
use tintype_model::item::Outcome;
use tintype_testkit::faulty_proxy::{Fault, FaultyProxy, Rule};
use tintype_testkit::postgres::Postgres;
use tintype_testkit::seaweedfs;
use tintype_testkit::volumes::Mounted;

use crate::agents::{Agent, until};
use crate::manager::{Served, program, run, serve_by};
use crate::support::{Lab, Ran};

fn wait(duration: Duration) {
    Env::system().clock.sleep(duration);
}

/// A manager with a volume whose capture waits until the file `go` is there.
struct World {
    served: Served,
    client: Client,
}

fn world(lab: &Lab, database: Option<&str>) -> World {
    let data = lab.text("data");
    let mut command = program(lab, &["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    if let Some(url) = database {
        command.env("TINTYPE_DATABASE", url);
    }
    // What it says is not for the terminal of the tests.
    let log = std::fs::File::create(lab.path("log")).unwrap();
    command.stderr(log).process_group(0);
    let served = serve_by(command);
    served.login(lab);
    let token = ["token", "create", "t", "--role", "administrator"];
    let token = run(lab, &token).expect(0).out.trim().to_owned();
    let authority = lab.read("data/tls/authority.pem");
    let client = Client::new(&served.url, Some(&authority), Some(token)).unwrap();
    lab.write("site/file", "of site");
    let script =
        format!("cd {} && echo . >> began; while [ ! -e go ]; do sleep 0.1; done", lab.text(""));
    let hook = json!({ "phase": "pre-quiesce", "command": ["sh", "-c", script] });
    let volume = json!({
        "kind": "volume", "name": "site", "connector": "files", "at": { "path": lab.path("site") },
        "hooks": [hook],
    });
    lab.write("site.json", json!({ "version": 1, "resources": [volume] }).to_string());
    run(lab, &["resource", "apply", &lab.text("site.json")]).expect(0);
    World { served, client }
}

fn new() -> NewSnapshot {
    NewSnapshot {
        scope: SnapshotScope::Partial,
        tenant: None,
        name: String::new(),
        note: String::new(),
        resources: ["site".to_owned()].into(),
        tags: [].into(),
        storage: None,
        keep: None,
        is_private: false,
        read_all: false,
        quiesce: true,
        trigger: Trigger::Manual,
        exclude: [].into(),
    }
}

impl World {
    fn over(&self, run: &Run) -> Run {
        let mut last = run.clone();
        until("the run ends", || {
            last = self.client.run(&run.id).unwrap_or_else(|_| last.clone());
            last.state.is_over()
        });
        last
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        self.client.get::<Page<Snapshot>>("/snapshots").unwrap().items
    }
}

fn began(lab: &Lab) -> usize {
    std::fs::read(lab.path("began")).map_or(0, |text| text.len() / 2)
}

/// While a capture goes on, and for so long.
fn database_goes_away(away: Duration) {
    let lab = Lab::new();
    let mut server = Postgres::start();
    let url =
        format!("postgres://postgres@localhost:{}/postgres?host={}", server.port, server.host());
    let world = world(&lab, Some(&url));
    let run = world.client.snapshot(&new()).unwrap();
    until("the capture begins", || began(&lab) == 1);
    server.stop("immediate");
    lab.write("go", "");
    let refused = world.client.run(&run.id).unwrap_err();
    assert!(refused.message().contains("the catalog"), "{refused}");
    let answer = world.client.exchange("GET", "/snapshots", None, None).unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.text.contains("the manager goes on when the database answers again"));
    wait(away);
    server.resume(&[]);
    let ended = world.over(&run);
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    let all = world.snapshots();
    assert_eq!(all.len(), 1, "nothing is lost or doubled: {all:?}");
    assert_eq!(ended.result["snapshot"], all[0].id);
    let again = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(again.state, RunState::Succeeded, "{again:?}");
    let checked = crate::manager::run(&lab, &["audit", "check"]).expect(0);
    assert!(checked.out.contains("whole"), "{}", checked.out);
    let log = lab.read_text("log");
    assert!(log.contains("the catalog"), "it says what it waits for: {log}");
    assert_eq!(world.served.stop(), 0);
}

#[test]
fn a_database_that_is_away_is_waited_for() {
    database_goes_away(Duration::from_secs(1));
}

#[test]
#[ignore = "two minutes"]
fn a_database_that_is_away_for_a_minute_is_waited_for() {
    database_goes_away(Duration::from_mins(1));
}

const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

/// The default one from now on, also of agents.
fn storage(lab: &Lab, proxy: &FaultyProxy) {
    let store = seaweedfs::shared();
    let place = lab.path("").file_name().unwrap().to_string_lossy().to_lowercase();
    let place: String = place.chars().filter(char::is_ascii_alphanumeric).collect();
    let url = format!("s3://faults/{place}?endpoint={}", proxy.endpoint);
    let add = ["storage", "add", "cloud", "--url", &url, "--access-key", store.access_key];
    let of_agents = ["--agent-access-key", store.writer_access_key, "--default", "--shared"];
    let mut command = program(lab, &[&add[..], &of_agents].concat());
    command.env("TINTYPE_ACCESS_SECRET", store.secret_key);
    command.env("TINTYPE_AGENT_ACCESS_SECRET", store.writer_secret_key);
    Ran::of(&command.output().unwrap()).expect(0);
}

/// It answers nothing.
fn gone() -> Vec<Rule> {
    let refused = Fault::Answer(503, "ServiceUnavailable");
    METHODS.map(|method| Rule::new(method, &[], refused).times(usize::MAX)).to_vec()
}

/// The store answers nothing for so long.
fn store_goes_away(away: Duration) {
    let lab = Lab::new();
    let proxy = FaultyProxy::start(&seaweedfs::shared().endpoint, Vec::new());
    let world = world(&lab, None);
    storage(&lab, &proxy);
    lab.write("go", "");
    let first = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(first.state, RunState::Succeeded, "{first:?}");
    std::fs::remove_file(lab.path("go")).unwrap();
    lab.write("site/file", "changed");
    let run = world.client.snapshot(&new()).unwrap();
    until("the capture begins", || began(&lab) == 2);
    proxy.set(gone());
    lab.write("go", "");
    wait(away);
    if away > Duration::from_mins(2) {
        // Longer than requests are repeated: it says what it waits for.
        until("it waits", || {
            let now = world.client.run(&run.id).unwrap();
            now.progress.doing.contains("storage cloud does not answer since")
        });
    }
    proxy.set(Vec::new());
    let ended = world.over(&run);
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    let again = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(again.state, RunState::Succeeded, "{again:?}");
    assert_eq!(world.snapshots().len(), 3, "nothing is lost or doubled");
    assert_eq!(world.served.stop(), 0);
}

#[test]
fn a_store_that_is_away_for_a_moment_is_waited_for() {
    store_goes_away(Duration::from_secs(2));
}

#[test]
#[ignore = "eleven minutes"]
fn a_store_that_is_away_for_ten_minutes_is_waited_for() {
    store_goes_away(Duration::from_mins(10));
}

/// Of two hosts, each in the middle of its capture.
fn store_of_two_hosts_goes_away(away: Duration) {
    let lab = Lab::new();
    let proxy = FaultyProxy::start(&seaweedfs::shared().endpoint, Vec::new());
    let world = world(&lab, None);
    storage(&lab, &proxy);
    let agent = Agent::joined(&lab, "web1");
    let site = String::from_utf8(lab.read("site.json")).unwrap();
    lab.write("there/file", "of there");
    let there =
        site.replace(&lab.text("site"), &lab.text("there")).replace("\"site\"", "\"there\"");
    lab.write("there.json", there);
    run(&lab, &["agent", "apply", "web1", &lab.text("there.json")]).expect(0);
    let both = || {
        let resources = ["site", "there"].map(str::to_owned).into();
        world.client.snapshot(&NewSnapshot { resources, ..new() }).unwrap()
    };
    let whole = |run: &Run| {
        let ended = world.over(run);
        assert_eq!((ended.state, ended.attempts), (RunState::Succeeded, 1), "{ended:?}");
        let id = ended.result["snapshot"].as_str().unwrap().to_owned();
        let items = world.client.snapshot_items(&id).unwrap();
        let captured = items.iter().filter(|item| item.outcome == Outcome::Captured);
        assert_eq!(captured.count(), 2, "{items:?}");
        id
    };
    lab.write("go", "");
    whole(&both());
    std::fs::remove_file(lab.path("go")).unwrap();
    lab.write("site/file", "changed here");
    lab.write("there/file", "changed there");
    let cut = both();
    until("both captures begin", || began(&lab) == 4);
    proxy.set(gone());
    lab.write("go", "");
    wait(away);
    if away > Duration::from_mins(2) {
        until("it waits", || {
            let now = world.client.run(&cut.id).unwrap();
            now.progress.doing.contains("storage cloud does not answer since")
        });
    }
    proxy.set(Vec::new());
    let id = whole(&cut);
    for (name, text) in [("site", "changed here"), ("there", "changed there")] {
        let path = format!("{id}:/tenants/system/volumes/{name}/file");
        assert_eq!(run(&lab, &["snapshot", "cat", &path]).expect(0).out, text);
    }
    assert_eq!(world.snapshots().len(), 2, "nothing is lost or doubled, and no part is left");
    assert_eq!(agent.end(), 0);
    assert_eq!(world.served.stop(), 0);
}

#[test]
fn hosts_whose_store_is_away_for_a_moment_make_one_snapshot() {
    store_of_two_hosts_goes_away(Duration::from_secs(2));
}

#[test]
#[ignore = "four minutes"]
fn hosts_whose_store_is_away_for_minutes_make_one_snapshot() {
    store_of_two_hosts_goes_away(Duration::from_mins(3));
}

#[test]
fn a_disk_that_is_full_ends_a_run_and_no_more() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("data")).unwrap();
    // The data directory alone: catalog, repository, everything.
    let disk = Mounted::tmpfs(&lab.path("data"), 48);
    std::fs::set_permissions(
        lab.path("data"),
        <_ as std::os::unix::fs::PermissionsExt>::from_mode(0o700),
    )
    .unwrap();
    let world = world(&lab, None);
    lab.write("go", "");
    let first = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(first.state, RunState::Succeeded, "{first:?}");
    lab.write("site/large", crate::support::noise(30 << 20, "large"));
    // What is left is enough for no more than the manager's own books.
    let filler = lab.path("data/filler");
    let free = rustix::fs::statvfs(&disk.path).unwrap();
    let size = free.f_bavail * free.f_frsize - (8 << 20);
    let file = std::fs::File::create(&filler).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).unwrap();
    let full = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(full.state, RunState::Failed, "{full:?}");
    let cause = full.cause.unwrap_or_default();
    assert!(cause.contains("space"), "{cause}");
    std::fs::remove_file(&filler).unwrap();
    std::fs::remove_file(lab.path("site/large")).unwrap();
    let again = world.over(&world.client.snapshot(&new()).unwrap());
    assert_eq!(again.state, RunState::Succeeded, "{again:?}");
    assert_eq!(world.snapshots().len(), 2);
    let checked = run(&lab, &["audit", "check"]).expect(0);
    assert!(checked.out.contains("whole"), "{}", checked.out);
    assert_eq!(world.served.stop(), 0);
    drop(disk);
}
