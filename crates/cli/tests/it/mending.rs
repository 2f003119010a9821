//! Damage to what everything hangs on, and the way back.

use crate::support::{Lab, damage, objects};

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
