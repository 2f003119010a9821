//! Restores through a manager that end in the middle.

use std::time::Duration;

use serde_json::Value;
use tintype_engine::env::Env;

use crate::agents::{Agent, served};
use crate::manager::{run, serve, serve_at};
use crate::support::Lab;

/// Holds the restore until it is told to go.
const WAITS: &str = "echo . >> began; while [ -e began -a ! -e go ]; do sleep 0.1; done";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Env::system().clock;
    let end = clock.elapsed() + Duration::from_mins(2);
    while !is_so() {
        assert!(clock.elapsed() < end, "{what}");
        clock.sleep(Duration::from_millis(50));
    }
}

fn began(lab: &Lab) -> usize {
    std::fs::read(lab.path("began")).map_or(0, |text| text.len() / 2)
}

fn restores(lab: &Lab) -> Vec<Value> {
    let mut events = run(lab, &["restore", "list", "--json"]).expect(0).events();
    events.pop();
    events
}

/// Of what was interrupted, and of what followed it.
fn plan_is_told(lab: &Lab, restores: &[Value]) {
    for restore in restores {
        let id = restore["run"]["id"].as_str().unwrap();
        let told = run(lab, &["restore", "plan", id]).expect(0).out;
        assert!(told.contains("in place, replaces what is there"), "{told}");
        assert!(told.contains("runs for web"), "{told}");
    }
}

