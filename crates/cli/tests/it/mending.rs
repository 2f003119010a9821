//! Damage to what everything hangs on, and the way back.

use crate::support::{Lab, Ran, damage, noise, objects};

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
    assert!(named.out.contains("`tintype repo verify --repair-index`"), "{}", named.out);
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

/// Whoever has read it may still have it.
#[test]
fn a_damaged_fate_comes_back_from_the_cache() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let id = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    lab.run(&["list"]).expect(0);
    damage(&lab.path(&format!("repository/fate/{id}")));
    let found = lab.run(&["verify"]).expect(4);
    assert!(found.out.contains("--repair-index"), "{}", found.out);
    assert!(!found.out.contains("--give-up"), "{}", found.out);
    let mended = lab.run(&["verify", "--repair-index"]).expect(0);
    let line = format!("fate/{id} written again from the local cache");
    assert!(mended.out.contains(&line), "{}", mended.out);
    std::fs::remove_dir_all(lab.path("cache")).unwrap();
    lab.run(&["gc"]).expect(0);
    assert_eq!(lab.ids(), [id]);
    lab.assert_whole();
}

/// Only the operator can say that a snapshot is not to be waited for any more.
#[test]
fn gc_refuses_while_a_fate_is_lost_until_it_is_given_up() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let id = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    lab.run(&["hold", &id, "--reason", "law"]).expect(0);
    std::fs::remove_file(lab.path(&format!("repository/fate/{id}"))).unwrap();
    std::fs::remove_dir_all(lab.path("cache")).unwrap();
    for refused in [&["gc", "--dry-run"][..], &["gc"]] {
        let refused = lab.run(refused).expect(4);
        assert!(refused.err.contains(&format!("--give-up {id}")), "{}", refused.err);
    }
    let told = lab.run(&["verify"]).expect(4);
    assert!(told.out.contains(&format!("`tintype repo gc --give-up {id}`")), "{}", told.out);
    assert!(!told.out.contains("--repair-index"), "{}", told.out);
    let held = lab.run(&["gc", "--give-up", &id]).expect(4);
    assert!(
        held.err.contains("held (law)") && held.err.contains("--despite-holds"),
        "{}",
        held.err
    );
    lab.run(&["gc", "--give-up", &id, "--despite-holds"]).expect(0);
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
}

#[test]
fn lost_changes_of_a_snapshot_are_accepted_by_name() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let source = lab.text("source");
    let id = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    lab.run(&["tag", &id, "--add", "first"]).expect(0);
    lab.run(&["lock", &id, "--for", "1y"]).expect(0);
    lab.run(&["tag", &id, "--add", "third"]).expect(0);
    lab.run(&["tag", &id, "--add", "fourth"]).expect(0);
    lab.run(&["gc"]).expect(0);
    let changes = objects(&lab, "annotation");
    assert_eq!(changes.len(), 4);
    // One is damaged, one missing between others, and the last one is known to the gc record.
    damage(&changes[0]);
    std::fs::remove_file(&changes[1]).unwrap();
    std::fs::remove_file(&changes[3]).unwrap();
    let told = lab.run(&["verify", "--json"]).expect(4).summary();
    let advice = told["advice"].as_array().unwrap();
    assert_eq!(advice.len(), 1, "{advice:?}");
    let command = format!("`tintype repo verify --accept-lost-changes {id}`");
    assert!(advice[0].as_str().unwrap().contains(&command), "{advice:?}");
    lab.run(&["gc"]).expect(4);
    lab.run(&["delete", &id]).expect(4);
    let told = lab.run(&["verify", "--accept-lost-changes", &id]).expect(0);
    for (number, how) in [(1, "damaged"), (2, "missing"), (4, "missing")] {
        let line = format!("/0000000{number} is {how}");
        assert!(told.out.contains(&line), "{line} in {}", told.out);
    }
    lab.run(&["gc"]).expect(0);
    // What was a lock is a hold.
    let refused = lab.run(&["delete", &id]).expect(5);
    assert!(refused.err.contains("changes were lost"), "{}", refused.err);
    let again = lab.run(&["verify", "--accept-lost-changes", &id[..12]]).expect(0);
    assert!(again.out.contains("no change is lost"), "{}", again.out);
    lab.run(&["hold", &id, "--reason", "changes were lost", "--release"]).expect(0);
    let shown = lab.run(&["show", &id, "--json"]).expect(0).events().remove(0);
    assert_eq!(shown["standing"]["tags"], serde_json::json!(["third"]));
    lab.run(&["delete", &id]).expect(0);
    lab.run(&["gc"]).expect(0);
    assert!(lab.ids().is_empty());
}

