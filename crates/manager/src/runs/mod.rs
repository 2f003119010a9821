//! Runs: from the queue to their end (docs/manager.md, section 5).

pub mod begin;
pub mod bundles;
pub mod captured;
pub(crate) mod care;
mod dispatcher;
mod handle;
mod hosts;
pub mod interrupted;
pub(crate) mod locks;
pub(crate) mod parts;
mod quota;
pub mod reach;
mod rest;
pub mod restore;
pub mod snapshot;
pub mod sync;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tintype_model::identifier::Id;
use tokio::sync::Notify;

pub use dispatcher::Dispatcher;
pub use handle::Handle;

/// Runs that this process carries out.
#[derive(Default)]
pub struct Living {
    runs: Mutex<HashMap<Id, Arc<Handle>>>,
    /// Those that wait for a storage.
    rests: rest::Rests,
    /// Something was queued, ended or cancelled.
    pub changed: Notify,
}

impl Living {
    fn add(&self, handle: &Arc<Handle>) {
        let mut runs = self.runs.lock().expect("no panic while held");
        runs.insert(handle.id.clone(), Arc::clone(handle));
    }

    fn remove(&self, id: &Id) {
        self.runs.lock().expect("no panic while held").remove(id);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    pub fn get(&self, id: &Id) -> Option<Arc<Handle>> {
        self.runs.lock().expect("no panic while held").get(id).cloned()
    }

    fn all(&self) -> Vec<Arc<Handle>> {
        self.runs.lock().expect("no panic while held").values().cloned().collect()
    }
}
