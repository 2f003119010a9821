//! Agents as their manager sees them: joining, identities, rights. What they do on their hosts is in
//! the tests of the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::json;
use tintype_api::agent::{AgentSpec, Certificate, Join, JoinText, NewJoinToken, Notice, Renew};
use tintype_api::client::{Client, Identity};
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::resource::ResourceSpec;
use tintype_api::run::RunState;
use tintype_api::snapshot::NewSnapshot;
use tintype_api::storage::StorageSpec;
use tintype_api::work::{AskWork, WorkDone, WorkProgress};
use tintype_manager::agents::moved;
use tintype_manager::vaults::blocking;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Role};

use crate::away::{behind, gone, proxy, storage};
use crate::lab::Lab;
use crate::rights::operations;
use crate::snapshots::{ended, partial};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An agent, as far as a manager can tell.
pub(crate) struct Joined {
    pub(crate) id: String,
    key: KeyPair,
    certificate: Certificate,
    authority: Vec<u8>,
}

fn token(administrator: &Client, tenant: &Id) -> JoinText {
    let new = NewJoinToken { tenant: Some(tenant.clone()), ..NewJoinToken::default() };
    JoinText::parse(&administrator.create_join_token(&new).unwrap().token).unwrap()
}

fn address(lab: &Lab) -> String {
    lab.url.strip_prefix("https://").unwrap().to_owned()
}

fn unknown(lab: &Lab, authority: &[u8]) -> Client {
    Client::of_agent(&address(lab), &Identity { authority, own: None }).unwrap()
}

fn join(secret: &str, key: &KeyPair, name: &str) -> Join {
    Join {
        secret: secret.to_owned(),
        public_key: STANDARD.encode(key.public_key_raw()),
        name: name.to_owned(),
        host: "elsewhere".into(),
        version: VERSION.into(),
    }
}

pub(crate) fn joined(lab: &Lab, administrator: &Client, tenant: &Id, name: &str) -> Joined {
    let JoinText { secret, authority, .. } = token(administrator, tenant);
    let key = KeyPair::generate().unwrap();
    let answer = unknown(lab, &authority).join(&join(&secret, &key, name)).unwrap();
    Joined { id: answer.id.to_string(), key, certificate: answer.certificate, authority }
}

impl Joined {
    pub(crate) fn client(&self, lab: &Lab) -> Client {
        self.with(lab, &self.certificate)
    }

    fn with(&self, lab: &Lab, certificate: &Certificate) -> Client {
        let key = self.key.serialize_pem();
        let own = Some((&certificate.pem[..], &key[..]));
        let identity = Identity { authority: &self.authority, own };
        Client::of_agent(&address(lab), &identity).unwrap()
    }

    fn renew(&self, client: &Client) -> tintype_model::Result<Certificate> {
        let public_key = STANDARD.encode(self.key.public_key_raw());
        client.renew(&Renew { public_key }).map(|joined| joined.certificate)
    }
}

fn ask() -> AskWork {
    AskWork { version: VERSION.into(), holding: Vec::new(), waits: false, instance: "a".into() }
}

#[test]
fn a_token_lets_one_agent_in_once_and_no_longer_than_it_says() {
    Lab::on_each(|lab| {
        let administrator = lab.administrator();
        let system = administrator.whoami().unwrap().tenant;
        let text = token(&administrator, &system);
        assert_eq!(text.addresses, [address(lab)]);
        let key = KeyPair::generate().unwrap();
        let client = unknown(lab, &text.authority);
        // What is refused uses nothing up.
        let old = Join { version: "99.0.0".into(), ..join(&text.secret, &key, "one") };
        let refused = client.join(&old).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.message().contains("update the manager"), "{refused}");
        let weak = Join { public_key: "AAAA".into(), ..join(&text.secret, &key, "one") };
        assert_eq!(client.join(&weak).unwrap_err().kind(), ErrorKind::Invalid);
        let joined = client.join(&join(&text.secret, &key, "one")).unwrap();
        let again = client.join(&join(&text.secret, &key, "two")).unwrap_err();
        assert!(again.message().contains("used already"), "{again}");
        let second = token(&administrator, &system);
        let taken = client.join(&join(&second.secret, &key, "one")).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
        let listed = administrator.object::<AgentSpec>(&joined.id).unwrap();
        assert_eq!((listed.name.as_str(), listed.spec.host.as_str()), ("one", "elsewhere"));
        assert!(administrator.agent_state(&joined.id).unwrap().is_here);
        lab.shift(2);
        let late = client.join(&join(&second.secret, &key, "two")).unwrap_err();
        assert!(late.message().contains("not valid any more"), "{late}");
        let log: serde_json::Value = administrator.get("/audit?limit=1000").unwrap();
        let log = log.to_string();
        assert!(log.contains("agent.join") && !log.contains(&text.secret), "{log}");
    });
}