/// What lies under a session's or a condemned list's name may be anything.
#[test]
fn sessions_and_condemned_lists_that_cannot_be_read_stop_nothing() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let source = lab.text("source");
    let first = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    damage(&lab.path(&format!("repository/session/{first}")));
    let junk = "0123456789abcdef0123456789abcdef";
    lab.write(&format!("repository/session/{junk}"), "junk");
    lab.snapshot(&[&source]);
    lab.write(&format!("repository/condemned/00000000/{junk}"), "junk");
    let refused = lab.run(&["snapshot", &source]).expect(4);
    assert!(refused.err.contains("tintype repo gc"), "{}", refused.err);
    lab.run(&["gc", "--fence-after", "0s"]).expect(0);
    lab.snapshot(&[&source]);
    lab.run(&["verify"]).expect(4);
    let mended = lab.run(&["verify", "--repair-index"]).expect(0);
    let line = format!("session/{first} written again");
    assert!(mended.out.contains(&line), "{}", mended.out);
    lab.run(&["restore", &first, "--to", &lab.text("out")]).expect(0);
    assert_eq!(lab.read("out/source/a"), b"kept");
    // It goes with its snapshot, and nothing else was wrong.
    lab.run(&["delete", &first]).expect(0);
    lab.run(&["gc"]).expect(0);
    lab.run(&["gc"]).expect(0);
    assert_eq!(lab.ids().len(), 2);
    lab.assert_whole();
}

/// Of a snapshot that is deleted and still there for gc.
#[test]
fn lost_changes_of_a_deleted_snapshot_do_not_stop_gc_for_ever() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let source = lab.text("source");
    let id = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    lab.snapshot(&[&source]);
    lab.run(&["tag", &id, "--add", "first"]).expect(0);
    lab.run(&["delete", &id]).expect(0);
    damage(&objects(&lab, "annotation")[0]);
    lab.run(&["gc"]).expect(4);
    lab.run(&["verify", "--accept-lost-changes", &id]).expect(0);
    lab.run(&["gc"]).expect(0);
    lab.assert_whole();
    assert_eq!(lab.ids().len(), 1);
}

/// A green snapshot can be restored, also beside earlier ones that lost something.
#[test]
fn what_a_lost_pack_held_is_stored_again_by_the_next_snapshot() {
    for classes in [&["data"][..], &["data", "meta"]] {
        let lab = Lab::ready();
        lab.write("source/large", noise(3 << 20, "large"));
        lab.write("source/small", "small");
        lab.snapshot(&[&lab.text("source")]);
        for pack in classes.iter().flat_map(|class| objects(&lab, class)) {
            std::fs::remove_file(pack).unwrap();
        }
        let ran = lab.run(&["snapshot", &lab.text("source")]).expect(0);
        assert!(ran.err.contains("missing: this snapshot read and stored"), "{}", ran.err);
        // Pages of the earlier one come back only if no directory on the way to the lab changed.
        let earlier_too = classes == ["data"];
        let ids = lab.ids();
        for (number, id) in ids.iter().enumerate().skip(usize::from(!earlier_too)) {
            let out = lab.text(&format!("out{number}"));
            lab.run(&["restore", id, "--to", &out, "--verify"]).expect(0);
        }
        let ran = lab.run(&["snapshot", &lab.text("source"), "--json"]).expect(0);
        assert!(ran.summary()["read_bytes"].as_u64() > Some(0), "{}", ran.out);
        lab.run(&["delete", &ids[0]]).expect(0);
        lab.run(&["verify", "--repair-index"]).expect(0);
        lab.run(&["snapshot", &lab.text("source")]).expect(0);
        lab.assert_whole();
    }
}

