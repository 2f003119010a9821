//! Where in place is: where a resource lies now, as the manager knows it, not where a snapshot says
//! that it lay. A snapshot may have been uploaded, and a host may have given the place to another.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tintype_api::object::Object;
use tintype_api::resource::ResourceSpec;
use tintype_model::identifier::Id;
use tintype_model::item::Descriptor;
use tintype_model::plan::Check;
use tintype_model::resource::Resource;

use crate::connectors::Connectors;
use crate::runs::captured::Word;

const CHECK: &str = "place";

/// The resources of a snapshot that the manager still knows, by the names that they had.
pub(super) fn now(
    word: Option<&Word>,
    descriptor: &Descriptor,
    current: &[Object<ResourceSpec>],
    connectors: &Connectors,
) -> BTreeMap<String, Resource> {
    let of = |captured: &Resource| {
        let id = word?.resources.get(&captured.name)?;
        let known = current.iter().find(|resource| resource.id == *id)?;
        Some((captured.name.clone(), connectors.described(known)))
    };
    descriptor.resources.iter().filter_map(of).collect()
}

/// `at` of those that lie elsewhere.
pub(super) fn moved(
    descriptor: &Descriptor,
    now: &BTreeMap<String, Resource>,
) -> BTreeMap<String, Map<String, Value>> {
    let of = |captured: &Resource| {
        let known = now.get(&captured.name)?;
        let is_moved = known.connector == captured.connector && known.at != captured.at;
        is_moved.then(|| (captured.name.clone(), known.at.clone()))
    };
    descriptor.resources.iter().filter_map(of).collect()
}

/// Whether it may be restored in place.
pub(super) fn check(captured: &Resource, now: Option<&Resource>, of_system: bool) -> Option<Check> {
    let cure = "let an administrator of the system restore it";
    match now {
        None if of_system => None,
        None => Some(Check::block(
            CHECK,
            "the manager does not know it any more: what lies there now may be another's",
            cure,
        )),
        Some(now) if now.connector != captured.connector => {
            let (then, now) = (&captured.connector, &now.connector);
            let message = format!("it was captured with connector {then}, and is of {now} now");
            Some(Check::block(CHECK, message, "restore it as new"))
        }
        Some(now) if now.at == captured.at => None,
        Some(_) if of_system => Some(Check::warn(
            CHECK,
            "it lies elsewhere now than when it was captured, and is restored to where it lies now",
            "restore it as new, to have it where it lay",
        )),
        Some(_) => {
            Some(Check::block(CHECK, "it lies elsewhere now than when it was captured", cure))
        }
    }
}

/// Whether something can be made beside what the manager knows: `new` is called and lies as it would,
/// on the host of `agent`.
pub(super) fn check_new(
    new: &Resource,
    agent: Option<&Id>,
    current: &[Object<ResourceSpec>],
    connectors: &Connectors,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_there = |known: &&Object<ResourceSpec>| {
        let described = connectors.described(known);
        known.spec.agent.as_ref() == agent
            && (described.connector == new.connector && described.at == new.at)
    };
    if let Some(known) = current.iter().find(is_there) {
        checks.push(Check::block(
            CHECK,
            format!("{} lies there", known.name),
            "name another place (`--set NAME.FIELD=VALUE`), or restore it in place",
        ));
    }
    if current.iter().any(|known| known.name == new.name) {
        checks.push(Check::warn(
            "name",
            format!("the manager knows a resource that is called {} already", new.name),
            "choose another name, to keep the two apart",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tintype_model::plan::Verdict;
    use tintype_model::resource::Kind;

    use super::*;
    use crate::connectors::bare;

    #[test]
    fn what_is_made_beside_lies_and_is_called_like_nothing_else() {
        let id: Id = "0".repeat(26).parse().unwrap();
        let described = |name: &str, path: &str| {
            let Value::Object(at) = json!({ "path": path }) else { unreachable!() };
            Resource { name: name.into(), connector: "files".into(), at, ..bare(Kind::Volume) }
        };
        let spec = json!({ "kind": "volume", "connector": "files", "at": { "path": "/srv/a" } });
        let known = Object {
            id: id.clone(),
            tenant: id.clone(),
            name: "data".into(),
            version: 1,
            created: jiff::Timestamp::UNIX_EPOCH,
            changed: jiff::Timestamp::UNIX_EPOCH,
            spec: serde_json::from_value(spec).unwrap(),
        };
        for (new, agent, want) in [
            (described("copy", "/srv/b"), None, vec![]),
            (described("copy", "/srv/a"), None, vec![Verdict::Block]),
            (described("copy", "/srv/a"), Some(&id), vec![]),
            (described("data", "/srv/b"), None, vec![Verdict::Warn]),
            (described("data", "/srv/a"), None, vec![Verdict::Block, Verdict::Warn]),
        ] {
            let connectors = Connectors::default();
            let found = check_new(&new, agent, std::slice::from_ref(&known), &connectors);
            let found: Vec<Verdict> = found.into_iter().map(|check| check.outcome).collect();
            assert_eq!(found, want, "{new:?}");
        }
    }

    #[test]
    fn in_place_is_where_it_lies_now() {
        let resource = |connector: &str, path: &str| {
            let Value::Object(at) = json!({ "path": path }) else { unreachable!() };
            let connector = connector.to_owned();
            Resource { name: "data".into(), connector, at, ..bare(Kind::Volume) }
        };
        let captured = resource("files", "/srv/a");
        for (now, of_tenant, of_system) in [
            (Some(resource("files", "/srv/a")), None, None),
            (Some(resource("files", "/srv/b")), Some(Verdict::Block), Some(Verdict::Warn)),
            (Some(resource("zfs", "/srv/a")), Some(Verdict::Block), Some(Verdict::Block)),
            (None, Some(Verdict::Block), None),
        ] {
            let found = |is| check(&captured, now.as_ref(), is).map(|check| check.outcome);
            assert_eq!((found(false), found(true)), (of_tenant, of_system), "{now:?}");
        }
    }
}
