//! Settings of this host, or of what a test makes of it.

use std::fs;

use tintype_model::plan::Verdict;
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_source::connector::{Changed, Destination, Released};

use crate::conformance::{
    Held, Session, World, capture, connector, item, resource, sources_conform,
};

/// One file of a host. It is shown, and restored singly: no target replaces it as a whole.
struct OneFile(tempfile::TempDir);

impl OneFile {
    fn file(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap().join("number")
    }
}

impl World for OneFile {
    fn resource(&self) -> Resource {
        let at = [("paths", serde_json::json!([self.file()]))];
        resource(Kind::Settings, "host", "settings", &at)
    }

    fn write(&self, number: u64) {
        let next = self.file().with_extension("next");
        fs::write(&next, number.to_string()).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    fn now(&self) -> u64 {
        fs::read_to_string(self.file()).unwrap().parse().unwrap()
    }

    fn captured(&self, held: &Held) -> u64 {
        let at = [&b"files"[..], self.file().as_os_str().as_encoded_bytes()].concat();
        fs::read_to_string(held.path(&at)).unwrap().parse().unwrap()
    }

    fn state(&self) -> String {
        self.now().to_string()
    }

    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "number").collect()
    }
}

#[test]
fn settings_of_a_host() {
    let world = OneFile(tempfile::tempdir().unwrap());
    world.write(1);
    sources_conform(&world);
}

#[test]
fn named_paths_packages_and_units() {
    let top = tempfile::tempdir().unwrap();
    let top = top.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("wanted/inner")).unwrap();
    fs::write(top.join("wanted/inner/file"), b"1").unwrap();
    fs::write(top.join("one file"), b"2").unwrap();
    fs::write(top.join("other"), b"3").unwrap();
    let named = ["wanted", "one file", "missing"].map(|name| top.join(name));
    let at = [("paths", serde_json::json!(named))];
    let resource = resource(Kind::Settings, "host", "settings", &at);
    let session = Session::new(Vec::new());
    let mut source = connector("settings").source(&resource, &session.context).unwrap();
    let held = capture(&mut *source, None, Released::Committed).unwrap();
    assert_eq!(held.consistency, Consistency::None);
    assert_eq!(held.facts["missing"], serde_json::json!([top.join("missing")]));
    assert_eq!(source.missing(), [format!("there is no {}", top.join("missing").display())]);
    let (at, tree, changed) = &held.trees[0];
    assert_eq!((&at[..], changed), (&b"files"[..], &Changed::Unknown));
    let below = top.strip_prefix("/").unwrap();
    let has = |name: &str| {
        let path = below.join(name).into_os_string().into_encoded_bytes();
        tree.0.contains_key(&path)
    };
    assert!(has("wanted/inner/file") && has("one file") && !has("other") && !has("missing"));
    assert!(!tree.0.contains_key(&b"usr"[..]));
    if held.facts["packages"] == "dpkg" {
        let list = fs::read_to_string(held.path(b"packages.txt")).unwrap();
        assert!(list.lines().any(|line| line.starts_with("dpkg\t")), "{list}");
    }
    assert!(held.path(b"units.txt").exists());

    let item = item(&resource, &held);
    let mut target = connector("settings").target(&session.context).unwrap();
    let plan = target.plan(&item, &resource, &Destination::InPlace, &held).unwrap();
    assert_eq!(plan.checks[0].outcome, Verdict::Block);
    assert!(plan.steps.is_empty());
}

#[test]
fn what_lies_below_a_link_is_stored_where_it_is() {
    let top = tempfile::tempdir().unwrap();
    let top = top.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("real/units")).unwrap();
    fs::write(top.join("real/units/one"), b"1").unwrap();
    std::os::unix::fs::symlink("real", top.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", top.join("broken")).unwrap();
    let named = ["link/units", "broken/units", "broken"].map(|name| top.join(name));
    let at = [("paths", serde_json::json!(named)), ("packages", false.into())];
    let resource = resource(Kind::Settings, "host", "settings", &at);
    let session = Session::new(Vec::new());
    let mut source = connector("settings").source(&resource, &session.context).unwrap();
    let held = capture(&mut *source, None, Released::Committed).unwrap();
    let below = top.strip_prefix("/").unwrap();
    let path = |name: &str| below.join(name).into_os_string().into_encoded_bytes();
    let tree = &held.trees[0].1.0;
    assert!(tree.contains_key(&path("real/units/one")) && tree.contains_key(&path("broken")));
    assert_eq!(source.missing(), [format!("there is no {}", named[1].display())]);
    let real = top.join("real/units");
    assert_eq!(held.facts["paths"], serde_json::json!([real, named[2]]));
    let said = held.why_not_more.unwrap();
    let told = format!("{} is stored as {}", named[0].display(), real.display());
    assert!(said.contains(&told), "{said}");
}

#[test]
fn what_is_there_is_discovered_and_paths_are_checked() {
    let session = Session::new(Vec::new());
    let settings = connector("settings");
    let found = settings.discover(&session.context).unwrap();
    assert_eq!(found.len(), 1);
    settings.source(&found[0].resource, &session.context).unwrap().plan().unwrap();
    for wrong in ["relative", "/a/../b", "/a\nb", "/a "] {
        let at = [("paths", serde_json::json!([wrong]))];
        let resource = resource(Kind::Settings, "host", "settings", &at);
        let refused = settings.source(&resource, &session.context).map(|_| ()).unwrap_err();
        assert!(refused.message().contains("settings host"), "{refused}");
    }
}