/// Neither fate nor session: what the last gc knew is all that tells.
#[test]
fn gc_misses_what_the_last_one_knew() {
    let lab = Lab::ready();
    lab.write("source/a", noise(1 << 20, "first"));
    let id = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    lab.write("source/a", noise(1 << 20, "second"));
    lab.snapshot(&[&lab.text("source")]);
    lab.run(&["gc"]).expect(0);
    let names = [format!("repository/fate/{id}"), format!("repository/session/{id}")];
    let kept: Vec<_> = names.iter().map(|name| lab.read(name)).collect();
    names.iter().for_each(|name| std::fs::remove_file(lab.path(name)).unwrap());
    std::fs::remove_dir_all(lab.path("cache")).unwrap();
    for refused in [&["gc", "--dry-run"][..], &["gc"]] {
        let ran = lab.run(refused).expect(4);
        assert!(ran.err.contains("--give-up"), "{}", ran.err);
    }
    let out = lab.text("out");
    for refused in [&["restore", "latest", "--to", &out][..], &["prune", "--keep-last", "1"]] {
        lab.run(refused).expect(4);
    }
    let listed = lab.run(&["list"]);
    assert!(listed.err.contains(&format!("fate/{id} is missing")), "{}", listed.err);
    names.iter().zip(kept).for_each(|(name, bytes)| lab.write(name, bytes));
    lab.assert_whole();
    lab.run(&["gc"]).expect(0);
    lab.run(&["gc"]).expect(0);
}

/// "Wrong key" would send somebody with the right passphrase looking for another.
#[test]
fn a_damaged_key_slot_is_named_where_nothing_opens() {
    let lab = Lab::new();
    let sheet = lab.text("sheet");
    lab.run(&["init", "--no-probe", "--recovery-key-out", &sheet]).expect(0);
    let is_of = |kind: &str, path: &std::path::PathBuf| {
        std::fs::read_to_string(path).unwrap().contains(&format!("\"kind\":\"{kind}\""))
    };
    let slots = objects(&lab, "keys");
    let slot_of = |kind| slots.iter().find(|path| is_of(kind, path)).unwrap();
    let (slot, other) = (slot_of("passphrase"), slot_of("recovery"));
    let name = format!("keys/{}", slot.file_name().unwrap().to_str().unwrap());
    let good = std::fs::read_to_string(slot).unwrap();
    let harms = [
        good[..good.len() / 2].to_owned(),
        good.replace("\"kind\":\"passphrase\"", "\"kind\":\"passqhrase\""),
        good.replace("\"memory_kib\":65536", "\"memory_kib\":96655360"),
        good.replace("\"wrapped\":\"", "\"wrapped\":\"x"),
        "x".repeat(100_000),
    ];
    for harm in harms {
        assert_ne!(harm, good);
        std::fs::write(slot, harm).unwrap();
        let refused = lab.run(&["list"]).expect(4);
        assert!(refused.err.contains(&name), "{}", refused.err);
        let mut by_words = lab.command(&["list", "--recovery-key-file", &sheet]);
        let opened = by_words.env_remove("TINTYPE_PASSWORD").output().unwrap();
        assert!(opened.status.success());
    }
    // Shown, and replaced with the help of the other secret.
    let by_words = |words: &[&str]| {
        let mut command = lab.command(words);
        command.args(["--recovery-key-file", &sheet]).env_remove("TINTYPE_PASSWORD");
        Ran::of(&command.output().unwrap())
    };
    let listed = by_words(&["key", "list", "--json"]).expect(0).events();
    let id = slot.file_name().unwrap().to_str().unwrap();
    let damaged: Vec<_> = listed.iter().filter(|event| event["kind"] == "damaged").collect();
    assert!(damaged.len() == 1 && damaged[0]["id"] == id, "{listed:?}");
    // A slot that is read and was changed is none that can be relied on.
    let at = good.find("\"salt\":\"").unwrap() + 8;
    let other_digit = if good.as_bytes()[at] == b'0' { "1" } else { "0" };
    for changed in [
        format!("{}{other_digit}{}", &good[..at], &good[at + 1..]),
        good.replace("argon2id", "argon2xx"),
    ] {
        std::fs::write(slot, changed).unwrap();
        let listed = by_words(&["key", "list", "--json"]).expect(0).events();
        let found = listed.iter().find(|event| event["id"] == id).unwrap();
        assert!(found["problem"].as_str().is_some(), "{found}");
        by_words(&["verify"]).expect(4);
    }
    let advice = by_words(&["verify"]).expect(4).out;
    assert!(advice.contains("tintype repo key remove"), "{advice}");
    by_words(&["key", "remove", id]).expect(0);
    by_words(&["verify"]).expect(0);
    // It is whole, and the damaged one is not for a passphrase.
    std::fs::write(slot, good).unwrap();
    let text = std::fs::read_to_string(other).unwrap();
    std::fs::write(other, text.replace("\"salt\":\"", "\"salt\":\"x")).unwrap();
    let mut wrong = lab.command(&["list"]);
    Ran::of(&wrong.env("TINTYPE_PASSWORD", "another passphrase").output().unwrap()).expect(6);
    lab.run(&["list"]).expect(0);
}

