//! Which packs gc would free: a pure decision on how much of each is used.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::mark::Usage;
use crate::index::{PackClass, PackId};

/// Packs below this are worth being put together.
const SMALL_BYTES: u64 = 8 << 20;
/// As soon as there are so many of them in a class.
const MANY_SMALL: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Nothing in it is live.
    Empty,
    /// In no index: left by a writer that was interrupted.
    Orphan,
    /// Something in it is damaged: what is live is copied into new packs.
    Damaged,
    /// Little of it is live: that is copied into new packs.
    Sparse,
    /// One of many small packs, put together.
    Small,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Orphan => "orphan",
            Self::Damaged => "damaged",
            Self::Sparse => "sparse",
            Self::Small => "small",
        })
    }
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

    /// How many packs go for each reason that there is.
    pub fn reasons(&self) -> BTreeMap<Reason, usize> {
        let mut reasons = BTreeMap::new();
        for candidate in &self.candidates {
            *reasons.entry(candidate.reason).or_default() += 1;
        }
        reasons
    }

    pub(super) fn ids(&self) -> HashSet<PackId> {
        self.candidates.iter().map(|c| c.id).collect()
    }
}

/// Decides. `stored`: all packs with their sizes, by listing. `damaged`: those that are to go for
/// that, as far as something in them is live. `keep_above_percent`: packs of
/// which more is live stay as they are; 0: all of which anything is.
pub(super) fn decide(
    usage: &BTreeMap<PackId, Usage>,
    stored: &BTreeMap<PackId, u64>,
    damaged: &HashSet<PackId>,
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
            Some(_) if damaged.contains(id) => Reason::Damaged,
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
    use proptest::prelude::*;

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
        let decide = |damaged: &[u8], keep| {
            let damaged = damaged.iter().map(|n| pack(*n)).collect();
            let plan = decide(&usage, &stored.into(), &damaged, keep);
            let reasons: Vec<_> = plan.candidates.iter().map(|c| c.reason).collect();
            (reasons, plan.copied_bytes())
        };
        use Reason::{Damaged, Empty, Orphan, Sparse};
        assert_eq!(decide(&[], 50), (vec![Empty, Sparse, Orphan], size / 10));
        // Whatever is live in it, and however little: also where nothing else is copied.
        let damaged = (vec![Empty, Damaged, Damaged, Orphan], size / 10 + size - 100);
        assert_eq!(decide(&[1, 2, 3, 4], 50), damaged);
        assert_eq!(decide(&[5], 0), (vec![Empty, Orphan, Damaged], 1000));
    }

    proptest! {
        #[test]
        fn damage_adds_packs_and_takes_none(
            packs in proptest::collection::vec((0u64..4, 0u64..4, any::<bool>()), 0..24),
            keep in 0u8..=100,
        ) {
            let sizes = [1000, 60_000, 9 << 20, 64 << 20];
            let (mut usage, mut stored, mut damaged) =
                (BTreeMap::new(), BTreeMap::new(), HashSet::new());
            for (number, (size, live, is_damaged)) in packs.into_iter().enumerate() {
                let (pack, size) = (pack(number as u8), sizes[size as usize]);
                stored.insert(pack, size);
                // A quarter of them is in no index.
                if live < 3 {
                    usage.insert(pack, used((size - 50) / 2 * live, size));
                }
                damaged.extend(is_damaged.then_some(pack));
            }
            let without = decide(&usage, &stored, &HashSet::new(), keep);
            let with = decide(&usage, &stored, &damaged, keep);
            prop_assert!(with.ids().is_superset(&without.ids()));
            for candidate in &with.candidates {
                let was = without.candidates.iter().find(|c| c.id == candidate.id);
                let is_damaged = damaged.contains(&candidate.id) && candidate.live_bytes > 0;
                if is_damaged {
                    prop_assert_eq!(candidate.reason, Reason::Damaged);
                } else {
                    prop_assert_eq!(Some(candidate), was);
                }
            }
            let ids = with.ids();
            prop_assert!(damaged.iter().all(|pack| ids.contains(pack)));
        }
    }

    #[test]
    fn many_small_packs_are_put_together() {
        let usage: BTreeMap<_, _> = (0..8).map(|n| (pack(n), used(900, 1000))).collect();
        let stored: BTreeMap<_, _> = (0..8).map(|n| (pack(n), 1000)).collect();
        let none = HashSet::new();
        assert_eq!(decide(&usage, &stored, &none, 50).candidates.len(), 8);
        assert_eq!(decide(&usage, &stored, &none, 0).candidates, []);
    }
}
