//! How snapshots are named.

use crate::support::Lab;

#[test]
fn latest_and_the_ones_before() {
    let lab = Lab::ready();
    for text in ["one", "two", "three"] {
        lab.write("source/file", text);
        lab.snapshot(&[&lab.text("source")]);
    }
    let file = lab.tree("source/file");
    for (which, want) in [("latest", "three"), ("latest~1", "two"), ("latest~2", "one")] {
        assert_eq!(lab.run(&["cat", &format!("{which}:{file}")]).expect(0).out, want);
    }
    let beyond = lab.run(&["show", "latest~3"]).expect(1);
    assert!(beyond.err.contains("the oldest is latest~2"), "{}", beyond.err);
    let unknown = lab.run(&["show", "yesterday"]).expect(2);
    assert!(unknown.err.contains("latest~2"), "{}", unknown.err);
    let lost = lab.run(&["ls", "latest:/etc"]).expect(1);
    assert!(lost.err.contains(":/files/etc"), "{}", lost.err);
}

#[test]
fn a_prefix_that_two_ids_share_is_refused() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    // Of 17 ids two begin with the same digit.
    let shared = loop {
        lab.snapshot(&[&lab.text("source")]);
        let mut digits: Vec<_> = lab.ids().iter().map(|id| id[..1].to_owned()).collect();
        digits.sort();
        if let Some(pair) = digits.windows(2).find(|pair| pair[0] == pair[1]) {
            break pair[0].clone();
        }
    };
    let refused = lab.run(&["show", &shared]).expect(2);
    assert!(refused.err.contains("is the start of"), "{}", refused.err);
    let id = lab.ids().pop().unwrap();
    assert!(lab.run(&["show", &id[..12]]).expect(0).out.contains(&id));
}

#[test]
fn a_snapshot_of_everything_in_one_directory() {
    let lab = Lab::ready();
    lab.write("source/a/b", "x");
    lab.write("source/c", "x");
    lab.snapshot(&[&lab.text("source")]);
    let below = format!("latest:{}", lab.tree("source"));
    assert_eq!(lab.run(&["ls", &below]).expect(0).out, "a/\nc\n");
    let all = lab.run(&["ls", "-R", &below]).expect(0).out;
    assert!(all.contains(&format!("{}\n", lab.tree("source/a/b"))), "{all}");
    let found = lab.run(&["find", "b"]).expect(0).out;
    assert!(found.starts_with(&lab.tree("source/a/b")), "{found}");
}

/// Whatever a table holds, it can be shown, and what it names be deleted.
#[test]
fn long_labels_are_shown() {
    let lab = Lab::ready();
    let paths: Vec<String> =
        (0..1500).map(|n| format!("source/a-name-that-is-long-{n:05}")).collect();
    paths.iter().for_each(|path| lab.write(path, "x"));
    let mut args = vec!["snapshot".to_owned(), "--host".to_owned(), "h".repeat(70_000)];
    args.extend(paths.iter().map(|path| lab.text(path)));
    lab.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
    let listed = lab.run(&["list"]).expect(0).out;
    assert!(listed.contains("and 1496 more"), "{listed}");
    lab.run(&["snapshot", &lab.text("source"), "--tag", ""]).expect(2);
    lab.run(&["snapshot", &lab.text("source"), "--exclude", ""]).expect(2);
    lab.run(&["delete", "latest"]).expect(0);
}
