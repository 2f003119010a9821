//! Every endpoint × role × own or another tenant, generated from the OpenAPI: an endpoint that is
//! not thought of here fails the test.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::login::Session;
use tintype_api::page::Page;
use tintype_api::restore::NewRestore;
use tintype_api::snapshot::NewSnapshot;
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Actor, Allowance, Decision, Role, decide};
use tintype_testkit::redis::Redis;

use crate::lab::Lab;
use crate::snapshots::succeeded;

pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) action: Action,
}

pub(crate) fn operations(client: &Client) -> Vec<Operation> {
    let description: Value = client.get("/openapi.json").unwrap();
    let paths = description["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let text = |field: &str| operation[field].as_str().unwrap().to_owned();
            let action = serde_json::from_value(operation["x-tintype-action"].clone());
            all.push(Operation {
                id: text("operationId"),
                method: method.to_uppercase(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                action: action.unwrap_or_else(|_| panic!("{method} {path} has no action")),
            });
        }
    }
    all
}

/// Of one tenant, to be asked for by others; made anew for each request that may change it.
struct Victim {
    name: String,
    tenant: Id,
    /// Ids by kind.
    objects: BTreeMap<&'static str, String>,
    /// To which its connector leads.
    _server: Option<Redis>,
}

/// Begun by a user `u`.
fn session_of(lab: &Lab, administrator: &Client, tenant: &str, user: &Id) -> Id {
    let password = json!({ "new": "a password of users" });
    administrator
        .exchange("PUT", &format!("/users/{user}/password"), Some(&password), None)
        .unwrap();
    lab.login(tenant, "u", "a password of users").unwrap();
    let sessions: Page<Session> = administrator.get("/sessions").unwrap();
    sessions.items.into_iter().find(|session| session.user == *user).unwrap().id
}

fn victim(lab: &Lab, administrator: &Client, name: &str, wanted: Option<&str>) -> Victim {
    let tenant = Lab::tenant(administrator, name).id;
    let create = |path: &str, body: &Value| -> Id {
        let answer = administrator.exchange("POST", path, Some(body), None).unwrap();
        let made: Value = serde_json::from_str(&answer.text).unwrap();
        let object = [&made["token"], &made["run"]].into_iter().find(|inner| inner.is_object());
        let id = object.unwrap_or(&made)["id"].as_str();
        id.unwrap_or_else(|| panic!("{path}: {}", answer.text)).parse().unwrap()
    };
    let viewer = |name| json!({ "name": name, "tenant": tenant, "spec": { "role": "viewer" } });
    let user = create("/users", &viewer("u"));
    let session = session_of(lab, administrator, name, &user);
    let token = create("/tokens", &viewer("t"));
    let objects = [("tenant", &tenant), ("user", &user), ("token", &token), ("session", &session)];
    let mut objects: BTreeMap<_, _> =
        objects.into_iter().map(|(kind, id)| (kind, id.to_string())).collect();
    if wanted == Some("storage") {
        let url = lab.data().join(name);
        let spec = json!({ "kind": "directory", "url": url });
        let storage = json!({ "name": "s", "tenant": tenant, "spec": spec });
        objects.insert("storage", create("/storages", &storage).to_string());
    }
    if wanted == Some("agent") {
        objects.insert("agent", crate::agents::joined(lab, administrator, &tenant, "a").id);
    }
    let server = (wanted == Some("connector")).then(|| Redis::start(&["--save", ""]));
    if let Some(server) = &server {
        let spec = json!({ "connector": "redis", "at": { "socket": server.socket } });
        let connector = json!({ "name": "c", "tenant": tenant, "spec": spec });
        objects.insert("connector", create("/connectors", &connector).to_string());
    }
    if matches!(wanted, Some("resource" | "snapshot" | "run" | "restore" | "bundle")) {
        let path = lab.data().join(format!("{name}-files"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("a"), "bytes").unwrap();
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": path } });
        let resource = json!({ "name": "r", "tenant": tenant, "spec": spec });
        objects.insert("resource", create("/resources", &resource).to_string());
    }
    if matches!(wanted, Some("snapshot" | "run" | "restore" | "bundle")) {
        let new = json!({ "scope": "partial", "tenant": tenant, "resources": ["r"] });
        let run = create("/snapshots", &new);
        let run = succeeded(administrator, &administrator.run(&run).unwrap());
        let snapshot = run.result["snapshot"].as_str().unwrap().to_owned();
        objects.insert("run", run.id.to_string());
        if wanted == Some("restore") {
            // Its own, which it may carry out.
            let own = lab.as_role(administrator, &tenant, Role::Restorer, "restorer");
            let new = NewRestore::all_of(&snapshot);
            objects.insert("restore", own.plan_restore(&new).unwrap().run.id.to_string());
        }
        if wanted == Some("bundle") {
            let path = format!("/snapshots/{snapshot}/bundles");
            let run = create(&path, &json!({ "plain": true }));
            succeeded(administrator, &administrator.run(&run).unwrap());
            objects.insert("bundle", run.to_string());
        }
        objects.insert("snapshot", snapshot);
    }
    let of = |spec: Value| json!({ "name": "x", "tenant": tenant, "spec": spec });
    let upload = json!({ "name": "u", "size_bytes": 5 });
    for (kind, new) in [("upload", upload), ("sync", of(rule())), ("profile", of(profile()))] {
        if wanted == Some(kind) {
            objects.insert(kind, create(&format!("/{kind}s"), &new).to_string());
        }
    }
    Victim { name: name.to_owned(), tenant, objects, _server: server }
}

/// To the internal storage, which all may use here.
fn rule() -> Value {
    json!({
        "to": "internal", "enabled": false,
        "period": { "name": "daily", "frequency": { "daily": { "time": "02:30" } } },
    })
}

fn profile() -> Value {
    json!({
        "scope": "full", "enabled": false,
        "periods": [{ "name": "daily", "frequency": { "daily": { "time": "02:30" } } }],
    })
}

/// What an operation is about, as its path says.
fn about(operation: &Operation) -> Option<&'static str> {
    let kinds = [
        "agent",
        "connector",
        "storage",
        "resource",
        "profile",
        "snapshot",
        "run",
        "restore",
        "bundle",
        "upload",
        "sync",
    ];
    if matches!(&operation.id[..], "plan-restore" | "diff-snapshots") {
        return Some("snapshot");
    }
    if operation.id == "preview-profile" {
        return Some("profile");
    }
    let of = |kind: &&&str| operation.path.starts_with(&format!("/{kind}s/{{id}}"));
    kinds.iter().find(of).copied()
}

