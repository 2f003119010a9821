//! Resources from the command line: described, captured together, destroyed, brought back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::process::Command;

use serde_json::{Value, json};
use tintype_model::resource::{Resource, Resources};
use tintype_testkit::nfs::Nfs;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, Ran, is_root};

/// An application of a directory and a database.
fn shop() -> Lab {
    let lab = Lab::ready();
    lab.write("files/a", "first");
    lab.write("files/b/c", "second");
    sql(&lab, "db", "create table t(x); insert into t values (1), (2), (3)");
    lab.write("version", "2.0\n");
    describe(&lab, &json!([]));
    lab
}

fn sql(lab: &Lab, name: &str, text: &str) {
    rusqlite::Connection::open(lab.path(name)).unwrap().execute_batch(text).unwrap();
}

fn rows(lab: &Lab, name: &str) -> i64 {
    let database = rusqlite::Connection::open(lab.path(name)).unwrap();
    database.query_row("select count(*) from t", [], |row| row.get(0)).unwrap()
}

fn describe(lab: &Lab, more: &Value) {
    let mut resources = vec![
        json!({ "kind": "volume", "name": "files", "connector": "files",
                "at": { "path": lab.path("files") } }),
        json!({ "kind": "database", "name": "db", "connector": "sqlite", "version": "1.4",
                "at": { "path": lab.path("db") } }),
        json!({ "kind": "application", "name": "shop",
                "version": { "command": ["cat", lab.path("version")] },
                "components": [{ "resource": "db" }, { "resource": "files" }] }),
    ];
    resources.extend(more.as_array().unwrap().iter().cloned());
    let text = json!({ "version": 1, "resources": resources });
    lab.write("resources.yaml", text.to_string());
}

fn take(lab: &Lab, more: &[&str]) -> Ran {
    let file = lab.text("resources.yaml");
    lab.run(&[&["snapshot", "--json", "--resources", &file], more].concat())
}

fn items(ran: &Ran) -> Vec<Value> {
    ran.events().into_iter().filter(|event| event["event"] == "item").collect()
}

/// A copy of it is kept, and nobody may believe that it can be started.
#[test]
fn a_damaged_database_is_no_complete_snapshot() {
    let lab = shop();
    sql(&lab, "db", "create table more(x); insert into more select hex(randomblob(5000)) from t");
    let file = fs::File::options().write(true).open(lab.path("db")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], 4096).unwrap();
    let ran = take(&lab, &["db"]).expect(3);
    let reason = items(&ran)[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("only its file") && reason.contains("damaged"), "{reason}");
}

/// It changes nothing, here or in the repository.
#[test]
fn what_a_snapshot_would_do_is_told_without_one() {
    let lab = shop();
    let gone = json!([{ "kind": "database", "name": "gone", "connector": "sqlite",
                        "at": { "path": lab.path("nowhere") } }]);
    describe(&lab, &gone);
    let ran = take(&lab, &["--dry-run"]).expect(3);
    let planned = |name: &str| {
        let mut events = ran.events().into_iter();
        events.find(|event| event["event"] == "planned" && event["resource"] == name).unwrap()
    };
    assert_eq!(planned("files")["reaches"], "none");
    assert!(planned("files")["why_not_more"].is_string());
    assert_eq!(planned("db")["reaches"], "application");
    assert!(planned("gone")["error"].as_str().unwrap().contains("nowhere"));
    let ran = take(&lab, &["--dry-run", "db"]).expect(0);
    let names =
        ran.events().into_iter().filter_map(|event| event["resource"].as_str().map(str::to_owned));
    assert_eq!(names.collect::<Vec<_>>(), ["db"]);
    assert!(
        lab.run(&["list", "--json"])
            .expect(0)
            .events()
            .iter()
            .all(|event| event["event"] != "snapshot")
    );
}

