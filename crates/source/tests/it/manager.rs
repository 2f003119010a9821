//! The state of a manager: an export of one moment, captured as such.

use std::fs;

use tintype_model::plan::Verdict;
use tintype_model::resource::{Consistency, Kind};
use tintype_source::connector::{Destination, Released};

use crate::conformance::{Session, capture, connector, item, resource};

#[test]
fn a_finished_export_is_of_one_moment_and_no_restore_puts_it_back() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().canonicalize().unwrap();
    fs::write(path.join("state"), b"all of it").unwrap();
    let at = [("path", serde_json::json!(path))];
    let described = resource(Kind::Manager, "tintype-manager", "manager", &at);
    let session = Session::new(Vec::new());
    let manager = connector("manager");
    let mut source = manager.source(&described, &session.context).unwrap();
    let plan = source.plan().unwrap();
    assert_eq!((plan.reaches, plan.why_not_more), (Consistency::Application, None));
    let held = capture(&mut *source, None, Released::Committed).unwrap();
    assert_eq!(held.consistency, Consistency::Application);
    assert_eq!(fs::read(held.path(b"state")).unwrap(), b"all of it");
    let item = item(&described, &held);
    let mut target = manager.target(&session.context).unwrap();
    let plan = target.plan(&item, &described, &Destination::InPlace, &held).unwrap();
    assert_eq!(plan.checks[0].outcome, Verdict::Block);
    assert!(plan.checks[0].cure.as_ref().unwrap().contains("tintype recover"), "{plan:?}");
    // Whoever else writes that is believed nothing.
    let volume = resource(Kind::Volume, "mine", "manager", &at);
    let refused = manager.check(&volume).unwrap_err();
    assert!(refused.message().contains("for the state of a manager alone"), "{refused}");
    assert!(manager.discover(&session.context).unwrap().is_empty());
}
