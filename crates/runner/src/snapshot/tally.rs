//! How much each item of a snapshot holds.

use tintype_engine::tree::TreeEntry;
use tintype_model::entry::{is_within, path_order};

/// Entries, content bytes and problems at or below one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
}

/// Tallies of places, filled as entries come in path order.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// In path order.
    places: Vec<(Vec<u8>, Tally)>,
    at: usize,
}

impl Tallies {
    /// None of the places lies in another.
    pub(super) fn of(mut places: Vec<Vec<u8>>) -> Self {
        places.sort_by(|a, b| path_order(a, b));
        Self { places: places.into_iter().map(|place| (place, Tally::default())).collect(), at: 0 }
    }

    pub(super) fn see(&mut self, entry: &TreeEntry) {
        while let Some((place, tally)) = self.places.get_mut(self.at) {
            if is_within(&entry.path, place) {
                tally.entries += 1;
                tally.bytes += entry.node.size;
                let problem = entry.node.problem();
                tally.problems += u64::from(problem.is_some_and(|p| p.kind.makes_incomplete()));
                return;
            }
            if path_order(&entry.path, place).is_lt() {
                return;
            }
            self.at += 1;
        }
    }

    pub(super) fn into_places(self) -> Vec<(Vec<u8>, Tally)> {
        self.places
    }
}
