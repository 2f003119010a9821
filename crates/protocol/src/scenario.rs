//! Who takes part. One product of everything would be too big to exhaust, so each scenario
//! joins those actors that can hurt each other.

use crate::mutation::Mutation;
use crate::world::{Mask, S0, S1, W0};

/// Which actors exist and what they may do.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub writers: [Option<Writer>; 2],
    /// Snapshot that the reader wants.
    pub reader: Option<usize>,
    /// Somebody lists snapshots and looks for fates that are missing.
    pub lister: bool,
    pub annotators: [Option<Annotator>; 2],
    pub gcs: [Option<Gc>; 3],
    /// A second snapshot that needs only chunk `a`: deleting the first makes pack A sparse.
    pub second_snapshot: bool,
    /// The second snapshot wrote a pack and a segment of its own, and no gc has seen it yet.
    pub second_is_new: bool,
    /// Chunk `a` of the first snapshot lies in a pack of a session that was interrupted.
    pub interrupted_session: bool,
    /// The first snapshot has a tombstone from the start.
    pub snapshot_is_deleted: bool,
    pub mutation: Option<Mutation>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Writer {
    pub parent: Option<usize>,
    /// May be interrupted, and then closes itself.
    pub may_close: bool,
    /// A copy of its commit may arrive at any later time.
    pub late_commit: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Annotator {
    Delete(usize),
    Lock(usize),
}

impl Annotator {
    pub fn target(self) -> usize {
        match self {
            Self::Delete(s) | Self::Lock(s) => s,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Gc {
    pub choice: Choice,
    /// Its commit may time out for the sender and still arrive later, or arrive twice.
    pub late_commit: bool,
    /// It is a repair (format.md §11.7): it condemns nothing, waits for nobody, and its base names
    /// every pack that is there.
    pub repair: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Condemns everything that is not wholly live.
    #[default]
    All,
    /// Either everything that is not wholly live, or nothing.
    AllOrNothing,
    /// Only merges and retires.
    Nothing,
}

pub fn is(scenario: &Scenario, mutation: Mutation) -> bool {
    scenario.mutation == Some(mutation)
}

impl Scenario {
    pub fn empty(name: &'static str) -> Self {
        Scenario {
            name,
            writers: [None; 2],
            reader: None,
            lister: false,
            annotators: [None; 2],
            gcs: [None; 3],
            second_snapshot: false,
            second_is_new: false,
            interrupted_session: false,
            snapshot_is_deleted: false,
            mutation: None,
        }
    }

    pub fn with(&self, mutation: Mutation) -> Self {
        Scenario { mutation: Some(mutation), ..self.clone() }
    }

    /// The snapshot that this session pins.
    pub fn pin(&self, session: usize) -> Option<usize> {
        match session {
            crate::world::R => self.reader,
            w if w >= W0 => self.writers[w - W0].and_then(|w| w.parent),
            _ => None,
        }
    }

    pub fn pins(&self, sessions: Mask) -> Mask {
        crate::world::bits(sessions)
            .filter_map(|s| self.pin(s))
            .fold(0, |a, s| a | crate::world::bit(s))
    }
}

const PLAIN: Writer = Writer { parent: None, may_close: false, late_commit: false };
const EAGER: Gc = Gc { choice: Choice::All, late_commit: false, repair: false };
const REPAIR: Gc = Gc { repair: true, ..EAGER };

/// Scenarios that are exhausted on every test run.
pub fn short() -> Vec<Scenario> {
    let mut all = writers();
    all.extend(readers());
    all.extend(gcs());
    all
}

/// Writers against deletes and gcs.
fn writers() -> Vec<Scenario> {
    let new = Scenario::empty;
    vec![
        Scenario {
            writers: [Some(Writer { may_close: true, ..PLAIN }), Some(PLAIN)],
            gcs: [Some(EAGER), None, None],
            snapshot_is_deleted: true,
            ..new("two writers, one of which is interrupted, and a gc")
        },
        Scenario {
            writers: [Some(PLAIN), None],
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), None],
            ..new("writer, delete, two gcs")
        },
        Scenario {
            writers: [Some(Writer { parent: Some(S0), ..PLAIN }), None],
            gcs: [Some(EAGER), None, None],
            annotators: [Some(Annotator::Delete(S0)), None],
            ..new("writer with a parent, delete, gc")
        },
        Scenario {
            writers: [Some(Writer { parent: Some(S0), ..PLAIN }), None],
            gcs: [Some(EAGER), None, None],
            annotators: [Some(Annotator::Delete(S0)), Some(Annotator::Delete(S1))],
            second_snapshot: true,
            ..new("repack under a writer with a parent")
        },
    ]
}

/// Readers, and clients that change a snapshot.
fn readers() -> Vec<Scenario> {
    let new = Scenario::empty;
    vec![
        Scenario {
            reader: Some(S0),
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), None],
            ..new("reader, delete, two gcs")
        },
        Scenario {
            reader: Some(S1),
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), Some(Annotator::Delete(S1))],
            second_snapshot: true,
            ..new("reader of a repacked snapshot")
        },
        Scenario {
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), Some(Annotator::Lock(S0))],
            ..new("delete, lock, two gcs")
        },
        Scenario {
            reader: Some(S0),
            gcs: [Some(EAGER), Some(EAGER), None],
            interrupted_session: true,
            ..new("reader of chunks of an interrupted session, two gcs")
        },
        Scenario {
            reader: Some(S0),
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S1)), None],
            second_snapshot: true,
            second_is_new: true,
            ..new("reader, delete of a new snapshot, two gcs")
        },
        Scenario {
            lister: true,
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), None],
            interrupted_session: true,
            ..new("lister, delete, an interrupted session, two gcs")
        },
        Scenario {
            lister: true,
            writers: [Some(PLAIN), None],
            gcs: [Some(EAGER), None, None],
            annotators: [Some(Annotator::Delete(W0)), None],
            snapshot_is_deleted: true,
            ..new("lister, writer, delete of its snapshot, a gc")
        },
        Scenario {
            lister: true,
            writers: [Some(Writer { parent: Some(S0), ..PLAIN }), None],
            gcs: [Some(EAGER), None, None],
            annotators: [Some(Annotator::Delete(S0)), None],
            ..new("lister, writer with a parent, delete, a gc")
        },
    ]
}

