//! What changed, in the order in which it was committed.
//!
//! Whatever writes a row that somebody looks at says so beside it (`touched`), in the same
//! transaction. [`super::Change`] numbers that when it commits, as the last thing before: so numbers
//! have no gap, and who has seen one has seen all below it, whichever manager wrote them. Numbers that
//! are not there were too many or too long ago: whoever needs them must look at everything again.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::change::{Change, Changed, ChangedKind};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::{Catalog, column, failed};

/// So many of the newest stay.
const KEPT: i64 = 10_000;
/// Old ones go whenever so many came.
const SWEPT_EACH: i64 = 500;
/// What changes more at once changes everything.
const MOST_AT_ONCE: usize = 500;

/// One thing that changed, and who may know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub n: i64,
    pub changed: Changed,
    /// Only the system's to know.
    pub is_private: bool,
}

/// What came after a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub after: i64,
    pub upto: i64,
    /// None: some of it is not known any more.
    pub events: Option<Vec<Event>>,
}

/// Of an object or of what is beside it; nothing where there is no such object.
pub(super) async fn touch_object(
    on: &mut AnyConnection,
    kind: &str,
    id: &str,
    change: Change,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO touched (kind, id, tenant, is_private, change) \
         SELECT kind, id, tenant, 0, $1 FROM object WHERE kind = $2 AND id = $3",
    );
    let done = query.bind(change.name()).bind(kind).bind(id).execute(on).await;
    done.map(drop).map_err(|error| failed("noting a change", error))
}

/// Restores are told apart: they have a list of their own.
pub(super) async fn touch_run(on: &mut AnyConnection, id: &str, change: Change) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO touched (kind, id, tenant, is_private, change) \
         SELECT CASE WHEN kind = 'restore' THEN 'restore' ELSE 'run' END, id, tenant, 0, $1 \
         FROM run WHERE id = $2",
    );
    let done = query.bind(change.name()).bind(id).execute(on).await;
    done.map(drop).map_err(|error| failed("noting a change", error))
}

/// As it stands in the catalog at this moment.
pub(super) async fn touch_snapshot(on: &mut AnyConnection, id: &str, change: Change) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO touched (kind, id, tenant, is_private, change) \
         SELECT 'snapshot', id, tenant, is_private, $1 FROM snapshot WHERE id = $2",
    );
    let done = query.bind(change.name()).bind(id).execute(on).await;
    done.map(drop).map_err(|error| failed("noting a change", error))
}

