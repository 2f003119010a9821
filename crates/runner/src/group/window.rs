//! The window: everything that belongs together is frozen at one moment.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tintype_engine::env::{Env, Task};
use tintype_model::{Error, Result};
use tintype_source::connector::Source;

/// What came of a window.
#[derive(Debug)]
pub(super) struct Frozen {
    /// From before the first freeze to after the last thaw.
    pub seconds: f64,
    /// Of each member in order: how long it was frozen itself, or why its view is worth nothing.
    pub members: Vec<Result<f64>>,
}

/// How many are still to come.
struct Meeting {
    holders: usize,
    all: usize,
}

/// Freezes all members side by side; as soon as the last has frozen or failed, or the deadline
/// passes, all thaw. One that fails does so alone: the others were frozen together.
///
/// Those that hold up whoever writes to them freeze first, the others while these hold: who writes
/// to several in turn is stopped at one of the first, and the others stand still, too.
pub(super) fn freeze(members: Vec<&mut Box<dyn Source>>, deadline: Duration, env: &Env) -> Frozen {
    let count = members.len();
    let holders = members.iter().filter(|source| source.guarded().is_some()).count();
    let meeting = (Mutex::new(Meeting { holders, all: count }), Condvar::new());
    let mut results: Vec<Option<(Result<f64>, Duration, Duration)>> =
        (0..count).map(|_| None).collect();
    let tasks = members.into_iter().zip(&mut results).map(|(source, result)| {
        let meeting = &meeting;
        Box::new(move || {
            *result = Some(freeze_one(source, deadline, meeting, env));
        }) as Task<'_>
    });
    let tasks = tasks.collect();
    env.tasks.run(tasks);
    let results: Vec<_> = results.into_iter().flatten().collect();
    let first = results.iter().map(|(_, begun, _)| *begun).min().unwrap_or_default();
    let last = results.iter().map(|(_, _, ended)| *ended).max().unwrap_or_default();
    let members = results.into_iter().map(|(result, ..)| result).collect();
    Frozen { seconds: last.saturating_sub(first).as_secs_f64(), members }
}

fn freeze_one(
    source: &mut Box<dyn Source>,
    deadline: Duration,
    (meeting, changed): &(Mutex<Meeting>, Condvar),
    env: &Env,
) -> (Result<f64>, Duration, Duration) {
    let arrived = env.clock.elapsed();
    let wait_while = |is_early: fn(&Meeting) -> bool| {
        let mut state = meeting.lock().expect("no panic while held");
        while is_early(&state) {
            let left = deadline.saturating_sub(env.clock.elapsed().saturating_sub(arrived));
            if left.is_zero() {
                break;
            }
            state = changed.wait_timeout(state, left).expect("no panic while held").0;
        }
    };
    let holds = source.guarded().is_some();
    if !holds {
        wait_while(|meeting| meeting.holders > 0);
    }
    let begun = env.clock.elapsed();
    let frozen = source.freeze();
    {
        let mut state = meeting.lock().expect("no panic while held");
        state.all -= 1;
        state.holders -= usize::from(holds);
        changed.notify_all();
    }
    if frozen.is_ok() {
        wait_while(|meeting| meeting.all > 0);
    }
    let thawed = source.thaw();
    let ended = env.clock.elapsed();
    let seconds = ended.saturating_sub(begun).as_secs_f64();
    let result = match (frozen, thawed) {
        (Err(error), _) => Err(error.context("cannot be frozen")),
        (Ok(()), Err(error)) => Err(error.context("cannot be thawed")),
        (Ok(()), Ok(())) if seconds > deadline.as_secs_f64() => Err(Error::unavailable(format!(
            "was frozen for {seconds:.1} s, longer than {} s",
            deadline.as_secs()
        ))),
        (Ok(()), Ok(())) => Ok(seconds),
    };
    (result, begun, ended)
}
