//! Every endpoint × role × own or another tenant, generated from the OpenAPI: an endpoint that is
//! not thought of here fails the test.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::login::Session;
use tintype_api::page::Page;
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Actor, Allowance, Decision, Role, decide};

use crate::lab::Lab;

struct Operation {
    id: String,
    method: String,
    path: String,
    action: Action,
}

fn operations(client: &Client) -> Vec<Operation> {
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
    tenant: Id,
    objects: BTreeMap<&'static str, Id>,
}

fn victim(lab: &Lab, administrator: &Client, name: &str) -> Victim {
    let tenant = Lab::tenant(administrator, name).id;
    let create = |path: &str, body: &Value| -> Id {
        let answer = administrator.exchange("POST", path, Some(body), None).unwrap();
        let made: Value = serde_json::from_str(&answer.text).unwrap();
        let object = if made["token"].is_object() { &made["token"] } else { &made };
        object["id"].as_str().unwrap_or_else(|| panic!("{path}: {}", answer.text)).parse().unwrap()
    };
    let user = json!({ "name": "u", "tenant": tenant, "spec": { "role": "viewer" } });
    let user = create("/users", &user);
    let password = json!({ "new": "a password of users" });
    let path = format!("/users/{user}/password");
    administrator.exchange("PUT", &path, Some(&password), None).unwrap();
    lab.login(name, "u", "a password of users").unwrap();
    let sessions: Page<Session> = administrator.get("/sessions").unwrap();
    let session = sessions.items.into_iter().find(|session| session.user == user).unwrap().id;
    let token = json!({ "name": "t", "tenant": tenant, "spec": { "role": "viewer" } });
    let token = create("/tokens", &token);
    let objects =
        [("tenant", tenant.clone()), ("user", user), ("token", token), ("session", session)];
    Victim { tenant, objects: objects.into() }
}

/// Which of a victim's objects an operation is about, and a body that makes sense.
fn request(operation: &str, victim: &Victim) -> (Option<&'static str>, Option<Value>) {
    let new = |spec: Value| Some(json!({ "name": "new", "tenant": victim.tenant, "spec": spec }));
    let renamed = || Some(json!({ "name": "renamed" }));
    match operation {
        "login" => (None, Some(json!({ "user": "x", "password": "x" }))),
        "logout" | "whoami" | "list-sessions" | "list-tenants" | "list-users" | "list-tokens"
        | "list-audit" | "check-audit" => (None, None),
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

/// Answers that name nothing of the other tenant.
fn check(operation: &Operation, status: u16, text: &str, expected: &[u16], who: &str) {
    let Operation { id, .. } = operation;
    assert!(expected.contains(&status), "{id} as {who}: {status}, not {expected:?}: {text}");
}

#[test]
fn nobody_reaches_another_tenant_or_more_than_the_role_allows() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let system = administrator.whoami().unwrap().tenant;
    let home = Lab::tenant(&administrator, "home").id;
    let all = operations(&administrator);
    assert!(all.len() > 20, "{}", all.len());
    let mut made = 0;
    for operation in all.iter().filter(|operation| operation.action != Action::Public) {
        for role in Role::ALL {
            for (own, is_system) in [(&home, false), (&system, true)] {
                made += 1;
                let name = format!("victim-{made}");
                let victim = victim(&lab, &administrator, &name);
                let who = lab.as_role(&administrator, own, role, &format!("token-{made}"));
                let (object, body) = request(&operation.id, &victim);
                let id = object.map(|kind| victim.objects[kind].to_string());
                let path = operation.path.replace("{id}", id.as_deref().unwrap_or(""));
                let answer = who.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
                let names_tenant = object.is_some()
                    || body.as_ref().is_some_and(|body| body["tenant"].is_string());
                let actor = Actor { tenant: own.clone(), is_system, role };
                let all = Allowance { may_snapshot: true, may_restore: true };
                let of_role = decide(&actor, operation.action, own, all);
                let decided = decide(&actor, operation.action, &victim.tenant, all);
                let status = answer.status.as_u16();
                let told = format!("{role} of {}", if is_system { "system" } else { "home" });
                match (of_role, decided) {
                    (Decision::Denied(_), _) => {
                        check(operation, status, &answer.text, &[403], &told);
                    }
                    (_, Decision::Absent) if names_tenant => {
                        check(operation, status, &answer.text, &[404], &told);
                    }
                    // Of the system: allowed, or one's own passwords and sessions only.
                    (_, Decision::Allowed) => {
                        let fine = [200, 201, 204, 403, 404, 409, 422];
                        check(operation, status, &answer.text, &fine, &told);
                    }
                    _ => check(operation, status, &answer.text, &[200, 403, 422], &told),
                }
                if !is_system {
                    for (kind, id) in &victim.objects {
                        let leaks = answer.text.contains(id.as_str()) && status < 400;
                        assert!(!leaks, "{} tells of {kind}", operation.id);
                    }
                    assert!(!answer.text.contains(&name), "{} names the tenant", operation.id);
                }
            }
        }
    }
}

#[test]
fn without_a_login_nothing_but_the_login_answers() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let victim = victim(&lab, &administrator, "victim");
    let nobody = lab.nobody();
    let bad = lab.nobody().with_bearer("tintype_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for operation in operations(&administrator) {
        let (object, body) = request(&operation.id, &victim);
        let id = object.map(|kind| victim.objects[kind].to_string());
        let path = operation.path.replace("{id}", id.as_deref().unwrap_or(""));
        for client in [&nobody, &bad] {
            let answer = client.exchange(&operation.method, &path, body.as_ref(), None).unwrap();
            assert_eq!(answer.status, 401, "{}", operation.id);
        }
    }
}
