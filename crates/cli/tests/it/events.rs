//! `--json`: every line is an event, whatever happens.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Lab, Ran, damage, objects};

#[test]
fn every_command_speaks_in_events() {
    let lab = Lab::new();
    lab.write("source/file", "x");
    let source = lab.text("source");
    let other = lab.text("other");
    lab.run(&["init", "-r", &other, "--no-probe"]).expect(0);
    let out = lab.text("out");
    let commands: [(&[&str], i32); 29] = [
        (&["init"], 0),
        (&["snapshot", &source], 0),
        (&["snapshot", &source, "--read-all"], 0),
        (&["list"], 0),
        (&["show"], 0),
        (&["ls"], 0),
        (&["ls", "-R"], 0),
        (&["find", "*"], 0),
        (&["diff", "latest~1"], 0),
        (&["disk", "ls"], 0),
        (&["restore", "latest", "--to", &out, "--dry-run"], 0),
        (&["restore", "latest", "--to", &out], 0),
        (&["export", "latest", "out.zip", "--plain"], 0),
        (&["import", "out.zip"], 0),
        (&["verify", "--sample", "50%", "--record"], 0),
        (&["stats", "--snapshots"], 0),
        (&["tag", "latest", "--add", "x"], 0),
        (&["note", "latest", "x"], 0),
        (&["expire", "latest", "--in", "1y"], 0),
        (&["hold", "latest"], 0),
        (&["lock", "latest", "--for", "1d"], 0),
        (&["delete", "latest"], 5),
        (&["prune", "--keep-last", "1", "--dry-run"], 0),
        (&["gc", "--dry-run"], 0),
        (&["gc"], 0),
        (&["key", "list"], 0),
        (&["key", "add", "--recovery"], 0),
        (&["probe"], 0),
        (&["cat", "latest:/files/x"], 2),
    ];
    for (args, code) in commands {
        let ran = lab.run(&[args, &["--json"]].concat()).expect(code);
        let summary = ran.summary();
        assert_eq!(summary["command"], args[0]);
        assert_eq!(summary["exit_code"], code);
        assert!(summary["seconds"].is_number() && summary["requests"].is_number(), "{summary}");
        let has_error = ran.events().iter().any(|event| event["event"] == "error");
        assert_eq!(has_error, code != 0, "{args:?}");
    }
    let mut copy = lab.command(&["copy", "--all", "--to", &other, "--json"]);
    let copy = copy.env("TINTYPE_TO_PASSWORD", crate::support::PASSWORD);
    Ran::of(&copy.output().unwrap()).expect(0).summary();
}

#[test]
fn errors_have_a_kind_and_a_next_step() {
    let lab = Lab::ready();
    let mut list = lab.command(&["list", "--json"]);
    let ran = Ran::of(&list.env("TINTYPE_PASSWORD", "wrong wrong wrong").output().unwrap());
    let events = ran.expect(6).events();
    assert_eq!(events[0]["kind"], "wrong-key");
    assert!(events[0]["hint"].as_str().unwrap().contains("--recovery-key"), "{}", events[0]);
    assert_eq!(events[1]["outcome"], "wrong-key");
}

#[test]
fn nobody_reads_the_output() {
    let lab = Lab::ready();
    for number in 0..3000 {
        lab.write(&format!("source/a-rather-long-name-for-a-file-{number}"), "");
    }
    lab.snapshot(&[&lab.text("source")]);
    let mut child = lab.start(&["ls", "-R", "latest"]);
    drop(child.stdout.take());
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(141);
    assert_eq!(ran.err, "");
}

/// A program can tell two such names apart, and open them.
#[test]
fn names_that_are_no_text_have_their_bytes_beside_them() {
    use std::os::unix::ffi::OsStrExt as _;
    let lab = Lab::ready();
    let name = |bytes: &[u8]| lab.path("source").join(std::ffi::OsStr::from_bytes(bytes));
    std::fs::write(name(b"bad-\xff"), "x").unwrap();
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(b"bad-\xff"), name(b"link")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let hex = "6261642dff";
    let of = |args: &[&str], event: &str| {
        let events = lab.run(&[args, &["--json"]].concat()).expect(0).events();
        events.into_iter().filter(|found| found["event"] == event).collect::<Vec<_>>()
    };
    let ends = |event: &serde_json::Value| {
        event["path_hex"].as_str().is_some_and(|bytes| bytes.ends_with(hex))
    };
    let out = lab.text("out");
    assert!(of(&["ls", "-R"], "entry").iter().any(ends));
    assert!(of(&["ls", "-R"], "entry").iter().any(|entry| entry["target_hex"] == hex));
    assert!(of(&["find", "bad-*"], "match").iter().all(ends));
    let plan = of(&["restore", "latest", "--to", &out, "--dry-run"], "step");
    assert_eq!(plan.iter().filter(|step| ends(step)).count(), 1);
    assert!(plan.iter().filter(|step| !ends(step)).all(|step| step["path_hex"].is_null()));
    std::fs::remove_file(name(b"bad-\xff")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let gone = of(&["diff", "latest~1"], "difference");
    assert!(gone.iter().any(|difference| ends(difference) && ends(&difference["old"])));
    objects(&lab, "data").iter().for_each(|pack| damage(pack));
    let found = lab.run(&["verify", "--all", "--json"]).expect(4).events();
    let touched = found.iter().filter_map(|event| event["affected"].as_array()).flatten();
    assert!(touched.into_iter().any(ends), "{found:?}");
}

/// The names in quotes that follow these words, before the tests of the file.
fn named(text: &str, words: &[&str]) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let after = words.iter().flat_map(|word| text.split(word).skip(1));
    let quoted = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_event_of_the_commands_of_a_manager_is_documented_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let mut files = vec![root.join("src/own_manager.rs"), root.join("src/recover.rs")];
    let remote = std::fs::read_dir(root.join("src/remote")).unwrap();
    files.extend(remote.map(|entry| entry.unwrap().path()));
    let mut told = named(&read(&root.join("../api/src/noun.rs")), &["const NAME: &'static str ="]);
    for file in files {
        told.extend(named(&read(&file), &[".event(", ".with("]));
    }
    assert!(told.len() > 30, "{told:?}");
    let text = read(&root.join("../../docs/json.md"));
    let (common, of_manager) = text.split_once("## Commands that speak to a manager").unwrap();
    let events = |text: &str| -> BTreeSet<String> {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let names = rows.flat_map(|row| row.split(", ").map(|name| name.trim_matches('`')));
        names.map(str::to_owned).collect()
    };
    let of_every = events(common.split("## Exit codes").next().unwrap());
    told.retain(|name| !of_every.contains(name));
    assert_eq!(told, events(of_manager));
}