#[test]
fn only_the_manager_of_the_token_is_spoken_to() {
    let (lab, other) = (Lab::sqlite(), Lab::sqlite());
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let text = token(&administrator, &system);
    let key = KeyPair::generate().unwrap();
    // Another that listens there is found out before the secret is sent.
    let client = unknown(&other, &text.authority);
    let refused = client.join(&join(&text.secret, &key, "one")).unwrap_err();
    assert!(refused.message().contains("certificate"), "{refused}");
    unknown(&lab, &text.authority).join(&join(&text.secret, &key, "one")).unwrap();
}

#[test]
fn an_identity_is_renewed_expires_and_is_revoked() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let agent = joined(&lab, &administrator, &system, "one");
    let client = agent.client(&lab);
    client.work(&ask()).unwrap();
    let refused = client.work(&AskWork { version: "0.99.0".into(), ..ask() }).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    lab.shift(20 * 24);
    let renewed = agent.renew(&client).unwrap();
    assert!(renewed.expires > agent.certificate.expires);
    lab.shift(20 * 24);
    // The old one has expired; the new one has not.
    assert!(agent.client(&lab).work(&ask()).is_err());
    let client = agent.with(&lab, &renewed);
    client.work(&ask()).unwrap();
    let id: Id = agent.id.parse().unwrap();
    // Sessions did not last as long.
    lab.administrator().delete::<AgentSpec>(&id).unwrap();
    // What is refused unread ends its connection.
    let asked = agent.with(&lab, &renewed).work(&ask()).map(drop);
    for refused in [asked, agent.renew(&agent.with(&lab, &renewed)).map(drop)] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(refused.message().contains("was deleted"), "{refused}");
    }
}

#[test]
fn a_copy_of_an_identity_gets_no_work_and_is_told_of() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let agent = joined(&lab, &administrator, &system, "one");
    let id: Id = agent.id.parse().unwrap();
    let (first, second) = (agent.client(&lab), agent.client(&lab));
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let working = std::thread::spawn(move || {
        while !ends.load(Ordering::SeqCst) {
            // The other one may have been a moment earlier.
            let _ = first.work(&AskWork { waits: true, ..ask() });
        }
    });
    let copy = AskWork { instance: "b".into(), ..ask() };
    let refused = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        second.work(&copy).err()
    });
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    assert!(refused.message().contains("remove its data directory"), "{refused}");
    let state = administrator.agent_state(&id).unwrap();
    assert!(state.refused.unwrap().contains("uses the same identity"));
    is_over.store(true, Ordering::SeqCst);
    drop(lab);
    working.join().unwrap();
}

#[test]
fn an_agent_that_is_too_old_is_listed_with_what_to_do() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let agent = joined(&lab, &administrator, &system, "one");
    let id: Id = agent.id.parse().unwrap();
    assert_eq!(administrator.agent_state(&id).unwrap().refused, None);
    let far = AskWork { version: "9.0.0".into(), ..ask() };
    assert_eq!(agent.client(&lab).work(&far).err().unwrap().kind(), ErrorKind::Unsupported);
    let state = administrator.agent_state(&id).unwrap();
    assert_eq!(state.version, "9.0.0");
    assert!(state.refused.unwrap().contains("update the manager"));
}

/// The other half of the matrix of rights: users and tokens are refused there.
#[test]
fn an_agent_reaches_its_work_and_nothing_else() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let agent = joined(&lab, &administrator, &system, "one");
    let token = lab.as_role(&administrator, &system, Role::Administrator, "t");
    assert_eq!(token.exchange("GET", "/whoami", None, None).unwrap().status, 200);
    let mut own = 0;
    for operation in operations(&administrator) {
        let path = operation.path.replace("{id}", &agent.id).replace("{order}", "none");
        let body = (operation.method != "GET").then(|| json!({}));
        // What is refused unread ends its connection.
        let client = agent.client(&lab);
        let answer = client.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
        if operation.action == Action::Agent {
            own += 1;
            assert_ne!(answer.status, 403, "{}: {}", operation.id, answer.text);
        } else {
            assert_eq!(answer.status, 403, "{}: {}", operation.id, answer.text);
        }
    }
    assert_eq!(own, 4);
    let client = agent.client(&lab);
    // What nobody waits for is not known, and a made-up result changes nothing.
    assert!(!client.work_progress("none", &WorkProgress::default()).unwrap().is_known);
    let done = WorkDone { result: None, failure: None };
    assert!(!client.work_done("none", &done).unwrap().is_known);
}

