//! The protocol holds in every reachable state; each deliberate mistake is found.

use tintype_protocol::{
    Mutation, REACHED_COPY, REACHED_DELETED, REACHED_FENCE, REACHED_LOCKED, REACHED_READ,
    REACHED_RETIRED, REACHED_REUSE, REACHED_TOLD, Scenario, explore, scenario,
};

const LIMIT: usize = 20_000_000;

fn holds(scenario: &Scenario, limit: usize) -> u8 {
    let outcome = explore(scenario, limit);
    println!("{:>9} states, depth {:2}: {}", outcome.states, outcome.depth, scenario.name);
    if let Some(violation) = outcome.violation {
        panic!("{}: {violation}", scenario.name);
    }
    assert!(!outcome.truncated, "{} is not exhausted", scenario.name);
    outcome.reached
}

#[test]
fn the_protocol_holds_in_every_state() {
    let reached: Vec<u8> = scenario::short().iter().map(|s| holds(s, LIMIT)).collect();
    // Safety is worth nothing if nothing happens: each scenario gets something deleted (or,
    // with nothing to delete, retired), and together they reach every good end.
    for (scenario, reached) in scenario::short().iter().zip(&reached) {
        assert_ne!(reached & (REACHED_DELETED | REACHED_RETIRED), 0, "{}", scenario.name);
    }
    let all = reached.iter().fold(0, |a, b| a | b);
    let want = REACHED_TOLD
        | REACHED_REUSE
        | REACHED_READ
        | REACHED_LOCKED
        | REACHED_FENCE
        | REACHED_COPY
        | REACHED_DELETED
        | REACHED_RETIRED;
    assert_eq!(all, want);
}

#[test]
#[ignore = "minutes and gigabytes: cargo test --release -p tintype-protocol -- --ignored"]
fn the_protocol_holds_in_big_scenarios() {
    for scenario in scenario::long() {
        holds(&scenario, 3 * LIMIT);
    }
}

/// Each mistake with a scenario that shows it, and a part of what breaks.
const CAUGHT: &[(Mutation, &str, &str)] = &[
    (Mutation::IndexBeforeCondemned, TWO_WRITERS, "does not resolve"),
    (Mutation::SessionAfterReading, PARENT, "pin was accepted"),
    (Mutation::UndecidedSegments, TWO_WRITERS, "does not resolve"),
    (Mutation::ParentUnchecked, PARENT, "pin was accepted"),
    (Mutation::PinCheckTombstoneOnly, PARENT, "pin was accepted"),
    (Mutation::PinCheckTombstoneOnly, READER, "pin was accepted"),
    (Mutation::RetiredBeforeNotes, PARENT, "pin was accepted"),
    (Mutation::NoRetiredCheckAfterCommit, PARENT, "told: committed"),
    (Mutation::FenceByOverwrite, TWO_WRITERS, "does not resolve"),
    (Mutation::CheckBeforePin, READER, "pin was accepted"),
    (Mutation::IndexReadOnce, INTERRUPTED, "takes a chunk for damaged"),
    (Mutation::NoFencing, TWO_WRITERS, "does not resolve"),
    (Mutation::NoRemark, TWO_WRITERS, "does not resolve"),
    (Mutation::PinsIgnored, PARENT, "pin was accepted"),
    (Mutation::SessionsBeforeNotes, PARENT, "pin was accepted"),
    (Mutation::CondemnedClearedBeforeCommit, TWO_WRITERS, "does not resolve"),
    (Mutation::CommitNotBoundToBase, TWICE, "does not resolve"),
    (Mutation::CommitOverwrites, INTERRUPTED, "did not follow"),
    (Mutation::SegmentsActiveBeforeCommit, REPACK, "does not resolve"),
    (Mutation::AbsorbedAtCommit, TWO_WRITERS, "does not resolve"),
    (Mutation::OldSegmentsDeletedBeforeCommit, INTERRUPTED, "does not resolve"),
    (Mutation::OrphansDeletedAtOnce, TWICE, "does not resolve"),
    (Mutation::RepackBeforeWait, TWICE, "does not resolve"),
    (Mutation::NoHigherCheck, THREE_GCS, "did not follow"),
    (Mutation::LoserDeletesItsPacks, TWICE, "does not resolve"),
    (Mutation::GiveUpClearsCondemned, GIVES_UP, "does not resolve"),
    (Mutation::RepairFinishesNothing, REPAIR, "an annotation that is gone"),
    (Mutation::RepairListsPacksFirst, REPAIR, "does not resolve"),
    (Mutation::NotesAfterFates, LISTER_AND_WRITER, "nobody lost"),
    (Mutation::MissedAtOnce, LISTER_AND_WRITER, "nobody lost"),
    (Mutation::RetiringIsMissed, LISTER, "nobody lost"),
    (Mutation::RetiringCounts, NEW, "does not resolve"),
    (Mutation::NoRetiredList, PARENT, "does not resolve"),
    (Mutation::NotesRemovedBeforeRetired, PARENT, "does not resolve"),
    (Mutation::NotesWithoutSequence, LOCK, "told: locked"),
    (Mutation::NoRetiredCheckAfterNote, LOCK, "told: locked"),
    (Mutation::AnnotationsOfTheDeadNamed, LOCK, "an annotation that is gone"),
];

