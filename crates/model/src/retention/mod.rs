//! Which snapshots `prune` keeps: a pure function of snapshots, policy, time and time zone.
//!
//! The rules are those of restic's `forget`, a file each. Every rule looks at one group of
//! snapshots (by default: same host, same paths), newest first, and says which it keeps and
//! why; a snapshot that no rule keeps is dropped. Around the rules:
//!
//! - Locks and holds win over everything.
//! - A snapshot with an expiry of its own lives exactly until then. It takes no part in the
//!   counting rules, or a short-lived one could take the place of the day's only other one.
//! - The minimum count is never undercut: the newest that would go stay.
//! - A policy without a rule keeps everything; [`Policy::check`] refuses it, because nobody
//!   means that when they ask for a prune.
//!
//! The manager stamps an expiry on each snapshot when it is taken, so that no rules count there:
//! [`ExpiryPlan`] says what goes, [`preview()`] what a changed retention would do.

mod expiry;
mod expiry_plan;
mod holds;
mod keep_daily;
mod keep_hourly;
mod keep_last;
mod keep_monthly;
mod keep_tags;
mod keep_weekly;
mod keep_within;
mod keep_yearly;
mod last_complete;
mod minimum;
mod period;
mod plan;
mod preview;
mod reason;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::{Error, Result};

pub use expiry_plan::{Expiring, ExpiryPlan, PeriodKey, Taken};
pub use plan::{Decision, Group, PrunePlan};
pub use preview::{Change, Going, Previewed, preview};
pub use reason::Reason;

/// Keep all that a counting rule can find.
pub const UNLIMITED: u32 = u32::MAX;

/// What retention needs to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: String,
    pub time: Timestamp,
    pub host: String,
    pub paths: Vec<String>,
    pub tags: BTreeSet<String>,
    /// Set for this snapshot alone: keep until then, drop after.
    pub expiry: Option<Timestamp>,
    /// Names of the holds on it.
    pub held: Vec<String>,
    pub locked_until: Option<Timestamp>,
    /// Everything in it was captured whole.
    pub is_complete: bool,
}

impl Snapshot {
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }
}

/// What to keep. A count of 0 turns its rule off, [`UNLIMITED`] keeps every period.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub last: u32,
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    /// All that are younger than this, counted back from the group's newest.
    pub within: Option<Span>,
    /// All that have every tag of any of these lists.
    pub tags: Vec<BTreeSet<String>>,
    /// At least so many stay in each group. Not a rule: alone it keeps nothing.
    pub minimum: usize,
    pub group_by: GroupBy,
}

/// What makes two snapshots generations of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    pub host: bool,
    pub paths: bool,
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self { host: true, paths: true, tags: false }
    }
}

impl Policy {
    /// Whether no rule says what to keep.
    pub fn is_empty(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts.iter().all(|c| *c == 0) && self.within.is_none() && self.tags.is_empty()
    }

    /// Refuses a policy that cannot be meant.
    pub fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::invalid(
                "the policy has no rule: say what to keep, like --keep-last 5 or --keep-daily 7",
            ));
        }
        if self.tags.iter().any(BTreeSet::is_empty) {
            return Err(Error::invalid(
                "an empty tag list would keep everything; write it like --keep-tag release,signed",
            ));
        }
        if self.within.is_some_and(|span| span.signum() <= 0) {
            return Err(Error::invalid("a length to keep must be positive, like 1y5m7d2h"));
        }
        Ok(())
    }
}

/// `5`, or `all`.
pub fn parse_count(text: &str) -> Result<u32> {
    match text.trim() {
        "all" | "unlimited" => Ok(UNLIMITED),
        number => number.parse().map_err(|_| {
            Error::invalid(format!(
                "{text:?} is not a number of snapshots; write it like 7, or all"
            ))
        }),
    }
}

impl GroupBy {
    /// `host,paths`, any part of it, or nothing for one group of all.
    pub fn parse(text: &str) -> Result<Self> {
        let mut by = Self { host: false, paths: false, tags: false };
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part {
                "host" => by.host = true,
                "paths" | "path" => by.paths = true,
                "tags" | "tag" => by.tags = true,
                _ => {
                    return Err(Error::invalid(format!(
                        "{part:?} is nothing to group by; write it like host,paths,tags"
                    )));
                }
            }
        }
        Ok(by)
    }
}

/// A snapshot in a group, newest first, with its local time.
pub(crate) struct Candidate<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) local: Zoned,
}

impl<'a> Candidate<'a> {
    fn new(snapshot: &'a Snapshot, zone: &TimeZone) -> Self {
        Self { snapshot, local: snapshot.time.to_zoned(zone.clone()) }
    }
}

/// For each candidate the reason that a rule has to keep it.
pub(crate) type Verdicts = Vec<Option<Reason>>;
