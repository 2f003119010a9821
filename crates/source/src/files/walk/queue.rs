//! The jobs of a walk in the order in which the consumer will need their results.
//!
//! ```text
//!            begin                 finish                take
//! Pending ───────────▶ Running ───────────────▶ Done ───────────▶ (gone)
//!    ▲                    │ (its thread panicked)
//!    └────────────────────┘
//! ```
//! Jobs that are not done form a doubly linked list in depth-first order. A finished job puts
//! the jobs that it discovered in its own place, so the order holds however many threads
//! work, and the first pending job is always the one that is needed next.

use super::jobs::{Job, Outcome};

pub(crate) type JobId = u32;
const NONE: JobId = JobId::MAX;

enum State {
    Pending(Job),
    Running,
    Done(Outcome, usize),
    Free,
}

struct Slot {
    state: State,
    previous: JobId,
    next: JobId,
}

/// What the consumer finds in the place of the job that it needs.
pub(crate) enum Needed {
    /// Nobody began it: do it.
    Job(Job),
    /// Somebody is at it.
    Running,
    Outcome(Outcome),
}

#[derive(Default)]
pub(crate) struct Queue {
    slots: Vec<Slot>,
    free: Vec<JobId>,
    first: Option<JobId>,
    /// Results that wait for the consumer.
    pub ahead_bytes: usize,
    pub ahead_count: usize,
    /// Threads that wait for a change.
    pub waiting: usize,
    /// The consumer has all that it wants.
    pub closed: bool,
}

impl Queue {
    /// Adds the first job of all.
    pub(crate) fn seed(&mut self, job: Job) -> JobId {
        let id = self.allocate(job);
        self.first = Some(id);
        id
    }

    /// The next job in order that nobody has begun.
    pub(crate) fn begin_next(&mut self) -> Option<(JobId, Job)> {
        let mut at = self.first?;
        while at != NONE {
            if let Some(job) = self.begin(at) {
                return Some((at, job));
            }
            at = self.slots[at as usize].next;
        }
        None
    }

    fn begin(&mut self, id: JobId) -> Option<Job> {
        let state = &mut self.slots[id as usize].state;
        if !matches!(state, State::Pending(_)) {
            return None;
        }
        match std::mem::replace(state, State::Running) {
            State::Pending(job) => Some(job),
            _ => None,
        }
    }

    /// Puts a job back that was begun and not finished.
    pub(crate) fn put_back(&mut self, id: JobId, job: Job) {
        self.slots[id as usize].state = State::Pending(job);
    }

    /// Adds jobs behind `id`, in their order, and gives their numbers.
    pub(crate) fn insert_after(&mut self, id: JobId, jobs: Vec<Job>) -> Vec<JobId> {
        let mut behind = id;
        let mut ids = Vec::with_capacity(jobs.len());
        for job in jobs {
            let new = self.allocate(job);
            let next = self.slots[behind as usize].next;
            self.slots[new as usize].previous = behind;
            self.slots[new as usize].next = next;
            self.slots[behind as usize].next = new;
            if next != NONE {
                self.slots[next as usize].previous = new;
            }
            ids.push(new);
            behind = new;
        }
        ids
    }

    pub(crate) fn finish(&mut self, id: JobId, outcome: Outcome) {
        let size_bytes = outcome.size_bytes();
        self.unlink(id);
        self.slots[id as usize].state = State::Done(outcome, size_bytes);
        self.ahead_bytes += size_bytes;
        self.ahead_count += 1;
    }

    /// What the consumer needs next. A job that it gets stays begun.
    pub(crate) fn need(&mut self, id: JobId) -> Needed {
        if let Some(job) = self.begin(id) {
            return Needed::Job(job);
        }
        let state = &mut self.slots[id as usize].state;
        if matches!(state, State::Running) {
            return Needed::Running;
        }
        let State::Done(outcome, size_bytes) = std::mem::replace(state, State::Free) else {
            unreachable!("each result is taken once: only the consumer takes it");
        };
        self.free.push(id);
        self.ahead_bytes -= size_bytes;
        self.ahead_count -= 1;
        Needed::Outcome(outcome)
    }

    fn allocate(&mut self, job: Job) -> JobId {
        let slot = Slot { state: State::Pending(job), previous: NONE, next: NONE };
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = slot;
            return id;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as JobId
    }

    fn unlink(&mut self, id: JobId) {
        let Slot { previous, next, .. } = self.slots[id as usize];
        if previous == NONE {
            self.first = (next != NONE).then_some(next);
        } else {
            self.slots[previous as usize].next = next;
        }
        if next != NONE {
            self.slots[next as usize].previous = previous;
        }
    }
}