/// Like [`request`], of what snapshots hold, of bundles, keys, previews, trials and connectors.
fn of_content(operation: &str, victim: &Victim) -> Option<(Option<&'static str>, Option<Value>)> {
    Some(match operation {
        "list-tree"
        | "list-partitions"
        | "search-snapshot"
        | "diff-snapshots"
        | "download-file"
        | "preview-file"
        | "list-secrets"
        | "get-snapshot"
        | "list-snapshot-items"
        | "delete-snapshot" => (Some("snapshot"), None),
        "create-bundle" => (Some("snapshot"), Some(json!({ "plain": true }))),
        "get-bundle" | "download-bundle" | "delete-bundle" => (Some("bundle"), None),
        "create-upload" => (None, Some(json!({ "name": "u", "size_bytes": 5 }))),
        "get-upload" | "send-upload" | "delete-upload" => (Some("upload"), None),
        "import-upload" => (Some("upload"), Some(json!({}))),
        "list-connectors" => (None, None),
        "get-connector" | "delete-connector" | "check-connector" => (Some("connector"), None),
        "change-connector" => (Some("connector"), Some(json!({ "name": "renamed" }))),
        "create-connector" => {
            let spec = json!({ "connector": "redis", "at": { "socket": "/proc/none" } });
            (None, Some(json!({ "name": "new", "tenant": victim.tenant, "spec": spec })))
        }
        "list-keys" | "remove-key" => (Some("storage"), None),
        "add-key" => (Some("storage"), Some(json!({ "passphrase": "a passphrase of tests" }))),
        "get-sync" | "delete-sync" | "run-sync" => (Some("sync"), None),
        "change-sync" => (Some("sync"), Some(json!({ "name": "renamed" }))),
        "create-sync" => {
            let new = json!({ "name": "new", "tenant": victim.tenant, "spec": rule() });
            (None, Some(new))
        }
        "try-hook" => (Some("resource"), Some(json!({ "hook": 0 }))),
        "preview-profile" => {
            (Some("profile"), Some(json!({ "profile": victim.objects["profile"] })))
        }
        _ => return None,
    })
}

