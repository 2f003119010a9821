//! Passwords, sessions, tokens.

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::{ChangedObject, NewObject};
use tintype_api::tenant::TenantSpec;
use tintype_api::token::{PREFIX, TokenSpec};
use tintype_api::user::{NewPassword, NewUser, UserSpec};
use tintype_model::ErrorKind;
use tintype_model::rights::Role;

use crate::lab::{Lab, PASSWORD};

#[test]
fn the_one_time_password_must_be_changed_first() {
    Lab::on_each(|lab| {
        let first = lab.first_password.clone().unwrap();
        let client = lab.login("system", "admin", &first).unwrap();
        let who = client.whoami().unwrap();
        assert!(who.must_change_password);
        let refused = client.list::<UserSpec>().unwrap_err();
        assert!(refused.message().contains("password must be changed"), "{refused}");
        let short = NewPassword { old: Some(first.clone()), new: "short".into() };
        assert_eq!(client.set_password(&who.id, &short).unwrap_err().kind(), ErrorKind::Invalid);
        let wrong = NewPassword { old: Some("wrong".into()), new: PASSWORD.into() };
        assert_eq!(client.set_password(&who.id, &wrong).unwrap_err().kind(), ErrorKind::Denied);
        let same = NewPassword { old: Some(first.clone()), new: first.clone() };
        assert_eq!(client.set_password(&who.id, &same).unwrap_err().kind(), ErrorKind::Invalid);
        let right = NewPassword { old: Some(first.clone()), new: PASSWORD.into() };
        client.set_password(&who.id, &right).unwrap();
        assert!(!client.list::<UserSpec>().unwrap()[0].spec.must_change_password);
        assert!(lab.login("system", "admin", &first).is_err());
        assert!(lab.login("system", "admin", PASSWORD).is_ok());
    });
}

#[test]
fn guessing_is_slowed_down_and_tells_nothing() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let unknown = lab.login("system", "nobody", "wrong password").err().unwrap();
    let known = lab.login("system", "admin", "wrong password").err().unwrap();
    let empty = lab.login("", "", "wrong password").err().unwrap();
    assert_eq!(unknown.message(), known.message());
    assert_eq!(empty.message(), known.message());
    let refused = (0..20).find_map(|_| {
        let error = lab.login("system", "admin", "wrong password").err().unwrap();
        (error.kind() == ErrorKind::Unavailable).then_some(error)
    });
    assert!(refused.unwrap().message().contains("too many attempts"));
    // The right one has to wait, too; who is logged in does not.
    assert!(lab.login("system", "admin", PASSWORD).is_err());
    administrator.whoami().unwrap();
}

#[test]
fn many_guesses_at_once_are_no_more_than_one_after_another() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let body = json!({ "user": "admin", "password": "wrong password" });
    let guess = || lab.nobody().exchange("POST", "/login", Some(&body), None).unwrap().status;
    let answers: Vec<u16> = std::thread::scope(|threads| {
        let all: Vec<_> = (0..40).map(|_| threads.spawn(guess)).collect();
        all.into_iter().map(|one| one.join().unwrap().as_u16()).collect()
    });
    let tried = answers.iter().filter(|status| **status == 401).count();
    // What failed before from this address counts, too.
    assert!((1..=10).contains(&tried), "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 40 - tried);
    // The same for the old password, of whoever has a session that is not his.
    let own = administrator.whoami().unwrap().id;
    let wrong = NewPassword { old: Some("wrong password".into()), new: "chosen by eve".into() };
    let mut tries = (0..11).map(|_| administrator.set_password(&own, &wrong).unwrap_err().kind());
    assert!(tries.by_ref().take(10).all(|kind| kind == ErrorKind::Denied));
    assert_eq!(tries.next(), Some(ErrorKind::Unavailable));
}

#[test]
fn sessions_are_listed_and_ended() {
    Lab::on_each(|lab| {
        let one = lab.administrator();
        let two = lab.login("system", "admin", PASSWORD).unwrap();
        let sessions = one.sessions().unwrap().items;
        assert_eq!(sessions.iter().filter(|session| session.is_this).count(), 1);
        let other = sessions.iter().find(|session| {
            session.id == {
                let own = two.sessions().unwrap().items;
                own.into_iter().find(|session| session.is_this).unwrap().id
            }
        });
        one.end_session(&other.unwrap().id).unwrap();
        assert_eq!(two.whoami().unwrap_err().kind(), ErrorKind::Denied);
        one.logout().unwrap();
        assert_eq!(one.whoami().unwrap_err().kind(), ErrorKind::Denied);
    });
}

