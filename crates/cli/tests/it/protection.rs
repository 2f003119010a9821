//! Locks, holds, expiry, and what they do to delete, prune and gc.

use crate::support::{Lab, noise};

#[test]
fn a_locked_snapshot_cannot_be_deleted() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source")]);
    lab.snapshot(&[&lab.text("source")]);
    lab.run(&["lock", "latest", "--until", "2999-01-01"]).expect(0);
    let refused = lab.run(&["delete", "latest", "latest~1"]).expect(5);
    assert!(refused.err.contains("locked until 2999-01-01"), "{}", refused.err);
    assert_eq!(lab.ids().len(), 2, "nothing at all was deleted");
    let shorter = lab.run(&["lock", "latest", "--until", "2998-01-01"]).expect(5);
    assert!(shorter.err.contains("only be extended"), "{}", shorter.err);
    lab.run(&["lock", "latest", "--until", "1999-01-01"]).expect(1);
    lab.run(&["delete", "latest~1"]).expect(0);
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn a_held_snapshot_stays_until_it_is_released() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source"), "--expiry", "2001-01-01"]);
    lab.run(&["hold", "latest", "--reason", "case 1"]).expect(0);
    lab.run(&["delete", "latest"]).expect(5);
    let kept = lab.run(&["prune", "--expired-only"]).expect(0).out;
    assert!(kept.contains("1 kept, 0 dropped") && kept.contains("case 1"), "{kept}");
    let wrong = lab.run(&["hold", "latest", "--reason", "case 2", "--release"]).expect(1);
    assert!(wrong.err.contains("holds that it has: \"case 1\""), "{}", wrong.err);
    lab.run(&["hold", "latest", "--reason", "case 1", "--release"]).expect(0);
    let dropped = lab.run(&["prune", "--expired-only"]).expect(0).out;
    assert!(dropped.contains("0 kept, 1 dropped"), "{dropped}");
    assert!(lab.ids().is_empty());
}

#[test]
fn words_about_a_snapshot_can_change() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source"), "--tag", "a", "--expires-in", "30d"]);
    lab.run(&["tag", "latest", "--add", "b", "--remove", "a"]).expect(0);
    lab.run(&["note", "latest", "a note"]).expect(0);
    lab.run(&["expire", "latest", "--never"]).expect(0);
    let shown = lab.run(&["show", "latest", "--json"]).expect(0).events().remove(0);
    let standing = &shown["standing"];
    assert_eq!(standing["tags"], serde_json::json!(["b"]));
    assert_eq!(standing["note"], "a note");
    assert!(standing["expiry"].is_null() && !shown["expiry"].is_null(), "{shown}");
    assert_eq!(lab.run(&["list", "--tag", "a", "--json"]).expect(0).summary()["snapshots"], 0);
    lab.run(&["prune"]).expect(2);
    lab.run(&["tag", "latest"]).expect(2);
}

/// What a plan of prune promises is what gc then frees.
#[test]
fn prune_says_what_gc_frees() {
    let lab = Lab::ready();
    for round in 0..3 {
        // One file stays, one changes: packs that go whole, and packs that are copied from.
        lab.write("source/stays", noise(2 << 20, "stays"));
        lab.write("source/changes", noise(3 << 20, &format!("changes {round}")));
        lab.snapshot(&[&lab.text("source")]);
    }
    let args = ["prune", "--keep-last", "1", "--json"];
    let planned = lab.run(&[&args[..], &["--dry-run"]].concat()).expect(0).summary();
    let freed = lab.run(&[&args[..], &["--gc", "--yes"]].concat()).expect(0).summary();
    assert!(planned["freed_bytes"].as_u64() > Some(5 << 20), "{planned}");
    assert_eq!(planned["freed_bytes"], freed["freed_bytes"]);
    lab.assert_whole();
}

#[test]
fn rules_that_match_nothing_empty_no_group() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source"), "--tag", "weekly"]);
    for args in
        [&["prune", "--keep-tag", "weakly", "--yes"][..], &["prune", "--keep-tag", "x", "-n"]]
    {
        let ran = lab.run(args).expect(2);
        assert!(ran.err.contains("--min-count"), "{}", ran.err);
    }
    assert_eq!(lab.ids().len(), 1);
    lab.run(&["prune", "--keep-tag", "weekly"]).expect(0);
}
