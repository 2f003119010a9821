/// Deliberate mistakes. Each is a way in which somebody could get the protocol wrong; the
/// tests show that the search finds a counterexample for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mutation {
    // Writers.
    /// The index is read before the condemned lists.
    IndexBeforeCondemned,
    /// The session is registered after reading.
    SessionAfterReading,
    /// Segments of sessions without a fate are used.
    UndecidedSegments,
    /// The parent is pinned and not looked at again.
    ParentUnchecked,
    /// The look at a pinned parent or snapshot sees tombstones, not retirement.
    PinCheckTombstoneOnly,
    /// The look at a pin reads `retired` and the fate before the annotations.
    RetiredBeforeNotes,
    /// The writer does not list `retired` after its commit.
    NoRetiredCheckAfterCommit,
    /// A writer overwrites the fate that fenced it.
    FenceByOverwrite,
    // Readers.
    /// A reader looks whether the snapshot is visible, then pins it.
    CheckBeforePin,
    /// The newest record is not listed again after the fates were.
    IndexReadOnce,
    // Gc.
    /// Gc neither waits for sessions nor fences them.
    NoFencing,
    /// What became live since the marking is not brought back.
    NoRemark,
    /// Pins of undecided sessions do not count.
    PinsIgnored,
    /// Sessions are listed before annotations are read.
    SessionsBeforeNotes,
    /// The condemned list goes away before the commit.
    CondemnedClearedBeforeCommit,
    /// A gc commits after whatever record is newest by then.
    CommitNotBoundToBase,
    /// A gc record overwrites one of the same number.
    CommitOverwrites,
    /// Merged segments count before the commit.
    SegmentsActiveBeforeCommit,
    /// All sessions decided at the commit count as absorbed, not those that were merged.
    AbsorbedAtCommit,
    /// Replaced segments are deleted before the commit.
    OldSegmentsDeletedBeforeCommit,
    /// Packs in no index are deleted at sight.
    OrphansDeletedAtOnce,
    /// What to copy out of a sparse pack is decided before sessions were waited for.
    RepackBeforeWait,
    /// A gc does not look for a higher record after its commit.
    NoHigherCheck,
    /// A gc whose commit was lost or void deletes its own packs and segments.
    LoserDeletesItsPacks,
    /// A gc that gives up on a commit of unknown outcome removes its condemned list.
    GiveUpClearsCondemned,
    // Repair.
    /// A repair does not finish first what the newest record deletes.
    RepairFinishesNothing,
    /// A repair lists packs before it reads fates.
    RepairListsPacksFirst,
    // Who is missed.
    /// Annotations are listed after fates.
    NotesAfterFates,
    /// Whoever misses a fate does not look whether the same record is still the newest.
    MissedAtOnce,
    /// `retired` is listed before fates, and what the newest record retires is missed.
    RetiringIsMissed,
    // Removal.
    /// What the newest record retires counts as long as it is on no list.
    RetiringCounts,
    /// Fates are removed without a word in `retired`.
    NoRetiredList,
    /// Annotations are removed before `retired` is put.
    NotesRemovedBeforeRetired,
    // Annotations.
    /// A lock and a tombstone have names of their own.
    NotesWithoutSequence,
    /// `retired` is not listed after an annotation was put.
    NoRetiredCheckAfterNote,
    /// A gc record names the annotations of snapshots that it retires.
    AnnotationsOfTheDeadNamed,
    // Harmless, see the tests.
    /// Condemned lists of every generation are in force.
    AllListsInForce,
    /// `retired` is read before the fates when the index state is read.
    RetiredBeforeFates,
    /// Gc waits for readers too.
    ReadersWaitedFor,
}

impl Mutation {
    pub const ALL: [Mutation; 39] = [
        Mutation::IndexBeforeCondemned,
        Mutation::SessionAfterReading,
        Mutation::UndecidedSegments,
        Mutation::ParentUnchecked,
        Mutation::PinCheckTombstoneOnly,
        Mutation::RetiredBeforeNotes,
        Mutation::NoRetiredCheckAfterCommit,
        Mutation::FenceByOverwrite,
        Mutation::CheckBeforePin,
        Mutation::IndexReadOnce,
        Mutation::NoFencing,
        Mutation::NoRemark,
        Mutation::PinsIgnored,
        Mutation::SessionsBeforeNotes,
        Mutation::CondemnedClearedBeforeCommit,
        Mutation::CommitNotBoundToBase,
        Mutation::CommitOverwrites,
        Mutation::SegmentsActiveBeforeCommit,
        Mutation::AbsorbedAtCommit,
        Mutation::OldSegmentsDeletedBeforeCommit,
        Mutation::OrphansDeletedAtOnce,
        Mutation::RepackBeforeWait,
        Mutation::NoHigherCheck,
        Mutation::LoserDeletesItsPacks,
        Mutation::GiveUpClearsCondemned,
        Mutation::RepairFinishesNothing,
        Mutation::RepairListsPacksFirst,
        Mutation::NotesAfterFates,
        Mutation::MissedAtOnce,
        Mutation::RetiringIsMissed,
        Mutation::RetiringCounts,
        Mutation::NoRetiredList,
        Mutation::NotesRemovedBeforeRetired,
        Mutation::NotesWithoutSequence,
        Mutation::NoRetiredCheckAfterNote,
        Mutation::AnnotationsOfTheDeadNamed,
        Mutation::AllListsInForce,
        Mutation::RetiredBeforeFates,
        Mutation::ReadersWaitedFor,
    ];
}
