//! Batches: several workers take items, the results come in the order of the items. No queue
//! and no waiting for each other, so that it also runs where tasks run one after the other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tintype_model::Result;

use crate::env::{Env, Task};

/// Does `work` on every item. Each worker makes a `state` for itself first.
pub fn map<T: Sync, S, R: Send>(
    env: &Env,
    workers: usize,
    items: &[T],
    state: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &T) -> R + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let failure = Mutex::new(None);
    let task = || {
        let mut state = match state() {
            Ok(state) => state,
            Err(error) => {
                *failure.lock().expect("no panic while held") = Some(error);
                return;
            }
        };
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            let result = work(&mut state, item);
            *results[number].lock().expect("no panic while held") = Some(result);
        }
    };
    let count = workers.clamp(1, items.len().max(1));
    let tasks = (0..count).map(|_| Box::new(&task) as Task<'_>).collect();
    env.tasks.run(tasks);
    if let Some(error) = failure.into_inner().expect("no panic while held") {
        return Err(error);
    }
    let taken = |slot: Mutex<Option<R>>| slot.into_inner().expect("no panic while held");
    Ok(results.into_iter().map(|slot| taken(slot).expect("every item was taken")).collect())
}
