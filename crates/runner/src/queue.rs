//! A queue between stages, bounded by cost (bytes), that ends in three ways: drained, closed,
//! or failed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

/// What one item weighs against the bound.
pub(crate) trait Cost {
    fn cost(&self) -> usize;
}

struct State<T> {
    items: VecDeque<T>,
    cost: usize,
    closed: bool,
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    bound: usize,
}

impl<T: Cost> Queue<T> {
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { items: VecDeque::new(), cost: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), bound }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no panic while held")
    }

    /// Waits for room; an item that is larger than the bound gets in when the queue is empty.
    /// False: the queue was closed and the item is dropped.
    pub(crate) fn push(&self, item: T) -> bool {
        let cost = item.cost();
        let mut state = self.lock();
        while !state.closed && state.cost > 0 && state.cost + cost > self.bound {
            state = self.changed.wait(state).expect("no panic while held");
        }
        if state.closed {
            return false;
        }
        state.cost += cost;
        state.items.push_back(item);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Waits for an item; `None` when closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                state.cost -= item.cost();
                drop(state);
                self.changed.notify_all();
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).expect("no panic while held");
        }
    }

    /// No more items come; those inside are still given out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nobody needs the rest.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        state.cost = 0;
        drop(state);
        self.changed.notify_all();
    }
}
