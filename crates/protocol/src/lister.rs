//! Whoever lists snapshots, a gc too, and misses fates (format.md §11.5, "What is withheld").
//!
//! ```text
//! Idle ─list annotations→ Notes ─list gc, read newest→ Record ─list fates→ Fates
//!   ─list retired→ Retired ─list index→ Segments ─look for their sessions→ Sessions
//!   ─list gc again→ Done: whatever is missed while the newest is the same was lost
//! ```
//! Nothing is ever lost here, so whatever is missed is a false alarm.

use crate::scenario::{Scenario, is};
use crate::world::{Mask, SNAPSHOTS};
use crate::{Label, Mutation, State};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Step {
    #[default]
    Idle,
    Notes,
    Record,
    Fates,
    Retired,
    Segments,
    Sessions,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ListerState {
    pub step: Step,
    record: u8,
    /// Snapshots with annotations.
    annotated: Mask,
    /// Of committed snapshots.
    parents: Mask,
    decided: Mask,
    retired: Mask,
    /// Of sessions; later, of those that are not there.
    segments: Mask,
}

/// What the lister does next, if there is one.
pub fn steps(scenario: &Scenario, state: &State, out: &mut Vec<(Label, State)>) {
    if !scenario.lister || state.lister.step == Step::Done {
        return;
    }
    let mut next = state.clone();
    let what = step(scenario, &mut next);
    out.push((Label::new("lister", 0, what), next));
}

fn step(scenario: &Scenario, s: &mut State) -> &'static str {
    let late_notes = is(scenario, Mutation::NotesAfterFates);
    let retired_first = is(scenario, Mutation::RetiringIsMissed);
    let (w, me) = (&mut s.world, &mut s.lister);
    let (what, step) = match me.step {
        Step::Idle => {
            me.annotated = w.annotated();
            ("list annotations", Step::Notes)
        }
        Step::Notes => {
            me.record = w.newest() as u8;
            if retired_first {
                me.retired = w.retired;
            }
            ("list gc, read newest", Step::Record)
        }
        Step::Record => {
            me.decided = w.decided();
            me.parents = scenario.pins(w.committed() & SNAPSHOTS);
            ("list fates", Step::Fates)
        }
        Step::Fates => {
            if !retired_first {
                me.retired = w.retired;
            }
            if late_notes {
                me.annotated = w.annotated();
            }
            ("list retired", Step::Retired)
        }
        Step::Retired => {
            me.segments = w.segments;
            ("list index", Step::Segments)
        }
        Step::Segments => {
            me.segments &= !w.sessions;
            ("look for the sessions of segments", Step::Sessions)
        }
        Step::Sessions | Step::Done => {
            let newest = usize::from(me.record);
            let same = w.newest() == newest || is(scenario, Mutation::MissedAtOnce);
            if same && is_missed(scenario, s) {
                s.world.told.broken = Some("a fate is missed that nobody lost");
            }
            s.lister = ListerState { step: Step::Done, ..ListerState::default() };
            return "list gc again";
        }
    };
    me.step = step;
    what
}

fn is_missed(scenario: &Scenario, s: &State) -> bool {
    let (w, me) = (&s.world, &s.lister);
    let record = w.records[usize::from(me.record)];
    let leaving = if is(scenario, Mutation::RetiringIsMissed) { 0 } else { record.retire };
    let known = me.decided | me.retired | leaving;
    (me.annotated | me.parents | record.absorbed | me.segments) & !known != 0
}
