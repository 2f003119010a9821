//! Parcels of which little is used any more: a parcel is stored as long as anybody needs one file
//! of it, so a tree whose small files change one by one would hold ever more bytes that nobody
//! needs. Each snapshot counts what its parcels hold and what of it the tree uses (manifest
//! `stats`); where the parent wastes much, its emptiest parcels are left: their files are read
//! again and stored in new ones. What only older snapshots need goes with those.

use std::collections::{HashMap, HashSet};

use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Content, Parcel, Root, TreeEntry};
use tintype_model::Result;

use super::Shared;

/// Less than this is not worth a second look.
const LEAST_BYTES: u64 = 16 << 20;
/// Percent of what parcels hold that is gained where the emptiest are left.
const LEAST_PERCENT: u128 = 15;
/// Only parcels of which less than this percentage is used: each byte that is read again frees at
/// least one.
const SPARSE_PERCENT: u64 = 50;
/// A run reads again at most this part of what is gained: the cost of tidying is spread over many.
const PART_OF_GAIN: u64 = 16;

/// The first bytes of a parcel's id: a confusion costs a little space.
type Key = u64;

fn key(parcel: &Parcel) -> Key {
    Key::from_le_bytes(*parcel.id.0.first_chunk().expect("an id is longer"))
}

#[derive(Clone, Copy, Default)]
struct Use {
    raw_bytes: u32,
    live_bytes: u32,
    /// Something in it has several names, which would all have to be left.
    is_linked: bool,
}

/// How much of each parcel a tree uses: 16 bytes a parcel, so little even for very many files.
#[derive(Default)]
pub(super) struct Parcels(HashMap<Key, Use>);

/// Bytes in the parcels of a tree, those of them that it uses, and what of the rest leaving the
/// sparse ones would gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub raw: u64,
    pub live: u64,
    pub gain: u64,
}

impl Parcels {
    pub(super) fn see(&mut self, entry: &TreeEntry) {
        let Content::Slot(slot) = &entry.content else { return };
        let used = self.0.entry(key(&slot.parcel)).or_default();
        used.raw_bytes = slot.parcel.raw_bytes;
        used.is_linked |= entry.node.links > 1;
        // Equal files use the same bytes.
        let live = u64::from(used.live_bytes) + entry.node.size;
        used.live_bytes = live.min(u64::from(used.raw_bytes)) as u32;
    }

    pub(super) fn totals(&self) -> Totals {
        self.0.values().fold(Totals::default(), |sum, used| Totals {
            raw: sum.raw + u64::from(used.raw_bytes),
            live: sum.live + u64::from(used.live_bytes),
            gain: sum.gain + used.gain_bytes(),
        })
    }

    /// The emptiest parcels, as many as this run may leave.
    fn choose(&self) -> Sparse {
        let totals = self.totals();
        if !totals.is_worth_it() {
            return Sparse::default();
        }
        let mut budget = (totals.gain / PART_OF_GAIN).max(LEAST_BYTES);
        let mut sparse: Vec<(Key, Use)> =
            self.0.iter().filter(|(_, used)| used.is_sparse()).map(|(k, u)| (*k, *u)).collect();
        sparse.sort_unstable_by_key(|(key, used)| (used.percent(), *key));
        let mut chosen = HashSet::new();
        for (key, used) in sparse {
            let Some(rest) = budget.checked_sub(u64::from(used.live_bytes)) else { break };
            budget = rest;
            chosen.insert(key);
        }
        Sparse(chosen)
    }
}

impl Use {
    fn percent(self) -> u64 {
        u64::from(self.live_bytes) * 100 / u64::from(self.raw_bytes).max(1)
    }

    fn is_sparse(self) -> bool {
        !self.is_linked && self.percent() < SPARSE_PERCENT
    }

    fn gain_bytes(self) -> u64 {
        if self.is_sparse() { u64::from(self.raw_bytes - self.live_bytes) } else { 0 }
    }
}

impl Totals {
    fn is_worth_it(self) -> bool {
        let percent = u128::from(self.gain) * 100;
        self.gain >= LEAST_BYTES && percent > u128::from(self.raw) * LEAST_PERCENT
    }

