//! What a changed retention would do to the snapshots that a period has already taken.
//!
//! A changed retention applies to later snapshots; these keep the expiry that they were stamped
//! with. Who wants it otherwise sees here first what would go when, and gets the new stamps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use super::expiry_plan::{Kept, newest_first};
use super::{PeriodKey, Reason, Taken, holds};
use crate::Result;
use crate::profile::Period;

/// Of each snapshot of the period, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previewed {
    pub changes: Vec<Change>,
    now: Timestamp,
}

/// One snapshot, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: String,
    pub time: Timestamp,
    pub before: Going,
    /// With the expiry to stamp on it.
    pub after: Going,
}

/// When a snapshot goes: at the earliest at `at`, and not while anything of `waits_for` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// `None` is never.
    pub expiry: Option<Timestamp>,
    /// The later of expiry and lock; `None` is never.
    pub at: Option<Timestamp>,
    /// Holds, minimum count, last good.
    pub waits_for: Vec<Reason>,
}

/// `snapshots` are all that there are, `changed` is what the period becomes. `minimums` and `known`
/// as for [`super::ExpiryPlan::new`], with the minimum count that the period has now.
pub fn preview(
    snapshots: &[Taken],
    key: &PeriodKey,
    changed: &Period,
    minimums: &BTreeMap<PeriodKey, u32>,
    known: &BTreeSet<String>,
    now: Timestamp,
    zones: &TimeZoneDatabase,
) -> Result<Previewed> {
    let order = newest_first(snapshots);
    let mut later = minimums.clone();
    later.insert(key.clone(), changed.minimum_count);
    let mut kept = Kept::new(&order, minimums, known, now);
    let mut kept_later = Kept::new(&order, &later, known, now);
    let mut changes = Vec::new();
    for snapshot in order.into_iter().filter(|snapshot| snapshot.period.as_ref() == Some(key)) {
        let stamped =
            Taken { expiry: changed.stamp(snapshot.time, zones)?.expiry, ..snapshot.clone() };
        changes.push(Change {
            id: snapshot.id.clone(),
            time: snapshot.time,
            before: Going::of(snapshot, kept.remove(&snapshot.id)),
            after: Going::of(&stamped, kept_later.remove(&snapshot.id)),
        });
    }
    Ok(Previewed { changes, now })
}

impl Previewed {
    /// Those that the next expiry would delete, and would not without the change.
    pub fn would_go(&self) -> impl Iterator<Item = &Change> {
        let now = self.now;
        self.changes.iter().filter(move |c| c.after.is_over(now) && !c.before.is_over(now))
    }
}

impl Going {
    fn of(snapshot: &Taken, counted: Vec<Reason>) -> Self {
        let mut waits_for = holds::reasons(None, &snapshot.held, snapshot.time);
        waits_for.extend(counted);
        Self { expiry: snapshot.expiry, at: snapshot.end(), waits_for }
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.waits_for.is_empty() && self.at.is_some_and(|at| at <= now)
    }
}

impl fmt::Display for Going {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.at else { return f.write_str("never") };
        write!(f, "{at}")?;
        if self.waits_for.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = self.waits_for.iter().map(ToString::to_string).collect();
        write!(f, " or later: {}", reasons.join("; "))
    }
}

impl fmt::Display for Previewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Change { id, before, after, .. } in &self.changes {
            writeln!(f, "{id}  goes {before}  would go {after}")?;
        }
        writeln!(f, "{} would go now", self.would_go().count())
    }
}