/// Operations that name no object.
const OF_NOBODY: [&str; 31] = [
    "logout",
    "whoami",
    "list-storages",
    "list-syncs",
    "list-resources",
    "list-profiles",
    "list-snapshots",
    "list-runs",
    "list-restores",
    "list-agents",
    "fetch-work",
    "renew-agent",
    "report-work",
    "deliver-work",
    "list-sessions",
    "list-tenants",
    "list-users",
    "list-tokens",
    "list-audit",
    "check-audit",
    "list-versions",
    "get-status",
    "list-standings",
    "get-resource-schema",
    "search-all",
    "list-days",
    "follow-changes",
    "list-ready-made-profiles",
    "discover-resources",
    "list-bundles",
    "list-uploads",
];

/// Which of a victim's objects an operation is about, and a body that makes sense.
fn request(operation: &str, victim: &Victim) -> (Option<&'static str>, Option<Value>) {
    let new = |spec: Value| Some(json!({ "name": "new", "tenant": victim.tenant, "spec": spec }));
    let renamed = || Some(json!({ "name": "renamed" }));
    let partial = json!({ "scope": "partial", "tenant": victim.tenant, "tags": ["none"] });
    if let Some(found) = of_content(operation, victim) {
        return found;
    }
    if OF_NOBODY.contains(&operation) {
        return (None, None);
    }
    match operation {
        "get-agent" | "get-agent-state" | "delete-agent" | "discover-agent" => {
            (Some("agent"), None)
        }
        "change-agent" => (Some("agent"), renamed()),
        "create-join-token" => (None, Some(json!({ "tenant": victim.tenant }))),
        "join-agent" => {
            let join = json!({
                "secret": "x", "public_key": "x", "name": "x", "host": "x", "version": "x",
            });
            (None, Some(join))
        }
        "get-storage" | "get-storage-state" | "delete-storage" | "check-storage" => {
            (Some("storage"), None)
        }
        "change-storage" => (Some("storage"), renamed()),
        "create-storage" => (None, new(json!({ "kind": "directory", "url": "/proc/none" }))),
        "get-resource" | "delete-resource" => (Some("resource"), None),
        "change-resource" => (Some("resource"), renamed()),
        "create-resource" => {
            let at = json!({ "path": "/srv" });
            (None, new(json!({ "kind": "volume", "connector": "files", "at": at })))
        }
        "get-profile" | "delete-profile" => (Some("profile"), None),
        "change-profile" => (Some("profile"), renamed()),
        "create-profile" => (None, new(profile())),
        "read-profile" => (None, Some(profile())),
        "read-resources" => {
            (None, Some(json!({ "text": "kind: volume", "tenant": victim.tenant })))
        }
        "get-whole-restore" => (Some("snapshot"), None),
        "change-snapshot" => (Some("snapshot"), Some(json!({ "note": "x" }))),
        "create-snapshot" => (None, Some(partial)),
        "get-run" | "list-run-log" | "follow-run" | "cancel-run" => (Some("run"), None),
        "plan-restore" => {
            (Some("snapshot"), Some(json!({ "snapshot": victim.objects["snapshot"] })))
        }
        "get-restore" | "get-restore-plan" | "resume-restore" | "undo-restore" => {
            (Some("restore"), None)
        }
        "apply-restore" => (Some("restore"), Some(json!({ "confirm": "r" }))),
        "login" => (None, Some(json!({ "user": "x", "password": "x" }))),
        "end-session" => (Some("session"), None),
        "get-tenant" | "delete-tenant" => (Some("tenant"), None),
        "change-tenant" => (Some("tenant"), Some(json!({ "spec": {} }))),
        "create-tenant" => (None, Some(json!({ "name": "made", "spec": {} }))),
        "get-user" | "delete-user" => (Some("user"), None),
        "change-user" => (Some("user"), renamed()),
        "set-password" => (Some("user"), Some(json!({ "new": "another password" }))),
        "get-token" | "delete-token" => (Some("token"), None),
        "change-token" => (Some("token"), renamed()),
        "create-user" | "create-token" => (None, new(json!({ "role": "viewer" }))),
        other => panic!("say here what `{other}` is about, so that its rights are tested"),
    }
}

