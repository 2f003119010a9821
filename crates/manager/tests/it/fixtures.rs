//! A committed storage of a manager of each catalog version: what was written once stays restorable.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::profile::ProfileSpec;
use tintype_manager::catalog::VERSION;
use tintype_manager::lost::recover::Onto;
use tintype_runner::vault::Place;

use crate::lab::{Lab, PASSWORD};
use crate::lost::{elsewhere, listed, recover, vault_and_words, wanted};
use crate::recovering::of_manager;
use crate::snapshots::{ended, taken, volume};
use crate::upgrades::{EARLIER, downgraded};

fn place_of(version: i64) -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    above.join(format!("manager-v{version}"))
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let done = Command::new("cp").arg("-R").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
}

fn populated(lab: &Lab) -> Client {
    let client = lab.administrator();
    elsewhere(lab, &client);
    Lab::tenant(&client, "acme");
    volume(&client, "files", &lab.data().join("files"));
    let spec = json!({
        "enabled": false, "scope": "full",
        "periods": [{ "name": "nightly", "frequency": { "hourly": { "minute": 5 } },
            "time_zone": "UTC" }],
    });
    let spec: ProfileSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "nightly".into(), tenant: None, spec }).unwrap();
    client
}

/// `cargo xtask fixtures` asks for it: one that is there never changes.
#[test]
#[ignore = "it writes beside the sources, when it is asked to"]
fn one_is_made_for_each_version() {
    if std::env::var_os("TINTYPE_WRITE_FIXTURES").is_none() {
        return;
    }
    for version in (EARLIER..=VERSION).filter(|version| !place_of(*version).exists()) {
        let mut lab = Lab::sqlite();
        let client = populated(&lab);
        if version == VERSION {
            taken(&client, &of_manager(&[]));
        } else {
            downgraded(&mut lab, version);
            lab = lab.restarted().unwrap();
            let client = lab.login("system", "admin", PASSWORD).unwrap();
            let run: Value = listed(&client, "/runs?kind=snapshot").swap_remove(0);
            let run = client.run(&run["id"].as_str().unwrap().parse().unwrap()).unwrap();
            assert_eq!(ended(&client, &run).cause, None);
        }
        let (place, words) = vault_and_words(&mut lab);
        let store = place_of(version).join("store");
        copied(&place.directory().unwrap(), &store);
        // The reserve for a full disk.
        for tenant in std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path()) {
            for repository in std::fs::read_dir(tenant).unwrap().map(|entry| entry.unwrap().path())
            {
                let _ = std::fs::remove_dir_all(repository.join("tmp"));
            }
        }
        std::fs::write(place_of(version).join("words"), format!("{words}\n")).unwrap();
    }
}

#[test]
fn a_state_of_each_version_is_restored() {
    for version in EARLIER..=VERSION {
        let fixture = place_of(version);
        if version == VERSION && !fixture.exists() {
            // Released with the next version.
            continue;
        }
        assert!(fixture.exists(), "there is none of version {version}: run `cargo xtask fixtures`");
        let mut lab = Lab::sqlite();
        lab.stop();
        std::fs::remove_dir_all(lab.data().join("data")).unwrap();
        let store = lab.data().join("store");
        copied(&fixture.join("store"), &store);
        let words = std::fs::read_to_string(fixture.join("words")).unwrap();
        let place = Place::parse(&store.display().to_string(), None).unwrap();
        let recovered = recover(&lab, wanted(&place, &words, Onto::Clean), &lab.options()).unwrap();
        assert!(recovered.rebuilt.unreadable.is_empty(), "{version}: {recovered:?}");
        let lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        let names = |path: &str| {
            let all = listed(&client, path);
            all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("/tenants"), ["system", "acme"], "{version}");
        assert_eq!(names("/resources"), ["files"], "{version}");
        assert_eq!(names("/profiles"), ["nightly"], "{version}");
        let snapshots = listed(&client, "/snapshots");
        assert_eq!(snapshots.len(), 1, "{version}");
        assert!(client.check_audit().unwrap().is_whole, "{version}");
        // It goes on from there.
        assert!(taken(&client, &of_manager(&[])).is_complete, "{version}");
    }
}
