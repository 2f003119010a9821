//! What a run that goes on has at hand: how far it is, its log, and whether it is to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tintype_api::run::{LogLevel, RunProgress};
use tintype_model::identifier::Id;
use tintype_model::patience::Rest;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::progress::Progress;
use tintype_runner::vault::Cancel;

use crate::agents::hands;
use crate::catalog::{self, runs};
use crate::state::State;

pub struct Handle {
    pub id: Id,
    pub tenant: Id,
    /// Who claimed it.
    pub owner: String,
    pub cancel: Cancel,
    /// Somebody asked for its end, not only this process's.
    pub is_unwanted: AtomicBool,
    pub progress: Arc<Progress>,
    doing: Mutex<String>,
    begun: Duration,
    /// Where it writes to, or reads from; empty: what it does needs none, or is to tell that it is away.
    pub(super) storage: String,
    /// It has waited for that already.
    pub(super) rest: Option<Rest>,
    /// Steps that were finished before.
    finished: Mutex<Vec<(String, Value)>>,
}

impl Handle {
    pub(super) fn new(
        state: &State,
        id: Id,
        tenant: Id,
        owner: String,
        finished: Vec<(String, Value)>,
        storage: String,
    ) -> Self {
        Self {
            rest: state.living.rests.get(&id),
            storage,
            id,
            tenant,
            owner,
            cancel: Cancel::default(),
            is_unwanted: AtomicBool::new(false),
            progress: Arc::default(),
            doing: Mutex::default(),
            begun: state.clock.elapsed(),
            finished: Mutex::new(finished),
        }
    }

    /// How long it is to wait, if it failed because its storage does not answer. What else may work
    /// later, a database or an agent, has its own way.
    pub(super) fn waits(&self, state: &State, error: &Error) -> Option<Rest> {
        let is_wanted = !self.is_unwanted.load(Ordering::Relaxed);
        let is_of_storage = error.is(ErrorKind::Unavailable)
            && !self.storage.is_empty()
            && !catalog::is_away(error)
            && !hands::is_silent(error);
        if !is_of_storage || !is_wanted {
            return None;
        }
        state.patience.after(self.rest.as_ref(), self.begun, state.clock.elapsed())
    }

    pub fn doing(&self, what: impl Into<String>) {
        *self.doing.lock().expect("no panic while held") = what.into();
    }

    pub fn shown(&self, state: &State) -> RunProgress {
        let progress = &self.progress;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (bytes, total_bytes) = (load(&progress.bytes), load(&progress.total_bytes));
        let seconds = state.clock.elapsed().saturating_sub(self.begun).as_secs_f64();
        let rate = if seconds > 0.0 { bytes as f64 / seconds } else { 0.0 };
        let left = total_bytes.saturating_sub(bytes) as f64;
        RunProgress {
            files: load(&progress.files),
            bytes,
            total_bytes,
            moved_bytes: load(&progress.moved_bytes),
            problems: load(&progress.problems),
            bytes_per_second: rate,
            seconds_left: (rate > 0.0 && total_bytes > 0).then(|| left / rate),
            doing: self.doing.lock().expect("no panic while held").clone(),
        }
    }

    /// What a step gave that was finished before, by this or an earlier attempt.
    pub fn finished(&self, step: &str) -> Option<Value> {
        let finished = self.finished.lock().expect("no panic while held");
        finished.iter().find(|(name, _)| name == step).map(|(_, result)| result.clone())
    }

    pub async fn finish(&self, state: &State, step: &str, result: Value) -> Result<()> {
        let mut change = state.catalog.change().await?;
        runs::step_done(change.on(), &self.id, step, state.now(), &result).await?;
        change.commit_own_books().await?;
        self.finished.lock().expect("no panic while held").push((step.to_owned(), result));
        Ok(())
    }

    /// A line that cannot be written stops nothing.
    pub async fn log(&self, state: &State, level: LogLevel, text: impl AsRef<str>) {
        let text = text.as_ref();
        tracing::info!(run = self.id.as_str(), level = level.name(), "{text}");
        let written = async {
            let mut change = state.catalog.change().await?;
            runs::log(change.on(), &self.id, state.now(), level, text).await?;
            change.commit_own_books().await
        };
        if let Err(error) = written.await {
            tracing::warn!(run = self.id.as_str(), %error, "a line of a run's log is lost");
        }
    }
}
