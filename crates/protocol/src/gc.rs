//! A gc, up to its commit.
//!
//! ```text
//! Idle ─list gc→ Finish (sweep.rs: what the newest record names) → List ─list packs, mark→ Condemn
//!   ─put condemned/n→ Sessions ─list sessions→ Wait ⇄ Fence (list segments, put fate)
//!   ─all decided→ Notes ─list annotations→ Undecided ─list sessions→ Fates
//!   ─list fates, retired; plan→ Copy ─put copies and segments→ Commit ─put gc/n+1→ Check
//!   ─list gc→ Sweep (sweep.rs) → Done                └ lost: Lost ─→ Done
//! ```
//! Liveness is marked by chunk; which pack holds a chunk is what the index state says. Chunk
//! and pack are condemned on a guess (`List`): packs in no index, packs with a chunk that is
//! not live, packs all of whose chunks are elsewhere too. What is deleted is computed in `Fates`.
//!
//! A repair is a gc that goes from `List` to `Notes`, deletes no pack, and lists the packs that its
//! base names in `Copy`.

use crate::scenario::{Choice, Scenario, is};
use crate::sweep;
use crate::world::{
    Fate, GCS, Mask, PACK_C0, R, Record, SESSIONS, SNAPSHOTS, World, bit, bits, has,
};
use crate::{Label, Mutation, REACHED_COPY, REACHED_FENCE, State};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Step {
    #[default]
    Idle,
    Finish,
    List,
    Condemn,
    Sessions,
    Wait,
    Fence,
    Notes,
    Undecided,
    Fates,
    Copy,
    Commit,
    Lost,
    Check,
    Sweep,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct GcState {
    pub step: Step,
    /// The record that was newest at the start.
    pub base: u8,
    pub sweep: u8,
    candidates: Mask,
    /// Chunks that were live at the first marking; of a repair, packs that were there.
    marked: Mask,
    sessions: Mask,
    tombstones: Mask,
    notes: [u8; SESSIONS],
    fence: u8,
    fence_listed: bool,
    copied: Mask,
    /// A copy of the commit that may still arrive.
    late: bool,
}

impl GcState {
    pub fn finish(&mut self) {
        *self = Self { step: Step::Done, late: self.late, ..Self::default() };
    }
}

fn is_repair(scenario: &Scenario, g: usize) -> bool {
    scenario.gcs[g].unwrap_or_default().repair
}

type Emit<'a> = dyn FnMut(&'static str, &mut dyn FnMut(&mut State)) + 'a;

/// All that gc `g` can do next.
pub fn steps(scenario: &Scenario, state: &State, g: usize, out: &mut Vec<(Label, State)>) {
    if scenario.gcs[g].is_none() {
        return;
    }
    let me = state.gcs[g];
    let mut emit = |what: &'static str, change: &mut dyn FnMut(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        out.push((Label::new("gc", g, what), next));
    };
    let seq = state.world.records[g + 1].seq;
    if me.late && state.world.record_with_seq(seq).is_none() {
        emit("a copy of its commit arrives", &mut |s| {
            put_record(s, g);
            s.gcs[g].late = false;
        });
    }
    match me.step {
        Step::Done => {}
        Step::Idle => emit("list gc, read newest", &mut |s| {
            let newest = s.world.newest();
            s.gcs[g].base = newest as u8;
            let skips = is_repair(scenario, g) && is(scenario, Mutation::RepairFinishesNothing);
            s.gcs[g].step = if newest == 0 || skips { Step::List } else { Step::Finish };
        }),
        Step::Finish => {
            let what = sweep::name(me.sweep);
            emit(what, &mut |s| {
                if sweep::step(scenario, s, g, usize::from(me.base)) {
                    s.gcs[g].step = Step::List;
                }
            });
        }
        Step::List if is_repair(scenario, g) => emit("repair: condemn nothing", &mut |s| {
            s.gcs[g].marked = s.world.packs;
            s.gcs[g].step = Step::Notes;
        }),
        Step::List | Step::Condemn | Step::Sessions => condemn(scenario, g, state, &mut emit),
        Step::Wait | Step::Fence => wait(g, state, &mut emit),
        Step::Notes | Step::Undecided | Step::Fates => remark(scenario, g, state, &mut emit),
        Step::Copy if is_repair(scenario, g) => emit("list packs, put segments", &mut |s| {
            let early = is(scenario, Mutation::RepairListsPacksFirst);
            let packs = if early { s.gcs[g].marked } else { s.world.packs };
            s.world.records[g + 1].base = packs;
            s.gcs[g].marked = 0;
            put_new(s, g);
        }),
        Step::Copy => emit("put copies and segments", &mut |s| put_new(s, g)),
        Step::Commit => commit(scenario, g, state, &mut emit),
        Step::Lost => emit("delete own condemned list", &mut |s| {
            s.world.condemned_exists &= !bit(g);
            if is(scenario, Mutation::LoserDeletesItsPacks) {
                delete_own(&mut s.world, g);
            }
            s.gcs[g].finish();
        }),
        Step::Check => check(scenario, g, state, &mut emit),
        Step::Sweep => emit(sweep::name(me.sweep), &mut |s| {
            if sweep::step(scenario, s, g, g + 1) {
                s.gcs[g].finish();
            }
        }),
    }
}