const TWO_WRITERS: &str = "two writers, one of which is interrupted, and a gc";
const TWICE: &str = "writer whose commit arrives twice, two gcs";
const PARENT: &str = "writer with a parent, delete, gc";
const READER: &str = "reader, delete, two gcs";
const LOCK: &str = "delete, lock, two gcs";
const REPACK: &str = "writer, delete, two gcs that repack";
const INTERRUPTED: &str = "reader of chunks of an interrupted session, two gcs";
const LISTER: &str = "lister, delete, an interrupted session, two gcs";
const LISTER_AND_WRITER: &str = "lister, writer, delete of its snapshot, a gc";
const NEW: &str = "reader, delete of a new snapshot, two gcs";
const GIVES_UP: &str = "writer, a gc that gives up, another gc";
const REPAIR: &str = "writer, a gc, a repair";
const THREE_GCS: &str = "three gcs that repack";

/// What looks like a mistake and is none:
/// - `AllListsInForce`: a list of another generation only keeps a writer from reusing packs
///   that it could have reused.
/// - `RetiredBeforeFates`: whoever starts from a gc record ignores the fates of all whom that
///   retires anyway; and the records after it need the decision of every writer that could have
///   read `retired` earlier.
/// - `ReadersWaitedFor`: a pin counts as live whether the gc waited for its session or not.
///   Waiting is allowed, and useless: a restore of hours would hold up the gc.
const HARMLESS: [Mutation; 3] =
    [Mutation::AllListsInForce, Mutation::RetiredBeforeFates, Mutation::ReadersWaitedFor];

#[test]
fn each_mistake_is_caught() {
    for (mutation, name, what) in CAUGHT {
        let scenario = scenario::short().into_iter().find(|s| s.name == *name).unwrap();
        let outcome = explore(&scenario.with(*mutation), LIMIT);
        let states = outcome.states;
        let Some(violation) = outcome.violation else {
            panic!("{mutation:?} is not caught by {name:?} in {states} states");
        };
        println!("{mutation:?}: {} steps, {states} states", violation.trace.len());
        assert!(violation.what.contains(what), "{mutation:?}: {violation}");
    }
    for mutation in Mutation::ALL {
        let caught = CAUGHT.iter().any(|(m, ..)| *m == mutation);
        assert_ne!(caught, HARMLESS.contains(&mutation), "{mutation:?} is listed once");
    }
}

#[test]
fn harmless_changes_are_harmless() {
    for mutation in HARMLESS {
        for name in [TWO_WRITERS, TWICE, READER, INTERRUPTED] {
            let scenario = scenario::short().into_iter().find(|s| s.name == name).unwrap();
            holds(&scenario.with(mutation), LIMIT);
        }
    }
}

#[test]
fn a_search_is_deterministic_and_its_traces_replay() {
    let scenario = scenario::short().into_iter().find(|s| s.name == PARENT).unwrap();
    let broken = scenario.with(Mutation::ParentUnchecked);
    let (one, two) = (explore(&broken, LIMIT), explore(&broken, LIMIT));
    assert_eq!(one.states, two.states);
    let trace = |o: tintype_protocol::Outcome| o.violation.map(|v| v.to_string()).unwrap();
    assert_eq!(trace(one), trace(two));
}
