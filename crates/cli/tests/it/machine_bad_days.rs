//! What goes wrong with a machine while a volume is captured beside it: the item fails and says why,
//! the volume is whole, the snapshot is incomplete, and nothing stays behind.

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_engine::env::Env;
use tintype_testkit::guest::{Guest, Options};
use tintype_testkit::volumes::Mounted;

use crate::left_behind::in_machine;
use crate::support::{Lab, Ran, is_root};

const NOTHING: Vec<String> = Vec::new();
/// The snapshot stops there until it is told to go on.
const BEFORE: &str = "pre-quiesce";
const AFTER: &str = "post-thaw";

struct Day {
    case: &'static str,
    /// Scratch, which is small.
    _scratch: Mounted,
    lab: Lab,
    guest: Guest,
}

type Act = fn(&mut Day);

/// One thing that goes wrong.
struct Case {
    name: &'static str,
    /// Before the snapshot begins.
    before: Act,
    /// While it stands still, in these phases of it.
    stands: &'static [(&'static str, Act)],
    /// Words of the reason, among them the cure.
    says: &'static [&'static str],
    /// When it is over.
    after: Act,
}

const NOBODY: Case = Case { name: "", before: |_| {}, stands: &[], says: &[], after: |_| {} };
const KILLED: &str = "the machine is killed in the window";

const CASES: [Case; 6] = [
    Case {
        name: "a step between freeze and thaw fails",
        stands: &[(BEFORE, |day| {
            let filter = day.session() + "-c1";
            day.guest.command("blockdev-del", json!({ "node-name": filter }));
        })],
        says: &["cannot be frozen", "disk vdb"],
        ..NOBODY
    },
    Case {
        name: "twice at once",
        // The first one is captured; the second is what goes wrong.
        stands: &[(BEFORE, |day| {
            let words = day.words("second.yaml");
            let ran = day.lab.run(&words.each_ref().map(String::as_str));
            let reason = day.failed(&ran);
            assert!(reason.contains("another snapshot of this machine is at work"), "{reason}");
            assert!(reason.contains("wait for its end"), "{reason}");
        })],
        ..NOBODY
    },
    Case {
        name: "scratch fills up",
        stands: &[(AFTER, |day| {
            let write = "dd if=/dev/zero of=/data/big bs=1M count=20 conv=notrunc,fsync && echo ok";
            assert_eq!(day.guest.shell(write).trim(), "ok", "the guest goes on");
        })],
        says: &["scratch space", "is full", "give scratch more room"],
        ..NOBODY
    },
    Case {
        name: "the agent hangs",
        // What it was asked to freeze it freezes only when it goes on.
        stands: &[(BEFORE, |day| day.agent("STOP")), (AFTER, |day| day.agent("CONT"))],
        says: &["cannot be frozen", "guest agent"],
        ..NOBODY
    },
    Case {
        name: "the monitor's socket vanishes",
        before: |day| {
            let qmp = &day.guest.qmp;
            std::fs::rename(qmp, qmp.with_extension("away")).unwrap();
        },
        says: &["the socket is gone, but the machine runs", "restart it"],
        after: |day| {
            let qmp = &day.guest.qmp;
            std::fs::rename(qmp.with_extension("away"), qmp).unwrap();
        },
        ..NOBODY
    },
    Case {
        name: KILLED,
        before: |day| drop(day.guest.shell("echo > /run/hang")),
        says: &["cannot be frozen", "guest agent"],
        ..NOBODY
    },
];

/// Longer than a run waits: its guard goes on, and who reads what the run says need not wait for it.
const NEVER: Case = Case {
    name: "the agent hangs until the run is over",
    stands: &[(BEFORE, |day| day.agent("STOP"))],
    says: &["cannot be frozen", "guest agent"],
    after: |day| day.agent("CONT"),
    ..NOBODY
};

impl Day {
    fn new() -> Self {
        let words = "nowriter hook=1".to_owned();
        let mut guest = Guest::boot(&Options { words, ..Options::default() });
        guest.shell("dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync");
        // Where it is when it is to be killed.
        let hang = "[ -e /run/hang ] && [ $1 = freeze ] && echo > /run/begun && sleep 60";
        guest.shell(&format!("echo '{hang}; true' >> /etc/qemu/fsfreeze-hook"));
        let lab = Lab::ready();
        for place in ["scratch", "stands"] {
            std::fs::create_dir(lab.path(place)).unwrap();
        }
        let scratch = Mounted::tmpfs(&lab.path("scratch"), 3);
        Self { case: "", _scratch: scratch, lab, guest }
    }

    fn clock() -> std::sync::Arc<dyn tintype_model::env::Clock> {
        Env::system().clock
    }

    /// The label of what is in the machine now.
    fn session(&mut self) -> String {
        let names = in_machine(&mut self.guest);
        names.iter().find_map(|name| name.strip_suffix("-lock")).unwrap().to_owned()
    }

    fn words(&self, file: &str) -> [String; 6] {
        let scratch = self.lab.text("scratch");
        ["snapshot", "--json", "--resources", file, "--scratch", &scratch].map(str::to_owned)
    }

    fn agent(&mut self, signal: &str) {
        self.guest.shell(&format!("kill -{signal} $(cat /run/qemu-ga.pid)"));
    }

