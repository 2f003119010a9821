//! Whether a description says what its connector needs, nothing that nobody knows, and no secret: it
//! is stored as it stands with every snapshot. Looks at nothing on any host.

use serde_json::Value;
use tintype_model::nearest::nearest;
use tintype_model::resource::{Kind, Resource};
use tintype_model::{Error, Result};

use super::Connector;

/// `Invalid` says what is wrong, and the nearest that is known.
pub fn check(connectors: &[Box<dyn Connector>], resource: &Resource) -> Result<()> {
    let what = format!("{} {}", resource.kind, resource.name);
    if resource.kind == Kind::Application {
        return no_secret(resource, None).map_err(|error| error.context(what));
    }
    let connector = named(connectors, &resource.connector).map_err(|e| e.context(&what))?;
    let schema = connector.schema();
    let known: Vec<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(key, _)| &key[..]).collect();
    no_secret(resource, Some(&known[..])).map_err(|error| error.context(&what))?;
    if let Some(unknown) = resource.at.keys().find(|key| !known.contains(&&key[..])) {
        let name = connector.name();
        let meant = nearest(unknown, known.iter().copied())
            .map(|meant| format!(": did you mean `{meant}`? It knows {}", known.join(", ")));
        return Err(Error::invalid(format!(
            "{what}: at: connector {name} knows no `{unknown}`{}",
            meant.unwrap_or_default()
        )));
    }
    connector.check(resource)
}

/// The connector of a name.
pub fn named<'c>(connectors: &'c [Box<dyn Connector>], name: &str) -> Result<&'c dyn Connector> {
    let found = connectors.iter().find(|connector| connector.name() == name);
    found.map(|connector| &**connector).ok_or_else(|| {
        let known: Vec<_> = connectors.iter().map(|connector| connector.name()).collect();
        let meant = nearest(name, known.iter().copied())
            .map(|meant| format!("; did you mean {meant}?"))
            .unwrap_or_default();
        Error::invalid(format!(
            "there is no connector {name}{meant} There are: {}",
            known.join(", ")
        ))
    })
}

/// `known`: the keys of `at` of its connector.
fn no_secret(resource: &Resource, known: Option<&[&str]>) -> Result<()> {
    let mut at = String::from("at");
    let found = secret_key(&Value::Object(resource.at.clone()), &mut at).then_some(at);
    if let Some(place) = found {
        let cure = match known.is_some_and(|known| known.contains(&"password_file")) {
            true => {
                "write it as the first line of a file that only you can read (chmod 600), and \
                     say `password_file: /path/of/it`"
            }
            false => "take it out; this connector needs none",
        };
        return Err(Error::invalid(format!(
            "`{place}` is a secret, and every snapshot would hold it with the description; {cure}"
        )));
    }
    let all = serde_json::to_value(resource).map_err(|error| Error::internal(error.to_string()))?;
    if let Some(url) = secret_url(&all) {
        return Err(Error::invalid(format!(
            "it names {url} with a password, and every snapshot would hold that with the \
             description; take it out: connectors read `password_file`, and a hook can read a file \
             of its own"
        )));
    }
    Ok(())
}

/// Whether something below is named like a secret and is a text or a number; `at` ends as its path.
fn secret_key(value: &Value, at: &mut String) -> bool {
    const NAMES: [&str; 8] =
        ["password", "passwd", "passphrase", "pwd", "pass", "secret", "token", "apikey"];
    let (length, pairs) = (at.len(), value.as_object().into_iter().flatten());
    for (key, value) in pairs {
        let is_said = value.is_string() || value.is_number();
        let plain = key.to_ascii_lowercase().replace(['_', '-'], "");
        at.push('.');
        at.push_str(key);
        if is_said && NAMES.iter().any(|name| plain.ends_with(name)) || secret_key(value, at) {
            return true;
        }
        at.truncate(length);
    }
    false
}

/// The first URL with a password in any text below, without what stands before its host.
fn secret_url(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => url_in(text),
        Value::Array(values) => values.iter().find_map(secret_url),
        Value::Object(fields) => fields.values().find_map(secret_url),
        _ => None,
    }
}

fn url_in(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let ends = |c: char| c.is_whitespace() || "/?#'\"".contains(c);
        let authority = after.split(ends).next().unwrap_or_default();
        let user = authority.rsplit_once('@');
        if let Some((user, host)) = user
            && user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
        {
            let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
            let scheme = before.rsplit(|c| !is_of_scheme(c)).next().unwrap_or_default();
            return Some(format!("{scheme}://…@{host}"));
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(resource: Value) -> Option<String> {
        let resource = serde_json::from_value(resource).unwrap();
        check(&crate::connectors(), &resource).err().map(|error| error.to_string())
    }

    fn postgres(at: Value) -> Option<String> {
        told(json!({ "kind": "database", "name": "db", "connector": "postgres", "at": at }))
    }

    #[test]
    fn what_nobody_knows_is_told_with_the_nearest() {
        let volume = |connector: &str, at: Value| {
            told(json!({ "kind": "volume", "name": "v", "connector": connector, "at": at }))
        };
        assert_eq!(volume("files", json!({ "path": "/srv" })), None);
        let typo = volume("files", json!({ "path": "/srv", "mountd": true })).unwrap();
        assert!(typo.starts_with("volume v: at: connector files knows no `mountd`"), "{typo}");
        assert!(typo.contains("did you mean `mounted`? It knows"), "{typo}");
        let strange = volume("btrf", json!({ "path": "/srv" })).unwrap();
        assert!(strange.contains("no connector btrf; did you mean btrfs? There are:"), "{strange}");
        assert!(volume("files", json!({ "path": "srv" })).unwrap().contains("no absolute path"));
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for at in [
            json!({ "password": "canary" }),
            json!({ "user": "a", "PGPASSWORD": "canary" }),
            json!({ "db_password": 4711 }),
            json!({ "host": "postgres://ann:canary@db:5432/shop" }),
        ] {
            let said = postgres(at.clone()).unwrap();
            assert!(said.starts_with("database db: ") && said.contains("password_file"), "{said}");
            assert!(!said.contains("canary") && !said.contains("4711"), "{said}");
        }
        assert_eq!(postgres(json!({ "password_file": "/etc/password" })), None);
        assert_eq!(postgres(json!({ "password_file": "connector:01h" })), None);
        let hook = |word: &str| {
            told(json!({ "kind": "application", "name": "a", "components": [{ "resource": "b" }],
                         "hooks": [{ "phase": "post-run", "command": ["curl", word] }] }))
        };
        let said = hook("--url=https://:canary@host/x").unwrap();
        assert!(said.contains("https://…@host") && !said.contains("canary"), "{said}");
        for word in ["https://host/a@b:c", "ssh://ann@host", "ann:b@host", "https://ann:@host"] {
            assert_eq!(hook(word), None, "{word}");
        }
    }
}
