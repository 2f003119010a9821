//! What all nouns have in common: names instead of ids, tables, JSON.

use serde_json::json;
use tintype_api::client::{Client, Noun};
use tintype_api::object::{ChangedObject, Object};
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;

use crate::exit::usage;
use crate::report::Report;
use crate::show::Table;

/// Names of tenants by id.
pub(super) struct Tenants(Vec<Object<TenantSpec>>);

impl Tenants {
    pub(super) fn of(client: &Client) -> anyhow::Result<Self> {
        Ok(Self(client.list::<TenantSpec>()?))
    }

    pub(super) fn name(&self, id: &Id) -> String {
        let found = self.0.iter().find(|tenant| tenant.id == *id);
        found.map_or_else(|| id.to_string(), |tenant| tenant.name.clone())
    }

    /// By name or id.
    pub(super) fn id(&self, wanted: &str) -> anyhow::Result<Id> {
        let found = self.0.iter().find(|t| t.name == wanted || t.id.as_str() == wanted);
        let found = found.ok_or_else(|| {
            tintype_engine::Error::not_found(format!("there is no tenant `{wanted}`"))
        })?;
        Ok(found.id.clone())
    }
}

/// By name or id; a name that several tenants have needs `tenant`.
pub(super) fn find<S: Noun>(
    client: &Client,
    wanted: &str,
    tenant: Option<&str>,
) -> anyhow::Result<Object<S>> {
    let tenant = tenant.map(|name| Tenants::of(client)?.id(name)).transpose()?;
    let fits = |object: &Object<S>| {
        (object.name == wanted || object.id.as_str() == wanted)
            && tenant.as_ref().is_none_or(|tenant| object.tenant == *tenant)
    };
    let mut found: Vec<_> = client.list::<S>()?.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(object), true) => Ok(object),
        (Some(_), false) => {
            Err(usage(format!("several tenants have a {} `{wanted}`: say --tenant", S::NAME)))
        }
        (None, _) => {
            let what = format!("there is no {} `{wanted}`", S::NAME);
            Err(tintype_engine::Error::not_found(what).into())
        }
    }
}

/// `columns`: name, tenant and these.
pub(super) fn list<S: Noun>(
    client: &Client,
    report: &Report,
    columns: &[&str],
    row: impl Fn(&Object<S>) -> Vec<String>,
) -> anyhow::Result<()> {
    let objects = client.list::<S>()?;
    if report.is_json() {
        for object in &objects {
            report.event(S::NAME, json!(object))?;
        }
        return Ok(());
    }
    let tenants = Tenants::of(client)?;
    let mut table = Table::new(["name", "tenant"].iter().chain(columns).copied(), &[]);
    for object in &objects {
        let head = [object.name.clone(), tenants.name(&object.tenant)];
        table.row(head.into_iter().chain(row(object)));
    }
    for line in table.lines() {
        report.text(line)?;
    }
    Ok(())
}

pub(super) fn show<S: Noun>(report: &Report, object: &Object<S>) -> anyhow::Result<()> {
    if report.is_json() {
        return report.event(S::NAME, json!(object));
    }
    document(report, object)
}

/// As YAML that reads back as what it was: by way of JSON, which knows no tags.
pub(super) fn document(report: &Report, what: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_norway::to_string(&serde_json::to_value(what)?)?;
    text.lines().try_for_each(|line| report.text(line))
}

pub(super) fn told<S: Noun>(report: &Report, did: &str, object: &Object<S>) -> anyhow::Result<()> {
    report.event(S::NAME, json!(object))?;
    report.text(format!("{} {} {did}", S::NAME, object.name))
}

pub(super) fn delete<S: Noun>(
    client: &Client,
    report: &Report,
    wanted: &str,
    tenant: Option<&str>,
) -> anyhow::Result<()> {
    let object = find::<S>(client, wanted, tenant)?;
    client.delete::<S>(&object.id)?;
    told(report, "deleted", &object)
}

/// Changes what `edit` changes of what is there now.
pub(super) fn change<S: Noun>(
    client: &Client,
    report: &Report,
    (wanted, tenant): (&str, Option<&str>),
    name: Option<String>,
    edit: impl FnOnce(&mut S),
) -> anyhow::Result<()> {
    let object = find::<S>(client, wanted, tenant)?;
    let mut spec = object.spec;
    edit(&mut spec);
    let changed = ChangedObject { name, spec: Some(spec) };
    let after = client.change(&object.id, Some(object.version), &changed)?;
    told(report, "changed", &after)
}
