//! What `delete_extra` must leave alone.

use std::fs;

use tintype_engine::cancel::Cancel;
use tintype_model::entry::{Kind, Problem, ProblemKind};
use tintype_runner::restore::{Destination, Request};
use tintype_runner::snapshot::{Input, Labels, SnapshotOptions};
use tintype_source::files::WalkOptions;

use crate::inputs::stream_node;
use crate::support::{Lab, tree_path};

/// Of a directory that could not be looked into nobody knows what it held.
#[test]
fn nothing_is_deleted_in_what_the_snapshot_could_not_look_into() {
    for kind in [ProblemKind::Unreadable, ProblemKind::Vanished] {
        let lab = Lab::new();
        lab.write("precious", b"x");
        let path = tree_path(&lab.source());
        let mut node = stream_node();
        node.kind = Kind::Directory;
        let message = "another thing took its name".to_owned();
        node.extras_mut().problem = Some(Problem { kind, message });
        let read = Box::new(std::io::empty());
        let input = Input::Stream { path, node, read, end: Box::new(|| Ok(())) };
        lab.take_with(input).unwrap();
        let in_place = Request {
            path: Vec::new(),
            destination: Destination::InPlace,
            delete_extra: true,
            ..lab.request("")
        };
        let onto = Request { delete_extra: true, ..lab.request("source") };
        for request in [in_place, onto] {
            let plan = lab.plan(&request);
            assert_eq!(plan.extra, Vec::<Vec<u8>>::new(), "{kind:?}");
            assert!(plan.spared[0].1.contains("could not be looked into"), "{:?}", plan.spared);
        }
    }
}

/// A snapshot of an older version names exclude files and not what they said.
#[test]
fn nothing_is_deleted_if_nobody_knows_what_was_left_out() {
    let lab = Lab::new();
    lab.write("file", b"x");
    let options = |options| SnapshotOptions {
        labels: Labels { roots: vec![tree_path(&lab.source())], options, ..Labels::default() },
        parent: None,
        workers: 2,
        most_workers: 2,
        cancel: Cancel::default(),
        read_all: false,
    };
    let input =
        || Input::Files { roots: vec![lab.source()], options: Box::new(WalkOptions::default()) };
    let request = Request { delete_extra: true, ..lab.request("source") };
    lab.take_as(input(), &options(serde_json::json!({ "exclude_files": ["/etc/list"] }))).unwrap();
    fs::write(lab.source().join("extra"), b"x").unwrap();
    let plan = lab.plan(&request);
    assert!(plan.extra.is_empty(), "{:?}", plan.extra);
    assert!(plan.spared[0].1.contains("nobody knows what was left out"), "{:?}", plan.spared);
    assert_eq!(plan.undeleted, 1, "the deletion is incomplete");
}
