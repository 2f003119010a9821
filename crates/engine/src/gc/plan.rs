//! Which packs gc would free: a pure decision on how much of each is used.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::mark::Usage;
use crate::index::{PackClass, PackId};

/// Packs below this are worth being put together.
const SMALL_BYTES: u64 = 8 << 20;
/// As soon as there are so many of them in a class.
const MANY_SMALL: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Nothing in it is live.
    Empty,
    /// In no index: left by a writer that was interrupted.
    Orphan,
    /// Little of it is live: that is copied into new packs.
    Sparse,
    /// One of many small packs, put together.
    Small,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub pack: String,
    #[serde(skip)]
    pub id: PackId,
    pub reason: Reason,
    pub size_bytes: u64,
    pub live_bytes: u64,
}

/// What a gc would do, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcPlan {
    pub candidates: Vec<Candidate>,
    pub packs: usize,
    pub total_bytes: u64,
}

impl GcPlan {
    /// Bytes that would be free afterwards.
    pub fn freed_bytes(&self) -> u64 {
        self.candidates.iter().map(|c| c.size_bytes.saturating_sub(c.live_bytes)).sum()
    }

    /// Bytes that must be copied for that.
    pub fn copied_bytes(&self) -> u64 {
        self.candidates.iter().map(|c| c.live_bytes).sum()
    }

    pub(super) fn ids(&self) -> HashSet<PackId> {
        self.candidates.iter().map(|c| c.id).collect()
    }
}

/// Decides. `stored`: all packs with their sizes, by listing. `keep_above_percent`: packs of
/// which more is live stay as they are; 0: all of which anything is.
pub(super) fn decide(
    usage: &BTreeMap<PackId, Usage>,
    stored: &BTreeMap<PackId, u64>,
    keep_above_percent: u8,
) -> GcPlan {
    let mut plan =
        GcPlan { packs: stored.len(), total_bytes: stored.values().sum(), ..GcPlan::default() };
    let is_small = |used: &Usage| used.live_frames > 0 && used.size_bytes < SMALL_BYTES;
    let many_small = |class: PackClass| {
        let of_class = usage.iter().filter(|(id, used)| id.class == class && is_small(used));
        of_class.count() >= MANY_SMALL
    };
    let (small_data, small_meta) = (many_small(PackClass::Data), many_small(PackClass::Meta));
    for (id, size_bytes) in stored {
        let used = usage.get(id);
        let reason = match used {
            None => Reason::Orphan,
            Some(used) if used.live_frames == 0 => Reason::Empty,
            Some(used)
                if used.live_bytes * 100 < used.frame_bytes * u64::from(keep_above_percent) =>
            {
                Reason::Sparse
            }
            Some(used) if keep_above_percent > 0 && is_small(used) => {
                let many = if id.class == PackClass::Data { small_data } else { small_meta };
                if !many {
                    continue;
                }
                Reason::Small
            }
            Some(_) => continue,
        };
        plan.candidates.push(Candidate {
            pack: id.object_name(),
            id: *id,
            reason,
            size_bytes: *size_bytes,
            live_bytes: used.map_or(0, |u| u.live_bytes),
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomId;

    fn pack(number: u8) -> PackId {
        PackId { class: PackClass::Data, id: RandomId([number; 16]) }
    }

    fn used(live_bytes: u64, size_bytes: u64) -> Usage {
        Usage {
            live_bytes,
            live_frames: live_bytes.min(1),
            frame_bytes: size_bytes - 50,
            size_bytes,
        }
    }

    #[test]
    fn every_reason_and_none() {
        let size = 64 << 20;
        let usage = BTreeMap::from([
            (pack(1), used(0, size)),
            (pack(2), used(size / 10, size)),
            (pack(3), used(size - 100, size)),
            (pack(5), used(1000, 2000)),
        ]);
        let stored = [1, 2, 3, 4, 5].map(|n| (pack(n), if n == 5 { 2000 } else { size }));
        let plan = decide(&usage, &stored.into(), 50);
        let reasons: Vec<_> = plan.candidates.iter().map(|c| c.reason).collect();
        assert_eq!(reasons, [Reason::Empty, Reason::Sparse, Reason::Orphan]);
        assert_eq!(plan.copied_bytes(), size / 10);
    }

    #[test]
    fn many_small_packs_are_put_together() {
        let usage: BTreeMap<_, _> = (0..8).map(|n| (pack(n), used(900, 1000))).collect();
        let stored: BTreeMap<_, _> = (0..8).map(|n| (pack(n), 1000)).collect();
        assert_eq!(decide(&usage, &stored, 50).candidates.len(), 8);
        assert_eq!(decide(&usage, &stored, 0).candidates, []);
    }
}