#[test]
fn agents_are_cared_for_by_the_system() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let acme = Lab::tenant(&administrator, "acme").id;
    let other = Lab::tenant(&administrator, "other").id;
    let theirs = lab.as_role(&administrator, &acme, Role::Administrator, "boss");
    let of_theirs = joined(&lab, &administrator, &acme, "a");
    let of_others = joined(&lab, &administrator, &other, "b");
    let seen: Vec<_> = theirs.list::<AgentSpec>().unwrap().into_iter().map(|a| a.name).collect();
    assert_eq!(seen, ["a"]);
    let id: Id = of_theirs.id.parse().unwrap();
    let off = AgentSpec { is_enabled: false, host: "another".into() };
    let changed = ChangedObject { name: None, spec: Some(off) };
    assert_eq!(theirs.change(&id, None, &changed).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(theirs.delete::<AgentSpec>(&id).unwrap_err().kind(), ErrorKind::Denied);
    let new = NewJoinToken::default();
    assert_eq!(theirs.create_join_token(&new).err().unwrap().kind(), ErrorKind::Denied);
    let after = administrator.change(&id, None, &changed).unwrap();
    assert_eq!((after.spec.is_enabled, after.spec.host.as_str()), (false, "elsewhere"));
    let refused = administrator.discover(&id).unwrap_err();
    assert!(refused.message().contains("switched off"), "{refused}");
    // A resource names an agent of its own tenant, or of the system, and only the system says so.
    let resource = |agent: &str| {
        let spec = json!({
            "kind": "volume", "connector": "files", "at": { "path": "/srv" }, "agent": agent,
        });
        json!({ "name": "r", "tenant": acme, "spec": spec })
    };
    let status = |client: &Client, agent: &str| {
        let answer = client.exchange("POST", "/resources", Some(&resource(agent)), None).unwrap();
        answer.status.as_u16()
    };
    assert_eq!(status(&administrator, &of_others.id), 422);
    assert_eq!(status(&theirs, &of_theirs.id), 403);
    assert_eq!(status(&administrator, &of_theirs.id), 201);
}

/// The one that is away is told later, with the same notice.
#[test]
fn a_lost_storage_keeps_no_other_from_telling_where_the_manager_is() {
    let (proxy, proxy_of_second) = (proxy(), proxy());
    let mut lab = Lab::sqlite().hasty();
    let client = lab.administrator();
    let first = storage(&client, "first", &proxy, "moved-first");
    let second = storage(&client, "second", &proxy_of_second, "moved-second");
    let system = client.whoami().unwrap().tenant;
    joined(&lab, &client, &system, "one");
    let state = lab.stopped_state();
    state.addresses.set(vec!["moved.example:1".into()]).unwrap();
    let notices = |storage: &Object<StorageSpec>| {
        lab.block_on(async {
            let place = state.place(storage, None).await.unwrap();
            let env = state.host.env.clone();
            blocking(move || place.notices(&env)).await.unwrap()
        })
    };
    let before = [&first, &second].map(|storage| notices(storage).len());
    proxy.set(gone());
    for _ in 0..2 {
        let failed = lab.block_on(moved::tell(&state)).unwrap_err();
        assert!(failed.to_string().contains("storage first"), "{failed}");
        assert_eq!(notices(&second).len(), before[1] + 1, "once");
    }
    proxy.set(Vec::new());
    lab.block_on(moved::tell(&state)).unwrap();
    let told = [&first, &second].map(notices);
    assert_eq!(told.each_ref().map(Vec::len), before.map(|count| count + 1));
    let text = |notices: &[Vec<u8>]| {
        let all = notices.iter().map(|one| serde_json::from_slice::<Notice>(one).unwrap().text);
        all.filter(|text| text.contains("moved.example:1")).collect::<Vec<_>>()
    };
    assert_eq!(text(&told[0]), text(&told[1]), "the same notice");
    lab.block_on(moved::tell(&state)).unwrap();
    assert_eq!(notices(&first).len(), before[0] + 1);
    lab.block_on(state.catalog.close());
}

/// The manager's own can delete: no other host gets it.
#[test]
fn an_agent_without_a_key_of_its_own_gets_no_other_one() {
    let proxy = proxy();
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let spec = StorageSpec { agent_access_key: None, ..behind(&proxy, "no-key-of-agents") };
    let cloud = client.create(&NewObject { name: "cloud".into(), tenant: None, spec }).unwrap();
    let system = client.whoami().unwrap().tenant;
    let agent = joined(&lab, &client, &system, "one");
    let spec = json!({
        "kind": "volume", "connector": "files", "at": { "path": "/srv" }, "agent": agent.id,
    });
    let spec: ResourceSpec = serde_json::from_value(spec).unwrap();
    client.create(&NewObject { name: "there".into(), tenant: None, spec }).unwrap();
    let new = NewSnapshot { storage: Some(cloud.id), ..partial(&["there"]) };
    let run = ended(&client, &client.snapshot(&new).unwrap());
    assert_ne!(run.state, RunState::Succeeded);
    let log = client.run_log(&run.id, 0).unwrap();
    for said in ["no access key for agents", "--agent-access-key"] {
        assert!(log.iter().any(|line| line.text.contains(said)), "{said}: {run:?} {log:#?}");
    }
}
