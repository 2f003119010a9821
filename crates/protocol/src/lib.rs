//! The commit and gc protocol as a model, explored exhaustively.

pub mod annotator;
pub mod gc;
pub mod invariant;
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
}

impl State {
    pub fn start(scenario: &Scenario) -> Self {
        State {
            world: World::start(scenario),
            writers: Default::default(),
            reader: reader::ReaderState::default(),
            annotators: Default::default(),
            gcs: Default::default(),
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
