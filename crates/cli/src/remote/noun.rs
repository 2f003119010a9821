//! What all nouns have in common: the verbs `list`, `show` and `delete`, names instead of ids,
//! tables, JSON.

use serde_json::{Value, json};
use tintype_api::client::{Client, Noun};
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;

use super::Common;
use super::view::{View, Watch, yaml};
use crate::exit::{Exit, usage};
use crate::report::Report;
use crate::show::Table;

/// A noun: its verbs are `V`.
#[derive(clap::Args)]
pub(crate) struct Said<V: clap::Subcommand> {
    #[command(subcommand)]
    verb: V,
    #[command(flatten)]
    common: Common,
}

pub(crate) trait Verb: clap::Subcommand {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()>;
}

impl<V: Verb> Said<V> {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.verb.run(client, report))
    }
}

/// A kind of object, as people see it.
pub(super) trait Shown: Noun {
    /// Of its table, after name and tenant.
    const COLUMNS: &'static [&'static str];

    fn cells(&self) -> Vec<String>;

    /// What `show` prints: all that is known of it, or the file that makes it again.
    fn document(object: &Object<Self>) -> Value {
        json!(object)
    }
}

// The verbs of all kinds. (No documentation comment: it would become that of the noun.)
#[derive(clap::Subcommand)]
pub(crate) enum Usual {
    /// All that you may see
    List {
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// One, with everything that is set
    Show {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        watch: Watch,
    },
    /// Delete one
    Delete(One),
}

impl Usual {
    pub(super) fn run<S: Shown>(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List { tenant, watch } => {
                watch.tell(client, report, |client| list::<S>(client, tenant.as_deref()))
            }
            Self::Show { one, watch } => watch.tell(client, report, |client| {
                let object = one.find::<S>(client)?;
                View::default().with(S::NAME, json!(object)).document(&S::document(&object))
            }),
            Self::Delete(one) => one.delete::<S>(client, report),
        }
    }
}

fn list<S: Shown>(client: &Client, tenant: Option<&str>) -> anyhow::Result<View> {
    let tenants = Tenants::of(client)?;
    let tenant = tenant.map(|name| tenants.id(name)).transpose()?;
    let mut table = Table::new(["name", "tenant"].iter().chain(S::COLUMNS).copied(), &[]);
    let mut view = View::default();
    for object in client.list::<S>()? {
        if tenant.as_ref().is_some_and(|tenant| object.tenant != *tenant) {
            continue;
        }
        let head = [object.name.clone(), tenants.name(&object.tenant)];
        table.row(head.into_iter().chain(object.spec.cells()));
        view = view.with(S::NAME, json!(object));
    }
    Ok(view.table(&table))
}

// One object.
#[derive(clap::Args, Clone)]
pub(crate) struct One {
    pub(super) name: String,
    /// Whose, where several tenants have one of this name
    #[arg(long, value_name = "NAME")]
    pub(super) tenant: Option<String>,
}

impl One {
    pub(super) fn find<S: Noun>(&self, client: &Client) -> anyhow::Result<Object<S>> {
        find(client, &self.name, self.tenant.as_deref())
    }

    /// Changes what `edit` changes of what is there now.
    pub(super) fn change<S: Noun>(
        &self,
        client: &Client,
        report: &Report,
        name: Option<String>,
        edit: impl FnOnce(&mut S),
    ) -> anyhow::Result<()> {
        let object = self.find::<S>(client)?;
        let mut spec = object.spec;
        edit(&mut spec);
        let changed = ChangedObject { name, spec: Some(spec) };
        let after = client.change(&object.id, Some(object.version), &changed)?;
        told(report, "changed", &after)
    }

    pub(super) fn delete<S: Noun>(&self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let object = self.find::<S>(client)?;
        client.delete::<S>(&object.id)?;
        told(report, "deleted", &object)
    }

    /// Makes one that has this name.
    pub(super) fn create<S: Noun>(
        self,
        client: &Client,
        report: &Report,
        spec: S,
    ) -> anyhow::Result<()> {
        let tenant = self.tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
        let made = client.create(&NewObject { name: self.name, tenant, spec })?;
        told(report, "made", &made)
    }
}

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

/// Makes the one of that name, or changes it.
pub(super) fn apply<S: Noun + PartialEq>(
    client: &Client,
    report: &Report,
    name: String,
    spec: S,
    tenant: Option<&str>,
) -> anyhow::Result<()> {
    let tenant = match tenant {
        Some(name) => Tenants::of(client)?.id(name)?,
        None => client.whoami()?.tenant,
    };
    let known = client.list::<S>()?;
    let known = known.iter().find(|known| known.tenant == tenant && known.name == name);
    put(client, report, known, NewObject { name, tenant: Some(tenant), spec })
}

/// As it is to be; says so where it is so already.
pub(super) fn put<S: Noun + PartialEq>(
    client: &Client,
    report: &Report,
    known: Option<&Object<S>>,
    new: NewObject<S>,
) -> anyhow::Result<()> {
    match known {
        None => told(report, "made", &client.create(&new)?),
        Some(known) if known.spec == new.spec => {
            report.event(S::NAME, json!(known))?;
            report.text(format!("{} {} is as described", S::NAME, known.name))
        }
        Some(known) => {
            let spec = new.spec;
            let changed = ChangedObject { name: None, spec: Some(spec) };
            let after = client.change(&known.id, Some(known.version), &changed)?;
            told(report, "changed", &after)
        }
    }
}

/// As YAML that reads back as what it was.
pub(super) fn document(report: &Report, what: &impl serde::Serialize) -> anyhow::Result<()> {
    yaml(what)?.lines().try_for_each(|line| report.text(line))
}

pub(super) fn told<S: Noun>(report: &Report, did: &str, object: &Object<S>) -> anyhow::Result<()> {
    report.event(S::NAME, json!(object))?;
    report.text(format!("{} {} {did}", S::NAME, object.name))
}

/// `yes` or `no`.
pub(super) fn word(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// The same, where somebody should look.
pub(super) fn loud(is: bool) -> String {
    if is { "yes" } else { "NO" }.to_owned()
}
