//! A writer.
//!
//! ```text
//! Idle ─put session→ Registered ─list annotations→ NotesRead ─list retired, get fate→ Pinned
//!   ─list condemned→ CondemnedRead ─list gc→ RecordRead ─list fates, retired→ FatesRead
//!   ─read segments, list gc again→ (changed: CondemnedRead) │ Upload ─put pack→ Uploaded
//!   ─put segment→ Ready ─put fate→ Sent ─list retired→ Done
//! ```
//! A crash is a writer that takes no further step; a pause, one that takes it late.

use crate::scenario::{Scenario, is};
use crate::world::{CHUNK_A, CHUNK_B, Fate, Mask, W0, World, bit, has, own_pack};
use crate::{Label, Mutation, REACHED_REUSE, REACHED_TOLD, State};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd)]
#[repr(u8)]
pub enum Step {
    #[default]
    Idle,
    Chosen,
    Registered,
    NotesRead,
    Pinned,
    CondemnedRead,
    RecordRead,
    FatesRead,
    /// Only in mutated orders: what was found is known, something was left for later.
    LateCondemned,
    LateSession,
    Upload,
    Uploaded,
    Ready,
    Sent,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct WriterState {
    pub step: Step,
    condemned: Mask,
    record: u8,
    fates: Mask,
    /// Only in a mutated order.
    retired: Mask,
    view: Mask,
    refs: Mask,
    published: bool,
    /// A copy of the commit that may still arrive.
    late: bool,
}

impl WriterState {
    /// The pin was accepted and the writer is at work.
    pub fn has_pinned(&self) -> bool {
        self.step >= Step::Pinned && self.step < Step::Done
    }

    fn finish(&mut self) {
        let keep = if self.late { self.refs } else { 0 };
        *self = Self {
            step: Step::Done,
            refs: keep,
            late: self.late,
            published: self.published && self.late,
            ..Self::default()
        };
    }
}

/// All that writer `i` can do next.
pub fn steps(scenario: &Scenario, state: &State, i: usize, out: &mut Vec<(Label, State)>) {
    let Some(config) = scenario.writers[i] else { return };
    let me = state.writers[i];
    let session = W0 + i;
    let mut emit = |what: &'static str, change: &mut dyn FnMut(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        out.push((Label::new("writer", i, what), next));
    };
    if me.late && state.world.fates[session] == Fate::None {
        emit("a copy of its commit arrives", &mut |s| {
            s.world.put_fate(session, Fate::Committed, me.published, me.refs);
            s.writers[i].late = false;
            if s.writers[i].step == Step::Done {
                s.writers[i].finish();
            }
        });
    }
    match me.step {
        Step::Done => {}
        Step::Idle | Step::Chosen | Step::Registered | Step::NotesRead => {
            register(scenario, i, config.parent, state, &mut emit);
        }
        Step::Pinned | Step::CondemnedRead | Step::RecordRead => {
            read(scenario, i, state, &mut emit);
        }
        Step::FatesRead | Step::LateCondemned | Step::LateSession => {
            decide(scenario, i, config.parent, state, &mut emit);
        }
        Step::Upload => emit("put pack", &mut |s| {
            s.world.packs |= own_pack(session);
            s.writers[i].step = Step::Uploaded;
        }),
        Step::Uploaded => emit("put segment", &mut |s| {
            s.world.segments |= bit(session);
            s.writers[i].published = true;
            s.writers[i].step = Step::Ready;
        }),
        Step::Ready => commit(scenario, i, state, &mut emit),
        Step::Sent => emit("list retired", &mut |s| {
            if !has(s.world.retired, session) || is(scenario, Mutation::NoRetiredCheckAfterCommit) {
                s.world.told.committed |= bit(session);
                s.world.told.reached |= REACHED_TOLD;
            }
            s.writers[i].finish();
        }),
    }
}

type Emit<'a> = dyn FnMut(&'static str, &mut dyn FnMut(&mut State)) + 'a;

fn register(scenario: &Scenario, i: usize, parent: Option<usize>, state: &State, emit: &mut Emit) {
    let session = W0 + i;
    let step = state.writers[i].step;
    let late = is(scenario, Mutation::SessionAfterReading);
    match (step, parent) {
        (Step::Idle, Some(p)) if state.world.is_visible(p) => {
            emit("choose the parent", &mut |s| s.writers[i].step = Step::Chosen);
        }
        (Step::Idle, Some(_)) => emit("find no parent, stop", &mut |s| s.writers[i].finish()),
        (Step::Idle | Step::Chosen, _) if late => {
            emit("start without a session", &mut |s| s.writers[i].step = Step::Pinned);
        }
        (Step::Idle | Step::Chosen, _) => emit("put session", &mut |s| {
            s.world.sessions |= bit(session);
            let unchecked = parent.is_none() || is(scenario, Mutation::ParentUnchecked);
            s.writers[i].step = if unchecked { Step::Pinned } else { Step::Registered };
        }),
        (step, Some(p)) => {
            let first = step == Step::Registered;
            let what = if first { "look at the parent" } else { "look at the parent again" };
            emit(what, &mut |s| {
                let only = is(scenario, Mutation::PinCheckTombstoneOnly);
                let next = if first && !only { Step::NotesRead } else { Step::Pinned };
                if pin_stands(scenario, &s.world, p, first) {
                    s.writers[i].step = next;
                } else {
                    s.writers[i].finish();
                }
            });
        }
        _ => {}
    }
}

