//! Between the clock on the wall and moments in time.
//!
//! A change of the clocks leaves a **gap** of times that no clock shows, or **repeats** some. Each
//! wall clock time still has one moment here: one in a gap that of the change itself, one that is
//! repeated the first of its two.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use crate::{Error, Result};

/// Longest name of a time zone, in bytes.
const NAME_BYTES: usize = 64;

pub(crate) fn find(name: &str, zones: &TimeZoneDatabase) -> Result<TimeZone> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let zone = if name.len() <= NAME_BYTES && name.chars().all(is_name) {
        zones.get(name).ok().filter(|zone| !zone.is_unknown())
    } else {
        None
    };
    zone.ok_or_else(|| {
        let shown: String = name.chars().take(NAME_BYTES).collect();
        Error::invalid(format!(
            "time_zone: {shown:?} is no time zone that is known here; write it like Europe/Berlin \
             or UTC (`timedatectl list-timezones` lists them)"
        ))
    })
}

/// The moment of a wall clock time; the first of two. `None` at the ends of the calendar.
pub(super) fn first_at(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset: before } | AmbiguousOffset::Fold { before, .. } => {
            before.to_timestamp(wall).ok()
        }
        AmbiguousOffset::Gap { before, after } => change(zone, wall, before, after),
    }
}

/// The same, but the last of two.
pub(super) fn last_at(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset: after } | AmbiguousOffset::Fold { after, .. } => {
            after.to_timestamp(wall).ok()
        }
        AmbiguousOffset::Gap { before, after } => change(zone, wall, before, after),
    }
}

/// When the clocks were put forward over `wall`: it lies between the two moments that the two
/// offsets make of it.
fn change(zone: &TimeZone, wall: DateTime, before: Offset, after: Offset) -> Option<Timestamp> {
    let earlier = after.to_timestamp(wall).ok()?;
    let later = before.to_timestamp(wall).ok()?;
    zone.following(earlier)
        .take_while(|change| change.timestamp() <= later)
        .find(|change| change.offset() == after)
        .map(|change| change.timestamp())
}
