//! Which tenant's repository lies where in which storage.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_model::Result;
use tintype_model::identifier::Id;

use super::{column, failed};

/// Of its secrets.
pub const KIND: &str = "repository";
/// The data key.
pub const KEY: &str = "key";
/// The twelve words that open it without a manager.
pub const WORDS: &str = "words";

#[derive(Clone, Debug)]
pub struct Repository {
    pub id: Id,
    pub storage: Id,
    pub tenant: Id,
    /// Below the storage.
    pub place: String,
    /// The engine's own.
    pub engine_id: String,
}

fn repository(row: &AnyRow) -> Result<Repository> {
    let text = |name| column::<String>(row, name);
    Ok(Repository {
        id: text("id")?.parse()?,
        storage: text("storage")?.parse()?,
        tenant: text("tenant")?.parse()?,
        place: text("place")?,
        engine_id: text("engine_id")?,
    })
}

pub async fn insert(on: &mut AnyConnection, repository: &Repository, now: Timestamp) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO repository (id, storage, tenant, place, engine_id, created) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let Repository { id, storage, tenant, place, engine_id } = repository;
    let query = query.bind(id.as_str()).bind(storage.as_str()).bind(tenant.as_str());
    let query = query.bind(place).bind(engine_id).bind(now.as_millisecond());
    query.execute(on).await.map(drop).map_err(|error| failed("writing", error))
}

/// Of a tenant in a storage.
pub async fn of(on: &mut AnyConnection, storage: &Id, tenant: &Id) -> Result<Option<Repository>> {
    let query = sqlx::query("SELECT * FROM repository WHERE storage = $1 AND tenant = $2");
    let row = query.bind(storage.as_str()).bind(tenant.as_str()).fetch_optional(on).await;
    row.map_err(|error| failed("reading", error))?.as_ref().map(repository).transpose()
}

pub async fn get(on: &mut AnyConnection, id: &Id) -> Result<Option<Repository>> {
    let query = sqlx::query("SELECT * FROM repository WHERE id = $1").bind(id.as_str());
    let row = query.fetch_optional(on).await.map_err(|error| failed("reading", error))?;
    row.as_ref().map(repository).transpose()
}

/// All, or those in one storage, in the order in which they were made.
pub async fn list(on: &mut AnyConnection, storage: Option<&Id>) -> Result<Vec<Repository>> {
    let storage = storage.map_or("", Id::as_str);
    let query = sqlx::query("SELECT * FROM repository WHERE $1 = '' OR storage = $2 ORDER BY id");
    let rows = query.bind(storage).bind(storage).fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(repository).collect()
}

/// All of a tenant, with their keys; what lies in the storages stays.
pub async fn forget(on: &mut AnyConnection, tenant: &Id) -> Result<()> {
    let failed = |error| failed("deleting", error);
    let of = "(SELECT id FROM repository WHERE tenant = $2)";
    let query = format!("DELETE FROM secret WHERE owner_kind = $1 AND owner IN {of}");
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(KIND).bind(tenant.as_str());
    query.execute(&mut *on).await.map_err(failed)?;
    let query = sqlx::query("DELETE FROM repository WHERE tenant = $1").bind(tenant.as_str());
    query.execute(on).await.map(drop).map_err(failed)
}
