//! Has a work order done: in this process on the manager's own host, by its agent elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tintype_api::agent::AgentSpec;
use tintype_api::object::Object;
use tintype_model::{Error, Result};
use tintype_runner::progress::Progress;
use tintype_runner::vault::Cancel;
use tintype_runner::vault::work::{Done, WorkOrder, perform as perform_here};

use super::Place;
use super::outbox::{Standing, Waiting};
use crate::runs::Handle;
use crate::state::State;
use crate::vaults::blocking;

/// An agent that is silent for longer has died, or cannot reach the manager.
pub const SILENCE: Duration = Duration::from_mins(1);
/// Somebody waits for an answer, and no longer than this for one that begins.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(250);

/// For whom an order is done.
#[derive(Clone, Copy)]
pub enum For<'h> {
    /// A step of a run, which it says again when it is begun again.
    Step(&'h Arc<Handle>, &'h str),
    /// Somebody who waits.
    Request,
}

/// What nobody waits for any more ends.
struct Waited(Cancel);

impl Drop for Waited {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// An agent does not answer, whatever its storage does.
#[derive(Debug)]
pub(super) struct Silent;

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the order ends when its agent is silent")
    }
}

impl std::error::Error for Silent {}

pub(crate) fn is_silent(error: &Error) -> bool {
    use std::error::Error as _;
    matches!(error.source(), Some(source) if source.is::<Silent>())
}

/// Does it there, and gives what came of it.
pub async fn perform(state: &State, place: &Place, of: For<'_>, order: WorkOrder) -> Result<Done> {
    let waited = Waited(Cancel::default());
    let (cancel, progress) = match of {
        For::Step(handle, _) => (handle.cancel.clone(), Arc::clone(&handle.progress)),
        For::Request => (waited.0.clone(), Arc::default()),
    };
    match place {
        None => {
            let host = state.host.clone();
            blocking(move || perform_here(order, &host, &cancel, &progress)).await
        }
        Some(agent) => {
            let done = elsewhere(state, agent, of, order, &progress).await;
            done.map_err(|error| error.context(format!("agent {}", agent.name)))
        }
    }
}

async fn elsewhere(
    state: &State,
    agent: &Object<AgentSpec>,
    of: For<'_>,
    order: WorkOrder,
    progress: &Arc<Progress>,
) -> Result<Done> {
    if !agent.spec.is_enabled {
        return Err(Error::denied(format!(
            "it is switched off (`tintype agent change {} --enabled true`)",
            agent.name
        )));
    }
    let id = match of {
        For::Step(handle, step) => format!("{}-{}", handle.id, blake3::hash(step.as_bytes())),
        For::Request => state.new_id().to_string(),
    };
    let what = order.work.name();
    let body = serde_json::to_value(&order).map_err(|error| Error::internal(error.to_string()))?;
    let mut waiting = state.outbox.put(&agent.id, &id, what, body, progress)?;
    let began = state.clock.elapsed();
    loop {
        tokio::select! {
            answered = &mut waiting.answered => {
                return answered.map_err(|_| Error::internal("its order was lost"))?;
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        let standing = waiting.standing();
        if let For::Step(handle, _) = of {
            stop(handle, &waiting, &standing)?;
        }
        let patience = match of {
            For::Request if !standing.is_given => PATIENCE,
            _ => SILENCE,
        };
        let heard = standing.seen.as_ref().map_or(Duration::ZERO, |seen| seen.elapsed);
        if state.clock.elapsed().saturating_sub(heard.max(began)) > patience {
            return Err(away(agent, &standing));
        }
    }
}

/// Where the run is to end, so is the order; where only this process does, the agent goes on.
fn stop(handle: &Handle, waiting: &Waiting<'_>, standing: &Standing) -> Result<()> {
    if !handle.cancel.is_canceled() {
        return Ok(());
    }
    if handle.is_unwanted.load(Ordering::Relaxed) && standing.is_given {
        waiting.cancel();
        return Ok(());
    }
    handle.cancel.check()
}

fn away(agent: &Object<AgentSpec>, standing: &Standing) -> Error {
    let last = match &standing.seen {
        Some(seen) => format!("it was last heard of at {}", seen.time),
        None => "it was not heard of since this manager was started".to_owned(),
    };
    Error::unavailable(format!(
        "{last}: see that `tintype agent` runs on host {}, and that it reaches the manager",
        agent.spec.host
    ))
    .with_source(Silent)
}
