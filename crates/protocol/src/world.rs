//! What is stored, and the three definitions that everybody shares: newest gc record, index
//! state, visible snapshot.

use crate::Mutation;
use crate::scenario::{Scenario, is};

/// Sets of packs, sessions, chunks and gc records are bit masks.
pub type Mask = u8;

pub const SESSIONS: usize = 5;
/// Two snapshots that exist from the start, two writers, one reader.
pub const S0: usize = 0;
pub const S1: usize = 1;
pub const W0: usize = 2;
pub const W1: usize = 3;
pub const R: usize = 4;
/// Sessions that can commit a snapshot.
pub const SNAPSHOTS: Mask = 0b1111;

/// Chunks: `a` is looked up in the index, `b` is reached only through the parent's pages.
pub const CHUNK_A: Mask = 1;
pub const CHUNK_B: Mask = 2;

/// Pack 0 holds `a` and `b` from the start, pack 1 and 2 are the writers' (`a`), pack 3 + g
/// is what gc g copies forward. Pack 6 belongs to the second session from the start.
pub const PACK_A: usize = 0;
pub const PACK_W0: usize = 1;
pub const PACK_C0: usize = 3;
pub const PACK_S1: usize = 6;
pub const PACKS: usize = 7;

pub const GCS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Fate {
    #[default]
    None,
    Committed,
    Closed,
    Aborted,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Note {
    #[default]
    None,
    Tombstone,
    Lock,
}

/// A gc record. Record 0 is made by init, record `g + 1` by gc `g`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Record {
    pub seq: u8,
    /// Packs in the merged segments.
    pub base: Mask,
    pub absorbed: Mask,
    pub delete_packs: Mask,
    /// Records whose segments are replaced.
    pub delete_bases: Mask,
    /// Sessions that are retired, with their fates and annotations. None of `absorbed`.
    pub retire: Mask,
    /// Of snapshots that stay: how many annotations were read.
    pub notes: [u8; SESSIONS],
}

/// A condemned list; it names the generation that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Condemned {
    pub base_seq: u8,
    pub packs: Mask,
}

/// All stored objects.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub packs: Mask,
    pub content: [Mask; PACKS],
    /// `index/<session>-0` exists; its pack is the session's own.
    pub segments: Mask,
    /// `index/<gc>-0` of this record exists.
    pub bases: Mask,
    pub sessions: Mask,
    pub fates: [Fate; SESSIONS],
    /// The fate lists the session's segment.
    pub listed: Mask,
    /// Chunks that the manifest in the fate needs.
    pub refs: [Mask; SESSIONS],
    pub retired: Mask,
    pub notes: [[Note; 2]; SESSIONS],
    pub record_exists: Mask,
    pub records: [Record; GCS + 1],
    pub condemned_exists: Mask,
    pub condemned: [Condemned; GCS],
    pub told: Told,
}

/// What clients were told and what really happened: read by invariants only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Told {
    pub committed: Mask,
    /// A tombstone was put at some time.
    pub deleted: Mask,
    pub locked: Mask,
    /// Gcs that were told "committed", and those whose put followed the newest record.
    pub gc_committed: Mask,
    pub gc_in_sequence: Mask,
    pub broken: Option<&'static str>,
    /// Good things that happened; see the reachability tests.
    pub reached: u8,
}

pub fn bit(i: usize) -> Mask {
    1 << i
}

pub fn has(mask: Mask, i: usize) -> bool {
    mask & bit(i) != 0
}

pub fn bits(mask: Mask) -> impl Iterator<Item = usize> {
    (0..8).filter(move |i| has(mask, *i))
}

/// The pack of a session's own.
pub fn own_pack(session: usize) -> Mask {
    match session {
        W0 | W1 => bit(PACK_W0 + session - W0),
        S1 => bit(PACK_S1),
        _ => 0,
    }
}

/// An index state as somebody read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct View {
    pub packs: Mask,
    /// All its segments were there.
    pub whole: bool,
}

impl World {
    pub fn start(scenario: &Scenario) -> Self {
        let mut w = World {
            packs: bit(PACK_A),
            content: [CHUNK_A | CHUNK_B, CHUNK_A, CHUNK_A, 0, 0, 0, CHUNK_A],
            segments: 0,
            bases: 1,
            sessions: bit(S0),
            fates: [Fate::None; SESSIONS],
            listed: 0,
            refs: [0; SESSIONS],
            retired: 0,
            notes: [[Note::None; 2]; SESSIONS],
            record_exists: 1,
            records: [Record::default(); GCS + 1],
            condemned_exists: 0,
            condemned: [Condemned::default(); GCS],
            told: Told::default(),
        };
        w.fates[S0] = Fate::Committed;
        w.refs[S0] = CHUNK_A | CHUNK_B;
        w.records[0] = Record { base: bit(PACK_A), absorbed: bit(S0), ..Record::default() };
        if scenario.second_snapshot {
            w.sessions |= bit(S1);
            w.fates[S1] = Fate::Committed;
            w.refs[S1] = CHUNK_A;
            w.records[0].absorbed |= bit(S1);
        }
        if scenario.second_is_new {
            w.records[0].absorbed &= !bit(S1);
            w.listed |= bit(S1);
            w.segments |= bit(S1);
            w.packs |= bit(PACK_S1);
        }
        if scenario.interrupted_session {
            w.sessions |= bit(S1);
            w.put_fate(S1, Fate::Closed, true, 0);
            w.segments |= bit(S1);
            w.packs |= bit(PACK_S1);
            w.content[PACK_A] = CHUNK_B;
        }
        if scenario.snapshot_is_deleted {
            w.notes[S0][0] = Note::Tombstone;
            w.told.deleted |= bit(S0);
        }
        w
    }