fn live(scenario: &Scenario, w: &World, tombstones: Mask, undecided: Mask) -> Mask {
    let committed = w.committed() & SNAPSHOTS & !w.retired;
    let pins = if is(scenario, Mutation::PinsIgnored) { 0 } else { scenario.pins(undecided) };
    committed & (!tombstones | pins)
}

fn chunks(w: &World, snapshots: Mask) -> Mask {
    bits(snapshots).map(|s| w.refs[s]).fold(0, |a, b| a | b)
}

fn tombstones(w: &World) -> Mask {
    bits(SNAPSHOTS).filter(|s| w.has_tombstone(*s) && !w.is_locked(*s)).map(bit).sum()
}

fn condemn(scenario: &Scenario, g: usize, state: &State, emit: &mut Emit) {
    let choice = scenario.gcs[g].unwrap_or_default().choice;
    match state.gcs[g].step {
        Step::List => {
            let w = &state.world;
            let alive = live(scenario, w, tombstones(w), w.undecided(w.sessions));
            let marked = chunks(w, alive);
            let view = w.index_state(scenario).packs;
            let guess = bits(w.packs)
                .filter(|p| {
                    let elsewhere = w.chunks_in(view & !bit(*p));
                    let content = w.content[*p];
                    !has(view, *p) || content & !marked != 0 || content & !elsewhere == 0
                })
                .map(bit)
                .sum();
            let mut list = |candidates: Mask| {
                emit("list packs, mark", &mut |s| {
                    let me = &mut s.gcs[g];
                    (me.candidates, me.marked) = (candidates, 0);
                    if is(scenario, Mutation::RepackBeforeWait) {
                        me.marked = marked;
                    }
                    me.step = Step::Condemn;
                    if is(scenario, Mutation::OrphansDeletedAtOnce) {
                        s.world.packs &= !(candidates & !view);
                    }
                });
            };
            if choice != Choice::Nothing {
                list(guess);
            }
            if choice != Choice::All && (guess != 0 || choice == Choice::Nothing) {
                list(0);
            }
        }
        Step::Condemn => emit("put condemned list", &mut |s| {
            let base = usize::from(s.gcs[g].base);
            s.world.condemned_exists |= bit(g);
            s.world.condemned[g].base_seq = s.world.records[base].seq;
            s.world.condemned[g].packs = s.gcs[g].candidates;
            s.gcs[g].step =
                if is(scenario, Mutation::NoFencing) { Step::Notes } else { Step::Sessions };
        }),
        _ => emit("list sessions", &mut |s| {
            let readers = if is(scenario, Mutation::ReadersWaitedFor) { bit(R) } else { 0 };
            s.gcs[g].sessions = s.world.undecided(s.world.sessions) & (SNAPSHOTS | readers);
            s.gcs[g].step = Step::Wait;
        }),
    }
}

