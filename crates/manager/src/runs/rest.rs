//! Runs that wait for a storage which does not answer. They are queued again with what they have
//! finished, like those whose manager died, and ask it again (`model::patience`); of those that wait
//! for one storage one asks for all.
//!
//! All of it in memory: a manager that is started again asks at once, and its patience begins anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::SignedDuration;
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::patience::Rest;
use tintype_model::{Error, ErrorKind};

use super::Handle;
use crate::state::Shared;

#[derive(Default)]
pub(super) struct Rests(Mutex<HashMap<Id, Resting>>);

struct Resting {
    rest: Rest,
    storage: String,
    /// Nobody has found since that the storage answers.
    asks: bool,
}

impl Rests {
    fn all(&self) -> MutexGuard<'_, HashMap<Id, Resting>> {
        self.0.lock().expect("no panic while held")
    }

    pub(super) fn get(&self, run: &Id) -> Option<Rest> {
        self.all().get(run).map(|resting| resting.rest)
    }

    pub(super) fn put(&self, run: &Id, storage: &str, rest: Rest) {
        let resting = Resting { rest, storage: storage.to_owned(), asks: true };
        self.all().insert(run.clone(), resting);
    }

    pub(super) fn remove(&self, run: &Id) {
        self.all().remove(run);
    }

    /// Forgets those that are not open any more.
    pub(super) fn retain(&self, open: &BTreeSet<&Id>) {
        self.all().retain(|run, _| open.contains(run));
    }

    pub(super) fn is_resting(&self, run: &Id, now: Duration) -> bool {
        self.all().get(run).is_some_and(|resting| resting.rest.until > now)
    }

    pub(super) fn asks(&self, run: &Id) -> bool {
        self.all().get(run).is_some_and(|resting| resting.asks)
    }

    /// It answers: whoever waits for it goes on. True where somebody did.
    pub(super) fn answers(&self, storage: &str) -> bool {
        let mut all = self.all();
        let mut some = false;
        for resting in all.values_mut().filter(|resting| resting.storage == storage) {
            some |= resting.asks;
            (resting.asks, resting.rest.until) = (false, Duration::ZERO);
        }
        some
    }
}

/// Whether the storage of a run does not answer now.
pub(super) async fn is_away(state: &Shared, handle: &Handle) -> bool {
    let asked = async {
        let storage: Object<StorageSpec> = state.catalog.get(&handle.storage.parse()?).await?;
        state.still_leads(&storage).await
    };
    asked.await.is_err_and(|error| error.is(ErrorKind::Unavailable))
}

/// What is waited for, in words. Errors of a storage name it first; those of others are of the one
/// that the run writes to.
pub(super) fn told(state: &Shared, storage: &str, rest: &Rest, error: &Error) -> String {
    let named = error.message().strip_prefix("storage ").and_then(|text| text.split_once(':'));
    let name = named.map_or(storage, |(name, _)| name);
    format!("storage {name} does not answer since {}", time(state, rest.since))
}

/// A moment of the clock that never goes back, as people say it.
pub(super) fn time(state: &Shared, at: Duration) -> String {
    let from_now = at.as_secs_f64() - state.clock.elapsed().as_secs_f64();
    let from_now = SignedDuration::try_from_secs_f64(from_now).unwrap_or_default();
    let at = state.now().checked_add(from_now).unwrap_or_else(|_| state.now());
    at.strftime("%H:%M UTC").to_string()
}
