//! What an agent works on, and what it has done and not delivered yet. When the manager cannot be
//! reached the work goes on, and what came of it is kept until somebody wants it.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tintype_api::work::{WorkDone, WorkProgress};
use tintype_engine::cancel::Cancel;
use tintype_engine::{Error, Result};
use tintype_runner::progress::Progress;
use tintype_runner::vault::Host;
use tintype_runner::vault::work::{Done, WorkOrder, perform};

/// Orders at once.
const MOST: usize = 8;
/// What came of so many orders is remembered, delivered or not.
const MOST_RESULTS: usize = 64;
/// A manager that answers and does not know an order for so long wants it no more.
const FORGOTTEN: Duration = Duration::from_mins(5);

pub(super) struct Orders {
    host: Host,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    at_work: BTreeMap<String, AtWork>,
    results: VecDeque<Came>,
    /// This process is to end: what is broken off now is not told, and is begun again.
    is_ending: bool,
}

struct AtWork {
    cancel: Cancel,
    progress: Arc<Progress>,
    unknown_since: Option<Duration>,
}

struct Came {
    id: String,
    done: WorkDone,
    /// It was done. What failed is not: whoever issues it again wants it tried again.
    is_final: bool,
    is_delivered: bool,
    unknown_since: Option<Duration>,
}

impl State {
    fn remember(&mut self, id: String, done: Result<Done>) {
        let is_final = matches!(&done, Ok(done) if !matches!(done, Done::Broken(_)));
        let (done, is_delivered, unknown_since) = (told(done), false, None);
        self.results.push_back(Came { id, done, is_final, is_delivered, unknown_since });
        if self.results.len() > MOST_RESULTS {
            let delivered = self.results.iter().position(|came| came.is_delivered);
            self.results.remove(delivered.unwrap_or(0));
        }
    }

    /// Whether there is something to tell, or to tell again, of an order that is issued.
    fn tells(&mut self, id: &str) -> bool {
        let Some(at) = self.results.iter().position(|came| came.id == id) else { return false };
        let came = &mut self.results[at];
        if came.is_delivered && !came.is_final {
            self.results.remove(at);
            return false;
        }
        (came.is_delivered, came.unknown_since) = (false, None);
        true
    }

    /// The manager heard of it. It may not know it yet, or no more.
    fn delivered(&mut self, id: &str, is_known: bool, now: Duration) {
        if let Some(came) = self.results.iter_mut().find(|came| came.id == id) {
            let since = *came.unknown_since.get_or_insert(now);
            came.is_delivered = is_known || now.saturating_sub(since) > FORGOTTEN;
        }
    }
}