#[test]
fn who_is_switched_off_or_gone_is_not_logged_in_any_more() {
    Lab::on_each(|lab| {
        let administrator = lab.administrator();
        let spec = UserSpec { role: Role::Viewer, is_enabled: true, must_change_password: false };
        let new = NewObject { name: "eve".into(), tenant: None, spec: spec.clone() };
        let eve = administrator.create(&new).unwrap();
        let password = NewPassword { old: None, new: "given by another".into() };
        administrator.set_password(&eve.id, &password).unwrap();
        let client = lab.login("system", "eve", "given by another").unwrap();
        let own = NewPassword { old: Some("given by another".into()), new: "chosen by eve".into() };
        client.set_password(&eve.id, &own).unwrap();
        client.list::<UserSpec>().unwrap();
        let off = UserSpec { is_enabled: false, ..spec.clone() };
        let changed = ChangedObject { name: None, spec: Some(off) };
        administrator.change(&eve.id, None, &changed).unwrap();
        assert_eq!(client.whoami().unwrap_err().kind(), ErrorKind::Denied);
        assert!(lab.login("system", "eve", "chosen by eve").is_err());
        let changed = ChangedObject { name: None, spec: Some(spec) };
        administrator.change(&eve.id, None, &changed).unwrap();
        let client = lab.login("system", "eve", "chosen by eve").unwrap();
        administrator.delete::<UserSpec>(&eve.id).unwrap();
        assert!(client.whoami().is_err());
        let own = administrator.whoami().unwrap().id;
        let last = administrator.delete::<UserSpec>(&own).unwrap_err();
        assert!(last.message().contains("last administrator"), "{last}");
    });
}