/// Its new file would be written into what is switched away.
#[test]
fn a_database_in_a_volume_is_not_restored_together_with_it() {
    let lab = Lab::ready();
    lab.write("files/a", "first");
    sql(&lab, "files/db", "create table t(x); insert into t values (1)");
    let text = json!({ "version": 1, "resources": [
        { "kind": "volume", "name": "files", "connector": "files",
          "at": { "path": lab.path("files") } },
        { "kind": "database", "name": "db", "connector": "sqlite",
          "at": { "path": lab.path("files/db") } } ] });
    lab.write("resources.yaml", text.to_string());
    let ran = take(&lab, &[]).expect(0);
    // A volume that is read as it is was never frozen.
    let live = items(&ran).into_iter().find(|item| item["name"] == "files").unwrap();
    assert_eq!((&live["consistency"], &live["frozen_seconds"]), (&json!("none"), &Value::Null));
    let windows = ran.events().into_iter().filter(|event| event["event"] == "window");
    let members: Vec<Value> = windows.map(|window| window["members"].clone()).collect();
    assert_eq!(members, [json!(["db"])]);
    sql(&lab, "files/db", "insert into t values (2)");
    let restore = |names: &[&str]| {
        let all = ["restore", "latest", "--resources", "--in-place", "--yes"];
        lab.run(&[&all[..], names].concat())
    };
    let refused = restore(&[]).expect(1);
    assert!(refused.out.contains("restore files alone first"), "{}", refused.out);
    let last = "error: blocked by within of db: nothing was changed; do what each of these checks \
                says and run it again, or name only files";
    assert_eq!(refused.err.lines().last(), Some(last));
    assert!(!refused.err.contains("hint:"), "{}", refused.err);
    assert_eq!(rows(&lab, "files/db"), 2);
    restore(&["files"]).expect(0);
    restore(&["db"]).expect(0);
    assert_eq!(rows(&lab, "files/db"), 1);
}

#[test]
fn an_application_that_was_destroyed_is_brought_back() {
    let lab = shop();
    fs::set_permissions(lab.path("files"), PermissionsExt::from_mode(0o2751)).unwrap();
    let before = fs::metadata(lab.path("files")).unwrap();
    let ran = take(&lab, &["shop"]).expect(0);
    let items = items(&ran);
    assert_eq!(items.len(), 2);
    let db = items.iter().find(|item| item["name"] == "db").unwrap();
    assert_eq!(db["consistency"], "application");
    assert_eq!(db["version"], "1.4");
    assert_eq!(db["place"], "tenants/system/apps/shop/db");
    let files = items.iter().find(|item| item["name"] == "files").unwrap();
    assert_eq!(files["consistency"], "none", "read live, and that is said");
    let window = ran.events().into_iter().find(|event| event["event"] == "window").unwrap();
    assert_eq!(window["members"], json!(["db"]), "what is read live was never frozen");
    assert!(window["seconds"].as_f64().unwrap() < 10.0);
    let app = ran.events().into_iter().find(|event| event["event"] == "application").unwrap();
    assert_eq!((&app["version"], &app["consistency"]), (&json!("2.0"), &json!("none")));
    let shown = lab.run(&["show", "latest"]).expect(0);
    assert!(
        shown.out.contains("version 2.0") && shown.out.contains("database db"),
        "{}",
        shown.out
    );
    assert_eq!(ran.summary()["complete"], true);

    fs::remove_dir_all(lab.path("files/b")).unwrap();
    sql(&lab, "db", "delete from t");
    let restore = ["restore", "latest", "--resources", "--in-place", "shop"];
    lab.write("version", "3.0\n");
    let plan = lab.run(&[&restore[..], &["--dry-run"]].concat()).expect(0);
    assert!(plan.out.contains("application shop: version unknown → 2.0"), "{}", plan.out);
    assert!(plan.out.contains("switch") && plan.out.contains("check pass"), "{}", plan.out);
    let wrong = lab.run(&[&restore[..], &["--verify"]].concat()).expect(2);
    assert!(wrong.err.contains("--verify is for files"), "{}", wrong.err);
    let asked = lab.run(&restore).expect(2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    assert_eq!(rows(&lab, "db"), 0, "nothing was changed");
    let done = lab.run(&[&restore[..], &["--yes"]].concat()).expect(0);
    assert!(done.out.contains("undo point: snapshot "), "{}", done.out);
    assert!(done.out.contains("application shop: version 3.0 → 2.0"), "{}", done.out);
    assert_eq!(
        (rows(&lab, "db"), &fs::read(lab.path("files/b/c")).unwrap()[..]),
        (3, &b"second"[..])
    );
    assert_eq!(fs::read_dir(lab.path("files")).unwrap().count(), 2, "nothing is left beside");
    let after = fs::metadata(lab.path("files")).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());

    // What was replaced is in the undo point.
    let point = lab.undo_point();
    lab.run(&["restore", &point, "--resources", "--in-place", "db", "--yes"]).expect(0);
    assert_eq!(rows(&lab, "db"), 0);
}