fn wait(g: usize, state: &State, emit: &mut Emit) {
    let me = state.gcs[g];
    if me.step == Step::Fence {
        let session = usize::from(me.fence);
        return emit("fence: put fate aborted", &mut |s| {
            s.world.put_fate(session, Fate::Aborted, me.fence_listed, 0);
            s.world.told.reached |= REACHED_FENCE;
            (s.gcs[g].fence, s.gcs[g].fence_listed) = (0, false);
            s.gcs[g].step = Step::Wait;
        });
    }
    let waiting = state.world.undecided(me.sessions);
    if waiting == 0 {
        return emit("all sessions are decided", &mut |s| {
            s.gcs[g].sessions = 0;
            s.gcs[g].step = Step::Notes;
        });
    }
    for session in bits(waiting) {
        emit("fence: list segments of a session", &mut |s| {
            s.gcs[g].fence = session as u8;
            s.gcs[g].fence_listed = has(s.world.segments, session);
            s.gcs[g].step = Step::Fence;
        });
    }
}

fn remark(scenario: &Scenario, g: usize, state: &State, emit: &mut Emit) {
    let sessions_first = is(scenario, Mutation::SessionsBeforeNotes);
    match state.gcs[g].step {
        Step::Fates if is_repair(scenario, g) => {
            emit("list fates, retired, gc", &mut |s| plan_repair(s, g));
        }
        Step::Fates => emit("list fates, retired; plan", &mut |s| plan(scenario, s, g)),
        step if (step == Step::Notes) == sessions_first => {
            emit("list sessions again", &mut |s| {
                s.gcs[g].sessions = s.world.sessions;
                s.gcs[g].step = if sessions_first { Step::Undecided } else { Step::Fates };
            });
        }
        _ => emit("list annotations", &mut |s| {
            s.gcs[g].tombstones = tombstones(&s.world);
            s.gcs[g].notes = std::array::from_fn(|x| s.world.count_notes(x));
            s.gcs[g].step = if sessions_first { Step::Fates } else { Step::Undecided };
        }),
    }
}

/// Decides what this gc does; the record is complete after it.
fn plan(scenario: &Scenario, s: &mut State, g: usize) {
    let w = &mut s.world;
    let me = &mut s.gcs[g];
    let base = usize::from(me.base);
    let undecided = w.undecided(me.sessions);
    let merged = w.unabsorbed(scenario, base, w.retired);
    let view = w.read_segments(base, merged);
    let snapshots = live(scenario, w, me.tombstones, undecided);
    let alive = chunks(w, snapshots);
    if !view.whole || alive & !w.chunks_in(view.packs) != 0 {
        // Another gc committed: the base is not the newest any more.
        me.step = Step::Lost;
        return;
    }
    let mut delete = 0;
    for p in bits(me.candidates) {
        let needed = if is(scenario, Mutation::NoRemark) { 0 } else { w.content[p] & alive };
        let elsewhere = w.chunks_in(view.packs & !delete & !bit(p));
        if !has(view.packs, p) || needed != w.content[p] || needed & !elsewhere == 0 {
            delete |= bit(p);
        }
    }
    let kept = view.packs & !delete;
    let mut copy = alive & !w.chunks_in(kept);
    if is(scenario, Mutation::RepackBeforeWait) {
        delete = me.candidates;
        copy = me.marked & !w.chunks_in(view.packs & !delete);
    }
    if is(scenario, Mutation::NoRemark) {
        copy = 0;
    }
    let decided = w.decided() & !w.retired;
    let ended = w.with_fate(|f| matches!(f, Fate::Closed | Fate::Aborted));
    let dead = w.committed() & SNAPSHOTS & me.tombstones & !snapshots;
    let void = w.retired & (w.decided() | w.sessions);
    let retire = (dead | ended) & !w.retired | void;
    w.records[g + 1] = Record {
        seq: w.records[base].seq + 1,
        base: (view.packs & !delete) | if copy == 0 { 0 } else { bit(PACK_C0 + g) },
        absorbed: decided & (merged | !w.listed | w.records[base].absorbed) & !retire,
        delete_packs: delete,
        delete_bases: bit(base),
        retire,
        notes: std::array::from_fn(|x| {
            let stays = has(snapshots, x) || is(scenario, Mutation::AnnotationsOfTheDeadNamed);
            if stays { me.notes[x] } else { 0 }
        }),
    };
    *me = GcState { step: Step::Copy, base: me.base, copied: copy, ..GcState::default() };
    if is(scenario, Mutation::CondemnedClearedBeforeCommit) {
        w.condemned_exists &= !bit(g);
    }
    if is(scenario, Mutation::OldSegmentsDeletedBeforeCommit) {
        w.bases &= !bit(base);
    }
}