/// The two looks at a pinned snapshot: annotations first, then `retired` and the fate.
pub(crate) fn pin_stands(scenario: &Scenario, w: &World, pin: usize, first: bool) -> bool {
    if first == is(scenario, Mutation::RetiredBeforeNotes) {
        !has(w.retired, pin) && w.fates[pin] == Fate::Committed
    } else {
        !w.has_tombstone(pin)
    }
}

fn read(scenario: &Scenario, i: usize, state: &State, emit: &mut Emit) {
    match state.writers[i].step {
        Step::Pinned => emit("read condemned lists", &mut |s| {
            if !is(scenario, Mutation::IndexBeforeCondemned) {
                s.writers[i].condemned = s.world.condemned_exists;
            }
            s.writers[i].step = Step::CondemnedRead;
        }),
        Step::CondemnedRead => emit("list gc, read newest", &mut |s| {
            s.writers[i].record = s.world.newest() as u8;
            if is(scenario, Mutation::RetiredBeforeFates) {
                s.writers[i].retired = s.world.retired;
            }
            s.writers[i].step = Step::RecordRead;
        }),
        _ => emit("list fates, then retired", &mut |s| {
            let record = usize::from(s.writers[i].record);
            let early = is(scenario, Mutation::RetiredBeforeFates);
            let retired = if early { s.writers[i].retired } else { s.world.retired };
            let mut valid = s.world.unabsorbed(scenario, record, retired);
            if is(scenario, Mutation::UndecidedSegments) {
                valid |= s.world.segments & s.world.undecided(s.world.sessions);
            }
            s.writers[i].fates = valid;
            s.writers[i].step = Step::FatesRead;
        }),
    }
}

fn decide(scenario: &Scenario, i: usize, parent: Option<usize>, state: &State, emit: &mut Emit) {
    let me = state.writers[i];
    let record = usize::from(me.record);
    match me.step {
        Step::FatesRead => {
            let view = state.world.read_segments(record, me.fates);
            let stale = state.world.newest() != record && !is(scenario, Mutation::IndexReadOnce);
            if !view.whole || stale {
                return emit("index changed while it was read", &mut |s| {
                    let me = &mut s.writers[i];
                    (me.record, me.fates, me.retired) = (0, 0, 0);
                    me.step = Step::CondemnedRead;
                });
            }
            let mut packs = view.packs;
            if is(scenario, Mutation::SegmentsActiveBeforeCommit) {
                packs |= state.world.uncommitted_bases();
            }
            emit("read segments", &mut |s| {
                s.writers[i].view = packs;
                if is(scenario, Mutation::IndexBeforeCondemned) {
                    s.writers[i].step = Step::LateCondemned;
                } else if is(scenario, Mutation::SessionAfterReading) {
                    s.writers[i].step = Step::LateSession;
                } else {
                    choose(scenario, s, i, parent);
                }
            });
        }
        Step::LateCondemned => emit("read condemned lists", &mut |s| {
            s.writers[i].condemned = s.world.condemned_exists;
            choose(scenario, s, i, parent);
        }),
        _ => emit("put session", &mut |s| {
            s.world.sessions |= bit(W0 + i);
            choose(scenario, s, i, parent);
        }),
    }
}

/// Reuses a stored chunk, or uploads it. No object is touched.
fn choose(scenario: &Scenario, s: &mut State, i: usize, parent: Option<usize>) {
    let me = s.writers[i];
    let avoid = s.world.in_force(scenario, me.condemned, usize::from(me.record));
    let known = s.world.chunks_in(me.view & !avoid) & CHUNK_A != 0;
    let refs = CHUNK_A | if parent.is_some() { CHUNK_B } else { 0 };
    let step = if known { Step::Ready } else { Step::Upload };
    s.writers[i] = WriterState { step, refs, ..WriterState::default() };
}

fn commit(scenario: &Scenario, i: usize, state: &State, emit: &mut Emit) {
    let session = W0 + i;
    let me = state.writers[i];
    let config = scenario.writers[i].unwrap_or_default();
    if config.may_close {
        emit("is interrupted: put fate closed", &mut |s| {
            s.world.put_fate(session, Fate::Closed, me.published, 0);
            s.writers[i].finish();
        });
    }
    let overwrite = is(scenario, Mutation::FenceByOverwrite);
    if state.world.fates[session] != Fate::None && !overwrite {
        return emit("commit finds a fate: failed", &mut |s| s.writers[i].finish());
    }
    emit("put fate committed", &mut |s| {
        s.world.set_fate(session, Fate::Committed, me.published, me.refs);
        if !me.published {
            s.world.told.reached |= REACHED_REUSE;
        }
        s.writers[i].late = config.late_commit;
        s.writers[i].step = Step::Sent;
    });
}