/// Severity and object of what a verification of everything finds.
fn found(lab: &Lab, code: i32) -> Vec<(String, String)> {
    let events = lab.run(&["verify", "--all", "--json"]).expect(code).events();
    let word = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
    let findings = events.iter().filter(|event| event["event"] == "finding");
    findings.map(|event| (word(event, "severity"), word(event, "object"))).collect()
}

/// It was reported as damaged for as long as anybody needed the rest of it.
#[test]
fn a_damaged_pack_is_replaced_when_its_content_is_back() {
    let lab = Lab::ready();
    for number in 0..4 {
        lab.write(&format!("source/{number}"), noise(1 << 20, &format!("file {number}")));
    }
    let source = lab.text("source");
    let first = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    let pack = objects(&lab, "data").pop().unwrap();
    let name =
        format!("data/{}", pack.strip_prefix(lab.path("repository/data")).unwrap().display());
    damage(&pack);
    assert_eq!(found(&lab, 4), [("damage".to_owned(), name.clone())]);
    lab.run(&["verify", "--all", "--repair-index"]).expect(4);
    lab.snapshot(&["--read-all", &source]);
    assert_eq!(found(&lab, 0), [("info".to_owned(), name.clone())]);
    let told = lab.run(&["verify", "--all"]).expect(0);
    assert!(told.out.contains("`tintype repo gc --rewrite-damaged`"), "{}", told.out);
    let planned = lab.run(&["gc", "--rewrite-damaged", "--dry-run", "--json"]).expect(0).events();
    let of_pack = planned.iter().find(|event| event["pack"] == name).unwrap();
    assert_eq!(of_pack["reason"], "damaged");
    let planned = lab.run(&["gc", "--rewrite-damaged", "--dry-run"]).expect(0);
    assert!(planned.out.contains("1 damaged"), "{}", planned.out);
    lab.run(&["gc", "--rewrite-damaged"]).expect(0);
    assert!(!pack.exists());
    assert_eq!(found(&lab, 0), []);
    lab.run(&["restore", &first, "--to", &lab.text("out"), "--verify"]).expect(0);
    assert!(lab.read("out/source/3") == noise(1 << 20, "file 3"));
}

#[test]
fn a_pack_with_a_damaged_trailer_is_replaced() {
    let lab = Lab::ready();
    lab.write("source/a", noise(1 << 20, "a"));
    let id = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    let pack = objects(&lab, "data").pop().unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let in_trailer = bytes.len() - 60;
    bytes[in_trailer] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    assert_eq!(found(&lab, 4).len(), 1);
    lab.run(&["gc"]).expect(0);
    assert_eq!(found(&lab, 4).len(), 1);
    lab.run(&["gc", "--rewrite-damaged"]).expect(0);
    assert_eq!(found(&lab, 0), []);
    lab.run(&["restore", &id, "--to", &lab.text("out"), "--verify"]).expect(0);
    assert!(lab.read("out/source/a") == noise(1 << 20, "a"));
}
