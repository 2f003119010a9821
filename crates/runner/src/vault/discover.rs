//! What runs on a host and can be protected.

use serde::{Deserialize, Serialize};
use tintype_engine::cancel::Cancel;
use tintype_model::resource::{Consistency, NAME_BYTES, Resource};
use tintype_model::{Error, Result};
use tintype_source::connector::{Connector, Context, Discovered};

use super::Host;
use crate::group::Run;

/// A resource that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub resource: Resource,
    pub reaches: Consistency,
    /// Why not more, and what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_more: Option<String>,
}

/// What a capture would reach through a server that answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    pub reaches: Consistency,
    /// Why not more, and what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_more: Option<String>,
}

/// All that was found, and the connectors that could not look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    pub found: Vec<Found>,
    pub problems: Vec<String>,
}

impl From<Discovered> for Found {
    fn from(discovered: Discovered) -> Self {
        let Discovered { resource, reaches, why_not_more } = discovered;
        Self { resource, reaches, why_not_more }
    }
}

/// Nothing is changed, and nothing is stored.
pub fn discover(connectors: &[Box<dyn Connector>], context: &Context) -> Discovery {
    let mut all = Discovery::default();
    for connector in connectors {
        match connector.discover(context) {
            Ok(more) => all.found.extend(more.into_iter().map(Found::from)),
            Err(error) => all.problems.push(format!("{}: {error}", connector.name())),
        }
    }
    distinct(&mut all.found);
    all
}

impl Host {
    pub(super) fn discover(&self, cancel: &Cancel) -> Result<Discovery> {
        let run = Run::begin(&self.env, cancel, &self.group_options(&[]))?;
        Ok(discover(&tintype_source::connectors(), run.context()))
    }
}

impl Host {
    pub(super) fn reach(&self, resource: &Resource, cancel: &Cancel) -> Result<Reached> {
        let run = Run::begin(&self.env, cancel, &self.group_options(&[]))?;
        let connectors = tintype_source::connectors();
        let connector = connectors.iter().find(|one| one.name() == resource.connector);
        let connector = connector.ok_or_else(|| {
            Error::invalid(format!("there is no connector `{}`", resource.connector))
        })?;
        let plan = connector.reach(resource, run.context())?;
        Ok(Reached { reaches: plan.reaches, why_not_more: plan.why_not_more })
    }
}

/// Names must differ in one document: those of the later get a number.
fn distinct(found: &mut [Found]) {
    let mut seen = std::collections::BTreeSet::new();
    for one in found {
        let name = one.resource.name.clone();
        let mut number = 2;
        while !seen.insert(one.resource.name.clone()) {
            let end = format!("-{number}");
            // Names are cut where they are found, and have no room left for it then.
            let room = NAME_BYTES.saturating_sub(end.len());
            let begin = name.get(..room).unwrap_or(&name);
            one.resource.name = format!("{begin}{end}");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::resource::Resources;

    use super::*;

    /// `--resources` refuses what has no name that fits, so it must not be written.
    #[test]
    fn names_that_were_cut_still_differ_and_fit() {
        let found = |name: &str| {
            let described = serde_json::json!({
                "kind": "volume", "name": name, "connector": "files",
            });
            let resource = serde_json::from_value(described).unwrap();
            Found { resource, reaches: Consistency::None, why_not_more: None }
        };
        let long = "a".repeat(NAME_BYTES);
        let mut all = vec![found(&long), found("b")];
        all.extend((0..11).map(|_| found(&long)));
        all.push(found("b"));
        distinct(&mut all);
        assert_eq!(all.last().unwrap().resource.name, "b-2");
        let all = all.into_iter().map(|one| one.resource).collect();
        Resources::new(all).check().unwrap();
    }
}
