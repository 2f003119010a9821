//! Ctrl-C and kill: nothing half done, and what was uploaded is used again.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tintype_engine::env::Env;

use crate::support::{Lab, Ran, noise, objects};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A stream of which so much was read that chunks were cut: the reader's buffer is full once,
/// and the pipe holds no more than 64 KiB of the rest.
fn begun(lab: &Lab, bytes: &[u8]) -> (Child, std::process::ChildStdin) {
    let mut child = lab.start(&["snapshot", "--stdin", "stream"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(bytes).unwrap();
    (child, input)
}

#[test]
fn after_ctrl_c_the_next_run_uses_what_was_uploaded() {
    let lab = Lab::ready();
    let bytes = noise(8 << 20, "interrupted");
    let (child, input) = begun(&lab, &bytes);
    signal(&child, Signal::INT);
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(130);
    assert!(ran.err.contains("goes on"), "{}", ran.err);
    drop(input);
    assert!(lab.ids().is_empty());

    let mut child = lab.start(&["snapshot", "--stdin", "stream", "--json"]);
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let summary = Ran::of(&child.wait_with_output().unwrap()).expect(0).summary();
    assert!(summary["known_bytes"].as_u64() > Some(2 << 20), "{summary}");
    assert!(summary["stored_bytes"].as_u64() < Some(6 << 20), "{summary}");
    lab.assert_whole();
}

/// After the first signal it would go on uploading for minutes, and close its session.
#[test]
fn a_second_signal_ends_at_once() {
    let lab = Lab::ready();
    let mut child = lab.start(&["snapshot", "--stdin", "stream", "--limit-upload", "64KiB"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(&noise(7 << 20, "twice")).unwrap();
    signal(&child, Signal::INT);
    signal(&child, Signal::TERM);
    assert_eq!(Ran::of(&child.wait_with_output().unwrap()).code, 130);
    lab.write("source/file", "x");
    let ran = lab.run(&["snapshot", &lab.text("source")]).expect(0);
    assert!(ran.err.contains("1 interrupted run found"), "{}", ran.err);
    lab.assert_whole();
}

#[test]
fn after_kill_the_next_run_cleans_up() {
    let lab = Lab::ready();
    let bytes = noise(8 << 20, "killed");
    let (mut child, _input) = begun(&lab, &bytes);
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    assert!(lab.ids().is_empty());
    lab.write("source/stream", &bytes);
    let ran = lab.run(&["snapshot", &lab.text("source")]).expect(0);
    assert!(ran.err.contains("1 interrupted run found"), "{}", ran.err);
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
    lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/stream") == bytes);
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let lab = Lab::ready();
    let (source, clock) = (lab.text("source"), Env::system().clock);
    lab.write("source/file", noise(2 << 20, "first"));
    lab.snapshot(&[&source, "--tag", "first"]);
    let commands: [&[&str]; 3] = [
        &["snapshot", &source, "--limit-upload", "1MiB"],
        &["prune", "--keep-last", "1", "--keep-tag", "first"],
        &["gc"],
    ];
    let (mut killed, mut rests) = ([0; 3], 0);
    for round in 0..8u64 {
        lab.write("source/file", noise(2 << 20, &format!("committed {round}")));
        lab.run(&["snapshot", &source]).expect(0);
        lab.write("source/file", noise(2 << 20, &format!("killed {round}")));
        for (killed, command) in killed.iter_mut().zip(commands) {
            let before = objects(&lab, "session").len();
            let mut child = lab.start(command);
            // Those that put a session are killed after that, the other while it opens.
            let is_at_work = || command[0] == "prune" || objects(&lab, "session").len() != before;
            while !is_at_work() && child.try_wait().unwrap().is_none() {
                clock.sleep(Duration::from_millis(2));
            }
            clock.sleep(Duration::from_millis(20 * round));
            let _ = child.kill();
            *killed += u32::from(child.wait().unwrap().signal().is_some());
            let decided = |session: &PathBuf| {
                lab.path("repository/fate").join(session.file_name().unwrap()).exists()
            };
            rests += objects(&lab, "session").iter().filter(|session| !decided(session)).count();
        }
    }
    assert!(killed.iter().all(|times| *times > 0), "each was killed at work: {killed:?}");
    assert!(rests > 0, "killed commands leave something behind");
    lab.snapshot(&[&source]);
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
    let first = lab.run(&["list", "--tag", "first", "--json"]).expect(0).events();
    let first = first[0]["id"].as_str().unwrap();
    lab.run(&["restore", first, "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/file") == noise(2 << 20, "first"));
}

#[test]
fn an_interrupted_restore_goes_on() {
    let lab = Lab::ready();
    for number in 0..40 {
        lab.write(&format!("source/{number}"), noise(1 << 20, &number.to_string()));
    }
    lab.snapshot(&[&lab.text("source")]);
    let out = lab.text("out");
    let slow = ["restore", "latest", "--to", &out, "--limit-download", "8MiB", "--cpu", "1"];
    let child = lab.start(&slow);
    let clock = Env::system().clock;
    // Until the first file has its name.
    while !(0..40).any(|number| lab.path(&format!("out/source/{number}")).exists()) {
        clock.sleep(Duration::from_millis(10));
    }
    signal(&child, Signal::INT);
    Ran::of(&child.wait_with_output().unwrap()).expect(130);
    let ran = lab.run(&["restore", "latest", "--to", &out, "--verify", "--json"]).expect(0);
    let plan = &ran.summary()["plan"];
    assert!(plan["same"].as_u64() >= Some(1), "{plan}");
    for number in 0..40 {
        assert!(lab.read(&format!("out/source/{number}")) == noise(1 << 20, &number.to_string()));
    }
    let rests = std::fs::read_dir(lab.path("out/source")).unwrap();
    assert_eq!(rests.count(), 40, "no temporary files are left");
}

#[test]
fn what_a_killed_restore_left_is_not_captured_and_the_next_removes_it() {
    let lab = Lab::ready();
    lab.write("source/file", noise(4 << 20, "killed restore"));
    lab.snapshot(&[&lab.text("source")]);
    let out = lab.text("out");
    let mut child = lab.start(&["restore", "latest", "--to", &out, "--limit-download", "256KiB"]);
    let left = || -> Vec<String> {
        let names = std::fs::read_dir(lab.path("out/source")).into_iter().flatten();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".tintype-")).collect()
    };
    while left().is_empty() {
        Env::system().clock.sleep(Duration::from_millis(10));
    }
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(left().len(), 1, "it is there still");
    let taken = lab.snapshot(&[&out]);
    assert_eq!(taken["files"], 0, "{taken}");
    lab.run(&["restore", "latest~1", "--to", &out]).expect(0);
    assert!(left().is_empty() && lab.read("out/source/file") == noise(4 << 20, "killed restore"));
}
