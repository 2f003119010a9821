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
    is_delivered: bool,
    unknown_since: Option<Duration>,
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

    /// Begins an order. One that was done before is not done again: what came of it is told again.
    pub(super) fn begin(self: &Arc<Self>, id: String, order: Result<WorkOrder>) -> Result<()> {
        let mut state = self.state();
        if let Some(came) = state.results.iter_mut().find(|came| came.id == id) {
            (came.is_delivered, came.unknown_since) = (false, None);
            return Ok(());
        }
        if state.at_work.contains_key(&id) {
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
        let done = told(done);
        let (is_delivered, unknown_since) = (false, None);
        state.results.push_back(Came { id, done, is_delivered, unknown_since });
        if state.results.len() > MOST_RESULTS {
            let delivered = state.results.iter().position(|came| came.is_delivered);
            state.results.remove(delivered.unwrap_or(0));
        }
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

    /// The manager heard of it. It may not know it yet, or no more.
    pub(super) fn delivered(&self, id: &str, is_known: bool) {
        let now = self.host.env.clock.elapsed();
        let mut state = self.state();
        if let Some(came) = state.results.iter_mut().find(|came| came.id == id) {
            let since = *came.unknown_since.get_or_insert(now);
            came.is_delivered = is_known || now.saturating_sub(since) > FORGOTTEN;
        }
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