    /// A machine with a volume beside it, by each of its monitors.
    fn describe(&self, stands: &[(&str, Act)]) {
        let hook = |phase: &str| {
            let stand = format!("{}/{phase}", self.lab.text("stands"));
            let script = "touch \"$0\"; while [ -e \"$0\" ]; do sleep 0.05; done";
            let command = ["/bin/sh", "-c", script, &stand];
            json!({ "phase": phase, "command": command, "timeout_seconds": 120 })
        };
        let hooks: Vec<Value> = stands.iter().map(|(phase, _)| hook(phase)).collect();
        let volume = json!({ "kind": "volume", "name": "data", "connector": "files",
            "at": { "path": self.lab.path("source") } });
        let first = json!({ "qmp": self.guest.qmp, "agent": self.guest.agent });
        let second = json!({ "qmp": self.guest.second_qmp });
        for (file, at, hooks) in [("first.yaml", first, hooks), ("second.yaml", second, Vec::new())]
        {
            let web = json!({ "kind": "vm", "name": "web", "connector": "qemu", "at": at,
                "hooks": hooks });
            let all = json!({ "version": 1, "resources": [volume, web] });
            self.lab.write(file, all.to_string());
        }
    }

    fn until(&mut self, run: &mut Child, is_there: impl Fn(&mut Self) -> bool) {
        while !is_there(self) {
            let ended = run.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {ended:?}", self.case);
            Self::clock().sleep(Duration::from_millis(20));
        }
    }

    /// What became of the volume, and why the machine failed.
    fn failed(&self, ran: &Ran) -> String {
        let case = self.case;
        assert_eq!(ran.code, 3, "{case}: {} {}", ran.out, ran.err);
        let summary = ran.summary();
        assert!(summary["complete"] == false && summary["failed_items"] == 1, "{case}: {summary}");
        let events = ran.events();
        let item = |name: &str| {
            let items = events.iter().filter(|event| event["event"] == "item");
            items.clone().find(|item| item["name"] == name).unwrap().clone()
        };
        assert_eq!(item("data")["outcome"], "captured", "{case}");
        let place =
            format!("{}:/tenants/system/volumes/data/noise", summary["snapshot"].as_str().unwrap());
        assert_eq!(self.lab.run(&["cat", &place]).expect(0).out, case, "the volume is whole");
        let web = item("web");
        assert_eq!(web["outcome"], "failed", "{case}");
        web["reason"].as_str().unwrap().to_owned()
    }

    /// Jobs, nodes, exports, bitmaps at work; what is frozen or stopped; scratch, locks, processes.
    fn leftovers(&mut self, is_running: bool) -> Vec<String> {
        let mut left = NOTHING;
        if is_running {
            left.extend(in_machine(&mut self.guest));
            left.retain(|name| !name.ends_with("-mark"));
            let jobs = self.guest.command("query-block-jobs", Value::Null);
            left.extend(jobs.as_array().unwrap().iter().map(Value::to_string));
            let status = self.guest.command("query-status", Value::Null);
            left.extend((status["running"] != true).then(|| status.to_string()));
            let write = "timeout 20 sh -c 'echo x > /data/probe && sync -d /data/probe' || echo no";
            let said = self.guest.shell(write);
            left.extend((!said.is_empty()).then(|| format!("the guest is frozen: {said}")));
        }
        for place in ["scratch", "runs"] {
            let names = std::fs::read_dir(self.lab.path(place)).unwrap().flatten();
            let names = names.map(|entry| entry.file_name().into_string().unwrap());
            left.extend(names.filter(|name| !name.starts_with("of-")));
        }
        let lab = self.lab.path("");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let here = processes.filter(|process| {
            let at = |name: &str| std::fs::read_link(process.path().join(name));
            at("cwd").is_ok_and(|cwd| cwd.starts_with(&lab)) && at("exe").is_ok()
        });
        left.extend(here.map(|process| format!("process {}", process.path().display())));
        left
    }

    fn live_through(&mut self, case: &Case) {
        self.case = case.name;
        self.lab.write("source/noise", case.name);
        self.describe(case.stands);
        let is_killed = case.name == KILLED;
        (case.before)(self);
        let words = self.words("first.yaml");
        let mut run = self.lab.start(&words.each_ref().map(String::as_str));
        for (phase, act) in case.stands {
            let stand = self.lab.path("stands").join(phase);
            self.until(&mut run, |_| stand.exists());
            act(self);
            std::fs::remove_file(stand).unwrap();
        }
        if is_killed {
            self.until(&mut run, |day| {
                day.guest.shell("ls /run/begun 2>&1").trim() == "/run/begun"
            });
            self.guest.kill_process();
        }
        let ran = Ran::of(&run.wait_with_output().unwrap());
        if case.says.is_empty() {
            assert_eq!(ran.expect(0).summary()["complete"], true, "{}", case.name);
        } else {
            let reason = self.failed(&ran);
            let is_said = |words: &&&str| reason.contains(**words);
            let missing: Vec<_> = case.says.iter().filter(|words| !is_said(words)).collect();
            assert!(missing.is_empty(), "{}: {missing:?} in: {reason}", case.name);
        }
        (case.after)(self);
        let until = Self::clock().elapsed() + Duration::from_secs(40);
        loop {
            let left = self.leftovers(!is_killed);
            if left == NOTHING {
                return;
            }
            assert!(Self::clock().elapsed() < until, "{}: {left:#?}", case.name);
            Self::clock().sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn a_machine_that_fails_in_whatever_way_fails_alone_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let mut day = Day::new();
    for case in &CASES {
        day.live_through(case);
    }
}

#[test]
#[ignore = "waits for a guest agent that hangs: a minute"]
fn an_agent_that_hangs_longer_than_its_run_is_thawed_by_the_guard() {
    if is_root() {
        Day::new().live_through(&NEVER);
    }
}