#[test]
fn a_part_is_restored_beside_the_original() {
    let lab = shop();
    take(&lab, &[]).expect(0);
    let set = format!("db.path={}", lab.text("other"));
    let ran = lab.run(&["restore", "latest", "--resources", "--as-new", "db=db2", "--set", &set]);
    ran.expect(0);
    assert_eq!((rows(&lab, "db"), rows(&lab, "other")), (3, 3));
    let wrong =
        ["restore", "latest", "--resources", "--as-new", "db=db2", "--set", "other.path=/x"];
    let told = lab.run(&wrong).expect(2);
    assert!(told.err.contains("of a NAME that --as-new names"), "{}", told.err);
    lab.run(&["restore", "latest", "--resources", "--to", &lab.text("plain"), "files"]).expect(0);
    assert_eq!(fs::read(lab.path("plain/files/b/c")).unwrap(), b"second");
    // The tree is one like any other.
    let path = "latest:/tenants/system/apps/shop/files/a";
    assert_eq!(lab.run(&["cat", path]).expect(0).out, "first");
    let app = lab.run(&["cat", "latest:/tenants/system/apps/shop/app.yaml"]).expect(0);
    assert!(app.out.contains("\"shop\""), "{}", app.out);
}

#[test]
fn what_was_captured_in_other_company_is_known() {
    let lab = shop();
    let parent = |ran: Ran| {
        let summary = ran.expect(0).summary();
        (summary["parent"].clone(), summary["snapshot"].clone())
    };
    let (none, all) = parent(take(&lab, &[]));
    assert_eq!(none, Value::Null);
    let (known, _) = parent(take(&lab, &["files"]));
    assert_eq!(known, all);
    assert_eq!(parent(take(&lab, &["db"])).0, all);
    assert_eq!(parent(take(&lab, &["files"])).0, all, "a part has no marks to go on with");
    let (known, newer) = parent(take(&lab, &[]));
    assert_eq!(known, all);
    let more = json!({ "kind": "volume", "name": "more", "connector": "files",
                       "at": { "path": lab.path("source") } });
    describe(&lab, &json!([more]));
    assert_eq!(parent(take(&lab, &[])).0, newer, "what is new does not make the rest unknown");
}

