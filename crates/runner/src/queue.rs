//! A queue between stages, bounded by bytes, that ends in three ways: drained, closed, or failed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

/// What one item weighs against the bound: about the bytes of memory it holds, above 0.
pub(crate) trait Cost {
    fn cost(&self) -> usize;
}

struct State<T> {
    items: VecDeque<T>,
    cost: usize,
    /// Workers that wait in [`Queue::take`].
    idle: usize,
    /// Workers that hold what they took.
    busy: usize,
    closed: bool,
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    bound: usize,
}

impl<T: Cost> Queue<T> {
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { items: VecDeque::new(), cost: 0, idle: 0, busy: 0, closed: false };
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
            if let Some(item) = self.next(&mut state) {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).expect("no panic while held");
        }
    }

    /// Like [`Queue::pop`] for several workers of which each may [`Queue::offer`] parts of what
    /// it took: `None` only when no other worker is busy any more.
    pub(crate) fn take(&self) -> Option<Taken<'_, T>> {
        let mut state = self.lock();
        loop {
            if let Some(item) = self.next(&mut state) {
                state.busy += 1;
                return Some(Taken { queue: self, item: Some(item) });
            }
            if state.closed && state.busy == 0 {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).expect("no panic while held");
            state.idle -= 1;
        }
    }

    fn next(&self, state: &mut State<T>) -> Option<T> {
        let item = state.items.pop_front()?;
        state.cost -= item.cost();
        self.changed.notify_all();
        Some(item)
    }

    /// Whether an item would be taken by [`Queue::offer`] now.
    pub(crate) fn has_idle(&self) -> bool {
        let state = self.lock();
        state.idle > state.items.len()
    }

    /// Gives an item to a worker that has nothing to do, ahead of all others; gives it back if
    /// there is none, so that nobody ever waits for what nobody works on.
    pub(crate) fn offer(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.idle <= state.items.len() {
            return Err(item);
        }
        state.cost += item.cost();
        state.items.push_front(item);
        drop(state);
        self.changed.notify_all();
        Ok(())
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

/// An item whose worker counts as busy until this is dropped.
pub(crate) struct Taken<'q, T: Cost> {
    queue: &'q Queue<T>,
    item: Option<T>,
}

impl<T: Cost> Taken<'_, T> {
    /// The item, once.
    pub(crate) fn item(&mut self) -> T {
        self.item.take().expect("asked once")
    }
}

impl<T: Cost> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy -= 1;
        if state.busy == 0 {
            drop(state);
            self.queue.changed.notify_all();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these threads wait for each other on purpose")]
mod tests {
    use super::*;

    impl Cost for usize {
        fn cost(&self) -> usize {
            *self
        }
    }

    #[test]
    fn an_item_larger_than_the_bound_waits_for_an_empty_queue() {
        let queue = Queue::new(10);
        assert!(queue.push(50usize));
        std::thread::scope(|scope| {
            let pushed = scope.spawn(|| queue.push(1));
            assert_eq!(queue.pop(), Some(50));
            assert!(pushed.join().expect("no panic"));
        });
        queue.close();
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
        assert!(!queue.push(1), "a closed queue takes nothing");
    }

    #[test]
    fn what_nobody_waits_for_comes_back() {
        let queue = Queue::new(10);
        assert_eq!(queue.offer(3usize), Err(3));
    }

    #[test]
    fn workers_stay_while_one_of_them_may_offer() {
        let queue = Queue::new(10);
        assert!(queue.push(1usize));
        queue.close();
        let mut first = queue.take().expect("pushed");
        assert_eq!(first.item(), 1);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| queue.take().map(|mut taken| taken.item()));
            let mut part = 2;
            while let Err(back) = queue.offer(part) {
                part = back;
                std::thread::yield_now();
            }
            assert_eq!(other.join().expect("no panic"), Some(2));
            drop(first);
            assert!(queue.take().is_none());
        });
    }

    #[test]
    fn a_failed_run_ends_all() {
        let queue = Queue::new(10);
        assert!(queue.push(1usize) && queue.push(2));
        queue.abort();
        assert!(queue.pop().is_none() && queue.take().is_none() && !queue.push(1));
    }
}
