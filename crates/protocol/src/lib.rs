//! The commit and gc protocol of docs/format.md as a model, explored exhaustively: every
//! order in which the steps of writers, readers, annotators and gcs can interleave.
//!
//! ```text
//!            put                put-if-absent fate/<id>
//!  session ───────→ undecided ─┬──────────────────────→ committed ──tombstone──→ dead ─┐
//!                              ├─ interrupted, or gone ─→ closed ──────────────────────┤
//!                              └─ fenced by a gc ───────→ aborted ─────────────────────┤
//!                                            named by a gc record, then retired/<gc> ──┴→ removed
//!
//!  pack    stored ──segment in a fate──→ indexed ──not live, condemned, all sessions that
//!            │                              │       may not have seen the list decided,
//!            └──orphan: condemned, … ───────┴────── still not live──→ in no base ──→ deleted
//!
//!  gc n+1  list packs → condemned/n → wait or fence → read again → merged segments
//!            → put-if-absent gc/n+1 (the commit) → check → retired → delete
//! ```
//!
//! **Crash, pause, zombie.** An actor that takes no further step has crashed; one that takes
//! its next step after everything else has happened was paused. Both are interleavings, so
//! no step of their own models them. Puts that arrive late or twice are steps
//! ([`scenario::Writer::late_commit`], [`scenario::Gc::late_commit`]).
//!
//! **Small scope.** Two chunks (`a` is looked up in the index, `b` is reached only through the
//! parent's pages), a pack that holds both, a pack per writer, a pack per gc for copies; two
//! snapshots from the start; two writers, one reader, one lister, two annotators, three gcs. Each
//! [`Scenario`] joins those that can hurt each other.
//!
//! **What is abstracted away.**
//! - Contents, keys, sizes; one segment per session, one merged segment per gc.
//! - A listing is one step and sees all objects of its kind. Listings of different kinds are
//!   different steps wherever their order matters. The retired lists are one set, read in the
//!   step that lists fates, but for the pin's two looks and the reader, where they are apart.
//! - Time: a gc may fence any session at any moment, so no heartbeat needs a clock. A lock
//!   has no end; a hold behaves like a lock.
//! - The session of a gc: it says who runs, nothing waits for it, its fate names nothing, and by
//!   their names its segments are not missed.
//! - Which retired lists a record names: no list is ever deleted here, so none can be missed.
//! - Damage: a repair starts from a whole repository, and nothing is ever missed rightly, so what
//!   they do beside others is explored, not what they mend. A snapshot that is given up is retired
//!   like a dead one.
//! - Leftovers that nobody reads (segments of fenced writers, copies of lost gcs).
//!
//! **What is checked in every state** is in [`invariant`]; [`Mutation`] lists deliberate
//! mistakes, each of which the search catches; `REACHED_…` prove that things do get done.
//!
//! `cargo run -p tintype-protocol --release -- --long` explores the big scenarios,
//! `-- --mutations` prints a shortest counterexample for every mistake.

pub mod annotator;
pub mod gc;
pub mod invariant;
pub mod lister;
mod mutation;
pub mod reader;
pub mod scenario;
pub mod search;
mod sweep;
pub mod world;
pub mod writer;

use std::fmt;

pub use mutation::Mutation;
pub use scenario::Scenario;
pub use search::{Outcome, Violation, explore};

use world::World;

/// Everything: what is stored, and where each actor stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub world: World,
    pub writers: [writer::WriterState; 2],
    pub reader: reader::ReaderState,
    pub annotators: [annotator::AnnotatorState; 2],
    pub gcs: [gc::GcState; 3],
    pub lister: lister::ListerState,
}

impl State {
    pub fn start(scenario: &Scenario) -> Self {
        State {
            world: World::start(scenario),
            writers: Default::default(),
            reader: reader::ReaderState::default(),
            annotators: Default::default(),
            gcs: Default::default(),
            lister: lister::ListerState::default(),
        }
    }
}

/// One step of one actor, for a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    actor: &'static str,
    number: usize,
    what: &'static str,
}

impl Label {
    pub(crate) fn new(actor: &'static str, number: usize, what: &'static str) -> Self {
        Label { actor, number, what }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.actor, self.number, self.what)
    }
}

/// All states that one step of one actor leads to.
pub fn successors(scenario: &Scenario, state: &State, out: &mut Vec<(Label, State)>) {
    for i in 0..2 {
        writer::steps(scenario, state, i, out);
        annotator::steps(scenario, state, i, out);
    }
    reader::steps(scenario, state, out);
    lister::steps(scenario, state, out);
    for g in 0..world::GCS {
        gc::steps(scenario, state, g, out);
    }
}

/// Good ends that some path must reach, so that safety is not that of a protocol which does
/// nothing. See [`world::Told::reached`].
pub const REACHED_TOLD: u8 = 1;
pub const REACHED_REUSE: u8 = 2;
pub const REACHED_READ: u8 = 4;
pub const REACHED_LOCKED: u8 = 8;
pub const REACHED_FENCE: u8 = 16;
pub const REACHED_COPY: u8 = 32;
pub const REACHED_DELETED: u8 = 64;
pub const REACHED_RETIRED: u8 = 128;
