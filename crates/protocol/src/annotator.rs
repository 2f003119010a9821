//! A client that deletes or locks a snapshot.
//!
//! ```text
//! Idle ─list annotations→ Listed(n) ─put annotation n+1→ (lost: Idle) │ Sent ─list retired→ Done
//! ```

use crate::scenario::{Annotator, Scenario, is};
use crate::world::{Fate, Note, bit, has};
use crate::{Label, Mutation, REACHED_LOCKED, State};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Step {
    #[default]
    Idle,
    Listed,
    Sent,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AnnotatorState {
    pub step: Step,
    next: u8,
}

/// All that annotator `i` can do next.
pub fn steps(scenario: &Scenario, state: &State, i: usize, out: &mut Vec<(Label, State)>) {
    let Some(kind) = scenario.annotators[i] else { return };
    let me = state.annotators[i];
    let target = kind.target();
    let mut next = state.clone();
    let s = &mut next;
    let what = match me.step {
        Step::Done => return,
        Step::Idle => {
            if s.world.fates[target] != Fate::Committed {
                return;
            }
            list(scenario, s, i, kind);
            "list annotations"
        }
        Step::Listed => {
            put(s, i, kind);
            match kind {
                Annotator::Delete(_) => "put tombstone",
                Annotator::Lock(_) => "put lock",
            }
        }
        Step::Sent => {
            let gone = has(s.world.retired, target);
            let blind = is(scenario, Mutation::NoRetiredCheckAfterNote);
            if matches!(kind, Annotator::Lock(_)) && (!gone || blind) {
                s.world.told.locked |= bit(target);
                s.world.told.reached |= REACHED_LOCKED;
            }
            s.annotators[i] = AnnotatorState { step: Step::Done, next: 0 };
            "list retired"
        }
    };
    out.push((Label::new("annotator", i, what), next));
}

fn list(scenario: &Scenario, s: &mut State, i: usize, kind: Annotator) {
    let target = kind.target();
    let refused = s.world.has_tombstone(target)
        || (matches!(kind, Annotator::Delete(_)) && s.world.is_locked(target));
    let count = s.world.count_notes(target);
    let own_name = match kind {
        Annotator::Delete(_) => 0,
        Annotator::Lock(_) => 1,
    };
    let next = if is(scenario, Mutation::NotesWithoutSequence) { own_name } else { count };
    let step = if refused { Step::Done } else { Step::Listed };
    s.annotators[i] = AnnotatorState { step, next: if refused { 0 } else { next } };
}

fn put(s: &mut State, i: usize, kind: Annotator) {
    let target = kind.target();
    let slot = &mut s.world.notes[target][usize::from(s.annotators[i].next)];
    if *slot != Note::None {
        s.annotators[i] = AnnotatorState::default();
        return;
    }
    *slot = match kind {
        Annotator::Delete(_) => Note::Tombstone,
        Annotator::Lock(_) => Note::Lock,
    };
    if matches!(kind, Annotator::Delete(_)) {
        s.world.told.deleted |= bit(target);
    }
    s.annotators[i] = AnnotatorState { step: Step::Sent, next: 0 };
}
