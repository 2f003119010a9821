//! Which of the manager's snapshots go: those that nothing keeps any more.
//!
//! A snapshot stays until the latest of its expiry, its lock and its holds. Two rules count:
//!
//! - **Minimum count** of a period, as long as there is the period: the newest so many complete ones
//!   of it stay, and of each resource the newest so many that hold it whole.
//! - **Last good**: of each resource the newest that any schedule took and that holds it whole stays,
//!   also when the profile is gone. What a person took with an expiry goes then: that was the word of
//!   a person; but no schedule counts on it.
//!
//! Both look only at resources that are known: what an administrator removed holds nothing back.
//! Snapshots that are dated in the future (some clock was wrong) take nobody's place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::plan::is_future;
use super::{Reason, expiry, holds};

/// A period, also one that is gone: id of the profile, name of the period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodKey {
    pub profile: String,
    pub period: String,
}

/// What this retention needs to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub id: String,
    pub time: Timestamp,
    /// Of which period; `None` if no schedule took it.
    pub period: Option<PeriodKey>,
    /// `None` is never.
    pub expiry: Option<Timestamp>,
    /// Names of the holds on it.
    pub held: Vec<String>,
    pub locked_until: Option<Timestamp>,
    /// No item of it failed.
    pub is_complete: bool,
    /// Ids of the resources that it holds whole.
    pub resources: BTreeSet<String>,
}

/// What is to happen to one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    pub id: String,
    pub time: Timestamp,
    pub keep: bool,
    /// All that keep it, or why it goes; never empty.
    pub reasons: Vec<Reason>,
}

/// One decision for each snapshot, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryPlan {
    pub decisions: Vec<Expiring>,
}

impl ExpiryPlan {
    /// `minimums` are the minimum counts of the periods that there are, `known` the resources that
    /// the manager knows; one that is out of reach for now is known.
    pub fn new(
        snapshots: &[Taken],
        minimums: &BTreeMap<PeriodKey, u32>,
        known: &BTreeSet<String>,
        now: Timestamp,
    ) -> Self {
        let order = newest_first(snapshots);
        let mut kept = Kept::new(&order, minimums, known, now);
        let decisions = order
            .into_iter()
            .map(|snapshot| snapshot.decide(kept.remove(&snapshot.id), now))
            .collect();
        Self { decisions }
    }

    pub fn kept(&self) -> impl Iterator<Item = &Expiring> {
        self.decisions.iter().filter(|d| d.keep)
    }

    pub fn deleted(&self) -> impl Iterator<Item = &Expiring> {
        self.decisions.iter().filter(|d| !d.keep)
    }
}

impl Taken {
    /// The earliest time at which it can go as far as expiry and lock say; `None` is never.
    pub fn end(&self) -> Option<Timestamp> {
        self.expiry.map(|expiry| self.locked_until.map_or(expiry, |until| until.max(expiry)))
    }

    fn decide(&self, counted: Vec<Reason>, now: Timestamp) -> Expiring {
        let mut keep = holds::reasons(self.locked_until, &self.held, now);
        let mut reasons = Vec::new();
        match expiry::verdict(self.expiry, now) {
            None => keep.push(Reason::NeverExpires),
            Some(Ok(reason)) => keep.push(reason),
            Some(Err(reason)) => reasons.push(reason),
        }
        keep.extend(counted);
        let is_kept = !keep.is_empty();
        if is_kept {
            reasons = keep;
        }
        Expiring { id: self.id.clone(), time: self.time, keep: is_kept, reasons }
    }
}

pub(super) fn newest_first(snapshots: &[Taken]) -> Vec<&Taken> {
    let mut order: Vec<&Taken> = snapshots.iter().collect();
    order.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    order
}

/// What the rules that count keep, whatever its expiry.
pub(super) struct Kept<'a>(BTreeMap<&'a str, Vec<Reason>>);

impl<'a> Kept<'a> {
    /// `order` is newest first.
    pub(super) fn new(
        order: &[&'a Taken],
        minimums: &BTreeMap<PeriodKey, u32>,
        known: &BTreeSet<String>,
        now: Timestamp,
    ) -> Self {
        let mut kept: BTreeMap<&str, Vec<Reason>> = BTreeMap::new();
        let mut counted = Counted::default();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for snapshot in order.iter().filter(|snapshot| !is_future(snapshot.time, now)) {
            let Some(period) = &snapshot.period else { continue };
            let held: Vec<&str> =
                snapshot.resources.intersection(known).map(String::as_str).collect();
            let mut reasons = Vec::new();
            let minimum = minimums.get(period).copied().unwrap_or_default();
            if counted.is_among(minimum, period, snapshot.is_complete, &held) {
                reasons.push(Reason::Minimum(minimum as usize));
            }
            let last_good: Vec<String> =
                held.iter().filter(|id| seen.insert(id)).map(|id| (*id).to_owned()).collect();
            if !last_good.is_empty() {
                reasons.push(Reason::LastGood(last_good));
            }
            if !reasons.is_empty() {
                kept.insert(&snapshot.id, reasons);
            }
        }
        Self(kept)
    }

    pub(super) fn remove(&mut self, id: &str) -> Vec<Reason> {
        self.0.remove(id).unwrap_or_default()
    }
}

/// How many newer ones there are of each period, and of each period and resource.
#[derive(Default)]
struct Counted<'a> {
    complete: BTreeMap<&'a PeriodKey, u32>,
    resources: BTreeMap<(&'a PeriodKey, &'a str), u32>,
}

impl<'a> Counted<'a> {
    /// Counts one more, and says whether it is among the first `minimum` of anything.
    fn is_among(
        &mut self,
        minimum: u32,
        period: &'a PeriodKey,
        is_complete: bool,
        resources: &[&'a str],
    ) -> bool {
        let mut is_among = false;
        if is_complete {
            let count = self.complete.entry(period).or_default();
            *count += 1;
            is_among |= *count <= minimum;
        }
        for resource in resources {
            let count = self.resources.entry((period, resource)).or_default();
            *count += 1;
            is_among |= *count <= minimum;
        }
        is_among
    }
}

impl fmt::Display for PeriodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.profile, self.period)
    }
}

/// A table, newest first.
impl fmt::Display for ExpiryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Expiring { id, time, keep, reasons } in &self.decisions {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let word = if *keep { "keep" } else { "delete" };
            writeln!(f, "{word:6}  {id}  {time}  {}", reasons.join("; "))?;
        }
        writeln!(f, "{} kept, {} deleted", self.kept().count(), self.deleted().count())
    }
}
