//! What happens to a source while it is read, and to memory.

use std::process::Child;

use crate::support::{Lab, Ran, noise};

/// Waits until the process has read so much of its files.
#[track_caller]
fn wait_until_read(child: &mut Child, bytes: u64) {
    let counters = format!("/proc/{}/io", child.id());
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&counters).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
        if line.and_then(|line| line.parse().ok()).unwrap_or(0) > bytes {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it ended before it had read {bytes} bytes");
}

/// The upload is so slow that the file cannot have been read to its end when it changes.
#[test]
fn a_file_that_changes_while_it_is_read_is_recorded_as_such() {
    let lab = Lab::ready();
    lab.write("source/changes", noise(96 << 20, "changes"));
    lab.write("source/stays", "stays");
    let source = lab.text("source");
    let mut child =
        lab.start(&["snapshot", &source, "--json", "--cpu", "1", "--limit-upload", "8MiB/s"]);
    let path = lab.path("source/changes");
    wait_until_read(&mut child, 8 << 20);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ran.summary()["complete"], true);
    let named = |e: &serde_json::Value| e["event"] == "problem" && e["kind"] == "changed";
    assert!(ran.events().iter().any(named), "{}", ran.out);
    let changed = format!("latest:{}", lab.tree("source/changes"));
    let listed = lab.run(&["ls", "--json", &changed]).expect(0).events();
    assert_eq!(listed[0]["problem"], "changed while it was read", "{listed:?}");
    lab.assert_whole();
    lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert_eq!(lab.read("out/source/stays"), b"stays");
}

/// What is open is read to its end.
#[test]
fn a_file_that_is_removed_while_it_is_read_is_whole() {
    let lab = Lab::ready();
    lab.write("source/removed", noise(32 << 20, "removed"));
    let source = lab.text("source");
    let mut child =
        lab.start(&["snapshot", &source, "--json", "--cpu", "1", "--limit-upload", "8MiB/s"]);
    wait_until_read(&mut child, 4 << 20);
    std::fs::remove_file(lab.path("source/removed")).unwrap();
    Ran::of(&child.wait_with_output().unwrap()).expect(0);
    lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/removed") == noise(32 << 20, "removed"));
}

/// The most memory that the process has held at any time, in bytes.
fn peak_bytes(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) << 10);
        std::thread::yield_now();
    }
    peak
}

#[test]
fn memory_stays_below_what_was_allowed() {
    let lab = Lab::ready();
    lab.write("source/large", noise(96 << 20, "memory"));
    for number in 0..4000 {
        lab.write(&format!("source/{}/{number}", number / 100), noise(3000, &number.to_string()));
    }
    let (source, out) = (lab.text("source"), lab.text("out"));
    let commands: [&[&str]; 3] =
        [&["snapshot", &source], &["restore", "latest", "--to", &out], &["verify", "--all"]];
    for args in commands {
        let mut child = lab.start(&[args, &["--memory", "128MiB"]].concat());
        let peak = peak_bytes(&mut child);
        Ran::of(&child.wait_with_output().unwrap()).expect(0);
        assert!(peak > 10 << 20, "{args:?}: {peak} bytes seen");
        assert!(peak < 128 << 20, "{args:?}: {peak} bytes");
    }
}

/// Both names of a file are listed; then one goes before it is read. The upload of what stands
/// before them is so slow that they cannot have been read yet.
#[test]
fn a_name_that_goes_while_the_run_lasts_costs_only_itself() {
    let lab = Lab::ready();
    lab.write("source/a-large", noise(32 << 20, "before"));
    lab.write("source/links/1-temporary", "published");
    lab.write("source/links/3-large", noise(300_000, "linked"));
    std::fs::hard_link(lab.path("source/links/1-temporary"), lab.path("source/links/2-published"))
        .unwrap();
    std::fs::hard_link(lab.path("source/links/3-large"), lab.path("source/links/4-gone")).unwrap();
    lab.write("source/links/5-vanishes", "x");
    let source = lab.text("source");
    let mut child =
        lab.start(&["snapshot", &source, "--json", "--cpu", "1", "--limit-upload", "8MiB/s"]);
    wait_until_read(&mut child, 8 << 20);
    for name in ["1-temporary", "4-gone", "5-vanishes"] {
        std::fs::remove_file(lab.path("source/links").join(name)).unwrap();
    }
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ran.summary()["complete"], true);
    let noticed: Vec<_> = ran.events().into_iter().filter(|e| e["event"] == "problem").collect();
    assert!(noticed.iter().any(|e| e["kind"] == "vanished"), "{noticed:?}");
    lab.assert_whole();
    lab.run(&["restore", "latest", "--to", &lab.text("out"), "--include", "links/"]);
    assert_eq!(lab.read("out/source/links/2-published"), b"published");
    assert_eq!(lab.read("out/source/links/3-large"), noise(300_000, "linked"));
}
