//! Objects: one mechanism for tenants, users, tokens, storages, profiles and the rest.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::change::Change;
use tintype_api::object::Object;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};

use super::{Catalog, column, events, failed};

/// What an object is of: `tenant`, `user`, …; the noun of the API and of the command line.
pub trait Kind: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    const NAME: &'static str;
}

impl Kind for tintype_api::tenant::TenantSpec {
    const NAME: &'static str = "tenant";
}

impl Kind for tintype_api::agent::AgentSpec {
    const NAME: &'static str = "agent";
}

impl Kind for tintype_api::connector::ConnectorSpec {
    const NAME: &'static str = "connector";
}

impl Kind for tintype_api::user::UserSpec {
    const NAME: &'static str = "user";
}

impl Kind for tintype_api::token::TokenSpec {
    const NAME: &'static str = "token";
}

impl Kind for tintype_api::storage::StorageSpec {
    const NAME: &'static str = "storage";
}

impl Kind for tintype_api::resource::ResourceSpec {
    const NAME: &'static str = "resource";
}

impl Kind for tintype_api::profile::ProfileSpec {
    const NAME: &'static str = "profile";
}

impl Kind for tintype_api::sync::SyncSpec {
    const NAME: &'static str = "sync";
}

/// Which objects of a kind.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub tenant: Option<Id>,
    pub name: Option<String>,
    /// In their names, whatever the case.
    pub part: Option<String>,
    /// Those after this one.
    pub after: Option<Id>,
    pub limit: i64,
}

fn object<S: Kind>(row: &AnyRow) -> Result<Object<S>> {
    let (id, tenant): (String, String) = (column(row, "id")?, column(row, "tenant")?);
    let damaged = |what: &dyn std::fmt::Display| {
        Error::corrupt(format!("the catalog: {} {id}: {what}", S::NAME))
    };
    let time = |name| {
        let time = Timestamp::from_millisecond(column(row, name)?);
        time.map_err(|error| damaged(&error))
    };
    let spec: String = column(row, "spec")?;
    Ok(Object {
        id: id.parse()?,
        tenant: tenant.parse()?,
        name: column(row, "name")?,
        version: column(row, "version")?,
        created: time("created")?,
        changed: time("changed")?,
        spec: serde_json::from_str(&spec).map_err(|error| damaged(&error))?,
    })
}

const COLUMNS: &str = "id, tenant, name, version, created, changed, spec";

/// `NotFound` where there is none.
pub async fn get<S: Kind>(on: &mut AnyConnection, id: &Id) -> Result<Object<S>> {
    let query =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM object WHERE kind = $1 AND id = $2"));
    let row = sqlx::query(query).bind(S::NAME).bind(id.as_str()).fetch_optional(on).await;
    match row.map_err(|error| failed("reading", error))? {
        Some(row) => object(&row),
        None => Err(Error::not_found(format!("there is no {} {id}", S::NAME))),
    }
}

pub async fn named<S: Kind>(
    on: &mut AnyConnection,
    tenant: &Id,
    name: &str,
) -> Result<Option<Object<S>>> {
    let (tenant, name) = (Some(tenant.clone()), Some(name.to_owned()));
    let filter = Filter { tenant, name, limit: 1, ..Filter::default() };
    Ok(list(on, &filter).await?.pop())
}

/// Names have plain letters only: both databases know their lower case.
pub(super) fn part_of(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in text.to_ascii_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern + "%"
}

/// By id, which is the order in which they were made.
pub async fn list<S: Kind>(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<Object<S>>> {
    let query = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM object WHERE kind = $1 AND ($2 = '' OR tenant = $3) \
         AND ($4 = 0 OR name = $5) AND id > $6 \
         AND ($7 = '' OR LOWER(name) LIKE $8 ESCAPE '!') ORDER BY id LIMIT $9"
    ));
    let tenant = filter.tenant.as_ref().map_or("", Id::as_str);
    let (by_name, name) = (i64::from(filter.name.is_some()), filter.name.as_deref().unwrap_or(""));
    let after = filter.after.as_ref().map_or("", Id::as_str);
    let query = sqlx::query(query).bind(S::NAME).bind(tenant).bind(tenant).bind(by_name).bind(name);
    let part = filter.part.as_deref().map(part_of).unwrap_or_default();
    let query = query.bind(after).bind(part.clone()).bind(part).bind(filter.limit);
    let rows = query.fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(object).collect()
}

/// Of one tenant, or of all.
pub async fn all<S: Kind>(on: &mut AnyConnection, tenant: Option<&Id>) -> Result<Vec<Object<S>>> {
    let filter = Filter { tenant: tenant.cloned(), limit: i64::MAX, ..Filter::default() };
    list(on, &filter).await
}

