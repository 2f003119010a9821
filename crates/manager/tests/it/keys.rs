//! Key slots through the API.

use tintype_api::client::Client;
use tintype_api::key::{KeysQuery, NewKeySlot};
use tintype_api::object::Object;
use tintype_api::page::Page;
use tintype_api::storage::StorageSpec;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;
use tintype_runner::vault::{Env, Host, Place, Vault};

use crate::lab::Lab;
use crate::snapshots::{partial, taken, volume};

const PASSPHRASE: &str = "correct horse battery";

fn storage(client: &Client) -> Object<StorageSpec> {
    client.get::<Page<Object<StorageSpec>>>("/storages").unwrap().items.swap_remove(0)
}

#[test]
fn slots_are_added_and_removed_and_the_managers_stay() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let (storage, own) = (storage(&client).id, KeysQuery::default());
        let none = client.keys(&storage, &own).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound, "{none}");
        volume(&client, "files", &lab.data().join("files"));
        taken(&client, &partial(&["files"]));
        let before = client.keys(&storage, &own).unwrap();
        assert_eq!(before.len(), 1, "the recovery words: {before:?}");
        assert!(before[0].is_own);
        let new = NewKeySlot {
            label: "on-call".into(),
            passphrase: Some(PASSPHRASE.into()),
            ..NewKeySlot::default()
        };
        let slot = client.add_key(&storage, &own, &new).unwrap();
        assert_eq!(
            (&slot.kind[..], &slot.label[..], slot.is_own),
            ("passphrase", "on-call", false)
        );
        assert!(opens(lab), "the passphrase opens the repository without the manager");
        let recipient = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";
        let wrong = [
            NewKeySlot::default(),
            NewKeySlot { passphrase: Some("short".into()), ..NewKeySlot::default() },
            NewKeySlot { recipient: Some(recipient.into()), ..new.clone() },
            NewKeySlot { recovery: true, ..new.clone() },
            NewKeySlot { recipient: Some("age1x".into()), ..NewKeySlot::default() },
        ];
        for new in wrong {
            let refused = client.add_key(&storage, &own, &new).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{new:?}");
        }
        let refused = client.remove_key(&storage, &own, &before[0].id).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
        client.remove_key(&storage, &own, &slot.id).unwrap();
        assert_eq!(client.keys(&storage, &own).unwrap(), before);
        assert!(!opens(lab));
        let gone = client.remove_key(&storage, &own, &slot.id).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        let audit = format!("{:?}", client.audit(1000).unwrap());
        assert!(audit.contains("key.add") && audit.contains("key.remove"));
        assert!(!audit.contains(PASSPHRASE));
    });
}

#[test]
fn new_recovery_words_are_told_once_and_open_the_storage() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let (storage, own) = (storage(&client).id, KeysQuery::default());
    volume(&client, "files", &lab.data().join("files"));
    taken(&client, &partial(&["files"]));
    let new = NewKeySlot { label: "safe".into(), recovery: true, ..NewKeySlot::default() };
    let slot = client.add_key(&storage, &own, &new).unwrap();
    let told = slot.recovery.unwrap();
    assert_eq!((&slot.kind[..], told.words.split(' ').count()), ("recovery", 12));
    let place = lab.data().join("data/repositories");
    assert_eq!(told.command, format!("tintype recover --from '{}'", place.display()));
    assert!(unlocked(&lab, |place, host| Vault::unlock(place, &told.words, host).is_ok()));
    let later = client.keys(&storage, &own).unwrap();
    assert!(later.iter().all(|slot| slot.recovery.is_none()), "never again: {later:?}");
    let audit = format!("{:?}", client.audit(1000).unwrap());
    assert!(!audit.contains(&told.words) && audit.contains("key.add"));
    client.remove_key(&storage, &own, &slot.id).unwrap();
    assert!(!unlocked(&lab, |place, host| Vault::unlock(place, &told.words, host).is_ok()));
}

/// Whether the passphrase opens the only repository.
fn opens(lab: &Lab) -> bool {
    let passphrase = tintype_runner::vault::Passphrase::new(PASSPHRASE.into()).unwrap();
    unlocked(lab, |place, host| {
        Vault::unlock_with_passphrase(place, passphrase.clone(), host).is_ok()
    })
}

fn unlocked(lab: &Lab, with: impl Fn(&Place, &Host) -> bool) -> bool {
    let below = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let all = below(&lab.data().join("data/repositories"));
    let mut all = all.iter().flat_map(|path| below(path));
    let repository = all.find(|path| path.join("config").is_file()).unwrap();
    let place = Place { url: repository.display().to_string(), access: None, limit: None };
    let scratch = lab.data().join("elsewhere");
    let host = Host {
        env: Env::system(),
        cache: None,
        runtime: scratch.join("run"),
        state: scratch.clone(),
        scratch: scratch.clone(),
        journals: scratch.join("restores"),
        guard: lab.options().guard,
        own: Vec::new(),
        origin: None,
        passwords: tintype_runner::vault::Passwords::default(),
    };
    with(&place, &host)
}

#[test]
fn of_a_tenants_repository_the_systems_slot_stays() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let tenant = Lab::tenant(&client, "acme").id;
    let theirs = lab.as_role(&client, &tenant, Role::Administrator, "theirs");
    let path = lab.data().join("theirs");
    std::fs::create_dir(&path).unwrap();
    let spec =
        serde_json::json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
    let spec = serde_json::from_value(spec).unwrap();
    let new =
        tintype_api::object::NewObject { name: "f".into(), tenant: Some(tenant.clone()), spec };
    client.create::<tintype_api::resource::ResourceSpec>(&new).unwrap();
    taken(&theirs, &partial(&["f"]));
    let (storage, of) = (storage(&client).id, KeysQuery { tenant: Some(tenant.to_string()) });
    let slots = client.keys(&storage, &of).unwrap();
    assert_eq!(slots.len(), 2, "{slots:?}");
    for slot in &slots {
        assert!(slot.is_own);
        let refused = client.remove_key(&storage, &of, &slot.id).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    }
    assert_eq!(theirs.keys(&storage, &of).unwrap_err().kind(), ErrorKind::Denied);
}
