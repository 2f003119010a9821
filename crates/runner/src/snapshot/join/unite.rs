//! One descriptor out of those of parts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tintype_model::item::{ApplicationItem, Descriptor, Item};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

/// What the parts say, and what none of them holds. No two may hold one item.
pub(super) fn unite(
    parts: Vec<Descriptor>,
    missing: Vec<Item>,
    resources: Vec<Resource>,
    now: Timestamp,
) -> Result<Descriptor> {
    let mut all = Descriptor {
        format: Descriptor::FORMAT,
        program: String::new(),
        host: String::new(),
        started: parts.iter().map(|part| part.started).min().unwrap_or(now),
        resources: Vec::new(),
        items: Vec::new(),
        applications: Vec::new(),
        windows: Vec::new(),
    };
    let mut described = Described::default();
    let mut applications = BTreeMap::<String, ApplicationItem>::new();
    for part in parts {
        let own: BTreeSet<&str> = part.items.iter().map(|item| &item.name[..]).collect();
        for resource in part.resources {
            let is_of_item = own.contains(&resource.name[..]);
            described.add(resource, is_of_item);
        }
        for application in part.applications {
            add(&mut applications, application);
        }
        all.items.extend(part.items);
        all.windows.extend(part.windows);
    }
    all.items.extend(missing);
    resources.into_iter().for_each(|resource| described.add(resource, false));
    let mut names = BTreeSet::new();
    if let Some(twice) = all.items.iter().find(|item| !names.insert(&item.name[..])) {
        return Err(Error::invalid(format!(
            "{} is an item of more than one of the parts that are joined",
            twice.name
        )));
    }
    all.resources = described.resources;
    all.applications = lowest(applications, &all.resources, &all.items);
    Ok(all)
}

/// Resources by name.
#[derive(Default)]
struct Described {
    resources: Vec<Resource>,
    /// Where each is, and whether by this an item was captured.
    by_name: BTreeMap<String, (usize, bool)>,
}

impl Described {
    /// What an item was captured by counts; of all else what was said first.
    fn add(&mut self, resource: Resource, is_of_item: bool) {
        match self.by_name.get_mut(&resource.name) {
            None => {
                let at = self.resources.len();
                self.by_name.insert(resource.name.clone(), (at, is_of_item));
                self.resources.push(resource);
            }
            Some((at, known)) if is_of_item && !*known => {
                *known = true;
                self.resources[*at] = resource;
            }
            Some(_) => {}
        }
    }
}

fn add(all: &mut BTreeMap<String, ApplicationItem>, new: ApplicationItem) {
    match all.get_mut(&new.name) {
        None => {
            all.insert(new.name.clone(), new);
        }
        Some(known) => {
            known.version = known.version.take().or(new.version);
            known.hooks.extend(new.hooks);
        }
    }
}

/// Applications that have items, each with the lowest level of these.
fn lowest(
    mut known: BTreeMap<String, ApplicationItem>,
    resources: &[Resource],
    items: &[Item],
) -> Vec<ApplicationItem> {
    let levels: BTreeMap<_, _> =
        items.iter().map(|item| (&item.name[..], item.consistency)).collect();
    let mut all = Vec::new();
    for application in resources.iter().filter(|resource| !resource.components.is_empty()) {
        let own = application.components.iter().filter_map(|c| levels.get(&c.resource[..]));
        // None, as of what failed, is the lowest.
        let Some(consistency) = own.copied().min() else { continue };
        let item = known.remove(&application.name).unwrap_or_else(|| ApplicationItem {
            name: application.name.clone(),
            version: None,
            consistency: None,
            hooks: Vec::new(),
        });
        all.push(ApplicationItem { consistency, ..item });
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tintype_model::item::{Outcome, Window};
    use tintype_model::resource::Consistency;

    use super::*;

    fn resource(name: &str, at: &str) -> Resource {
        let kind = if at.is_empty() { "application" } else { "volume" };
        let mut described = json!({ "kind": kind, "name": name });
        if at.is_empty() {
            described["components"] = json!([{ "resource": "a" }, { "resource": "b" }]);
        } else {
            described["connector"] = "files".into();
            described["at"] = json!({ "path": at });
        }
        serde_json::from_value(described).unwrap()
    }

    fn item(name: &str, consistency: Option<Consistency>) -> Item {
        let outcome = if consistency.is_some() { Outcome::Captured } else { Outcome::Failed };
        serde_json::from_value(json!({
            "name": name, "kind": "volume", "connector": "files", "place": name,
            "outcome": outcome, "consistency": consistency,
            "entries": 1, "bytes": 1, "problems": 0,
        }))
        .unwrap()
    }

    fn part(started: i64, resources: &[Resource], items: Vec<Item>) -> Descriptor {
        let members = items.iter().map(|item| item.name.clone()).collect();
        let application = ApplicationItem {
            name: "app".into(),
            version: (started == 7).then(|| "3".into()),
            consistency: Some(Consistency::Application),
            hooks: Vec::new(),
        };
        Descriptor {
            format: 1,
            program: "p".into(),
            host: "h".into(),
            started: Timestamp::from_second(started).unwrap(),
            resources: resources.to_vec(),
            items,
            applications: vec![application],
            windows: vec![Window { members, seconds: 0.1 }],
        }
    }

    #[test]
    fn each_resource_is_described_as_it_was_captured() {
        let (old, new) = (
            [resource("app", ""), resource("a", "/old"), resource("b", "/old")],
            [resource("app", ""), resource("a", "/new"), resource("b", "/new")],
        );
        let parts = vec![
            part(9, &old, vec![item("a", Some(Consistency::Application))]),
            part(7, &new, vec![item("b", Some(Consistency::Crash))]),
        ];
        let now = Timestamp::from_second(20).unwrap();
        let all = unite(parts.clone(), Vec::new(), vec![resource("c", "/c")], now).unwrap();
        assert_eq!(all.resources, [&old[..2], &new[2..], &[resource("c", "/c")]].concat());
        assert_eq!(all.started.as_second(), 7);
        assert_eq!(all.windows.len(), 2);
        let application = &all.applications[..];
        assert_eq!(application.len(), 1);
        assert_eq!(application[0].consistency, Some(Consistency::Crash));
        assert_eq!(application[0].version.as_deref(), Some("3"));

        let failed = unite(parts[..1].to_vec(), vec![item("b", None)], Vec::new(), now).unwrap();
        assert_eq!(failed.applications[0].consistency, None);
        assert_eq!(failed.items.len(), 2);
        let error = unite(parts, vec![item("b", None)], Vec::new(), now).err().unwrap();
        assert!(error.to_string().starts_with("b is an item of more than one"), "{error}");
        let none = unite(Vec::new(), vec![item("b", None)], new.to_vec(), now).unwrap();
        assert_eq!((none.started, none.applications.len()), (now, 1));
    }
}
