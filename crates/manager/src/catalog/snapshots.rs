//! Snapshots and their items: a cache of what the repositories say.

use std::fmt::Write as _;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::change::Change;
use tintype_api::snapshot::{Snapshot, SnapshotItem, SnapshotScope};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::items::item;
use super::objects::part_of;
use super::{column, events, failed};

/// So many are looked through at once for a text.
const BATCH: i64 = 1000;

/// A snapshot, and in which repository it lies.
#[derive(Clone, Debug)]
pub struct Known {
    pub snapshot: Snapshot,
    pub repository: Id,
}

/// Which snapshots, newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub tenant: Option<Id>,
    pub scope: Option<SnapshotScope>,
    pub repository: Option<Id>,
    pub resource: Option<String>,
    /// In the name or note, or at the beginning of the id; whatever the case.
    pub text: Option<String>,
    pub with_private: bool,
    /// Those before this one: milliseconds and id.
    pub before: Option<(i64, String)>,
    pub limit: i64,
}

fn known(row: &AnyRow) -> Result<Known> {
    let text: String = column(row, "document")?;
    let snapshot = serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(format!("the catalog: a snapshot: {error}")))?;
    let repository: String = column(row, "repository")?;
    Ok(Known { snapshot, repository: repository.parse()? })
}

fn text(document: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Error::internal(error.to_string()))
}

/// Writes what is known now; one that is there already is written anew.
pub async fn put(
    on: &mut AnyConnection,
    repository: &Id,
    snapshot: &Snapshot,
    items: Option<&[SnapshotItem]>,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO snapshot (id, repository, tenant, scope, time, is_private, document) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET document = excluded.document",
    );
    let time = snapshot.time.as_millisecond();
    let query = query.bind(&snapshot.id).bind(repository.as_str()).bind(snapshot.tenant.as_str());
    let query = query.bind(snapshot.scope.name()).bind(time);
    let query = query.bind(i64::from(snapshot.is_private)).bind(text(snapshot)?);
    query.execute(&mut *on).await.map_err(|error| failed("writing", error))?;
    // Of one that is known already nothing but the document is new.
    let change = if items.is_some() { Change::Created } else { Change::Changed };
    events::touch_snapshot(on, &snapshot.id, change).await?;
    let Some(items) = items else { return Ok(()) };
    delete_items(on, &snapshot.id).await?;
    for (n, item) in items.iter().enumerate() {
        let query = sqlx::query(
            "INSERT INTO item (snapshot, n, resource, outcome, time, document) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let resource = item.resource.as_ref().map_or("", Id::as_str);
        let outcome = serde_json::to_value(item.outcome).unwrap_or_default();
        let query = query.bind(&snapshot.id).bind(n as i64).bind(resource);
        let query = query.bind(outcome.as_str().unwrap_or_default().to_owned());
        let query = query.bind(time).bind(text(item)?);
        query.execute(&mut *on).await.map_err(|error| failed("writing", error))?;
    }
    Ok(())
}