/// The manager is killed in the middle; started again it goes on, and is stopped there.
fn interrupted(lab: &Lab) -> (crate::manager::Served, String) {
    let served = serve(lab, None);
    served.login(lab);
    lab.write("web/file", "as it was");
    let (web, script) = (lab.text("web"), format!("cd {} && {WAITS}", lab.text("")));
    let hook = format!("{{ phase: pre-restore, command: [ sh, -c, \"{script}\" ] }}");
    let volume = format!("kind: volume, name: web, connector: files, at: {{ path: {web} }}");
    let text = format!("version: 1\nresources:\n- {{ {volume}, hooks: [ {hook} ] }}\n");
    lab.write("resources.yaml", text);
    run(lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    run(lab, &["snapshot", "create", "--app", "web"]).expect(0);
    lab.write("web/file", "broken");
    let restore = ["restore", "latest", "--app", "web", "--confirm", "web"];
    let mut following = crate::manager::program(lab, &restore).spawn().unwrap();
    until("the restore begins", || began(lab) == 1);
    let address = served.url.strip_prefix("https://").unwrap().to_owned();
    // Its drop kills it, and the hook dies with nobody who waits for it.
    drop(served);
    following.kill().unwrap();
    following.wait().unwrap();
    let served = serve_at(lab, None, &address);
    until("the restore goes on by itself", || began(lab) == 2);
    assert_eq!(restores(lab)[0]["standing"], "going-on");
    let id = restores(lab)[0]["run"]["id"].as_str().unwrap().to_owned();
    run(lab, &["run", "cancel", &id]).expect(0);
    until("it stops", || restores(lab)[0]["standing"] == "interrupted");
    let listed = run(lab, &["restore", "list"]).expect(0);
    assert!(listed.out.contains("INTERRUPTED"), "{}", listed.out);
    assert!(listed.err.contains(&format!("tintype restore undo {id}")), "{}", listed.err);
    let shown = run(lab, &["restore", "show", &id, "--json"]).expect(0).events().remove(0);
    let left = &shown["hosts"][0]["left"];
    assert_eq!((&left["names"][0], &left["is_running"]), (&"web".into(), &false.into()), "{shown}");
    assert!(left["begun"].as_u64() < left["steps"].as_u64(), "{shown}");
    assert_eq!(lab.read("web/file"), b"broken");
    (served, id)
}

#[test]
fn a_restore_that_was_interrupted_goes_on() {
    let lab = Lab::new();
    let (served, id) = interrupted(&lab);
    lab.write("go", "");
    run(&lab, &["restore", "resume", &id]).expect(0);
    assert_eq!(lab.read("web/file"), b"as it was");
    let all = restores(&lab);
    let standing: Vec<_> = all.iter().map(|restore| restore["standing"].clone()).collect();
    assert_eq!(standing, ["done", "followed-up"]);
    assert_eq!(all[1]["followed_by"], all[0]["run"]["id"]);
    plan_is_told(&lab, &all);
    let again = run(&lab, &["restore", "undo", &id]).expect(5);
    assert!(again.err.contains("was not interrupted"), "{}", again.err);
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_restore_that_was_interrupted_is_taken_back() {
    let lab = Lab::new();
    let (served, id) = interrupted(&lab);
    let ran = run(&lab, &["restore", "undo", &id]).expect(0);
    assert!(ran.out.contains("everything is as it was before the restore"), "{}", ran.out);
    assert_eq!(lab.read("web/file"), b"broken");
    let all = restores(&lab);
    assert_eq!(
        (&all[0]["standing"], &all[1]["standing"]),
        (&"undone".into(), &"followed-up".into())
    );
    plan_is_told(&lab, &all);
    // Nothing of it is in the way of the next one.
    lab.write("go", "");
    run(&lab, &["restore", "latest", "--app", "web", "--confirm", "web"]).expect(0);
    assert_eq!(lab.read("web/file"), b"as it was");
    let log = run(&lab, &["audit", "list"]).expect(0).out;
    assert!(log.contains("restore.undo"), "{log}");
    assert_eq!(served.stop(), 0);
}

/// Its agent is killed in the middle; started again it gets the order again, and the run is stopped
/// there.
fn interrupted_elsewhere(lab: &Lab) -> (crate::manager::Served, Agent, String) {
    let served = served(lab);
    let agent = Agent::joined(lab, "web1");
    lab.write("web/file", "as it was");
    let (web, script) = (lab.text("web"), format!("cd {} && {WAITS}", lab.text("")));
    let hook = format!("{{ phase: pre-restore, command: [ sh, -c, \"{script}\" ] }}");
    let volume = format!("kind: volume, name: web, connector: files, at: {{ path: {web} }}");
    let text = format!("version: 1\nresources:\n- {{ {volume}, hooks: [ {hook} ] }}\n");
    lab.write("resources.yaml", text);
    run(lab, &["agent", "apply", "web1", &lab.text("resources.yaml")]).expect(0);
    run(lab, &["snapshot", "create", "--app", "web"]).expect(0);
    lab.write("web/file", "broken");
    let restore = ["restore", "latest", "--app", "web", "--confirm", "web"];
    let mut following = crate::manager::program(lab, &restore).spawn().unwrap();
    until("the restore begins", || began(lab) == 1);
    following.kill().unwrap();
    following.wait().unwrap();
    // Its drop kills it.
    drop(agent);
    let agent = Agent::start(lab, "web1", &[]);
    agent.works();
    until("the restore goes on by itself", || began(lab) == 2);
    let id = restores(lab)[0]["run"]["id"].as_str().unwrap().to_owned();
    run(lab, &["run", "cancel", &id]).expect(0);
    until("it stops", || restores(lab)[0]["standing"] == "interrupted");
    let shown = run(lab, &["restore", "show", &id, "--json"]).expect(0).events().remove(0);
    assert_eq!(shown["run"]["state"], "canceled", "one end: {shown}");
    assert_eq!(shown["hosts"][0]["left"]["names"][0], "web", "{shown}");
    assert_eq!(lab.read("web/file"), b"broken");
    (served, agent, id)
}

#[test]
fn a_restore_whose_agent_was_killed_goes_on() {
    let lab = Lab::new();
    let (served, agent, id) = interrupted_elsewhere(&lab);
    lab.write("go", "");
    run(&lab, &["restore", "resume", &id]).expect(0);
    assert_eq!(lab.read("web/file"), b"as it was");
    let all = restores(&lab);
    assert!(all.iter().all(|one| one["standing"] != "interrupted"), "{all:?}");
    assert_eq!((agent.end(), served.stop()), (0, 0));
}

#[test]
fn a_restore_whose_agent_was_killed_is_taken_back() {
    let lab = Lab::new();
    let (served, agent, id) = interrupted_elsewhere(&lab);
    run(&lab, &["restore", "undo", &id]).expect(0);
    assert_eq!(lab.read("web/file"), b"broken");
    let all = restores(&lab);
    assert!(all.iter().all(|one| one["standing"] != "interrupted"), "{all:?}");
    assert_eq!((agent.end(), served.stop()), (0, 0));
}
