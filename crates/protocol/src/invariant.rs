//! What must hold in every state, whoever stops where.

use crate::State;
use crate::scenario::Scenario;
use crate::world::{Fate, Mask, R, SESSIONS, W0, World, bits, has};

/// The invariant that this state breaks.
pub fn broken(scenario: &Scenario, state: &State) -> Option<String> {
    let w = &state.world;
    let whole = w.index_state(scenario);
    let stored = w.chunks_in(whole.packs & w.packs);
    let resolves = |s: usize| whole.whole && w.refs[s] & !stored == 0;
    for s in bits(w.visible()) {
        if !resolves(s) {
            return Some(format!("visible snapshot {s} has a chunk that does not resolve"));
        }
    }
    for s in bits(pinned(scenario, state)) {
        if !is_kept(w, s) || !resolves(s) {
            return Some(format!("snapshot {s} is gone although its pin was accepted"));
        }
    }
    for s in bits(w.told.locked) {
        if !is_kept(w, s) || !resolves(s) {
            return Some(format!("snapshot {s} is gone although a client was told: locked"));
        }
    }
    for s in bits(w.told.committed & !w.told.deleted) {
        if !w.is_visible(s) {
            return Some(format!(
                "snapshot {s} is not there although its writer was told: committed"
            ));
        }
    }
    let void = w.told.gc_committed & !w.told.gc_in_sequence;
    if void != 0 {
        return Some("a gc was told: committed, but did not follow the newest record".into());
    }
    // So whoever finds one missing, with the same record newest before and after, found damage.
    let named = w.records[w.newest()].notes;
    if (0..SESSIONS).any(|s| w.count_notes(s) < named[s]) {
        return Some("the newest record names an annotation that is gone".into());
    }
    w.told.broken.map(Into::into)
}

fn is_kept(w: &World, s: usize) -> bool {
    w.fates[s] == Fate::Committed && !has(w.retired, s)
}

/// Snapshots pinned by sessions that found them visible after the pin, and are undecided.
fn pinned(scenario: &Scenario, state: &State) -> Mask {
    let mut sessions = 0;
    if state.reader.is_accepted() {
        sessions |= 1 << R;
    }
    for (i, writer) in state.writers.iter().enumerate() {
        if writer.has_pinned() {
            sessions |= 1 << (W0 + i);
        }
    }
    scenario.pins(state.world.undecided(sessions & state.world.sessions))
}
