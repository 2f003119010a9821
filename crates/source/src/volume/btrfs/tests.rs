//! Streams made by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::overlay::{Changes, Limits, changes};

fn head() -> Vec<u8> {
    [&b"btrfs-stream\0"[..], &1u32.to_le_bytes()].concat()
}

fn command(number: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = attributes
        .iter()
        .flat_map(|(kind, value)| {
            [&kind.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value].concat()
        })
        .collect();
    [&(body.len() as u32).to_le_bytes()[..], &number.to_le_bytes(), &[0; 4], &body].concat()
}

fn stream(commands: &[Vec<u8>]) -> Vec<u8> {
    [head(), commands.concat(), command(21, &[])].concat()
}

fn on(number: u16, path: &str) -> Vec<u8> {
    command(number, &[(3, &[0; 8]), (15, path.as_bytes())])
}

fn rename(from: &str, to: &str) -> Vec<u8> {
    command(9, &[(15, from.as_bytes()), (16, to.as_bytes())])
}

fn read(commands: &[Vec<u8>]) -> Changes {
    changes(&stream(commands)[..], Limits::default()).unwrap()
}

fn names(of: &[&str]) -> BTreeSet<Vec<u8>> {
    of.iter().map(|name| name.as_bytes().to_vec()).collect()
}

const MAKE_FILE: u16 = 3;
const MAKE_DIR: u16 = 4;
const LINK: u16 = 10;
const UNLINK: u16 = 11;
const RMDIR: u16 = 12;
const UTIMES: u16 = 20;

#[test]
fn temporary_names_are_not_told() {
    let found = read(&[
        command(2, &[(15, b"snapshot"), (1, &[0; 16])]),
        on(MAKE_FILE, "o257-7-0"),
        rename("o257-7-0", "dir/new\nname"),
        on(UTIMES, "dir/new\nname"),
        on(LINK, "further"),
        on(UNLINK, "dir/old"),
    ]);
    assert_eq!(found.names, names(&["", "dir", "dir/new\nname", "dir/old", "further"]));
    assert!(found.moved.is_empty());
}

#[test]
fn what_was_changed_before_its_directory_moved_is_told_where_it_lies_now() {
    let found = read(&[on(UTIMES, "a/x"), rename("a", "b"), on(UTIMES, "b/y")]);
    assert_eq!(found.names, names(&["", "a", "a/x", "a/y", "b", "b/x", "b/y"]));
    assert_eq!(found.moved, [(b"a".to_vec(), b"b".to_vec())]);
}

#[test]
fn directories_that_change_places() {
    let found = read(&[
        rename("a", "o258-7-0"),
        rename("b", "a"),
        rename("o258-7-0", "b"),
        on(MAKE_DIR, "o300-8-0"),
        rename("o300-8-0", "b/in"),
    ]);
    assert_eq!(found.moved.len(), 2);
    assert_eq!(found.names, names(&["", "a", "b", "b/in"]));
}

#[test]
fn what_was_away_for_a_while_has_not_moved() {
    let found = read(&[rename("a", "o258-7-0"), rename("o258-7-0", "a"), on(RMDIR, "b")]);
    assert!(found.moved.is_empty());
    assert_eq!(found.names, names(&["", "a", "b"]));
}

#[test]
fn nonsense_is_refused() {
    let cut = stream(&[on(UTIMES, "a")]);
    for length in 0..cut.len() {
        assert!(changes(&cut[..length], Limits::default()).is_err(), "{length}");
    }
    for wrong in [
        vec![on(UTIMES, "../a")],
        vec![on(UTIMES, "/a")],
        vec![on(UTIMES, "a\0b")],
        vec![on(99, "a")],
        vec![on(UNLINK, "")],
        vec![on(UNLINK, "a"), on(UTIMES, "a")],
        vec![on(MAKE_DIR, "a"), on(UTIMES, "a/b")],
        vec![rename("a", "a/b")],
        vec![command(UTIMES, &[])],
    ] {
        assert!(changes(&stream(&wrong)[..], Limits::default()).is_err(), "{wrong:?}");
    }
    let long = [head(), u32::MAX.to_le_bytes().to_vec(), vec![20, 0, 0, 0, 0, 0]].concat();
    assert!(changes(&long[..], Limits::default()).is_err());
    let many: Vec<_> = (0..100).map(|n| on(UTIMES, &format!("f{n}"))).collect();
    let few = Limits { nodes: 50, ..Limits::default() };
    assert!(changes(&stream(&many)[..], few).is_err());
    let short = Limits { bytes: 100, ..Limits::default() };
    assert!(changes(&stream(&many)[..], short).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Neither panics nor takes for ever.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = changes(&[head(), bytes].concat()[..], Limits::default());
    }

    #[test]
    fn changed_streams_are_read_or_refused(bytes in tintype_testkit::hostile::changed([stream(&[
        command(2, &[(15, b"snapshot"), (1, &[0; 16])]),
        on(MAKE_DIR, "o257-7-0"),
        rename("o257-7-0", "dir"),
        rename("dir", "else/where"),
        on(LINK, "further"),
        on(UNLINK, "dir/old"),
        on(RMDIR, "gone"),
        on(UTIMES, ""),
    ])])) {
        let _ = changes(&bytes[..], Limits::default());
    }

    #[test]
    fn any_commands_are_read(
        commands in prop::collection::vec((3u16..24, "[ab/]{0,5}", "[ab/]{0,5}"), 0..30),
    ) {
        let commands: Vec<_> = commands
            .iter()
            .map(|(number, path, to)| {
                command(*number, &[(15, path.as_bytes()), (16, to.as_bytes())])
            })
            .collect();
        let _ = changes(&stream(&commands)[..], Limits::default());
    }
}