impl Orders {
    pub(super) fn new(host: Host) -> Self {
        Self { host, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    pub(super) fn is_full(&self) -> bool {
        self.state().at_work.len() >= MOST
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state().at_work.is_empty()
    }

    /// What the manager need not give again.
    pub(super) fn holding(&self) -> Vec<String> {
        let state = self.state();
        let open = state.results.iter().filter(|came| !came.is_delivered);
        state.at_work.keys().cloned().chain(open.map(|came| came.id.clone())).collect()
    }

    /// Begins an order. One that was done before is not done again: what came of it is told again. One
    /// that failed, and of which that was heard, is.
    pub(super) fn begin(self: &Arc<Self>, id: String, order: Result<WorkOrder>) -> Result<()> {
        let mut state = self.state();
        if state.tells(&id) || state.at_work.contains_key(&id) {
            return Ok(());
        }
        let (cancel, progress) = (Cancel::default(), Arc::<Progress>::default());
        let work =
            AtWork { cancel: cancel.clone(), progress: Arc::clone(&progress), unknown_since: None };
        state.at_work.insert(id.clone(), work);
        drop(state);
        let (orders, own) = (Arc::clone(self), id.clone());
        let task = Box::new(move || {
            let host = &orders.host;
            // One order must not take the others with it.
            let done =
                catch_unwind(AssertUnwindSafe(|| carry_out(order, host, &cancel, &progress)));
            let done = done.unwrap_or_else(|_| {
                Err(Error::internal("the agent made a mistake; its log says more"))
            });
            orders.end(id, done);
        });
        self.host.env.tasks.spawn(task).inspect_err(|_| {
            self.state().at_work.remove(&own);
        })
    }

    fn end(&self, id: String, done: Result<Done>) {
        let mut state = self.state();
        let is_broken_off =
            state.is_ending && state.at_work.get(&id).is_some_and(|work| work.cancel.is_canceled());
        state.at_work.remove(&id);
        if is_broken_off {
            return;
        }
        state.remember(id, done);
    }

    /// How far each is.
    pub(super) fn progress(&self) -> Vec<(String, WorkProgress)> {
        let state = self.state();
        let counts = |work: &AtWork| {
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let all = &work.progress;
            WorkProgress {
                entries: load(&all.entries),
                files: load(&all.files),
                bytes: load(&all.bytes),
                moved_bytes: load(&all.moved_bytes),
                problems: load(&all.problems),
                total_entries: load(&all.total_entries),
                total_bytes: load(&all.total_bytes),
            }
        };
        state.at_work.iter().map(|(id, work)| (id.clone(), counts(work))).collect()
    }

    /// What the manager said of one that is worked on.
    pub(super) fn heard(&self, id: &str, is_known: bool, cancel: bool) {
        let now = self.host.env.clock.elapsed();
        let mut state = self.state();
        let Some(work) = state.at_work.get_mut(id) else { return };
        work.unknown_since = (!is_known).then(|| work.unknown_since.unwrap_or(now));
        let is_forgotten =
            work.unknown_since.is_some_and(|since| now.saturating_sub(since) > FORGOTTEN);
        if cancel || is_forgotten {
            work.cancel.cancel();
        }
    }

    /// What is to be delivered.
    pub(super) fn results(&self) -> Vec<(String, WorkDone)> {
        let state = self.state();
        let open = state.results.iter().filter(|came| !came.is_delivered);
        open.map(|came| (came.id.clone(), came.done.clone())).collect()
    }

    pub(super) fn delivered(&self, id: &str, is_known: bool) {
        let now = self.host.env.clock.elapsed();
        self.state().delivered(id, is_known, now);
    }

    /// Breaks everything off; it is begun again by the next process.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_ending = true;
        state.at_work.values().for_each(|work| work.cancel.cancel());
    }
}

fn carry_out(
    order: Result<WorkOrder>,
    host: &Host,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<Done> {
    let order = order?;
    tracing::info!(work = order.work.name(), "an order is begun");
    perform(order, host, cancel, progress)
}

fn told(done: Result<Done>) -> WorkDone {
    let written = done.and_then(|done| {
        serde_json::to_value(done).map_err(|error| Error::internal(error.to_string()))
    });
    match written {
        Ok(result) => WorkDone { result: Some(result), failure: None },
        Err(error) => {
            let failure = serde_json::to_value(&error).unwrap_or_default();
            WorkDone { result: None, failure: Some(failure) }
        }
    }
}

#[cfg(test)]
mod tests {
    use tintype_runner::group::restore::Broken;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn what_was_done_is_told_again_and_what_failed_is_tried_again() {
        let mut state = State::default();
        assert!(!state.tells("a"), "nothing is known of it");
        state.remember("a".into(), Ok(Done::Left(None)));
        assert!(state.tells("a"));
        state.delivered("a", true, NOW);
        assert!(state.tells("a"), "it is done once");
        let failed = || Err(Error::unavailable("the store does not answer"));
        state.remember("b".into(), failed());
        assert!(state.tells("b"), "nobody has heard it yet");
        state.delivered("b", false, NOW);
        assert!(state.tells("b"), "nobody waited for it");
        state.delivered("b", true, NOW);
        assert!(!state.tells("b"), "whoever heard it wants it tried again");
        state.remember("b".into(), Ok(Done::Left(None)));
        state.delivered("b", true, NOW);
        assert!(state.tells("b"));
        assert_eq!(state.results.len(), 2);
    }

    #[test]
    fn a_restore_that_broke_goes_on_when_it_is_issued_again() {
        let broken = Broken {
            error: Error::unavailable("the store does not answer"),
            is_undone: true,
            left: Vec::new(),
            undo_point: None,
            is_restored: false,
            is_announced: false,
            kept: Vec::new(),
        };
        let mut state = State::default();
        state.remember("a".into(), Ok(Done::Broken(Box::new(broken))));
        assert!(state.tells("a"));
        state.delivered("a", true, NOW);
        assert!(!state.tells("a"));
    }
}