/// Numbers what this transaction touched. To be the last thing that it does: all others wait from
/// here on until it is committed.
pub(super) async fn number(on: &mut AnyConnection) -> Result<()> {
    let query = "DELETE FROM touched RETURNING kind, id, tenant, is_private, change";
    let rows = sqlx::query(query).fetch_all(&mut *on).await;
    let rows = rows.map_err(|error| failed("numbering changes", error))?;
    if rows.is_empty() {
        return Ok(());
    }
    // One number without an event is a gap.
    let told = match rows.len() > MOST_AT_ONCE {
        true => Vec::new(),
        false => merged(rows.iter().map(|row| event(row, 0)).collect::<Result<_>>()?),
    };
    let count = told.len().max(1) as i64;
    let query = sqlx::query("UPDATE event_head SET n = n + $1 WHERE one = 1 RETURNING n");
    let head = query.bind(count).fetch_one(&mut *on).await;
    let head: i64 = column(&head.map_err(|error| failed("numbering changes", error))?, "n")?;
    let first = head - count + 1;
    for (n, event) in (first..).zip(&told) {
        let query = sqlx::query(
            "INSERT INTO event (n, kind, id, tenant, is_private, change) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let Changed { kind, id, tenant, change } = &event.changed;
        let query = query.bind(n).bind(kind.name()).bind(id).bind(tenant.as_str());
        let query = query.bind(i64::from(event.is_private)).bind(change.name());
        query.execute(&mut *on).await.map_err(|error| failed("numbering changes", error))?;
    }
    if first / SWEPT_EACH != (head + 1) / SWEPT_EACH {
        let query = sqlx::query("DELETE FROM event WHERE n <= $1").bind(head - KEPT);
        query.execute(on).await.map_err(|error| failed("forgetting changes", error))?;
    }
    Ok(())
}

/// One for each thing, in the order in which they were touched first.
fn merged(touched: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for next in touched {
        let is_same = |known: &&mut Event| {
            known.changed.kind == next.changed.kind && known.changed.id == next.changed.id
        };
        match all.iter_mut().find(is_same) {
            Some(known) => {
                known.is_private = next.is_private;
                known.changed.change = match (known.changed.change, next.changed.change) {
                    (Change::Created, Change::Changed) => Change::Created,
                    (_, last) => last,
                };
            }
            None => all.push(next),
        }
    }
    all
}

fn event(row: &AnyRow, n: i64) -> Result<Event> {
    let (kind, change): (String, String) = (column(row, "kind")?, column(row, "change")?);
    let tenant: String = column(row, "tenant")?;
    let damaged = |what: &str| Error::corrupt(format!("the catalog: {what} of a change"));
    Ok(Event {
        n,
        changed: Changed {
            kind: ChangedKind::named(&kind).ok_or_else(|| damaged("the kind"))?,
            id: column(row, "id")?,
            tenant: tenant.parse::<Id>()?,
            change: Change::named(&change).ok_or_else(|| damaged("the word"))?,
        },
        is_private: column::<i64>(row, "is_private")? != 0,
    })
}

impl Catalog {
    /// The number of the newest.
    pub async fn last_event(&self) -> Result<i64> {
        let query = sqlx::query("SELECT n FROM event_head WHERE one = 1");
        let row = query.fetch_one(&mut *self.read().await?).await;
        column(&row.map_err(|error| failed("reading", error))?, "n")
    }

    /// At most `limit` that came after that one.
    pub async fn events_after(&self, after: i64, limit: i64) -> Result<Batch> {
        let head = self.last_event().await?;
        let query = sqlx::query(
            "SELECT n, kind, id, tenant, is_private, change FROM event \
             WHERE n > $1 AND n <= $2 ORDER BY n LIMIT $3",
        );
        let mut on = self.read().await?;
        let rows = query.bind(after).bind(head).bind(limit).fetch_all(&mut *on).await;
        let rows = rows.map_err(|error| failed("reading", error))?;
        let events: Vec<Event> =
            rows.iter().map(|row| event(row, column(row, "n")?)).collect::<Result<_>>()?;
        Ok(batch(after, head, events))
    }
}

fn batch(after: i64, head: i64, events: Vec<Event>) -> Batch {
    let upto = events.last().map_or(after, |last| last.n);
    let has_all = upto - after == events.len() as i64 && (upto == head || !events.is_empty());
    match has_all {
        true => Batch { after, upto, events: Some(events) },
        false => Batch { after, upto: head, events: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(n: i64, id: &str, change: Change) -> Event {
        let tenant: Id = "0".repeat(26).parse().unwrap();
        let changed = Changed { kind: ChangedKind::Run, id: id.to_owned(), tenant, change };
        Event { n, changed, is_private: false }
    }

    #[test]
    fn one_word_for_each_thing() {
        use Change::{Changed, Created, Deleted};
        for (all, want) in [
            (vec![("a", Created), ("a", Changed)], vec![("a", Created)]),
            (
                vec![("a", Changed), ("b", Changed), ("a", Deleted)],
                vec![("a", Deleted), ("b", Changed)],
            ),
            (vec![("a", Deleted), ("a", Created)], vec![("a", Created)]),
        ] {
            let all = all.into_iter().map(|(id, change)| told(0, id, change)).collect();
            let found = merged(all);
            let found: Vec<(&str, Change)> =
                found.iter().map(|e| (&e.changed.id[..], e.changed.change)).collect();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn a_number_that_is_missing_is_seen() {
        for (after, head, numbers, is_whole) in [
            (0, 0, vec![], true),
            (3, 5, vec![4, 5], true),
            (3, 900, vec![4, 5], true),
            (3, 5, vec![5], false),
            (3, 5, vec![], false),
            (3, 6, vec![4, 6], false),
            (9, 5, vec![], false),
        ] {
            let events = numbers.iter().map(|n| told(*n, "a", Change::Changed)).collect();
            let found = batch(after, head, events);
            assert_eq!(found.events.is_some(), is_whole, "{after} {head} {numbers:?}");
            if !is_whole {
                assert_eq!(found.upto, head, "from there it goes on");
            }
        }
    }
}