    /// Of trees together; few parcels are in more than one.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            raw: self.raw + other.raw,
            live: self.live + other.live,
            gain: self.gain + other.gain,
        }
    }

    /// As an earlier snapshot counted them.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let stat = |name: &str| snapshot.manifest.stats[name].as_u64().unwrap_or_default();
        Self {
            raw: stat("parcel_bytes"),
            live: stat("parcel_live_bytes"),
            gain: stat("parcel_gain_bytes"),
        }
    }
}

/// Parcels that this run leaves.
#[derive(Default)]
pub(super) struct Sparse(HashSet<Key>);

impl Sparse {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the parent's tree once more, if there is something to gain.
    pub(super) fn of_parent(
        shared: &Shared<'_, '_>,
        reader: &ContentReader<'_>,
        parent: &Snapshot,
    ) -> Result<Self> {
        if !Totals::of(parent).is_worth_it() {
            return Ok(Self::default());
        }
        let mut parcels = Parcels::default();
        let mut cursor = Cursor::new(reader, Root::of(&parent.manifest))?.tolerant();
        while cursor.next_leaf()? {
            shared.cancel.check()?;
            shared.store.beat()?;
            cursor.rest_of_leaf().iter().for_each(|entry| parcels.see(entry));
        }
        Ok(parcels.choose())
    }

    /// Whether this unchanged file is to be stored again.
    pub(super) fn holds(&self, old: &TreeEntry) -> bool {
        match &old.content {
            Content::Slot(slot) => self.0.contains(&key(&slot.parcel)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parcels(uses: &[(u32, u32)]) -> Parcels {
        let used = |(number, (raw_bytes, live_bytes)): (usize, &(u32, u32))| {
            let live_bytes = *live_bytes.min(raw_bytes);
            (number as Key, Use { raw_bytes: *raw_bytes, live_bytes, is_linked: false })
        };
        Parcels(uses.iter().enumerate().map(used).collect())
    }

    #[test]
    fn the_emptiest_are_left_and_only_where_much_is_wasted() {
        const MIB: u32 = 1 << 20;
        let full = vec![(MIB, MIB); 30];
        let sparse = |share: u32| vec![(MIB, MIB / 100 * share); 20];
        let chosen = |uses: &[Vec<(u32, u32)>]| parcels(&uses.concat()).choose().0.len();
        assert_eq!(chosen(&[full.clone(), sparse(10)]), 20);
        assert_eq!(chosen(&[full.clone(), sparse(60)]), 0, "each holds too much");
        assert_eq!(chosen(&[vec![(MIB, MIB); 200], sparse(10)]), 0, "little is wasted in all");
        assert_eq!(chosen(&[sparse(10)[..10].to_vec()]), 0, "not worth a second look");
        assert_eq!(chosen(&[]), 0);
    }

    proptest! {
        #[test]
        fn no_more_is_read_again_than_may_be(
            uses in proptest::collection::vec((1u32..2 << 20, 0u32..2 << 20), 0..400)
        ) {
            let parcels = parcels(&uses);
            let (totals, chosen) = (parcels.totals(), parcels.choose().0);
            let read: u64 = chosen.iter().map(|key| u64::from(parcels.0[key].live_bytes)).sum();
            prop_assert!(read <= (totals.gain / PART_OF_GAIN).max(LEAST_BYTES));
            prop_assert!(chosen.iter().all(|key| parcels.0[key].is_sparse()));
            prop_assert!(totals.is_worth_it() || chosen.is_empty());
            let emptiest_left = parcels.0.iter().filter(|(key, used)| {
                used.is_sparse() && !chosen.contains(*key)
            }).map(|(_, used)| used.percent()).min();
            let fullest_chosen = chosen.iter().map(|key| parcels.0[key].percent()).max();
            prop_assert!(emptiest_left.is_none() || fullest_chosen <= emptiest_left);
            let with_links = Parcels(
                parcels.0.iter().map(|(k, used)| (*k, Use { is_linked: true, ..*used })).collect(),
            );
            prop_assert!(with_links.choose().0.is_empty());
        }
    }
}