#[test]
fn a_restore_that_was_taken_back_says_so() {
    let lab = shop();
    let hook = json!({ "phase": "post-restore", "command": ["false"], "timeout_seconds": 60 });
    let db = json!({ "kind": "database", "name": "db", "connector": "sqlite", "hooks": [hook],
                     "at": { "path": lab.path("db") } });
    lab.write("resources.yaml", json!({ "version": 1, "resources": [db] }).to_string());
    take(&lab, &[]).expect(0);
    sql(&lab, "db", "insert into t values (4)");
    let restore = ["restore", "latest", "--resources", "--in-place"];
    let asked = lab.run(&restore).expect(2);
    assert!(asked.err.contains("agree with --yes"), "{}", asked.err);
    let ran = lab.run(&[&restore[..], &["--yes"]].concat()).expect(1);
    for told in ["error: nothing is changed", "hint: mend what stopped it"] {
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    assert_eq!(rows(&lab, "db"), 4);
}

#[test]
fn what_fails_is_named_and_the_rest_is_captured() {
    let lab = shop();
    let gone = json!({ "kind": "database", "name": "gone", "connector": "sqlite",
                       "at": { "path": lab.path("nothing") } });
    let demanding = json!({ "kind": "volume", "name": "demanding", "connector": "files",
                            "consistency": "application", "at": { "path": lab.path("source") } });
    describe(&lab, &json!([gone, demanding]));
    let ran = take(&lab, &[]).expect(3);
    let reason = |name: &str| {
        let item = items(&ran).into_iter().find(|item| item["name"] == name).unwrap();
        assert_eq!(item["outcome"], "failed", "{item}");
        item["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("gone").contains("nothing"), "{}", reason("gone"));
    assert!(reason("demanding").contains("application was asked for, none can be reached"));
    assert_eq!(ran.summary()["failed_items"], 2);
    let restored =
        lab.run(&["restore", "latest", "--resources", "--to", &lab.text("plain"), "gone", "files"]);
    let restored = restored.expect(3);
    assert!(restored.err.contains("gone is not restored"), "{}", restored.err);
    assert!(lab.path("plain/files/a").exists());
}

/// A typo in a path must not look like a whole snapshot.
#[test]
fn settings_without_a_path_that_was_named_are_incomplete() {
    let lab = Lab::ready();
    lab.write("one", "1");
    let at = json!({ "paths": [lab.path("one"), lab.path("tow")], "packages": false });
    let settings = json!({ "kind": "settings", "name": "host", "connector": "settings", "at": at });
    lab.write("resources.yaml", json!({ "version": 1, "resources": [settings] }).to_string());
    let ran = take(&lab, &[]).expect(3);
    let item = &items(&ran)[0];
    let reason = item["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("there is no {}", lab.text("tow"))), "{reason}");
    assert_eq!((&item["outcome"], &item["problems"]), (&json!("captured"), &json!(1)));
    assert_eq!(ran.summary()["complete"], false);
    let at = format!("latest:/settings/host/files{}", lab.text("one"));
    assert_eq!(lab.run(&["cat", &at]).expect(0).out, "1");
    let restore = ["restore", "latest", "--resources"];
    let refused = lab.run(&[&restore[..], &["--in-place", "--yes"]].concat()).expect(1);
    assert!(refused.out.contains("`--to DIR`"), "{} {}", refused.out, refused.err);
    lab.run(&[&restore[..], &["--to", &lab.text("plain")]].concat()).expect(0);
    assert_eq!(
        fs::read(format!("{}{}", lab.text("plain/host/files"), lab.text("one"))).unwrap(),
        b"1"
    );
}

#[test]
fn wrong_descriptions_are_told_before_anything_happens() {
    let lab = shop();
    for (text, expected) in [
        ("version: 1\nresources:\n- {kind: volume, name: a, connector: files, att: {}}", "att"),
        ("version: 2\nresources: []", "version 2"),
        (
            "version: 1\nresources:\n- {kind: volume, name: '../a', connector: files}",
            "is not a name",
        ),
        (
            "version: 1\nresources:\n- {kind: application, name: a, components: [{resource: b}]}",
            "no resource b",
        ),
        (
            "version: 1\nresources:\n- {kind: volume, name: app.yaml, connector: files}\n\
             - {kind: application, name: a, components: [{resource: app.yaml}]}",
            "no component can have the name app.yaml",
        ),
        (
            "version: 1\nresources:\n- {kind: volume, name: a}",
            "volume a: a connector is missing; `connector: files` is for any directory",
        ),
        ("nonsense", "describes no resources"),
        (
            "version: 1\nresources:\n- {kind: volume, name: a, connector: flies, at: {path: /}}",
            "volume a: there is no connector flies; did you mean files?",
        ),
        (
            "version: 1\nresources:\n- {kind: volume, name: a, connector: files, at: {pth: /}}",
            "volume a: at: connector files knows no `pth`: did you mean `path`?",
        ),
        (
            "version: 1\nresources:\n- {kind: database, name: a, connector: mariadb,\n  at: \
             {password: canary}}",
            "`at.password` is a secret",
        ),
    ] {
        lab.write("resources.yaml", text);
        for more in [&[][..], &["--dry-run"]] {
            let file = lab.text("resources.yaml");
            let ran = lab.run(&[&["snapshot", "--resources", &file], more].concat()).expect(2);
            assert!(ran.err.contains(expected), "{text}: {}", ran.err);
            assert!(!ran.err.contains("canary"), "{}", ran.err);
            assert!(ran.err.contains("`tintype repo snapshot --help` shows"), "{}", ran.err);
        }
    }
    describe(&lab, &json!([]));
    let ran = lab.run(&["snapshot", "--resources", &lab.text("resources.yaml"), "shopp"]).expect(1);
    assert!(
        ran.err.contains("there is no resource shopp; there are: db, files, shop"),
        "{}",
        ran.err
    );
    let ran = lab.run(&["list"]).expect(0);
    assert!(!ran.out.contains("resources"), "{}", ran.out);
}

/// What `discover` writes is what `--resources` reads.
#[test]
fn what_was_discovered_can_be_captured() {
    let lab = shop();
    let open = rusqlite::Connection::open(lab.path("db")).unwrap();
    open.execute_batch("begin; select * from t").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
    let found = Ran::of(&command.arg("discover").output().unwrap()).expect(0);
    let line = |text: &str| found.out.lines().position(|line| line.trim() == text);
    let at = line(&format!("path: {}", lab.text("db"))).unwrap_or_else(|| panic!("{}", found.out));
    let lines: Vec<&str> = found.out.lines().collect();
    let name = lines[..at].iter().rev().find_map(|line| line.trim().strip_prefix("name: "));
    lab.write("resources.yaml", &found.out);
    let ran = take(&lab, &[name.unwrap()]).expect(0);
    assert_eq!(items(&ran)[0]["connector"], "sqlite");
}

#[test]
fn the_schema_in_the_documentation_is_the_program_s() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
    let ran = Ran::of(&command.args(["discover", "--schema"]).output().unwrap()).expect(0);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resources.schema.json");
    assert!(
        fs::read_to_string(kept).unwrap_or_default() == ran.out,
        "tintype discover --schema > docs/resources.schema.json"
    );
}

/// What its server reads stands in its usual place, for one process only.
#[test]
fn a_share_of_nfs_is_discovered_by_the_configuration_of_its_server() {
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounts need root");
        return;
    }
    let below = Mounted::new("xfs");
    let volume = below.stack("ext4");
    let nfs = Nfs::start(&volume.path);
    let script = "mount --bind \"$0\" /etc/ganesha && exec \"$1\" discover";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(nfs.configuration.parent().unwrap());
    let ran = Ran::of(&command.arg(env!("CARGO_BIN_EXE_tintype")).output().unwrap()).expect(0);
    let found: Resources = serde_norway::from_str(&ran.out).unwrap();
    let is_it = |one: &&Resource| one.at.get("path") == Some(&json!(volume.path));
    let share = found.resources.iter().find(is_it).unwrap_or_else(|| panic!("{}", ran.out));
    assert_eq!((&share.connector[..], &share.tags[..]), ("reflink", &["nfs".to_owned()][..]));
}
