//! What snapshots say of resources: the newest of each, and of one the last ones.

use std::collections::BTreeMap;

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

/// Of every resource, by its id.
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
        "SELECT i.resource, i.snapshot, i.time, i.document FROM \
         (SELECT o.resource AS resource, MAX(o.time) AS time FROM item o {inner} \
          WHERE o.resource <> '' GROUP BY o.resource) m \
         JOIN item i ON i.resource = m.resource AND i.time = m.time {outer}"
    )));
    let rows = query.fetch_all(on).await;
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for row in &rows.map_err(|error| failed("reading", error))? {
        let (resource, next) = (column::<String>(row, "resource")?, found(row)?);
        // Of several of one moment (copies) any is as good.
        let is_better = all.get(&resource).is_none_or(|known| !known.is_whole());
        if is_better {
            all.insert(resource, next);
        }
    }
    Ok(all)
}

/// The newest snapshot that holds a resource whole.
pub async fn last_good(
    on: &mut AnyConnection,
    resource: &Id,
    with_private: bool,
) -> Result<Option<(Timestamp, String)>> {
    let query = sqlx::query(
        "SELECT i.snapshot, i.time, i.document FROM item i JOIN snapshot s ON s.id = i.snapshot \
         WHERE i.resource = $1 AND i.outcome = 'captured' AND s.is_private <= $2 \
         ORDER BY i.time DESC, i.snapshot DESC LIMIT $3",
    );
    let query = query.bind(resource.as_str()).bind(i64::from(with_private)).bind(MOST_PASSED_OVER);
    let rows = query.fetch_all(on).await.map_err(|error| failed("reading", error))?;
    for row in &rows {
        let found = found(row)?;
        if found.is_whole() {
            return Ok(Some((found.time, found.snapshot)));
        }
    }
    Ok(None)
}

/// The last that say something of it, the newest first.
pub async fn of_resource(
    on: &mut AnyConnection,
    resource: &Id,
    with_private: bool,
    limit: i64,
) -> Result<Vec<Held>> {
    let query = sqlx::query(
        "SELECT i.document, s.document AS snapshot FROM item i JOIN snapshot s \
         ON s.id = i.snapshot WHERE i.resource = $1 AND s.is_private <= $2 \
         ORDER BY i.time DESC, i.snapshot DESC LIMIT $3",
    );
    let query = query.bind(resource.as_str()).bind(i64::from(with_private)).bind(limit);
    let rows = query.fetch_all(on).await.map_err(|error| failed("reading", error))?;
    let held = |row: &AnyRow| {
        let text: String = column(row, "snapshot")?;
        let snapshot = serde_json::from_str(&text)
            .map_err(|error| Error::corrupt(format!("the catalog: a snapshot: {error}")))?;
        Ok(Held { snapshot, item: item(row)? })
    };
    rows.iter().map(held).collect()
}