#[test]
fn a_token_has_at_most_the_role_of_its_maker_and_ends() {
    Lab::on_each(|lab| {
        let administrator = lab.administrator();
        let system = administrator.whoami().unwrap().tenant;
        let spec = TokenSpec::new(Role::Viewer, None);
        let new = NewObject { name: "ci".into(), tenant: None, spec };
        let made = administrator.create_token(&new).unwrap();
        assert!(made.secret.starts_with(PREFIX));
        let ci = lab.nobody().with_bearer(&made.secret);
        assert_eq!(ci.whoami().unwrap().role, Role::Viewer);
        assert_eq!(ci.logout().unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(ci.create_token(&new).err().unwrap().kind(), ErrorKind::Denied);
        let past = jiff::Timestamp::from_second(1).unwrap();
        let over = TokenSpec { expires: Some(past), ..new.spec.clone() };
        let over = NewObject { name: "over".into(), tenant: Some(system), spec: over };
        assert_eq!(administrator.create_token(&over).err().unwrap().kind(), ErrorKind::Invalid);
        administrator.delete::<TokenSpec>(&made.token.id).unwrap();
        assert_eq!(ci.whoami().unwrap_err().kind(), ErrorKind::Denied);
    });
}

#[test]
fn a_token_may_no_more_than_its_maker_and_goes_with_him() {
    Lab::on_each(|lab| {
        let administrator = lab.administrator();
        let spec =
            UserSpec { role: Role::Administrator, is_enabled: true, must_change_password: false };
        let new = NewUser {
            name: "eve".into(),
            tenant: None,
            spec: spec.clone(),
            password: Some("given by another".into()),
        };
        let eve = administrator.create_user(&new).unwrap();
        assert!(eve.spec.must_change_password);
        let client = lab.login("system", "eve", "given by another").unwrap();
        let own = NewPassword { old: new.password.clone(), new: "chosen by eve".into() };
        client.set_password(&eve.id, &own).unwrap();
        let token = |client: &Client, name: &str, role| {
            let spec = TokenSpec::new(role, None);
            client.create_token(&NewObject { name: name.into(), tenant: None, spec }).unwrap()
        };
        let ci = token(&client, "ci", Role::Administrator);
        assert_eq!(ci.token.spec.maker, Some(eve.id.clone()));
        let ci = lab.nobody().with_bearer(&ci.secret);
        // One that a token makes acts for the same user.
        let second = token(&ci, "second", Role::Restorer);
        let second = lab.nobody().with_bearer(&second.secret);
        assert_eq!(second.whoami().unwrap().role, Role::Restorer);
        let set_to = |role, is_enabled| {
            let spec = UserSpec { role, is_enabled, ..spec.clone() };
            let changed = ChangedObject { name: None, spec: Some(spec) };
            administrator.change(&eve.id, None, &changed).unwrap();
        };
        set_to(Role::Operator, true);
        assert_eq!(ci.whoami().unwrap().role, Role::Operator);
        assert_eq!(second.whoami().unwrap().role, Role::Viewer);
        set_to(Role::Administrator, false);
        for gone in [&ci, &second] {
            assert_eq!(gone.whoami().unwrap_err().kind(), ErrorKind::Denied);
        }
        set_to(Role::Administrator, true);
        assert_eq!(ci.whoami().unwrap().role, Role::Administrator);
        administrator.delete::<UserSpec>(&eve.id).unwrap();
        assert_eq!(administrator.list::<TokenSpec>().unwrap(), []);
        assert_eq!(ci.whoami().unwrap_err().kind(), ErrorKind::Denied);
    });
}

#[test]
fn a_user_whose_password_is_refused_is_not_made() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let spec = UserSpec { role: Role::Viewer, is_enabled: true, must_change_password: false };
    let password = Some("short".into());
    let new = NewUser { name: "eve".into(), tenant: None, spec, password };
    assert_eq!(administrator.create_user(&new).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(administrator.list::<UserSpec>().unwrap().len(), 1);
}

#[test]
fn a_cookie_changes_nothing_without_the_token_of_its_login() {
    let lab = Lab::sqlite();
    lab.administrator();
    let nobody = lab.nobody();
    let begun = || {
        let body = json!({ "user": "admin", "password": PASSWORD, "cookie": true });
        let answer = nobody.exchange("POST", "/login", Some(&body), None).unwrap();
        let set = answer.headers["set-cookie"].to_str().unwrap().to_owned();
        let told: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(told.get("session").is_none(), "a script must not see it: {told}");
        (set, told["csrf_token"].as_str().unwrap().to_owned())
    };
    let ((set, token), (_, of_another)) = (begun(), begun());
    for word in ["__Host-tintype=", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(word), "{set}");
    }
    let cookie = set.split(';').next().unwrap();
    let asked = |method: &str, path: &str, token: Option<&str>| {
        let body = json!({ "name": "acme", "spec": {} });
        let body = (method == "POST").then_some(&body);
        let mut headers = vec![("cookie", cookie)];
        headers.extend(token.map(|token| ("x-csrf-token", token)));
        nobody.exchange_with(method, path, body, &headers).unwrap().status.as_u16()
    };
    assert_eq!(asked("GET", "/tenants", None), 200, "what is only read needs none");
    for wrong in [None, Some(""), Some("wrong"), Some(&of_another[..])] {
        assert_eq!(asked("POST", "/tenants", wrong), 403, "{wrong:?}");
        assert_eq!(asked("POST", "/logout", wrong), 403, "{wrong:?}");
    }
    assert_eq!(asked("POST", "/tenants", Some(&token)), 201);
    assert_eq!(asked("POST", "/logout", Some(&token)), 204);
    assert_eq!(asked("GET", "/tenants", None), 401);
}

#[test]
fn everybody_is_told_what_they_may() {
    let lab = Lab::sqlite();
    let first = lab.first_password.clone().unwrap();
    let begun = lab.login("system", "admin", &first).unwrap();
    assert_eq!(begun.whoami().unwrap().actions, ["own"], "the password comes first");
    let administrator = lab.administrator();
    let who = administrator.whoami().unwrap();
    assert!(who.is_system && who.actions.iter().any(|action| action == "system"), "{who:?}");
    let home = Lab::tenant(&administrator, "home");
    for (role, may_restore, actions) in [
        (Role::Viewer, true, vec!["own", "see"]),
        (Role::Restorer, true, vec!["own", "see", "restore"]),
        (Role::Restorer, false, vec!["own", "see"]),
        (Role::Auditor, true, vec!["own", "see", "audit"]),
    ] {
        let spec = TenantSpec { may_restore, ..home.spec.clone() };
        let changed = ChangedObject { name: None, spec: Some(spec) };
        administrator.change(&home.id, None, &changed).unwrap();
        let name = format!("{role}-{may_restore}");
        let who = lab.as_role(&administrator, &home.id, role, &name).whoami().unwrap();
        assert_eq!(
            (who.actions, who.is_system),
            (actions.into_iter().map(str::to_owned).collect(), false)
        );
    }
}
