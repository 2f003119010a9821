//! Deleting what a gc record names. Done by the gc that committed it, and again from the
//! start by the next gc: any number of them may be at any point of it, at the same time.

use crate::scenario::{Scenario, is};
use crate::world::{Note, bit, bits};
use crate::{Mutation, REACHED_DELETED, REACHED_RETIRED, State};

const NAMES: [&str; 6] = [
    "put retired",
    "delete packs and segments",
    "delete annotations",
    "delete fates",
    "delete sessions",
    "delete old condemned lists and records",
];

pub(crate) fn name(step: u8) -> &'static str {
    NAMES[usize::from(step)]
}

/// One step of gc `g` through record `r`; whether it was the last.
pub(crate) fn step(scenario: &Scenario, s: &mut State, g: usize, r: usize) -> bool {
    let w = &mut s.world;
    let record = w.records[r];
    let phase = usize::from(s.gcs[g].sweep);
    let notes_first = is(scenario, Mutation::NotesRemovedBeforeRetired);
    let phase = match phase {
        0 if notes_first => 2,
        2 if notes_first => 0,
        other => other,
    };
    match phase {
        0 if is(scenario, Mutation::NoRetiredList) => {}
        0 => {
            w.retired |= record.retire;
            if record.retire != 0 {
                w.told.reached |= REACHED_RETIRED;
            }
        }
        1 => {
            if w.packs & record.delete_packs != 0 {
                w.told.reached |= REACHED_DELETED;
            }
            w.packs &= !record.delete_packs;
            w.bases &= !record.delete_bases;
            w.segments &= !(record.absorbed | record.retire);
        }
        2 => bits(record.retire).for_each(|x| w.notes[x] = [Note::None; 2]),
        3 => bits(record.retire).for_each(|x| w.set_fate(x, crate::world::Fate::None, false, 0)),
        4 => w.sessions &= !record.retire,
        _ => {
            for other in bits(w.condemned_exists) {
                if w.condemned[other].base_seq < record.seq {
                    w.condemned_exists &= !bit(other);
                }
            }
            for other in bits(w.record_exists) {
                if w.records[other].seq < record.seq {
                    w.record_exists &= !bit(other);
                }
            }
        }
    }
    let last = s.gcs[g].sweep == 5;
    s.gcs[g].sweep = if last { 0 } else { s.gcs[g].sweep + 1 };
    last
}
