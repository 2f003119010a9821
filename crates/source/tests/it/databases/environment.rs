//! What others are started with: nothing of our secrets. The environment of a process can only be
//! set from outside, so that the tests run once more in a child that has some.

use std::process::Command;

use serde_json::json;
use tintype_testkit::postgres::Postgres;
use tintype_testkit::server::free_ports;

use super::postgres::{Started, data_beside, resource};
use super::world::{World, as_new};
use crate::support::skipped_without_root;

const SECRETS: [&str; 3] = ["TINTYPE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"];

#[test]
fn what_is_started_does_not_inherit_secrets() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "databases::environment::in_the_child", "--nocapture"]);
    again.envs(SECRETS.map(|name| (name, "do-not-show")));
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("1 passed") && text.contains("no secrets: done"), "{text}");
}

#[test]
fn in_the_child() {
    if std::env::var_os(SECRETS[0]).is_none() {
        return;
    }
    let mut command = tintype_source::host::command("cat");
    let of_a_child = command.arg("/proc/self/environ").output().unwrap().stdout;
    assert_clean(&of_a_child);

    let server = Postgres::start();
    server.persist();
    let world = World::new();
    let resource = resource(&server);
    let item = world.capture(&resource, || (), || ()).unwrap();
    let (copy, [port]) = (data_beside(&server, "copy"), free_ports());
    let at = json!({ "host": server.host(), "port": port, "data_directory": copy });
    world.restore(&item, &resource, &as_new(&at, &[("identity", "keep")]));
    let _started = Started(copy.clone());
    let pid = std::fs::read_to_string(copy.join("postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap();
    assert_clean(&std::fs::read(format!("/proc/{pid}/environ")).unwrap());
    println!("no secrets: done");
}

/// Only names are shown if it fails.
fn assert_clean(environment: &[u8]) {
    let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    let names = variables.iter().filter_map(|text| text.split(|byte| *byte == b'=').next());
    let names: Vec<_> = names.map(String::from_utf8_lossy).collect();
    assert!(names.iter().any(|name| name == "PATH"), "{names:?}");
    let shown = variables.iter().any(|text| text.ends_with(b"do-not-show"));
    let is_ours = |name: &str| name.starts_with("TINTYPE_") || name.starts_with("AWS_");
    assert!(!shown && !names.iter().any(|name| is_ours(name)), "{names:?}");
}
