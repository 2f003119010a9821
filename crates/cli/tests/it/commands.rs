//! Help, completions, manual pages, options that bound.

use std::process::Command;
use std::time::Duration;

use tintype_engine::env::Env;

use crate::support::{Lab, Ran, noise};

fn plain(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tintype")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

const COMMANDS: [&str; 23] = [
    "init", "snapshot", "list", "show", "ls", "find", "cat", "diff", "disk", "restore", "verify",
    "delete", "prune", "gc", "copy", "stats", "tag", "note", "expire", "hold", "lock", "key",
    "probe",
];

#[test]
fn every_command_teaches_with_examples() {
    for command in COMMANDS {
        let help = plain(&["repo", command, "--help"]);
        assert!(
            help.contains("Examples:\n  tintype repo ") || help.contains("| tintype repo"),
            "{command}"
        );
    }
    for command in ["list", "restore", "key"] {
        assert!(plain(&["repo", command, "-h"]).contains("Usage:"));
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let script = plain(&["completions", shell]);
        assert!(script.contains("snapshot") && script.contains("exclude-caches"), "{shell}");
    }
    let lab = Lab::new();
    plain(&["man", &lab.text("man")]);
    for command in COMMANDS {
        let page = lab.read(&format!("man/tintype-repo-{command}.1"));
        assert!(page.starts_with(b".ie"), "{command}");
    }
}

#[test]
fn wrong_use_is_told_before_anything_happens() {
    let lab = Lab::new();
    lab.write("source/file", "x");
    let source = lab.text("source");
    let cases: [&[&str]; 14] = [
        &["snapshot"],
        &["snapshot", &source, "--memory", "1MiB"],
        &["snapshot", &source, "--exclude", "[z-a]"],
        &["snapshot", &source, "--exclude", "a["],
        &["snapshot", &source, "--exclude", "a[!]b"],
        &["restore", "latest", "--to", &source, "--include", "a["],
        &["snapshot", &source, "--block", "/dev/null"],
        &["snapshot", "--block", "/dev/null", &source],
        &["snapshot", "--stdin", "name", "--block", "/dev/null"],
        &["snapshot", &source, "--expires-in", "soon"],
        &["snapshot", &source, "--limit-upload", "0"],
        &["list", "-r", "ftp://host/x"],
        &["list", "--frobnicate"],
        &["list", "--quiet", "--verbose"],
    ];
    for args in cases {
        lab.run(args).expect(2);
    }
    let mut command = lab.command(&["list"]);
    let none = command.env_remove("TINTYPE_REPOSITORY").output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(!lab.path("repository").exists());
}

#[test]
fn a_wrong_command_line_is_told_to_programs_too() {
    let lab = Lab::new();
    for args in [&["--json", "list", "--nonsense"][..], &["restore", "--json"]] {
        let ran = lab.run(args).expect(2);
        let events = ran.events();
        assert_eq!(events.len(), 1, "{}", ran.out);
        assert_eq!((&events[0]["event"], &events[0]["kind"]), (&"error".into(), &"usage".into()));
        assert_eq!(events[0]["exit_code"], 2);
    }
    let ran = lab.run(&["list", "--nonsense"]).expect(2);
    assert!(ran.out.is_empty() && ran.err.contains("--nonsense"), "{}", ran.err);
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    let mut command = lab.command(&["snapshot", &lab.text("source")]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let ran = Ran::of(&command.output().unwrap()).expect(1);
    assert!(ran.err.contains("cannot write to standard output"), "{}", ran.err);
    assert!(!ran.err.contains("make room"), "it is not the store that is full: {}", ran.err);
    assert_eq!(lab.ids().len(), 1);
    let mut command = lab.command(&["ls", "latest", "--json"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    Ran::of(&command.output().unwrap()).expect(1);
}

#[test]
fn a_path_that_neither_snapshot_holds_is_no_difference_but_an_error() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source")]);
    lab.snapshot(&[&lab.text("source")]);
    let ran = lab.run(&["diff", "latest~1:/files/typo", "latest"]).expect(1);
    assert!(ran.err.contains("holds no"), "{}", ran.err);
}

/// Which processors each thread may use, once there are several.
fn processors_of(process: u32) -> Vec<String> {
    let clock = Env::system().clock;
    for _ in 0..500 {
        clock.sleep(Duration::from_millis(10));
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let lists: Vec<String> = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
            .filter_map(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
                Some(line.trim().to_owned())
            })
            .collect();
        if lists.len() > 2 {
            return lists;
        }
    }
    Vec::new()
}

#[test]
fn limits_are_kept() {
    let lab = Lab::ready();
    for number in 0..16 {
        lab.write(&format!("source/{number}"), noise(1 << 20, &format!("limited {number}")));
    }
    // A limit is kept if it takes at least so long; one second's worth may go at once.
    let took = |args: &[&str]| {
        let (clock, args) = (Env::system().clock, [args, &["--cpu", "1"]].concat());
        let started = clock.elapsed();
        let child = lab.start(&args);
        let allowed = processors_of(child.id());
        let ran = Ran::of(&child.wait_with_output().unwrap()).expect(0);
        assert!(!allowed.is_empty(), "{}", ran.err);
        assert!(allowed.iter().all(|list| list.parse::<u32>().is_ok()), "{allowed:?}");
        clock.elapsed().saturating_sub(started).as_secs_f64()
    };
    assert!(took(&["snapshot", &lab.text("source"), "--limit-upload", "4MiB"]) > 1.5);
    let restore = ["restore", "latest", "--to", &lab.text("slow"), "--limit-download", "4MiB"];
    assert!(took(&restore) > 1.5);
    lab.snapshot(&[&lab.text("source"), "--memory", "128MiB", "--read-all"]);
    lab.run(&["restore", "latest", "--to", &lab.text("out"), "--memory", "128MiB"]).expect(0);
    lab.run(&["verify", "--all", "--memory", "128MiB", "--no-cache"]).expect(0);
}

#[test]
fn what_is_excluded_is_left_out() {
    let lab = Lab::ready();
    for name in ["keep", "drop.o", "cache/inner", "marked/inner", "marked/.nobackup", "big"] {
        lab.write(&format!("source/{name}"), "x");
    }
    lab.write("source/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    lab.write("source/big", noise(10_000, "big"));
    lab.write("patterns", "# comment\nfrom-file\n");
    lab.write("source/from-file", "x");
    let source = lab.text("source");
    let patterns = lab.text("patterns");
    lab.snapshot(&[
        &source,
        "--exclude",
        "*.o",
        "--exclude-caches",
        "--exclude-if-present",
        ".nobackup",
        "--exclude-larger-than",
        "5000",
        "--exclude-file",
        &patterns,
    ]);
    let listed = lab.run(&["ls", "-R", &format!("latest:{}", lab.tree("source"))]).expect(0).out;
    let names: Vec<_> =
        listed.lines().filter_map(|l| l.strip_prefix(&lab.tree("source"))).collect();
    let want = ["/", "/cache/", "/cache/CACHEDIR.TAG", "/keep", "/marked/", "/marked/.nobackup"];
    assert_eq!(names, want);
}

#[test]
fn the_repository_never_captures_itself() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    let all = lab.path("");
    lab.snapshot(&[all.to_str().unwrap()]);
    let listed = lab.run(&["ls", "-R", "latest"]).expect(0).out;
    assert!(!listed.contains("/repository/config"), "{listed}");
    assert!(listed.contains("/source/file"), "{listed}");
}

#[test]
fn the_index_is_measured() {
    let lab = Lab::new();
    let dir = lab.text("index");
    let figures =
        plain(&["debug", "index-bench", "--chunks", "20000", "--dir", &dir, "--lookups", "1000"]);
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["segments"], 1);
    assert!(figures["lookups_per_second"].as_f64() > Some(1.0));
}

/// Not every option that happens to be given, also by the environment, as if it were required.
#[test]
fn usage_in_errors_is_that_of_the_help() {
    let lab = Lab::new();
    for (args, shown) in [
        (&["restore"][..], "<--to <DIR>|--in-place|--as-new <NAME=NEW>|--undo>"),
        (&["tag", "latest"], "<--add <TAG>|--remove <TAG>>"),
        (&["snapshot"], "--stdin <NAME>"),
        (&["copy", "latest"], "--to <URL>"),
    ] {
        let ran = lab.run(args).expect(2);
        assert!(ran.err.contains(shown), "{}", ran.err);
        let usage = ran.err.lines().find(|line| line.starts_with("Usage: ")).unwrap();
        let begin = format!("Usage: tintype repo {} ", args[0]);
        assert!(usage.starts_with(&begin), "{usage}");
        assert!(!usage.contains("--repository") && !usage.contains("--cache-dir"), "{usage}");
        assert!(plain(&["repo", args[0], "--help"]).contains(usage), "{usage}");
    }
}

#[test]
fn an_empty_environment_variable_is_not_set() {
    let lab = Lab::ready();
    let with =
        |name: &str, args: &[&str]| Ran::of(&lab.command(args).env(name, "").output().unwrap());
    with("TINTYPE_CACHE_DIR", &["list"]).expect(0);
    let ran = with("TINTYPE_REPOSITORY", &["list"]).expect(2);
    assert!(ran.err.contains("which repository?"), "{}", ran.err);
    let ran = with("TINTYPE_PASSWORD", &["list"]).expect(2);
    assert!(ran.err.contains("--password-file"), "{}", ran.err);
}

#[test]
fn hints_say_what_helps() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    let source = lab.text("source");
    lab.snapshot(&[&source]);
    let bad = lab.run(&["snapshot", &source, "--parent", "zzzz"]).expect(2);
    assert!(bad.err.contains("3f2a") && !bad.err.contains(":/"), "{}", bad.err);
    let unknown = lab.run(&["snapshot", &source, "--parent", "ffffffffff"]).expect(1);
    assert!(unknown.err.contains("`tintype repo list`"), "{}", unknown.err);
    let file = lab.text("source/file");
    let ran = lab.run(&["restore", "latest", "--to", &file]).expect(2);
    assert!(ran.err.contains("is no directory"), "{}", ran.err);
}

#[test]
fn a_list_shows_expiries_where_there_are_some() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source")]);
    assert!(!lab.run(&["list"]).expect(0).out.contains("expires"));
    lab.run(&["expire", "latest", "--at", "2999-12-31 18:00"]).expect(0);
    let listed = lab.run(&["list"]).expect(0).out;
    assert!(listed.contains("expires") && listed.contains("2999-12-31 18:00:00"), "{listed}");
}

/// Without words there was a dump of what the client knows of the answer.
#[test]
fn a_store_that_is_not_there_is_told_in_words() {
    let lab = Lab::new();
    for url in ["s3://bucket", "s3://bucket?endpoint=http://127.0.0.1:9&region=x"] {
        let mut list = lab.command(&["list", "-r", url, "--tries", "1"]);
        list.env("AWS_EC2_METADATA_DISABLED", "false");
        list.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
        let ran = Ran::of(&list.output().unwrap());
        assert!(ran.code == 1 && ran.err.contains("error: "), "{}", ran.err);
        assert!(!ran.err.contains("WARN") && !ran.err.contains(" { "), "{}", ran.err);
    }
}
