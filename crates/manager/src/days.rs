//! What was taken, day by day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Deserialize;
use sqlx::AnyConnection;
use tintype_api::snapshot::{SnapshotScope, Trigger};
use tintype_api::status::Day;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use crate::catalog::{column, failed};

/// What is counted of a snapshot.
#[derive(Deserialize)]
struct Counted {
    scope: SnapshotScope,
    trigger: Trigger,
    is_complete: bool,
    stored_bytes: u64,
    #[serde(default)]
    full: Option<String>,
}

/// The last `count` days of that zone, with today.
pub(crate) fn empty(now: Timestamp, zone: &TimeZone, count: u32) -> Result<Vec<Day>> {
    let today = now.to_zoned(zone.clone()).date();
    let wrong = |error: jiff::Error| Error::invalid(error.to_string());
    let begin = |date: Date| Ok(date.to_zoned(zone.clone()).map_err(wrong)?.timestamp());
    let mut days = Vec::new();
    for back in (0..i64::from(count)).rev() {
        let date = today.checked_sub(Span::new().days(back)).map_err(wrong)?;
        days.push(Day {
            date: date.to_string(),
            begin: begin(date)?,
            end: begin(date.tomorrow().map_err(wrong)?)?,
            complete: 0,
            incomplete: 0,
            failed: BTreeMap::new(),
            stored_bytes: 0,
        });
    }
    Ok(days)
}

fn day_of(days: &mut [Day], time: i64) -> Option<&mut Day> {
    let after = days.partition_point(|day| day.begin.as_millisecond() <= time);
    let day = days.get_mut(after.checked_sub(1)?)?;
    (time < day.end.as_millisecond()).then_some(day)
}

/// Counts what a tenant, or everybody, took on these days.
pub(crate) async fn count(
    on: &mut AnyConnection,
    days: &mut [Day],
    tenant: Option<&Id>,
    with_private: bool,
) -> Result<()> {
    let Some(first) = days.first() else { return Ok(()) };
    let (since, of) = (first.begin.as_millisecond(), tenant.map_or("", Id::as_str));
    let query = sqlx::query(
        "SELECT time, document FROM snapshot WHERE time >= $1 AND ($2 = '' OR tenant = $3) \
         AND is_private <= $4",
    );
    let query = query.bind(since).bind(of).bind(of).bind(i64::from(with_private));
    let rows = query.fetch_all(&mut *on).await.map_err(|error| failed("reading", error))?;
    for row in &rows {
        let text: String = column(row, "document")?;
        let counted: Counted = serde_json::from_str(&text)
            .map_err(|error| Error::corrupt(format!("the catalog: a snapshot: {error}")))?;
        if let Some(day) = day_of(days, column(row, "time")?) {
            add(day, &counted, tenant.is_some());
        }
    }
    let query = sqlx::query(
        "SELECT kind, ended, COUNT(*) AS count FROM run WHERE state = 'failed' AND ended >= $1 \
         AND ($2 = '' OR tenant = $3) GROUP BY kind, ended",
    );
    let rows = query.bind(since).bind(of).bind(of).fetch_all(on).await;
    for row in &rows.map_err(|error| failed("reading", error))? {
        let (kind, count): (String, i64) = (column(row, "kind")?, column(row, "count")?);
        if let Some(day) = day_of(days, column(row, "ended")?) {
            *day.failed.entry(kind).or_default() += count as u64;
        }
    }
    Ok(())
}

/// A full snapshot is one, whatever parts it has; of a tenant its part is one.
fn add(day: &mut Day, counted: &Counted, is_of_tenant: bool) {
    if matches!(counted.trigger, Trigger::Sync | Trigger::Upload) {
        return;
    }
    day.stored_bytes += counted.stored_bytes;
    let is_part = counted.full.is_some() && counted.scope == SnapshotScope::Tenant;
    if is_part && !is_of_tenant {
        return;
    }
    *if counted.is_complete { &mut day.complete } else { &mut day.incomplete } += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_and_end_where_they_do_in_their_zone() {
        let now: Timestamp = "2026-10-25T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut days = empty(now, &zone, 3).unwrap();
        let told: Vec<(&str, String)> =
            days.iter().map(|day| (&day.date[..], day.begin.to_string())).collect();
        assert_eq!(
            told,
            [
                ("2026-10-23", "2026-10-22T22:00:00Z".to_owned()),
                ("2026-10-24", "2026-10-23T22:00:00Z".to_owned()),
                ("2026-10-25", "2026-10-24T22:00:00Z".to_owned()),
            ]
        );
        let long = days[2].end.duration_since(days[2].begin);
        assert_eq!(long.as_hours(), 25, "the day on which clocks are set back");
        let mut date = |time: &str| {
            let time: Timestamp = time.parse().unwrap();
            day_of(&mut days, time.as_millisecond()).map(|day| day.date.clone())
        };
        assert_eq!(date("2026-10-22T21:59:59Z"), None);
        assert_eq!(date("2026-10-22T22:00:00Z").as_deref(), Some("2026-10-23"));
        assert_eq!(date("2026-10-25T22:59:59Z").as_deref(), Some("2026-10-25"));
        assert_eq!(date("2026-10-25T23:00:00Z"), None);
    }

    #[test]
    fn a_full_snapshot_is_one_and_copies_are_none() {
        let now: Timestamp = "2026-10-25T12:00:00Z".parse().unwrap();
        let counted = |scope, trigger, is_complete, full: Option<&str>| Counted {
            scope,
            trigger,
            is_complete,
            stored_bytes: 10,
            full: full.map(str::to_owned),
        };
        let all = [
            counted(SnapshotScope::Full, Trigger::Manual, true, None),
            counted(SnapshotScope::Tenant, Trigger::Manual, true, Some("run")),
            counted(SnapshotScope::Tenant, Trigger::Schedule, false, None),
            counted(SnapshotScope::Partial, Trigger::Sync, true, None),
            counted(SnapshotScope::Partial, Trigger::Upload, true, None),
        ];
        for (is_of_tenant, complete) in [(false, 1), (true, 2)] {
            let mut day = empty(now, &TimeZone::UTC, 1).unwrap().remove(0);
            all.iter().for_each(|counted| add(&mut day, counted, is_of_tenant));
            assert_eq!((day.complete, day.incomplete, day.stored_bytes), (complete, 1, 30));
        }
    }
}