/// `AlreadyExists` where the tenant has one of that name.
pub async fn insert<S: Kind>(on: &mut AnyConnection, object: &Object<S>) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO object (kind, id, tenant, name, version, created, changed, spec) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );
    let query = query.bind(S::NAME).bind(object.id.as_str()).bind(object.tenant.as_str());
    let query = query.bind(&object.name).bind(object.version);
    let query = query.bind(object.created.as_millisecond()).bind(object.changed.as_millisecond());
    let done = query.bind(text(&object.spec)?).execute(&mut *on).await;
    done.map_err(|error| taken(error, S::NAME, &object.name))?;
    events::touch_object(on, S::NAME, object.id.as_str(), Change::Created).await
}

/// Writes name, spec, version and time of an object that was read at the version before.
/// `Locked` where another changed it meanwhile.
pub async fn update<S: Kind>(on: &mut AnyConnection, object: &Object<S>) -> Result<()> {
    let query = sqlx::query(
        "UPDATE object SET name = $1, version = $2, changed = $3, spec = $4 \
         WHERE kind = $5 AND id = $6 AND version = $7",
    );
    let query = query.bind(&object.name).bind(object.version);
    let query = query.bind(object.changed.as_millisecond()).bind(text(&object.spec)?);
    let query = query.bind(S::NAME).bind(object.id.as_str()).bind(object.version - 1);
    let done = query.execute(&mut *on).await;
    let done = done.map_err(|error| taken(error, S::NAME, &object.name))?;
    if done.rows_affected() == 1 {
        return events::touch_object(on, S::NAME, object.id.as_str(), Change::Changed).await;
    }
    Err(Error::locked(format!("{} {} was changed meanwhile", S::NAME, object.name)))
}

pub async fn delete<S: Kind>(on: &mut AnyConnection, id: &Id) -> Result<()> {
    events::touch_object(&mut *on, S::NAME, id.as_str(), Change::Deleted).await?;
    let query = sqlx::query("DELETE FROM object WHERE kind = $1 AND id = $2");
    let done = query.bind(S::NAME).bind(id.as_str()).execute(&mut *on).await;
    done.map_err(|error| failed("deleting", error))?;
    let query = sqlx::query("DELETE FROM secret WHERE owner_kind = $1 AND owner = $2");
    let done = query.bind(S::NAME).bind(id.as_str()).execute(&mut *on).await;
    done.map_err(|error| failed("deleting", error))?;
    let query = sqlx::query("DELETE FROM state WHERE kind = $1 AND id = $2");
    let done = query.bind(S::NAME).bind(id.as_str()).execute(on).await;
    done.map_err(|error| failed("deleting", error))?;
    Ok(())
}

/// How many of any kind a tenant has, itself not counted.
pub async fn count_of_tenant(on: &mut AnyConnection, tenant: &Id) -> Result<i64> {
    let query =
        sqlx::query("SELECT COUNT(*) AS count FROM object WHERE tenant = $1 AND kind <> 'tenant'");
    let row = query.bind(tenant.as_str()).fetch_one(on).await;
    column(&row.map_err(|error| failed("reading", error))?, "count")
}

fn text(spec: &impl Serialize) -> Result<String> {
    serde_json::to_string(spec).map_err(|error| Error::internal(error.to_string()))
}

fn taken(error: sqlx::Error, kind: &str, name: &str) -> Error {
    match failed("writing", error) {
        error if error.is(ErrorKind::AlreadyExists) => {
            Error::already_exists(format!("there is a {kind} `{name}` already"))
        }
        error => error,
    }
}

impl Catalog {
    pub async fn get<S: Kind>(&self, id: &Id) -> Result<Object<S>> {
        get(&mut *self.read().await?, id).await
    }

    pub async fn all<S: Kind>(&self, tenant: Option<&Id>) -> Result<Vec<Object<S>>> {
        all(&mut *self.read().await?, tenant).await
    }

    pub async fn list<S: Kind>(&self, filter: &Filter) -> Result<Vec<Object<S>>> {
        list(&mut *self.read().await?, filter).await
    }
}

/// Neither a change of the object nor in the audit log.
pub async fn note_use_of_token(on: &mut AnyConnection, id: &Id, now: Timestamp) -> Result<()> {
    let mut token = get::<tintype_api::token::TokenSpec>(&mut *on, id).await?;
    token.spec.last_used = Some(now);
    let query = sqlx::query("UPDATE object SET spec = $1 WHERE kind = 'token' AND id = $2");
    let done = query.bind(text(&token.spec)?).bind(id.as_str()).execute(on).await;
    done.map(drop).map_err(|error| failed("writing", error))
}

/// The only one of that name in all tenants: of kinds whose names are unique everywhere.
pub async fn named_anywhere<S: Kind>(
    on: &mut AnyConnection,
    name: &str,
) -> Result<Option<Object<S>>> {
    let filter = Filter { name: Some(name.to_owned()), limit: 1, ..Filter::default() };
    Ok(list(on, &filter).await?.pop())
}
