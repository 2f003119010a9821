//! Damage to what everything hangs on, and the way back.

use crate::support::{Lab, damage, noise, objects};

#[test]
fn a_damaged_gc_record_is_named_and_made_anew() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let source = lab.text("source");
    let first = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    lab.run(&["gc"]).expect(0);
    let record = objects(&lab, "gc").pop().unwrap();
    damage(&record);
    let named = lab.run(&["verify"]).expect(4);
    assert!(named.out.contains("gc/00000001"), "{}", named.out);
    let refused = lab.run(&["snapshot", &source]).expect(4);
    assert!(refused.err.contains("--repair-index"), "{}", refused.err);
    lab.run(&["restore", &first, "--to", &lab.text("before")]).expect(0);
    assert_eq!(lab.read("before/source/a"), b"kept");
    let mended = lab.run(&["verify", "--repair-index"]).expect(0);
    assert!(mended.out.contains("gc/00000002 made anew"), "{}", mended.out);
    lab.snapshot(&[&source]);
    lab.run(&["gc"]).expect(0);
    assert_eq!(lab.ids().len(), 2);
    lab.assert_whole();
}

/// Content in a damaged pack would pass for stored for ever.
#[test]
fn what_is_damaged_is_stored_again_after_a_repair() {
    let lab = Lab::ready();
    lab.write("source/a", noise(3 << 20, "a"));
    let source = lab.text("source");
    let first = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    damage(&objects(&lab, "data").pop().unwrap());
    let found = lab.run(&["verify", "--all"]).expect(4);
    assert!(
        found.out.contains("--repair-index") && found.out.contains("--read-all"),
        "{}",
        found.out
    );
    lab.run(&["verify", "--all", "--repair-index"]).expect(4);
    lab.snapshot(&["--read-all", &source]);
    lab.run(&["restore", &first, "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/a") == noise(3 << 20, "a"));
}

/// Only the operator can say that a snapshot is not to be waited for any more.
#[test]
fn gc_refuses_while_a_fate_is_lost_until_it_is_given_up() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let id = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    lab.run(&["hold", &id, "--reason", "law"]).expect(0);
    std::fs::remove_file(lab.path(&format!("repository/fate/{id}"))).unwrap();
    for refused in [&["gc", "--dry-run"][..], &["gc"]] {
        let refused = lab.run(refused).expect(4);
        assert!(refused.err.contains(&format!("--give-up {id}")), "{}", refused.err);
    }
    lab.run(&["verify"]).expect(4);
    lab.run(&["gc", "--give-up", &id]).expect(0);
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
}
