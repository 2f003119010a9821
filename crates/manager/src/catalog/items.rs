//! What snapshots say of resources: the newest of each, and of one the last ones.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::snapshot::{Snapshot, SnapshotItem};
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
use tintype_model::{Error, Result};

use super::{column, failed};

/// So many of a resource's snapshots in which something could not be read are passed over.
const MOST_PASSED_OVER: i64 = 100;
/// What a restore was about to replace is no state that somebody wants back of itself. In a text of JSON
/// a quote within a value has a backslash before it, so that nothing else reads like this.
const UNDO_POINT: &str = r#"s.document LIKE '%"trigger":"pre-restore"%'"#;

/// The newest word about a resource.
#[derive(Clone, Debug)]
pub struct Found {
    pub snapshot: String,
    pub time: Timestamp,
    pub outcome: Outcome,
    pub problems: u64,
}

impl Found {
    pub fn is_whole(&self) -> bool {
        self.outcome == Outcome::Captured && self.problems == 0
    }
}

/// A resource's part, and of what.
pub struct Held {
    pub snapshot: Snapshot,
    pub item: SnapshotItem,
}

pub(super) fn item(row: &AnyRow) -> Result<SnapshotItem> {
    let text: String = column(row, "document")?;
    serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(format!("the catalog: an item: {error}")))
}

fn found(row: &AnyRow) -> Result<Found> {
    let item = item(row)?;
    let time = Timestamp::from_millisecond(column(row, "time")?);
    Ok(Found {
        snapshot: column(row, "snapshot")?,
        time: time.map_err(|_| Error::corrupt("the catalog: a time of an item"))?,
        outcome: item.outcome,
        problems: item.problems,
    })
}

/// Of every resource, by its id; undo points do not count.
pub async fn newest(on: &mut AnyConnection, with_private: bool) -> Result<BTreeMap<String, Found>> {
    // Whoever sees all of them needs to look at no snapshot.
    let seen = |item: &str| match with_private {
        true => String::new(),
        false => format!(
            "JOIN snapshot of_{item} ON of_{item}.id = {item}.snapshot AND of_{item}.is_private = 0"
        ),
    };
    let (inner, outer) = (seen("o"), seen("i"));
    let query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT i.resource, i.snapshot, i.time, i.document, \
         CAST(CASE WHEN {UNDO_POINT} THEN 1 ELSE 0 END AS BIGINT) AS is_undo FROM \
         (SELECT o.resource AS resource, MAX(o.time) AS time FROM item o {inner} \
          WHERE o.resource <> '' GROUP BY o.resource) m \
         JOIN item i ON i.resource = m.resource AND i.time = m.time {outer} \
         JOIN snapshot s ON s.id = i.snapshot"
    )));
    let rows = query.fetch_all(&mut *on).await;
    let (mut all, mut before_undo) = (BTreeMap::<String, Found>::new(), BTreeSet::new());
    for row in &rows.map_err(|error| failed("reading", error))? {
        let (resource, next) = (column::<String>(row, "resource")?, found(row)?);
        if column::<i64>(row, "is_undo")? == 1 {
            before_undo.insert(resource);
            continue;
        }
        // Of several of one moment (copies) any is as good.
        let is_better = all.get(&resource).is_none_or(|known| !known.is_whole());
        if is_better {
            all.insert(resource, next);
        }
    }
    for resource in before_undo {
        if !all.contains_key(&resource)
            && let Some(row) = last(on, &resource, with_private, "", 1).await?.first()
        {
            all.insert(resource, found(row)?);
        }
    }
    Ok(all)
}

/// What the last snapshots say of a resource, but undo points; the newest first.
async fn last(
    on: &mut AnyConnection,
    resource: &str,
    with_private: bool,
    and: &str,
    limit: i64,
) -> Result<Vec<AnyRow>> {
    let query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT i.snapshot, i.time, i.document, s.document AS whole FROM item i \
         JOIN snapshot s ON s.id = i.snapshot \
         WHERE i.resource = $1 AND s.is_private <= $2 AND NOT ({UNDO_POINT}) {and} \
         ORDER BY i.time DESC, i.snapshot DESC LIMIT $3"
    )));
    let query = query.bind(resource).bind(i64::from(with_private)).bind(limit);
    query.fetch_all(on).await.map_err(|error| failed("reading", error))
}

/// The newest snapshot that holds a resource whole, but undo points.
pub async fn last_good(
    on: &mut AnyConnection,
    resource: &Id,
    with_private: bool,
) -> Result<Option<(Timestamp, String)>> {
    let captured = "AND i.outcome = 'captured'";
    let rows = last(on, resource.as_str(), with_private, captured, MOST_PASSED_OVER).await?;
    for row in &rows {
        let found = found(row)?;
        if found.is_whole() {
            return Ok(Some((found.time, found.snapshot)));
        }
    }
    Ok(None)
}

/// The last that say something of it but undo points, the newest first.
pub async fn of_resource(
    on: &mut AnyConnection,
    resource: &Id,
    with_private: bool,
    limit: i64,
) -> Result<Vec<Held>> {
    let rows = last(on, resource.as_str(), with_private, "", limit).await?;
    let held = |row: &AnyRow| {
        let text: String = column(row, "whole")?;
        let snapshot = serde_json::from_str(&text)
            .map_err(|error| Error::corrupt(format!("the catalog: a snapshot: {error}")))?;
        Ok(Held { snapshot, item: item(row)? })
    };
    rows.iter().map(held).collect()
}