async fn delete_items(on: &mut AnyConnection, id: &str) -> Result<()> {
    let done = sqlx::query("DELETE FROM item WHERE snapshot = $1").bind(id).execute(on).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

pub async fn delete(on: &mut AnyConnection, id: &str) -> Result<()> {
    events::touch_snapshot(&mut *on, id, Change::Deleted).await?;
    delete_items(&mut *on, id).await?;
    let done = sqlx::query("DELETE FROM snapshot WHERE id = $1").bind(id).execute(on).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

/// `NotFound` where there is none.
pub async fn get(on: &mut AnyConnection, id: &str) -> Result<Known> {
    let query = sqlx::query("SELECT repository, document FROM snapshot WHERE id = $1").bind(id);
    let row = query.fetch_optional(on).await.map_err(|error| failed("reading", error))?;
    match row {
        Some(row) => known(&row),
        None => Err(Error::not_found(format!("there is no snapshot {id}"))),
    }
}

pub async fn items(on: &mut AnyConnection, id: &str) -> Result<Vec<SnapshotItem>> {
    let query = sqlx::query("SELECT document FROM item WHERE snapshot = $1 ORDER BY n").bind(id);
    let rows = query.fetch_all(on).await.map_err(|error| failed("reading", error))?;
    rows.iter().map(item).collect()
}

/// A pattern of LIKE that the documents of all that say `text` fit, and some others.
fn pattern_of(text: &str) -> String {
    let text = serde_json::Value::from(text).to_string();
    let part = part_of(text.trim_matches('"'));
    // What is upper and lower case beyond ASCII, databases do not agree on.
    part.chars().map(|c| if c.is_ascii() { c } else { '%' }).collect()
}

/// `text` is in lower case.
fn says(snapshot: &Snapshot, text: &str) -> bool {
    let has = |words: &str| words.to_lowercase().contains(text);
    snapshot.id.starts_with(text) || has(&snapshot.name) || has(&snapshot.note)
}

pub async fn list(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<Known>> {
    let Some(text) = &filter.text else { return rows(on, filter).await };
    let (text, mut found) = (text.to_lowercase(), Vec::new());
    let mut batch = Filter { limit: BATCH, ..filter.clone() };
    loop {
        let next = rows(on, &batch).await?;
        let is_last = (next.len() as i64) < BATCH;
        let last = next.last().map(|Known { snapshot, .. }| snapshot);
        batch.before = last.map(|last| (last.time.as_millisecond(), last.id.clone()));
        found.extend(next.into_iter().filter(|known| says(&known.snapshot, &text)));
        if is_last || found.len() as i64 >= filter.limit {
            found.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
            return Ok(found);
        }
    }
}

async fn rows(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<Known>> {
    // In the order of an index that begins with what is asked for.
    let (from, time, id) = match filter.resource {
        Some(_) => ("item i JOIN snapshot s ON s.id = i.snapshot", "i.time", "i.snapshot"),
        None => ("snapshot s", "s.time", "s.id"),
    };
    let mut sql = format!("SELECT s.repository, s.document FROM {from} WHERE 1 = 1");
    let mut values: Vec<String> = Vec::new();
    let mut and = |condition: &str, value: &str| {
        values.push(value.to_owned());
        let _ = write!(sql, " AND {condition} ${}", values.len());
    };
    if let Some(tenant) = &filter.tenant {
        and("s.tenant =", tenant.as_str());
    }
    if let Some(scope) = filter.scope {
        and("s.scope =", scope.name());
    }
    if let Some(repository) = &filter.repository {
        and("s.repository =", repository.as_str());
    }
    if let Some(resource) = &filter.resource {
        and("i.resource =", resource);
    }
    if let Some(text) = &filter.text {
        and("LOWER(s.document) LIKE", &pattern_of(text));
        sql.push_str(" ESCAPE '!'");
    }
    if !filter.with_private {
        sql.push_str(" AND s.is_private = 0");
    }
    let at = values.len();
    if filter.before.is_some() {
        let (a, b, c) = (at + 1, at + 2, at + 3);
        let _ = write!(sql, " AND {time} <= ${a} AND ({time} < ${b} OR {id} < ${c})");
    }
    let limit = at + 1 + if filter.before.is_some() { 3 } else { 0 };
    let _ = write!(sql, " ORDER BY {time} DESC, {id} DESC LIMIT ${limit}");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for value in values {
        query = query.bind(value);
    }
    if let Some((time, id)) = &filter.before {
        query = query.bind(*time).bind(*time).bind(id.clone());
    }
    let rows = query.bind(filter.limit).fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(known).collect()
}

/// How much of a resource was captured last.
pub async fn last_bytes(on: &mut AnyConnection, resource: &Id) -> Result<Option<u64>> {
    let query = sqlx::query(
        "SELECT document FROM item WHERE resource = $1 AND outcome = 'captured' \
         ORDER BY time DESC LIMIT 1",
    );
    let row = query.bind(resource.as_str()).fetch_optional(on).await;
    let row = row.map_err(|error| failed("reading", error))?;
    row.map(|row| Ok(item(&row)?.bytes)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_found_in_name_note_and_at_the_beginning_of_the_id() {
        let id = "0".repeat(26);
        let value = json!({
            "id": "3f2a81d0", "tenant": id, "storage": id, "scope": "partial", "trigger": "manual",
            "name": "Vor der Änderung", "note": "100% of \"it\"", "time": "2030-01-01T00:00:00Z",
            "by": "x", "is_complete": true, "entries": 0, "bytes": 0, "stored_bytes": 0,
            "captured": 0, "failed": 0, "skipped": 0,
        });
        let snapshot: Snapshot = serde_json::from_value(value).unwrap();
        for (text, is_found) in [
            ("3F2A", true),
            ("81d0", false),
            ("der ä", true),
            ("ÄNDERUNG", true),
            ("100% OF \"", true),
            ("partial", false),
            ("name", false),
        ] {
            assert_eq!(says(&snapshot, &text.to_lowercase()), is_found, "{text}");
        }
        assert_eq!(pattern_of("ÄND_\"%"), "%%nd!_\\\"!%%");
    }
}
