//! What was read last, within so many bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tintype_engine::id::ContentId;

pub(super) struct Kept<T> {
    most_bytes: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    found: HashMap<ContentId, Slot<T>>,
    bytes: usize,
    /// Counts uses.
    now: u64,
}

struct Slot<T> {
    value: Arc<T>,
    bytes: usize,
    used: u64,
}

impl<T> Kept<T> {
    pub(super) fn new(most_bytes: usize) -> Self {
        let state = State { found: HashMap::new(), bytes: 0, now: 0 };
        Self { most_bytes, state: Mutex::new(state) }
    }

    pub(super) fn get(&self, id: &ContentId) -> Option<Arc<T>> {
        let mut state = self.locked();
        state.now += 1;
        let now = state.now;
        let slot = state.found.get_mut(id)?;
        slot.used = now;
        Some(Arc::clone(&slot.value))
    }

    /// What was not used for longest makes room; there are a few hundred at most.
    pub(super) fn put(&self, id: ContentId, value: &Arc<T>, bytes: usize) {
        let mut state = self.locked();
        state.now += 1;
        let slot = Slot { value: Arc::clone(value), bytes, used: state.now };
        state.bytes += bytes;
        if let Some(old) = state.found.insert(id, slot) {
            state.bytes -= old.bytes;
        }
        while state.bytes > self.most_bytes && state.found.len() > 1 {
            let oldest = state.found.iter().min_by_key(|(_, slot)| slot.used).map(|(id, _)| *id);
            let gone = oldest.and_then(|id| state.found.remove(&id));
            state.bytes -= gone.map_or(0, |slot| slot.bytes);
        }
    }

    fn locked(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_within_the_bound() {
        let kept = Kept::new(30);
        let id = |number: u8| ContentId([number; 32]);
        for number in 0..3 {
            kept.put(id(number), &Arc::new(number), 10);
        }
        assert_eq!(kept.get(&id(0)).as_deref(), Some(&0));
        kept.put(id(3), &Arc::new(3), 10);
        let held = (0..4).filter(|number| kept.get(&id(*number)).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [0, 2, 3]);
        kept.put(id(4), &Arc::new(4), 100);
        assert!(kept.get(&id(4)).is_some() && kept.get(&id(3)).is_none(), "one is always held");
    }
}
