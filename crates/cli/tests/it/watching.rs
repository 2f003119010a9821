//! `--watch`: a list or an object, told again whenever it changes.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::manager::{program, run, serve};
use crate::support::Lab;

struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watching {
    fn begin(lab: &Lab, args: &[&str]) -> Self {
        let mut child = program(lab, args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it goes on").unwrap()
    }

    fn event(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// By Ctrl-C; gives what it told last.
    fn interrupted(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        assert_eq!(self.child.wait().unwrap().code(), Some(130));
        rest.concat()
    }
}

#[test]
fn what_changes_is_told_again_until_ctrl_c() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let mut list = Watching::begin(&lab, &["tenant", "list", "--watch"]);
    assert!(list.line().starts_with("name"));
    assert!(list.line().starts_with("system"));
    let mut events = Watching::begin(&lab, &["tenant", "list", "--watch", "--json"]);
    assert_eq!(events.event()["name"], "system");
    run(&lab, &["tenant", "create", "acme"]).expect(0);
    assert!(list.line().starts_with("acme"), "only what is new");
    let made = events.event();
    assert_eq!((&made["event"], &made["name"]), (&"tenant".into(), &"acme".into()));
    let mut one = Watching::begin(&lab, &["tenant", "show", "acme", "--watch", "--json"]);
    assert_eq!(one.event()["spec"]["may_restore"], true);
    run(&lab, &["tenant", "change", "acme", "--may-restore", "false"]).expect(0);
    assert_eq!(one.event()["spec"]["may_restore"], false);
    assert_eq!(events.event()["spec"]["may_restore"], false);
    let changed = list.line();
    assert!(changed.starts_with("acme") && changed.contains("no"), "{changed}");
    assert!(one.interrupted().contains("\"outcome\":\"interrupted\""));
    run(&lab, &["tenant", "delete", "acme"]).expect(0);
    assert_eq!(list.line(), "gone: tenant acme");
    let gone = events.event();
    assert_eq!((&gone["event"], &gone["of"]), (&"gone".into(), &"tenant".into()));
    assert_eq!(gone["id"], made["id"]);
    assert!(events.interrupted().contains("\"exit_code\":130"));
    assert_eq!(list.interrupted(), "");
    // A run is told of by the manager itself, and ends the watching when it is over.
    lab.write("web/index.html", "x");
    let web = lab.text("web");
    let volume = format!("{{ kind: volume, name: web, connector: files, at: {{ path: {web} }} }}");
    lab.write("resources.yaml", format!("version: 1\nresources:\n- {volume}\n"));
    run(&lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    let begun = run(&lab, &["snapshot", "create", "--app", "web", "--detach"]).expect(0).out;
    let id = begun.trim().trim_start_matches("run ").to_owned();
    let events = run(&lab, &["run", "show", &id, "--watch", "--json"]).expect(0).events();
    let (last, told) = events.split_last().unwrap();
    assert_eq!(last["event"], "summary");
    assert_eq!(told.last().unwrap()["state"], "succeeded");
    assert_eq!(served.stop(), 0);
}
