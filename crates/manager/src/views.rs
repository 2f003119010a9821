//! Snapshots that were looked into lately stay open: whoever browses asks again and again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tintype_model::Result;
use tintype_runner::vault::View;

use crate::catalog::snapshots::Known;
use crate::runs::restore::vault_of;
use crate::state::State;
use crate::vaults::blocking;

/// Each holds an index that is mapped, and little else.
const MOST: usize = 16;
/// What gc moved meanwhile is found all the same; what it deleted belongs to no snapshot.
const LASTS: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Views(Mutex<Vec<Opened>>);

struct Opened {
    id: String,
    view: Arc<View>,
    since: Duration,
}

impl Views {
    fn get(&self, id: &str, now: Duration) -> Option<Arc<View>> {
        let mut all = self.0.lock().expect("no panic while held");
        all.retain(|opened| now.saturating_sub(opened.since) < LASTS);
        all.iter().find(|opened| opened.id == id).map(|opened| Arc::clone(&opened.view))
    }

    fn put(&self, id: &str, view: &Arc<View>, now: Duration) {
        let mut all = self.0.lock().expect("no panic while held");
        all.retain(|opened| opened.id != id);
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(Opened { id: id.to_owned(), view: Arc::clone(view), since: now });
    }
}

/// Opens a snapshot that is in the catalog.
pub async fn view(state: &State, known: &Known) -> Result<Arc<View>> {
    let id = &known.snapshot.id;
    if let Some(view) = state.views.get(id, state.clock.elapsed()) {
        return Ok(view);
    }
    let vault = vault_of(state, known).await?;
    let wanted = id.clone();
    let view = Arc::new(blocking(move || vault.view(&wanted)).await?);
    state.views.put(id, &view, state.clock.elapsed());
    Ok(view)
}
