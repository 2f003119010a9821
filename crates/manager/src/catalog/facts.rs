//! Single values that the manager keeps, and what was last seen of objects.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::change::Change;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::{column, events, failed};

pub async fn get(on: &mut AnyConnection, name: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT value FROM fact WHERE name = $1").bind(name);
    let row = row.fetch_optional(on).await.map_err(|error| failed("reading", error))?;
    row.map(|row| column(&row, "value")).transpose()
}

pub async fn set(on: &mut AnyConnection, name: &str, value: &str) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO fact (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    let done = query.bind(name).bind(value).execute(on).await;
    done.map(drop).map_err(|error| failed("writing", error))
}

/// Gives a value and forgets it: of several that ask for it one gets it.
pub async fn take(on: &mut AnyConnection, name: &str) -> Result<Option<String>> {
    let Some(value) = get(&mut *on, name).await? else { return Ok(None) };
    let done = sqlx::query("DELETE FROM fact WHERE name = $1").bind(name).execute(on).await;
    let done = done.map_err(|error| failed("deleting", error))?;
    Ok((done.rows_affected() == 1).then_some(value))
}

/// Those whose name begins so: name and value.
pub async fn all(on: &mut AnyConnection, prefix: &str) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query("SELECT name, value FROM fact ORDER BY name").fetch_all(on).await;
    let mut all = Vec::new();
    for row in rows.map_err(|error| failed("reading", error))? {
        let name: String = column(&row, "name")?;
        if name.starts_with(prefix) {
            all.push((name, column(&row, "value")?));
        }
    }
    Ok(all)
}

/// What was last seen of an object; its owner did not write that.
pub async fn state<T: DeserializeOwned>(
    on: &mut AnyConnection,
    kind: &str,
    id: &Id,
) -> Result<Option<T>> {
    let query = sqlx::query("SELECT document FROM state WHERE kind = $1 AND id = $2");
    let row = query.bind(kind).bind(id.as_str()).fetch_optional(on).await;
    let Some(row) = row.map_err(|error| failed("reading", error))? else { return Ok(None) };
    let text: String = column(&row, "document")?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Error::corrupt(format!("the catalog: state of {kind} {id}: {error}")))
}

/// All of a kind before one, the latest id first.
pub async fn states<T: DeserializeOwned>(
    on: &mut AnyConnection,
    kind: &str,
    before: Option<&Id>,
    limit: i64,
) -> Result<Vec<(Id, T)>> {
    let query = sqlx::query(
        "SELECT id, document FROM state WHERE kind = $1 AND ($2 = '' OR id < $3) \
         ORDER BY id DESC LIMIT $4",
    );
    let before = before.map_or("", Id::as_str);
    let rows = query.bind(kind).bind(before).bind(before).bind(limit).fetch_all(on).await;
    let read = |row: &AnyRow| {
        let (id, text): (String, String) = (column(row, "id")?, column(row, "document")?);
        let read = serde_json::from_str(&text);
        let damaged = |error| Error::corrupt(format!("the catalog: state of {kind} {id}: {error}"));
        Ok((id.parse()?, read.map_err(damaged)?))
    };
    rows.map_err(|error| failed("reading", error))?.iter().map(read).collect()
}

pub async fn set_state(
    on: &mut AnyConnection,
    kind: &str,
    id: &Id,
    now: Timestamp,
    document: &impl Serialize,
) -> Result<()> {
    let text =
        serde_json::to_string(document).map_err(|error| Error::internal(error.to_string()))?;
    let query = sqlx::query(
        "INSERT INTO state (kind, id, changed, document) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (kind, id) DO UPDATE SET changed = excluded.changed, \
         document = excluded.document",
    );
    let query = query.bind(kind).bind(id.as_str()).bind(now.as_millisecond()).bind(text);
    query.execute(&mut *on).await.map_err(|error| failed("writing", error))?;
    events::touch_object(on, kind, id.as_str(), Change::Changed).await
}