    /// Newest gc record: the highest number that exists.
    pub fn newest(&self) -> usize {
        bits(self.record_exists)
            .max_by_key(|r| self.records[*r].seq)
            .expect("init puts gc/0, and the newest record is never removed")
    }

    pub fn record_with_seq(&self, seq: u8) -> Option<usize> {
        bits(self.record_exists).find(|r| self.records[*r].seq == seq)
    }

    pub fn with_fate(&self, wanted: impl Fn(Fate) -> bool) -> Mask {
        (0..SESSIONS).filter(|s| wanted(self.fates[*s])).map(bit).sum()
    }

    pub fn decided(&self) -> Mask {
        self.with_fate(|f| f != Fate::None)
    }

    pub fn committed(&self) -> Mask {
        self.with_fate(|f| f == Fate::Committed)
    }

    /// Sessions whose segment counts beside the base of `record`.
    pub fn unabsorbed(&self, scenario: &Scenario, record: usize, retired: Mask) -> Mask {
        let Record { absorbed, retire, .. } = self.records[record];
        let retiring = if is(scenario, Mutation::RetiringCounts) { 0 } else { retire };
        self.decided() & self.listed & !absorbed & !retiring & !retired
    }

    /// Reads the segments of `record` and of `sessions`.
    pub fn read_segments(&self, record: usize, sessions: Mask) -> View {
        let own = bits(sessions).map(own_pack).fold(0, |a, b| a | b);
        View {
            packs: self.records[record].base | own,
            whole: has(self.bases, record) && sessions & !self.segments == 0,
        }
    }

    /// The index state at this moment, as an invariant sees it.
    pub fn index_state(&self, scenario: &Scenario) -> View {
        let newest = self.newest();
        self.read_segments(newest, self.unabsorbed(scenario, newest, self.retired))
    }

    /// Snapshots that have annotations.
    pub fn annotated(&self) -> Mask {
        (0..SESSIONS).filter(|s| self.count_notes(*s) > 0).map(bit).sum()
    }

    /// Packs in merged segments that are stored and that no record made valid yet.
    pub fn uncommitted_bases(&self) -> Mask {
        let newest = self.records[self.newest()].seq;
        bits(self.bases)
            .map(|r| self.records[r])
            .filter(|r| r.seq > newest)
            .fold(0, |a, r| a | r.base)
    }

    /// Chunks held by these packs.
    pub fn chunks_in(&self, packs: Mask) -> Mask {
        bits(packs).map(|p| self.content[p]).fold(0, |a, b| a | b)
    }

    pub fn has_tombstone(&self, s: usize) -> bool {
        self.notes[s].contains(&Note::Tombstone)
    }

    pub fn count_notes(&self, s: usize) -> u8 {
        self.notes[s].iter().filter(|n| **n != Note::None).count() as u8
    }

    pub fn is_locked(&self, s: usize) -> bool {
        self.notes[s].contains(&Note::Lock)
    }

    pub fn is_visible(&self, s: usize) -> bool {
        self.fates[s] == Fate::Committed && !has(self.retired, s) && !self.has_tombstone(s)
    }

    pub fn visible(&self) -> Mask {
        (0..SESSIONS).filter(|s| self.is_visible(*s)).map(bit).sum()
    }

    /// Put-if-absent of a fate: whether it won.
    pub fn put_fate(&mut self, s: usize, fate: Fate, listed: bool, refs: Mask) -> bool {
        if self.fates[s] != Fate::None {
            return false;
        }
        self.set_fate(s, fate, listed, refs);
        true
    }

    pub fn set_fate(&mut self, s: usize, fate: Fate, listed: bool, refs: Mask) {
        self.fates[s] = fate;
        self.refs[s] = refs;
        self.listed = if listed { self.listed | bit(s) } else { self.listed & !bit(s) };
    }

    /// Undecided sessions of `sessions`: no fate, and no retirement that makes one void.
    pub fn undecided(&self, sessions: Mask) -> Mask {
        sessions & !self.decided() & !self.retired
    }

    /// Packs named by those of the `seen` condemned lists that are in force under `record`.
    pub fn in_force(&self, scenario: &Scenario, seen: Mask, record: usize) -> Mask {
        bits(seen)
            .map(|g| self.condemned[g])
            .filter(|c| {
                is(scenario, Mutation::AllListsInForce) || c.base_seq == self.records[record].seq
            })
            .fold(0, |a, c| a | c.packs)
    }
}