/// What stands behind the `?`; it names something of the victim.
fn asked(operation: &str, victim: &Victim) -> String {
    let file = format!("tenants/{}/volumes/r/a", victim.name);
    match operation {
        "follow-changes" => format!("?tenant={}&follow=false", victim.tenant),
        "search-all" => format!("?tenant={}&contains=a", victim.tenant),
        "list-versions" => format!("?tenant={}&path={file}", victim.tenant),
        "send-upload" => "?offset=0".to_owned(),
        "list-keys" | "add-key" | "remove-key" => format!("?tenant={}", victim.tenant),
        "list-partitions" => format!("?disk={file}"),
        "download-file" | "preview-file" => format!("?path={file}"),
        "diff-snapshots" => format!("?from={0}&to={0}", victim.objects["snapshot"]),
        _ => String::new(),
    }
}

/// Allowed by the table of rights, and refused to some by a rule of its own: with what.
const REFUSED_TO_SOME: [(&str, u16, &str); 15] = [
    ("create-join-token", 403, "what reaches a host is for administrators of the system"),
    ("delete-agent", 403, "likewise"),
    ("change-agent", 403, "likewise"),
    ("discover-agent", 403, "likewise"),
    ("create-resource", 403, "likewise"),
    ("create-storage", 403, "likewise"),
    ("discover-agent", 503, "the agent of this test is away"),
    ("create-connector", 503, "nothing answers where that of this test leads"),
    ("check-audit", 403, "the log is one for all tenants"),
    ("cancel-run", 403, "by whoever began it, or an administrator"),
    ("end-session", 404, "those of others are absent, but for administrators"),
    ("list-keys", 404, "the tenant has no repository there"),
    ("add-key", 404, "likewise"),
    ("remove-key", 404, "likewise"),
    ("set-password", 403, "not with a token"),
];

/// Who asks, of which tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// Another than the one whose things are asked for.
    Elsewhere,
    Own,
    System,
}

struct Matrix<'l> {
    lab: &'l Lab,
    administrator: Client,
    system: Id,
    home: Id,
    /// Those that nobody changes.
    shared: BTreeMap<Option<&'static str>, Rc<Victim>>,
    tokens: BTreeMap<(Id, String), Client>,
    made: usize,
    /// What was not as it is to be.
    wrong: Vec<String>,
}

impl<'l> Matrix<'l> {
    fn new(lab: &'l Lab) -> Self {
        let administrator = lab.administrator();
        let system = administrator.whoami().unwrap().tenant;
        let home = Lab::tenant(&administrator, "home").id;
        let (shared, tokens) = (BTreeMap::new(), BTreeMap::new());
        Self { lab, administrator, system, home, shared, tokens, made: 0, wrong: Vec::new() }
    }

    fn victim(&mut self, operation: &Operation, is_changed: bool) -> Rc<Victim> {
        self.made += 1;
        let (name, wanted) = (format!("victim-{}", self.made), about(operation));
        if let Some(known) = self.shared.get(&wanted).filter(|_| !is_changed) {
            return Rc::clone(known);
        }
        let made = Rc::new(victim(self.lab, &self.administrator, &name, wanted));
        if !is_changed {
            self.shared.insert(wanted, Rc::clone(&made));
        }
        made
    }

    fn client(&mut self, tenant: &Id, role: Role) -> Client {
        let (lab, administrator) = (self.lab, &self.administrator);
        let key = (tenant.clone(), role.to_string());
        let name = format!("as-{role}-{}", self.tokens.len());
        let made = self.tokens.entry(key);
        made.or_insert_with(|| lab.as_role(administrator, tenant, role, &name)).clone()
    }