/// A repair's record, but for its base: packs are listed later.
fn plan_repair(s: &mut State, g: usize) {
    let w = &mut s.world;
    let me = &mut s.gcs[g];
    let base = usize::from(me.base);
    if w.newest() != base {
        me.step = Step::Lost;
        return;
    }
    let decided = w.decided() & !w.retired;
    w.records[g + 1] = Record {
        seq: w.records[base].seq + 1,
        absorbed: decided,
        delete_bases: bit(base),
        notes: std::array::from_fn(|x| if has(decided, x) { me.notes[x] } else { 0 }),
        ..Record::default()
    };
    *me = GcState { step: Step::Copy, base: me.base, marked: me.marked, ..GcState::default() };
}

fn put_new(s: &mut State, g: usize) {
    let copied = s.gcs[g].copied;
    if copied != 0 {
        s.world.packs |= bit(PACK_C0 + g);
        s.world.content[PACK_C0 + g] = copied;
        s.gcs[g].copied = 0;
    }
    s.world.bases |= bit(g + 1);
    s.gcs[g].step = Step::Commit;
}

fn delete_own(w: &mut World, g: usize) {
    w.packs &= !bit(PACK_C0 + g);
    w.bases &= !bit(g + 1);
}

fn put_record(s: &mut State, g: usize) {
    let seq = s.world.records[g + 1].seq;
    if s.world.records[s.world.newest()].seq + 1 == seq {
        s.world.told.gc_in_sequence |= bit(g);
        if s.world.records[g + 1].base & bit(PACK_C0 + g) != 0 {
            s.world.told.reached |= REACHED_COPY;
        }
    }
    s.world.record_exists |= bit(g + 1);
}

fn commit(scenario: &Scenario, g: usize, state: &State, emit: &mut Emit) {
    let w = &state.world;
    let mut seq = w.records[g + 1].seq;
    if is(scenario, Mutation::CommitNotBoundToBase) {
        seq = w.records[w.newest()].seq + 1;
    }
    let late = scenario.gcs[g].unwrap_or_default().late_commit;
    if late {
        emit("commit times out, give up", &mut |s| {
            s.gcs[g].finish();
            s.gcs[g].late = true;
            if is(scenario, Mutation::GiveUpClearsCondemned) {
                s.world.condemned_exists &= !bit(g);
            }
        });
    }
    let rival = w.record_with_seq(seq);
    let overwrite = is(scenario, Mutation::CommitOverwrites);
    if rival.is_some() && !overwrite {
        return emit("commit finds a record: lost", &mut |s| s.gcs[g].step = Step::Lost);
    }
    emit("put gc record", &mut |s| {
        s.world.records[g + 1].seq = seq;
        if is(scenario, Mutation::AbsorbedAtCommit) {
            s.world.records[g + 1].absorbed = s.world.decided() & !s.world.retired;
        }
        put_record(s, g);
        if let Some(r) = rival {
            s.world.record_exists &= !bit(r);
        }
        s.gcs[g].late = late;
        s.gcs[g].step = Step::Check;
    });
}

fn check(scenario: &Scenario, g: usize, state: &State, emit: &mut Emit) {
    debug_assert!(g < GCS);
    let newest = state.world.newest();
    let blind = is(scenario, Mutation::NoHigherCheck);
    if newest != g + 1 && !blind {
        return emit("list gc: a higher record, void", &mut |s| s.gcs[g].step = Step::Lost);
    }
    emit("list gc: own record is newest", &mut |s| {
        s.world.told.gc_committed |= bit(g);
        s.gcs[g].sweep = 0;
        s.gcs[g].step = Step::Sweep;
    });
}
