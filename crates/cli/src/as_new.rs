//! Options of a restore beside what there is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tintype_api::restore::AsNew;
use tintype_model::resource::check_name;

use crate::exit::usage;

/// Fields of `at`, by name of the resource.
pub(crate) type Fields<'n> = BTreeMap<&'n str, Map<String, Value>>;

#[derive(clap::Args, Clone)]
pub(crate) struct Beside {
    /// Restore a resource under another name, beside the one it was captured from
    #[arg(long, value_name = "NAME=NEW", help_heading = "Resources")]
    pub(crate) as_new: Vec<String>,
    /// Where the new one is, or what is restored in place: a field of `at` as in `tintype discover
    /// --schema`
    #[arg(long, value_name = "NAME.FIELD=VALUE", help_heading = "Resources")]
    pub(crate) set: Vec<String>,
    /// What must differ in the new one, as its connector documents: ports, addresses, networks
    #[arg(long, value_name = "NAME.RULE=VALUE", requires = "as_new", help_heading = "Resources")]
    pub(crate) rule: Vec<String>,
}

impl Beside {
    /// Fields of `at` of those of `names` that are not restored as new, and what is left: options of
    /// those that are.
    pub(crate) fn in_place<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> anyhow::Result<(Fields<'n>, Self)> {
        let (mut found, mut rest) = (BTreeMap::new(), self.clone());
        let is_new = |name: &str| {
            self.as_new.iter().any(|pair| pair.split_once('=').is_some_and(|(own, _)| own == name))
        };
        let mut names: Vec<&str> = names.filter(|name| !is_new(name)).collect();
        // Names may have dots, and be the begin of others.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            let at = at(&rest.set, name)?;
            if !at.is_empty() {
                rest.set.retain(|text| !is_of(text, name));
                found.insert(name, at);
            }
        }
        Ok((found, rest))
    }

    /// By name of the resource; of `at` only what was said.
    pub(crate) fn parse(&self) -> anyhow::Result<BTreeMap<String, AsNew>> {
        let mut all = BTreeMap::new();
        for pair in &self.as_new {
            let (name, new) = pair
                .split_once('=')
                .ok_or_else(|| usage(format!("--as-new {pair}: write it NAME=NEW")))?;
            check_name(new).map_err(usage)?;
            let at = at(&self.set, name)?;
            let rules = fields(&self.rule, name, "--rule")?;
            let rules = rules.into_iter().map(|(r, v)| (r.to_owned(), v.to_owned())).collect();
            all.insert(name.to_owned(), AsNew { name: new.to_owned(), at, rules });
        }
        all_used(&self.set, &all, "--set")?;
        all_used(&self.rule, &all, "--rule")?;
        Ok(all)
    }
}

fn at(set: &[String], name: &str) -> anyhow::Result<Map<String, Value>> {
    let mut at = Map::new();
    for (field, value) in fields(set, name, "--set")? {
        let value = serde_norway::from_str(value)
            .map_err(|error| usage(format!("--set {name}.{field}: {error}")))?;
        at.insert(field.to_owned(), value);
    }
    Ok(at)
}

fn is_of(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

/// `NAME.FIELD=VALUE` of one name; names may have dots.
fn fields<'f>(
    all: &'f [String],
    name: &str,
    option: &str,
) -> anyhow::Result<Vec<(&'f str, &'f str)>> {
    let own = |text: &'f String| text.strip_prefix(name)?.strip_prefix('.');
    let pair = |text: &'f str| {
        text.split_once('=')
            .ok_or_else(|| usage(format!("{option} {name}.{text}: write it NAME.FIELD=VALUE")))
    };
    all.iter().filter_map(own).map(pair).collect()
}

/// Each of the options is for something that is restored as new.
fn all_used(all: &[String], names: &BTreeMap<String, AsNew>, option: &str) -> anyhow::Result<()> {
    let is_used = |text: &&String| names.keys().any(|name| is_of(text, name));
    match all.iter().find(|text| !is_used(text)) {
        Some(text) => Err(usage(format!(
            "{option} {text}: write it NAME.FIELD=VALUE, of a NAME that --as-new names"
        ))),
        None => Ok(()),
    }
}