    fn ask(&mut self, operation: &Operation, role: Role, from: From) {
        let all = Allowance { may_snapshot: true, may_restore: true };
        let actor = |tenant: &Id| {
            let (tenant, is_system) = (tenant.clone(), from == From::System);
            Actor { tenant, is_system, role }
        };
        let of_role = decide(&actor(&self.home), operation.action, &self.home, all);
        let may_be_changed =
            operation.method != "GET" && from != From::Elsewhere && of_role == Decision::Allowed;
        let victim = self.victim(operation, may_be_changed);
        let own = match from {
            From::Elsewhere => self.home.clone(),
            From::Own => victim.tenant.clone(),
            From::System => self.system.clone(),
        };
        let who = self.client(&own, role);
        let (object, body) = request(&operation.id, &victim);
        let id = object.map(|kind| victim.objects[kind].clone());
        let asked = asked(&operation.id, &victim);
        let path = operation.path.replace("{id}", id.as_deref().unwrap_or(""));
        let path = path.replace("{order}", "an-order").replace("{slot}", "3f2a") + &asked;
        let answer = who.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
        let names_tenant = object.is_some()
            || !asked.is_empty()
            || body.as_ref().is_some_and(|body| body["tenant"].is_string());
        let decided = decide(&actor(&own), operation.action, &victim.tenant, all);
        let status = answer.status.as_u16();
        let is_right = match (of_role, decided) {
            (Decision::Denied(_), _) => status == 403,
            (_, Decision::Absent) if names_tenant => status == 404,
            // It may be wrong in itself, or not be now; it is not refused.
            _ => {
                let of_rule = |rule: &(&str, u16, &str)| rule.0 == operation.id && rule.1 == status;
                matches!(status, 200..300 | 409 | 422) || REFUSED_TO_SOME.iter().any(of_rule)
            }
        };
        if !is_right {
            let (id, text) = (&operation.id, &answer.text);
            self.wrong.push(format!("{id} as {role}, {from:?}: {status} {text}"));
        }
        if from == From::Elsewhere {
            self.tells_nothing(operation, &victim, status, &answer.text);
        }
    }

    fn tells_nothing(&mut self, operation: &Operation, victim: &Victim, status: u16, text: &str) {
        for (kind, id) in &victim.objects {
            if text.contains(id.as_str()) && status < 400 {
                self.wrong.push(format!("{} tells of {kind}", operation.id));
            }
        }
        if text.contains(&victim.name) {
            self.wrong.push(format!("{} names the tenant", operation.id));
        }
    }
}

#[test]
fn nobody_reaches_another_tenant_or_more_than_the_role_allows() {
    Lab::on_each(|lab| {
        let mut matrix = Matrix::new(lab);
        let all = operations(&matrix.administrator);
        assert!(all.len() > 50, "{}", all.len());
        for operation in all.iter().filter(|operation| operation.action != Action::Public) {
            for role in Role::ALL {
                for from in [From::Elsewhere, From::Own, From::System] {
                    matrix.ask(operation, role, from);
                }
            }
        }
        assert!(matrix.wrong.is_empty(), "{:#?}", matrix.wrong);
    });
}

#[test]
fn a_private_snapshot_is_absent_for_its_tenant_whatever_is_asked() {
    let lab = Lab::sqlite();
    let mut matrix = Matrix::new(&lab);
    let operations = operations(&matrix.administrator);
    let of_snapshot: Vec<&Operation> = operations
        .iter()
        .filter(|operation| about(operation) == Some("snapshot"))
        .filter(|operation| operation.action != Action::System)
        .collect();
    assert!(of_snapshot.len() > 10, "{}", of_snapshot.len());
    let mut victim = victim(&lab, &matrix.administrator, "victim", Some("resource"));
    let new = NewSnapshot {
        is_private: true,
        tenant: Some(victim.tenant.clone()),
        ..crate::snapshots::partial(&["r"])
    };
    let snapshot = crate::snapshots::taken(&matrix.administrator, &new);
    victim.objects.insert("snapshot", snapshot.id.clone());
    let who = matrix.client(&victim.tenant, Role::Administrator);
    for operation in of_snapshot {
        let (_, body) = request(&operation.id, &victim);
        let path = operation.path.replace("{id}", &snapshot.id) + &asked(&operation.id, &victim);
        let answer = who.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
        assert_eq!(answer.status, 404, "{}: {}", operation.id, answer.text);
    }
}

#[test]
fn without_a_login_nothing_but_the_login_answers() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let mut victims: BTreeMap<Option<&str>, Victim> = BTreeMap::new();
    let nobody = lab.nobody();
    let bad = lab.nobody().with_bearer("tintype_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for operation in operations(&administrator) {
        let (wanted, name) = (about(&operation), format!("victim-{}", victims.len()));
        let victim =
            victims.entry(wanted).or_insert_with(|| victim(&lab, &administrator, &name, wanted));
        let (object, body) = request(&operation.id, victim);
        let id = object.map(|kind| victim.objects[kind].clone());
        let path = operation.path.replace("{id}", id.as_deref().unwrap_or(""));
        let path = path.replace("{order}", "an-order");
        for client in [&nobody, &bad] {
            let answer = client.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
            assert_eq!(answer.status, 401, "{}", operation.id);
        }
    }
}
