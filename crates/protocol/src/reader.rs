//! A reader that pins its snapshot.
//!
//! ```text
//! Idle ─(visible)→ Chosen ─put session→ Registered ─list annotations→ NotesRead
//!   ─list retired, get fate→ Accepted ─list gc→ RecordRead ─list fates→ FatesRead
//!   ─list retired→ RetiredRead ─read segments, list gc again→ (changed: Accepted) │ Fetch a
//!   → Fetch b → put fate closed → Done
//! ```
//! A pack that is gone sends it back to Accepted.

use crate::scenario::{Scenario, is};
use crate::world::{CHUNK_A, CHUNK_B, Fate, Mask, R, bit, has};
use crate::writer::pin_stands;
use crate::{Label, Mutation, REACHED_READ, State};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd)]
#[repr(u8)]
pub enum Step {
    #[default]
    Idle,
    Chosen,
    Registered,
    NotesRead,
    Accepted,
    RecordRead,
    FatesRead,
    RetiredRead,
    Fetch,
    Close,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReaderState {
    pub step: Step,
    /// Chunks still to fetch; what the manifest says, read with the fate.
    need: Mask,
    record: u8,
    fates: Mask,
    retired: Mask,
    view: Mask,
}

impl ReaderState {
    pub fn is_accepted(&self) -> bool {
        self.step >= Step::Accepted && self.step < Step::Done
    }
}

/// All that the reader can do next.
pub fn steps(scenario: &Scenario, state: &State, out: &mut Vec<(Label, State)>) {
    let Some(target) = scenario.reader else { return };
    let me = state.reader;
    let mut next = state.clone();
    let what = match me.step {
        Step::Done => return,
        step if step < Step::Accepted => match pin(scenario, &mut next, target) {
            Some(what) => what,
            None => return,
        },
        Step::Accepted | Step::RecordRead | Step::FatesRead => read(scenario, &mut next),
        Step::RetiredRead => segments(scenario, &mut next),
        Step::Fetch => fetch(&mut next),
        _ => {
            next.world.put_fate(R, Fate::Closed, false, 0);
            next.reader = ReaderState { step: Step::Done, ..ReaderState::default() };
            next.world.told.reached |= REACHED_READ;
            "put fate closed"
        }
    };
    out.push((Label::new("reader", 0, what), next));
}

fn pin(scenario: &Scenario, s: &mut State, target: usize) -> Option<&'static str> {
    let before = is(scenario, Mutation::CheckBeforePin);
    Some(match s.reader.step {
        Step::Idle => {
            if !s.world.is_visible(target) {
                return None;
            }
            s.reader.need = s.world.refs[target];
            s.reader.step = Step::Chosen;
            "choose the snapshot"
        }
        Step::Chosen => {
            s.world.sessions |= bit(R);
            s.reader.step = if before { Step::Accepted } else { Step::Registered };
            "put session"
        }
        step => {
            let first = step == Step::Registered;
            let only = is(scenario, Mutation::PinCheckTombstoneOnly);
            let next = if first && !only { Step::NotesRead } else { Step::Accepted };
            if pin_stands(scenario, &s.world, target, first) {
                s.reader.step = next;
            } else {
                s.reader = ReaderState { step: Step::Done, ..ReaderState::default() };
            }
            if first { "look at the snapshot" } else { "look at the snapshot again" }
        }
    })
}

fn read(scenario: &Scenario, s: &mut State) -> &'static str {
    match s.reader.step {
        Step::Accepted => {
            s.reader.record = s.world.newest() as u8;
            s.reader.step = Step::RecordRead;
            "list gc, read newest"
        }
        Step::RecordRead => {
            if is(scenario, Mutation::RetiredBeforeFates) {
                s.reader.retired = s.world.retired;
                s.reader.step = Step::FatesRead;
                return "list retired";
            }
            s.reader.fates = s.world.unabsorbed(scenario, usize::from(s.reader.record), 0);
            s.reader.step = Step::FatesRead;
            "list fates"
        }
        _ => {
            if is(scenario, Mutation::RetiredBeforeFates) {
                let record = usize::from(s.reader.record);
                s.reader.fates = s.world.unabsorbed(scenario, record, s.reader.retired);
                s.reader.retired = 0;
                s.reader.step = Step::RetiredRead;
                return "list fates";
            }
            s.reader.fates &= !s.world.retired;
            s.reader.step = Step::RetiredRead;
            "list retired"
        }
    }
}

fn segments(scenario: &Scenario, s: &mut State) -> &'static str {
    let record = usize::from(s.reader.record);
    let view = s.world.read_segments(record, s.reader.fates);
    let stale = s.world.newest() != record && !is(scenario, Mutation::IndexReadOnce);
    (s.reader.record, s.reader.fates) = (0, 0);
    if !view.whole || stale {
        s.reader.step = Step::Accepted;
        return "index changed while it was read";
    }
    s.reader.view = view.packs;
    s.reader.step = Step::Fetch;
    "read segments, list gc"
}

fn fetch(s: &mut State) -> &'static str {
    let chunk = if s.reader.need & CHUNK_A != 0 { CHUNK_A } else { CHUNK_B };
    let view = s.reader.view;
    if s.world.chunks_in(view & s.world.packs) & chunk != 0 {
        s.reader.need &= !chunk;
        if s.reader.need == 0 {
            s.reader = ReaderState { step: Step::Close, ..ReaderState::default() };
        }
        return "fetch a chunk";
    }
    if s.world.fates[R] != Fate::None || has(s.world.retired, R) {
        s.reader = ReaderState { step: Step::Done, ..ReaderState::default() };
        return "find a chunk gone, and itself fenced";
    }
    let in_index = s.world.chunks_in(view) & chunk != 0;
    if !in_index {
        s.world.told.broken = Some("a reader that nobody fenced takes a chunk for damaged");
        return "find a chunk in no index";
    }
    s.reader.view = 0;
    s.reader.step = Step::Accepted;
    "find a pack gone, read the index again"
}