/// Gcs against each other, and commits that arrive late or twice.
fn gcs() -> Vec<Scenario> {
    let new = Scenario::empty;
    vec![
        Scenario {
            writers: [Some(Writer { late_commit: true, ..PLAIN }), None],
            gcs: [Some(EAGER), Some(EAGER), None],
            snapshot_is_deleted: true,
            ..new("writer whose commit arrives twice, two gcs")
        },
        Scenario {
            writers: [Some(PLAIN), None],
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S1)), None],
            second_snapshot: true,
            snapshot_is_deleted: true,
            ..new("writer, delete, two gcs that repack")
        },
        Scenario {
            writers: [Some(PLAIN), None],
            gcs: [Some(Gc { late_commit: true, ..EAGER }), Some(EAGER), None],
            snapshot_is_deleted: true,
            ..new("writer, a gc that gives up, another gc")
        },
        Scenario {
            gcs: [
                Some(Gc { late_commit: true, ..EAGER }),
                Some(EAGER),
                Some(Gc { choice: Choice::Nothing, ..EAGER }),
            ],
            annotators: [Some(Annotator::Delete(S0)), None],
            second_snapshot: true,
            ..new("three gcs that repack")
        },
        Scenario {
            writers: [Some(PLAIN), None],
            gcs: [Some(EAGER), Some(REPAIR), None],
            snapshot_is_deleted: true,
            ..new("writer, a gc, a repair")
        },
        Scenario {
            reader: Some(S0),
            gcs: [Some(EAGER), Some(REPAIR), None],
            annotators: [Some(Annotator::Delete(S0)), None],
            ..new("reader, delete, a gc, a repair")
        },
    ]
}

/// Scenarios that take minutes: `cargo run -p tintype-protocol --release -- --long`.
pub fn long() -> Vec<Scenario> {
    let new = Scenario::empty;
    vec![
        Scenario {
            writers: [Some(PLAIN), None],
            gcs: [
                Some(Gc { late_commit: true, ..EAGER }),
                Some(Gc { choice: Choice::Nothing, ..EAGER }),
                Some(Gc { choice: Choice::Nothing, ..EAGER }),
            ],
            snapshot_is_deleted: true,
            ..new("writer, a gc that comes back late, two gcs")
        },
        Scenario {
            writers: [
                Some(Writer { may_close: true, late_commit: true, ..PLAIN }),
                Some(Writer { late_commit: true, ..PLAIN }),
            ],
            gcs: [Some(EAGER), Some(EAGER), None],
            snapshot_is_deleted: true,
            ..new("two writers whose commits arrive twice, two gcs")
        },
        Scenario {
            writers: [Some(Writer { parent: Some(S0), ..PLAIN }), None],
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S0)), Some(Annotator::Lock(W0))],
            ..new("writer with a parent, delete, lock of the new snapshot, two gcs")
        },
        Scenario {
            writers: [Some(Writer { parent: Some(S0), late_commit: true, ..PLAIN }), None],
            reader: Some(S1),
            gcs: [Some(EAGER), None, None],
            annotators: [Some(Annotator::Delete(S0)), Some(Annotator::Delete(S1))],
            second_snapshot: true,
            ..new("repack under a writer whose commit arrives twice and a reader")
        },
        Scenario {
            writers: [Some(Writer { parent: Some(S0), ..PLAIN }), None],
            reader: Some(S1),
            gcs: [Some(EAGER), Some(EAGER), None],
            annotators: [Some(Annotator::Delete(S1)), None],
            second_snapshot: true,
            ..new("repack under a writer and a reader, two gcs")
        },
        Scenario {
            lister: true,
            writers: [Some(PLAIN), None],
            gcs: [Some(EAGER), Some(EAGER), None],
            snapshot_is_deleted: true,
            ..new("lister, writer, two gcs")
        },
    ]
}
