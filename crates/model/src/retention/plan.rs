//! The plan of a prune: for every snapshot, keep or drop, and why.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{
    Candidate, GroupBy, Policy, Reason, Snapshot, Verdicts, expiry, holds, keep_daily, keep_hourly,
    keep_last, keep_monthly, keep_tags, keep_weekly, keep_within, keep_yearly, last_complete,
    minimum,
};

/// What is to happen to one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub snapshot: Snapshot,
    pub keep: bool,
    /// All that keep it, or why it is dropped; never empty.
    pub reasons: Vec<Reason>,
}

/// Generations of the same thing, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `host web1, paths /etc /srv`; empty when all are one group.
    pub name: String,
    pub decisions: Vec<Decision>,
}

/// Groups by name. Printed as a table in the plan's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunePlan {
    pub groups: Vec<Group>,
    zone: TimeZone,
}

impl PrunePlan {
    /// Decides about every snapshot. `now` matters for expiry and locks, and to see which
    /// snapshots are dated by a clock that was wrong: they stay and take nobody's place, so that
    /// one of them does not make the rules drop all that is really new.
    pub fn new(snapshots: &[Snapshot], policy: &Policy, now: Timestamp, zone: &TimeZone) -> Self {
        let mut groups: BTreeMap<Key, Vec<&Snapshot>> = BTreeMap::new();
        for snapshot in snapshots {
            groups.entry(Key::of(snapshot, policy.group_by)).or_default().push(snapshot);
        }
        let groups = groups
            .into_iter()
            .map(|(key, mut members)| {
                members.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
                Group { name: key.to_string(), decisions: decide(&members, policy, now, zone) }
            })
            .collect();
        Self { groups, zone: zone.clone() }
    }

    pub fn kept(&self) -> impl Iterator<Item = &Decision> {
        self.decisions().filter(|d| d.keep)
    }

    pub fn dropped(&self) -> impl Iterator<Item = &Decision> {
        self.decisions().filter(|d| !d.keep)
    }

    fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.groups.iter().flat_map(|g| &g.decisions)
    }
}

/// What the members of a group have in common; `None` for what does not count.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    host: Option<String>,
    paths: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

impl Key {
    fn of(snapshot: &Snapshot, by: GroupBy) -> Self {
        let mut paths = snapshot.paths.clone();
        paths.sort();
        Self {
            host: by.host.then(|| snapshot.host.clone()),
            paths: by.paths.then_some(paths),
            tags: by.tags.then(|| snapshot.tags.iter().cloned().collect()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_ref().map(|host| format!("host {host}"));
        let paths = self.paths.as_ref().map(|paths| format!("paths {}", paths.join(" ")));
        let tags = self.tags.as_ref().map(|tags| format!("tags {}", tags.join(" ")));
        let parts: Vec<String> = [host, paths, tags].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// `members` of one group, newest first.
fn decide(
    members: &[&Snapshot],
    policy: &Policy,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Decision> {
    let counted: Vec<Candidate<'_>> =
        members.iter().filter(|s| counts(s, now)).map(|s| Candidate::new(s, zone)).collect();
    let mut by_rule = rules(&counted, policy).into_iter();
    let mut decisions: Vec<Decision> = members
        .iter()
        .map(|snapshot| {
            let mut keep = holds::reasons(snapshot.locked_until, &snapshot.held, now);
            let mut drop = Reason::NoRule;
            match expiry::verdict(snapshot.expiry, now) {
                Some(Ok(reason)) => keep.push(reason),
                Some(Err(reason)) => drop = reason,
                None if is_future(snapshot.time, now) => keep.push(Reason::Future(snapshot.time)),
                None => keep.extend(by_rule.next().into_iter().flatten()),
            }
            let is_kept = !keep.is_empty();
            let reasons = if is_kept { keep } else { vec![drop] };
            Decision { snapshot: (*snapshot).clone(), keep: is_kept, reasons }
        })
        .collect();
    minimum::apply(&mut decisions, policy.minimum, now);
    last_complete::apply(&mut decisions, now);
    decisions
}

/// Clocks of hosts that agree on the day are right enough.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn is_future(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > SKEW
}

/// Whether the rules decide about it.
fn counts(snapshot: &Snapshot, now: Timestamp) -> bool {
    snapshot.expiry.is_none() && !is_future(snapshot.time, now)
}

/// For each candidate all reasons that the policy's rules have to keep it.
fn rules(candidates: &[Candidate<'_>], policy: &Policy) -> Vec<Vec<Reason>> {
    if policy.is_empty() {
        return vec![vec![Reason::NoPolicy]; candidates.len()];
    }
    let verdicts: [Verdicts; 8] = [
        keep_last::keep(candidates, policy.last),
        keep_hourly::keep(candidates, policy.hourly),
        keep_daily::keep(candidates, policy.daily),
        keep_weekly::keep(candidates, policy.weekly),
        keep_monthly::keep(candidates, policy.monthly),
        keep_yearly::keep(candidates, policy.yearly),
        keep_within::keep(candidates, policy.within),
        keep_tags::keep(candidates, &policy.tags),
    ];
    (0..candidates.len()).map(|i| verdicts.iter().filter_map(|v| v[i].clone()).collect()).collect()
}

impl fmt::Display for PrunePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            if !group.name.is_empty() {
                writeln!(f, "{}", group.name)?;
            }
            for decision in &group.decisions {
                let Decision { snapshot, keep, reasons } = decision;
                let id: String = snapshot.id.chars().take(8).collect();
                let time = snapshot.time.to_zoned(self.zone.clone());
                let time = time.strftime("%Y-%m-%d %H:%M");
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let word = if *keep { "keep" } else { "drop" };
                writeln!(f, "  {word}  {id:8}  {time}  {}", reasons.join("; "))?;
            }
        }
        let (kept, dropped) = (self.kept().count(), self.dropped().count());
        writeln!(f, "{kept} kept, {dropped} dropped")
    }
}
