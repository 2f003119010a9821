//! Managers and agents that are killed at any moment of anything they do: every run comes to one end,
//! nothing that was committed is lost, and nothing is left behind.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tintype_api::bundle::{NewBundle, NewImport, NewUpload};
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::restore::NewRestore;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{NewSnapshot, Snapshot, SnapshotScope, Trigger};
use tintype_engine::env::Env;
use tintype_model::Result;
use tintype_testkit::volumes::Mounted;

use crate::agents::{Agent, served as served_with_store, until};
use crate::manager::{Served, run, serve_at};
use crate::support::{Lab, noise};

const FILES: usize = 60;
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Snapshot,
    Restore,
    Prune,
    Gc,
    Upload,
    Download,
}

const ALL: [Doing; 6] =
    [Doing::Snapshot, Doing::Restore, Doing::Prune, Doing::Gc, Doing::Upload, Doing::Download];

/// Taken away in this order.
struct World {
    served: Option<Served>,
    agent: Option<Agent>,
    /// On the manager's host, frozen by its file system.
    local: Mounted,
    lab: Lab,
    address: String,
    client: Client,
    /// A bundle that is uploaded again and again.
    bundle: Vec<u8>,
    /// Which of its versions each snapshot holds.
    versions: Vec<(String, u64)>,
    version: u64,
    queued: u64,
}

impl World {
    fn new() -> Self {
        let lab = Lab::new();
        let served = served_with_store(&lab);
        let address = served.url.strip_prefix("https://").unwrap().to_owned();
        let token = ["token", "create", "t", "--role", "administrator"];
        let token = run(&lab, &token).expect(0).out.trim().to_owned();
        let authority = lab.read("data/tls/authority.pem");
        let client = Client::new(&served.url, Some(&authority), Some(token)).unwrap();
        let agent = Agent::joined(&lab, "web1");
        std::fs::create_dir(lab.path("local")).unwrap();
        let local = Mounted::image("btrfs", &lab.path("local"));
        let at = lab.path("local/site");
        tintype_testkit::volumes::run(
            "btrfs",
            &["subvolume".as_ref(), "create".as_ref(), at.as_os_str()],
        );
        let (served, agent) = (Some(served), Some(agent));
        let (bundle, versions) = (Vec::new(), Vec::new());
        let mut world = Self {
            lab,
            local,
            served,
            agent,
            address,
            client,
            bundle,
            versions,
            version: 0,
            queued: 0,
        };
        std::fs::create_dir(world.lab.path("far")).unwrap();
        world.change();
        world.describe("-", "local", "btrfs", &at);
        world.describe("web1", "far", "files", &world.lab.path("far"));
        world.first();
        world
    }

    fn describe(&self, agent: &str, name: &str, connector: &str, at: &std::path::Path) {
        let volume =
            json!({ "kind": "volume", "name": name, "connector": connector, "at": { "path": at } });
        let file = format!("{name}.json");
        self.lab.write(&file, json!({ "version": 1, "resources": [volume] }).to_string());
        run(&self.lab, &["agent", "apply", agent, &self.lab.text(&file)]).expect(0);
    }

    /// A snapshot that is there, and a bundle of it.
    fn first(&mut self) {
        let run = self.client.snapshot(&new("1m")).unwrap();
        let run = self.over(&run);
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        self.note(&run);
        let bundle = NewBundle { plain: true, ..NewBundle::default() };
        let bundle = self.client.create_bundle(&self.versions[0].0, &bundle).unwrap();
        self.over(&bundle.run);
        let mut incoming = self.client.bundle_content(&bundle.id, 0, None).unwrap();
        std::io::Read::read_to_end(&mut incoming.body, &mut self.bundle).unwrap();
        self.client.delete_bundle(&bundle.id).unwrap();
    }

    fn note(&mut self, run: &Run) {
        if let Some(id) = run.result["snapshot"].as_str() {
            self.versions.push((id.to_owned(), self.version));
        }
    }

    fn directories(&self) -> [PathBuf; 2] {
        [self.lab.path("local/site"), self.lab.path("far")]
    }

    /// All files of both become those of the next version.
    fn change(&mut self) {
        self.version += 1;
        for directory in self.directories() {
            for n in 0..FILES {
                let bytes = noise(50_000, &format!("{} {n}", self.version));
                std::fs::write(directory.join(format!("file-{n}")), bytes).unwrap();
            }
        }
    }

