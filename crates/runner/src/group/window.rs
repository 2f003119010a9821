//! The window: everything that belongs together is frozen at one moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tintype_engine::env::{Env, Task};
use tintype_model::{Error, Result};
use tintype_source::connector::{Source, Turn};

/// What came of a window.
#[derive(Debug)]
pub(super) struct Frozen {
    /// From before the first freeze to after the last thaw.
    pub seconds: f64,
    /// Something may still be frozen.
    pub held: bool,
    /// Of each member in order: how long it was frozen itself, or why its view is worth nothing.
    pub members: Vec<Result<f64>>,
}

/// How many are still to come, by their place in the order.
type Meeting = (Mutex<BTreeMap<usize, usize>>, Condvar);

/// Freezes all members, each in its [`Turn`]; as soon as the last has frozen or failed, or the
/// deadline passes, all thaw. One that fails does so alone: the others were frozen together.
///
/// Those that hold up whoever writes to them freeze first, the others while these hold: who writes
/// to several in turn is stopped at one of the first, and the others stand still, too. Members come
/// in the order in which they are written to.
pub(super) fn freeze(members: Vec<&mut Box<dyn Source>>, deadline: Duration, env: &Env) -> Frozen {
    let order = order(&members.iter().map(|source| source.turn()).collect::<Vec<_>>());
    let mut to_come = BTreeMap::new();
    for place in &order {
        *to_come.entry(*place).or_default() += 1;
    }
    let meeting = (Mutex::new(to_come), Condvar::new());
    let mut results: Vec<Option<(Result<f64>, Duration, Duration)>> =
        order.iter().map(|_| None).collect();
    let held = AtomicBool::new(false);
    let tasks =
        members.into_iter().zip(order).zip(&mut results).map(|((source, place), result)| {
            let (meeting, held) = (&meeting, &held);
            Box::new(move || {
                *result = Some(freeze_one(source, place, deadline, meeting, env));
                held.fetch_or(source.is_held(), Ordering::AcqRel);
            }) as Task<'_>
        });
    let tasks = tasks.collect();
    env.tasks.run(tasks);
    let results: Vec<_> = results.into_iter().flatten().collect();
    let first = results.iter().map(|(_, begun, _)| *begun).min().unwrap_or_default();
    let last = results.iter().map(|(_, _, ended)| *ended).max().unwrap_or_default();
    let members = results.into_iter().map(|(result, ..)| result).collect();
    let seconds = last.saturating_sub(first).as_secs_f64();
    Frozen { seconds, held: held.into_inner(), members }
}

/// The place of each member: of those that hold up nobody each has its own, the last the first.
fn order(turns: &[Turn]) -> Vec<usize> {
    let place = |(number, turn): (usize, &Turn)| match turn {
        Turn::Waits => 0,
        Turn::Holds => 1,
        Turn::Passes => 1 + turns.len() - number,
    };
    turns.iter().enumerate().map(place).collect()
}

fn freeze_one(
    source: &mut Box<dyn Source>,
    place: usize,
    deadline: Duration,
    (meeting, changed): &Meeting,
    env: &Env,
) -> (Result<f64>, Duration, Duration) {
    let arrived = env.clock.elapsed();
    let wait_while = |is_early: &dyn Fn(&BTreeMap<usize, usize>) -> bool| {
        let mut to_come = meeting.lock().expect("no panic while held");
        while is_early(&to_come) {
            let left = deadline.saturating_sub(env.clock.elapsed().saturating_sub(arrived));
            if left.is_zero() {
                break;
            }
            to_come = changed.wait_timeout(to_come, left).expect("no panic while held").0;
        }
    };
    wait_while(&|to_come| to_come.keys().next().is_some_and(|first| *first < place));
    let begun = env.clock.elapsed();
    let frozen = source.freeze();
    {
        let mut to_come = meeting.lock().expect("no panic while held");
        if let Some(count) = to_come.get_mut(&place) {
            *count -= 1;
        }
        to_come.retain(|_, count| *count > 0);
        changed.notify_all();
    }
    if frozen.is_ok() {
        wait_while(&|to_come| !to_come.is_empty());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_is_first_and_the_last_that_passes_before_the_others() {
        use Turn::{Holds, Passes, Waits};
        assert_eq!(order(&[Passes, Waits, Passes, Holds, Passes]), [6, 0, 4, 1, 2]);
    }
}
