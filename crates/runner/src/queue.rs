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
    /// So many may hold something at once.
    limit: usize,
    /// Items at the front that another worker waits for: not subject to the limit.
    offered: usize,
    closed: bool,
}

impl<T> State<T> {
    /// Workers that would take an item at once.
    fn free(&self) -> usize {
        self.idle.min(self.limit.saturating_sub(self.busy))
    }
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    bound: usize,
}

impl<T: Cost> Queue<T> {
    pub(crate) fn new(bound: usize) -> Self {
        let items = VecDeque::new();
        let limit = usize::MAX;
        let state = State { items, cost: 0, idle: 0, busy: 0, limit, offered: 0, closed: false };
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
            let may_take = state.busy < state.limit || state.offered > 0;
            if may_take && let Some(item) = self.next(&mut state) {
                state.busy += 1;
                return Some(Taken { queue: self, item: Some(item) });
            }
            if state.closed && state.busy == 0 && state.items.is_empty() {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).expect("no panic while held");
            state.idle -= 1;
        }
    }

    fn next(&self, state: &mut State<T>) -> Option<T> {
        let item = state.items.pop_front()?;
        state.offered = state.offered.saturating_sub(1);
        state.cost -= item.cost();
        self.changed.notify_all();
        Some(item)
    }

    /// Whether an item would be taken by [`Queue::offer`] now.
    pub(crate) fn has_idle(&self) -> bool {
        let state = self.lock();
        state.free() > state.items.len()
    }

    /// From now on so many workers may be busy at once, at least one. Those that are go on.
    pub(crate) fn limit(&self, workers: usize) {
        self.lock().limit = workers.max(1);
        self.changed.notify_all();
    }

    /// Gives an item to a worker that has nothing to do, ahead of all others; gives it back if
    /// there is none, so that nobody ever waits for what nobody works on.
    pub(crate) fn offer(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.free() <= state.items.len() {
            return Err(item);
        }
        state.offered += 1;
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
        (state.cost, state.offered) = (0, 0);
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
        // Somebody may have waited for the limit, or for the last one to end.
        if state.busy == 0 || state.busy + 1 == state.limit {
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
    fn no_more_work_than_allowed_but_for_what_is_waited_for() {
        let queue = Queue::new(10);
        queue.limit(2);
        for item in 1..=3usize {
            assert!(queue.push(item));
        }
        let (first, second) = (queue.take().expect("pushed"), queue.take().expect("pushed"));
        std::thread::scope(|scope| {
            let third = scope.spawn(|| queue.take().map(|mut taken| taken.item()));
            while queue.lock().idle == 0 {
                std::thread::yield_now();
            }
            assert!(!queue.has_idle());
            assert_eq!(queue.offer(9), Err(9), "the idle one may not take it");
            drop(first);
            assert_eq!(third.join().expect("no panic"), Some(3));
            // The limit sinks after something was offered: it is taken all the same.
            let other = scope.spawn(|| queue.take().map(|mut taken| taken.item()));
            let mut part = 4;
            while let Err(back) = queue.offer(part) {
                part = back;
                std::thread::yield_now();
            }
            queue.limit(1);
            assert_eq!(other.join().expect("no panic"), Some(4));
        });
        drop(second);
        queue.close();
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_failed_run_ends_all() {
        let queue = Queue::new(10);
        assert!(queue.push(1usize) && queue.push(2));
        queue.abort();
        assert!(queue.pop().is_none() && queue.take().is_none() && !queue.push(1));
    }
}
