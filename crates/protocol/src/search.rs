//! Breadth-first search of all states. A state is remembered as a 128-bit fingerprint; only
//! the frontier is held whole, and a counterexample is found again by replaying the choices.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::scenario::Scenario;
use crate::{Label, State, invariant, successors};

/// What an exhausted (or stopped) search found.
#[derive(Debug)]
pub struct Outcome {
    pub states: usize,
    pub depth: usize,
    /// Not all states were looked at: `limit` was reached.
    pub truncated: bool,
    /// Union of [`crate::world::Told::reached`] over all states.
    pub reached: u8,
    pub violation: Option<Violation>,
}

/// The shortest way to a state that breaks an invariant.
#[derive(Debug)]
pub struct Violation {
    pub what: String,
    pub trace: Vec<Label>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (n, label) in self.trace.iter().enumerate() {
            writeln!(f, "  {:2}. {label}", n + 1)?;
        }
        Ok(())
    }
}

/// Explores all states of a scenario, at most `limit`.
pub fn explore(scenario: &Scenario, limit: usize) -> Outcome {
    let mut seen = Seen::default();
    let mut ways: Vec<(u32, u16)> = vec![(0, 0)];
    let first = State::start(scenario);
    seen.insert(fingerprint(&first));
    let mut frontier = vec![(0u32, first)];
    let mut outcome =
        Outcome { states: 1, depth: 0, truncated: false, reached: 0, violation: None };
    let mut next_states = Vec::new();
    while !frontier.is_empty() && !outcome.truncated {
        let mut found = Vec::new();
        for (id, state) in frontier {
            outcome.reached |= state.world.told.reached;
            if let Some(what) = invariant::broken(scenario, &state) {
                let trace = replay(scenario, &ways, id);
                outcome.violation = Some(Violation { what, trace });
                outcome.states = ways.len();
                return outcome;
            }
            next_states.clear();
            successors(scenario, &state, &mut next_states);
            for (choice, (_, next)) in next_states.drain(..).enumerate() {
                if seen.insert(fingerprint(&next)) {
                    found.push((ways.len() as u32, next));
                    ways.push((id, choice as u16));
                }
            }
        }
        outcome.truncated = ways.len() >= limit;
        outcome.depth += 1;
        frontier = found;
    }
    outcome.states = ways.len();
    outcome
}

fn replay(scenario: &Scenario, ways: &[(u32, u16)], id: u32) -> Vec<Label> {
    let mut choices = Vec::new();
    let mut at = id;
    while at != 0 {
        let (parent, choice) = ways[at as usize];
        choices.push(usize::from(choice));
        at = parent;
    }
    let mut state = State::start(scenario);
    let mut trace = Vec::new();
    for choice in choices.into_iter().rev() {
        let mut next_states = Vec::new();
        successors(scenario, &state, &mut next_states);
        let (label, next) = next_states.swap_remove(choice);
        trace.push(label);
        state = next;
    }
    trace
}

type Seen = HashSet<u128, BuildHasherDefault<Keep>>;

/// A fingerprint is a hash already: its low half is the bucket.
#[derive(Default)]
struct Keep(u64);

impl Hasher for Keep {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only fingerprints are keys")
    }
    fn write_u128(&mut self, i: u128) {
        self.0 = i as u64;
    }
}

/// Two lanes of multiply and rotate; 128 bits make a collision among millions of states as
/// good as impossible (10^7 states: below 10^-24).
struct Lanes {
    a: u64,
    b: u64,
}

impl Lanes {
    fn add(&mut self, word: u64) {
        self.a = (self.a.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.b = (self.b ^ word).wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31);
    }
}

impl Hasher for Lanes {
    fn finish(&self) -> u64 {
        self.a
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, i: u8) {
        self.add(u64::from(i));
    }
    fn write_usize(&mut self, i: usize) {
        self.add(i as u64);
    }
    fn write_isize(&mut self, i: isize) {
        self.add(i as u64);
    }
}

fn fingerprint(state: &State) -> u128 {
    let mut lanes = Lanes { a: 0x1234_5678_9abc_def1, b: 0x0fed_cba9_8765_4321 };
    state.hash(&mut lanes);
    let mix = |mut x: u64| {
        x ^= x >> 32;
        x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^ (x >> 29)
    };
    (u128::from(mix(lanes.a)) << 64) | u128::from(mix(lanes.b))
}
