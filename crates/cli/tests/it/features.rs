//! A repository of a later version.

use std::sync::Arc;

use tintype_engine::backend::local::LocalBackend;
use tintype_engine::crypto::slot::{Passphrase, Secret};
use tintype_engine::env::Env;
use tintype_engine::format::records::{Config, Features};
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};

use crate::support::{Lab, PASSWORD};

/// A later version's features: this one keeps its hands off, and says so.
#[test]
fn unknown_features_are_refused_by_name() {
    let lab = Lab::ready();
    lab.write("source/a", "kept");
    let source = lab.text("source");
    let id = lab.snapshot(&[&source])["snapshot"].as_str().unwrap().to_owned();
    let backend = Arc::new(LocalBackend::open(&lab.path("repository")).unwrap());
    let secret = Secret::Passphrase(Passphrase::new(PASSWORD.to_owned()).unwrap());
    let (identity, env) = (Identity::anonymous(), Env::system());
    let options = OpenOptions { cache_root: None, identity, env };
    let repository = Repository::open(backend, &secret, options).unwrap();
    let name = |features: Features| {
        let config = Config { features, mac: None, ..repository.config().clone() };
        let config = config.seal(repository.keys());
        for copy in ["config", "config-copy"] {
            lab.write(&format!("repository/{copy}"), serde_json::to_vec(&config).unwrap());
        }
    };
    let refused = |args: &[&str]| {
        let mut words = args.to_vec();
        words.push("--json");
        let ran = lab.run(&words).expect(1);
        let error = ran.events().into_iter().find(|e| e["event"] == "error").expect("an error");
        assert_eq!(error["kind"], "unsupported");
        assert!(ran.err.contains("teleportation") && ran.err.contains("newer"), "{}", ran.err);
    };
    let feature = || vec!["teleportation".to_owned()];
    name(Features { write: feature(), ..Features::default() });
    refused(&["snapshot", &source]);
    refused(&["tag", &id, "--add", "x"]);
    refused(&["gc"]);
    lab.run(&["restore", &id, "--to", &lab.text("back")]).expect(0);
    lab.run(&["verify"]).expect(0);
    name(Features { delete: feature(), ..Features::default() });
    refused(&["delete", &id]);
    refused(&["gc"]);
    lab.snapshot(&[&source]);
    name(Features { check: feature(), ..Features::default() });
    refused(&["verify"]);
    lab.run(&["gc"]).expect(0);
    name(Features { read: feature(), ..Features::default() });
    for args in [&["list"][..], &["restore", &id, "--to", "back2"], &["snapshot", &source]] {
        refused(args);
    }
    name(Features::default());
    lab.assert_whole();
}