    /// Which version all files of a directory are of.
    fn seen(directory: &std::path::Path, versions: u64) -> u64 {
        let names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap()).collect();
        assert_eq!(names.len(), FILES, "{}: {names:?}", directory.display());
        let is_it = |version: u64| {
            (0..FILES).all(|n| {
                let bytes = std::fs::read(directory.join(format!("file-{n}"))).unwrap();
                bytes == noise(50_000, &format!("{version} {n}"))
            })
        };
        let found = (1..=versions).rev().find(|version| is_it(*version));
        found.unwrap_or_else(|| panic!("{}: files of several versions", directory.display()))
    }

    fn over(&self, run: &Run) -> Run {
        let mut last = run.clone();
        until(&format!("{} ends", run.title), || {
            last = self.client.run(&run.id).unwrap_or_else(|_| last.clone());
            last.state.is_over()
        });
        last
    }

    /// As the clock of the manager queues it.
    fn queue(&mut self, kind: &str) -> Result<Run> {
        self.queued += 1;
        let id = format!("{:026}", self.queued);
        let catalog = Connection::open(self.lab.path("data/catalog.sqlite")).unwrap();
        catalog.busy_timeout(Duration::from_secs(10)).unwrap();
        let (repository, storage, tenant): (String, String, String) = catalog
            .query_row("SELECT id, storage, tenant FROM repository", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        let spec = json!({ "repository": repository, "percent": 100.0 }).to_string();
        let sql = "INSERT INTO run (id, tenant, kind, state, title, actor, priority, created, \
                   not_before, attempts, canceling, storage, owner, lease, spec, progress, result) \
                   VALUES (?1, ?2, ?3, 'queued', ?3, 'manager', 10, 0, 0, 0, 0, ?4, '', 0, ?5, '{}', \
                   'null')";
        catalog.execute(sql, (&id, &tenant, kind, &storage, &spec)).unwrap();
        self.client.run(&id.parse()?)
    }

    /// Begins something; whoever does it may be dead already.
    fn begin(&mut self, doing: Doing) -> Result<Run> {
        match doing {
            Doing::Snapshot => self.client.snapshot(&new("0d")),
            Doing::Restore => {
                let snapshot = self.versions.last().unwrap().0.clone();
                let new = NewRestore {
                    snapshot: snapshot.clone(),
                    resources: Vec::new(),
                    tenants: [].into(),
                    as_new: [].into(),
                    files: None,
                    without_undo_point: false,
                };
                let plan = self.client.plan_restore(&new)?;
                self.client.apply_restore(&plan.run.id, plan.confirm.as_deref())
            }
            Doing::Prune => self.queue("prune"),
            Doing::Gc => self.queue("gc"),
            Doing::Upload => {
                let size_bytes = Some(self.bundle.len() as u64);
                let new = NewUpload { name: "b.zip".into(), size_bytes, ..NewUpload::default() };
                let upload = self.client.create_upload(&new)?;
                for (n, piece) in self.bundle.chunks(1 << 20).enumerate() {
                    self.client.send_upload(&upload.id, (n as u64) << 20, piece)?;
                }
                let new = NewImport { keep: Some("0d".into()), ..NewImport::default() };
                self.client.import_upload(&upload.id, &new)
            }
            Doing::Download => {
                let new = NewBundle { plain: true, ..NewBundle::default() };
                let snapshot = self.versions.last().unwrap().0.clone();
                let bundle = self.client.create_bundle(&snapshot, &new)?;
                Ok(bundle.run)
            }
        }
    }

    /// Does it, and kills one of those who do it after a while.
    fn kill_while(&mut self, doing: Doing, after: Duration, kills_agent: bool) {
        let pid = match kills_agent {
            true => self.agent.as_ref().unwrap().pid(),
            false => self.served.as_ref().unwrap().pid(),
        };
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        let env = Env::system();
        let clock = std::sync::Arc::clone(&env.clock);
        let (done, is_done) = std::sync::mpsc::channel();
        let kill = Box::new(move || {
            clock.sleep(after);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _ = done.send(());
        });
        env.tasks.spawn(kill).unwrap();
        let begun = self.begin(doing);
        is_done.recv().unwrap();
        if kills_agent {
            drop(self.agent.take());
            let agent = Agent::start(&self.lab, "web1", &[]);
            agent.works();
            self.agent = Some(agent);
        } else {
            drop(self.served.take());
            self.served = Some(serve_at(&self.lab, None, &self.address));
        }
        self.settle(doing, begun.ok());
    }

    fn runs(&self) -> Vec<Run> {
        self.client.get::<Page<Run>>("/runs?limit=1000").unwrap().items
    }

    /// All that goes on comes to an end, and what was begun did what it says.
    fn settle(&mut self, doing: Doing, begun: Option<Run>) {
        until("all runs end", || {
            let is_going_on = |run: &Run| !run.state.is_over() && run.state != RunState::Planned;
            !self.runs().iter().any(is_going_on)
        });
        let ended = begun.map(|run| self.client.run(&run.id).unwrap());
        if let Some(run) = &ended {
            let log = self.client.run_log(&run.id, 0).unwrap();
            assert_eq!(run.state, RunState::Succeeded, "{doing:?}: {run:?} {log:#?}");
        }
        let seen = self.directories().map(|directory| Self::seen(&directory, self.version));
        match (doing, ended) {
            (Doing::Restore, Some(_)) => {
                let wanted = self.versions.last().unwrap().1;
                assert_eq!(seen, [wanted, wanted]);
            }
            (Doing::Restore, None) => {}
            _ => assert_eq!(seen, [self.version; 2], "{doing:?} changes nothing"),
        }
        self.change();
    }

    fn list(&self) -> Vec<Snapshot> {
        self.client.get::<Page<Snapshot>>("/snapshots?limit=1000").unwrap().items
    }

    /// What the repository holds is what is listed, all of it can be read, and nothing else lies about.
    fn check(mut self) {
        let run = self.client.snapshot(&new("1m")).unwrap();
        let run = self.over(&run);
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        let verify = self.queue("verify").unwrap();
        let verified = self.over(&verify);
        assert_eq!(verified.state, RunState::Succeeded, "{verified:?}");
        assert_eq!(verified.result["damaged"], 0, "{verified:?}");
        let listed = self.list();
        let kept = &self.versions[0].0;
        assert!(listed.iter().any(|snapshot| snapshot.id == *kept), "what was kept is there");
        assert_eq!(self.served.take().unwrap().stop(), 0);
        let data = self.lab.text("data");
        run_rebuild(&self.lab, &data);
        self.served = Some(serve_at(&self.lab, None, &self.address));
        let again = self.list();
        let ids = |all: &[Snapshot]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&listed), "nothing that was committed is forgotten");
        let is_left = |path: &PathBuf| {
            // That a restore was done is remembered.
            !path.ends_with("lock") && path.extension().is_none_or(|kind| kind != "done")
        };
        for place in ["data/scratch", "data/restores"] {
            let all = self.lab.path(place).read_dir().unwrap().map(|entry| entry.unwrap().path());
            let left: Vec<_> = all.filter(is_left).collect();
            assert!(left.is_empty(), "{place}: {left:?}");
        }
        // The shelf of frozen views stays, with that which the next one is compared with.
        let shelf = self.local.path.join(".tintype-snapshots");
        let left: Vec<_> =
            shelf.read_dir().into_iter().flatten().map(|e| e.unwrap().file_name()).collect();
        let is_kept = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("kept-");
        assert!(left.len() <= 1 && left.iter().all(is_kept), "{left:?}");
        let left: Vec<_> =
            self.local.path.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "site" || shelf.ends_with(name)), "{left:?}");
        assert_eq!(self.agent.take().unwrap().end(), 0);
    }
}

fn run_rebuild(lab: &Lab, data: &str) {
    run(lab, &["manager", "rebuild-catalog", "--data", data]).expect(0);
}

fn new(keep: &str) -> NewSnapshot {
    NewSnapshot {
        scope: SnapshotScope::Partial,
        tenant: None,
        name: String::new(),
        note: String::new(),
        resources: ["local", "far"].map(str::to_owned).into(),
        tags: [].into(),
        storage: None,
        keep: Some(keep.to_owned()),
        is_private: false,
        read_all: false,
        quiesce: true,
        trigger: Trigger::Manual,
        exclude: [].into(),
    }
}

/// Numbers that follow from a seed.
struct Numbers {
    bytes: Vec<u8>,
    at: usize,
}

impl Numbers {
    fn of(seed: &str) -> Self {
        Self { bytes: noise(1 << 16, seed), at: 0 }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.at += 8;
        let bytes: [u8; 8] = self.bytes[self.at - 8..self.at].try_into().unwrap();
        u64::from_le_bytes(bytes) % below
    }
}

/// Moments lie within `longest_ms` after something was begun.
fn kill_often(rounds: usize, longest_ms: u64, seed: &str) {
    let (mut world, mut numbers) = (World::new(), Numbers::of(seed));
    for round in 0..rounds {
        let doing = ALL[round % ALL.len()];
        let after = Duration::from_millis(numbers.next(longest_ms));
        // Agents take part in these only.
        let kills_agent = matches!(doing, Doing::Snapshot | Doing::Restore) && numbers.next(2) == 0;
        let whom = if kills_agent { "agent" } else { "manager" };
        println!("round {round}: {doing:?}, the {whom} after {after:?}");
        world.kill_while(doing, after, kills_agent);
    }
    world.check();
}

#[test]
fn whoever_is_killed_in_the_middle_loses_nothing() {
    kill_often(ALL.len(), 1000, "short");
}

#[test]
#[ignore = "a quarter of an hour"]
fn whoever_is_killed_a_hundred_times_loses_nothing() {
    let seed = std::env::var("TINTYPE_SEED").unwrap_or_else(|_| "long".to_owned());
    kill_often(102, 2500, &seed);
}
