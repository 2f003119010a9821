//! Takes runs out of the queue, keeps their leases, and writes how they ended.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use tintype_api::object::Object;
use tintype_api::run::{LogLevel, RunKind, RunState};
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::queue::{Hold, Limits, Slot, decide};
use tintype_model::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::snapshot::MANAGER_NAME;
use super::{Handle, bundles, care, reach, rest, restore, snapshot, sync};
use crate::catalog::runs::{self, End, Stored};
use crate::catalog::{self, Change, audit};
use crate::state::State;

/// The queue is looked at so often, if nothing is told.
const LOOK: Duration = Duration::from_secs(1);
/// A run asks so often whether its manager still leads.
const LEADS: SignedDuration = SignedDuration::from_secs(30);
/// And looks so often whether that is due.
const TICK: Duration = Duration::from_secs(1);
/// Leases are renewed, and progress is written, so often.
const RENEW: Duration = Duration::from_secs(5);
/// Runs of this host at once.
const OF_HOST: usize = 8;
const OF_STORAGE: usize = 8;
/// Each needs the disk of this host for a whole snapshot.
const OF_BUNDLES: usize = 2;
const MOST_OPEN: i64 = 10_000;

/// How a kind of run ended, and what is written in the same transaction.
pub(super) struct Ended {
    pub state: RunState,
    pub result: Value,
    pub cause: Option<String>,
    pub write: Write,
}

/// Written together with the end of the run, or not at all.
pub(super) type Write = Box<
    dyn for<'c> FnOnce(
            &'c mut Change,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'c>>
        + Send,
>;

pub(super) fn nothing() -> Write {
    Box::new(|_| Box::pin(async { Ok(()) }))
}

pub struct Dispatcher {
    state: State,
    /// Of this process: leases are its.
    owner: String,
    /// What it has claimed and not ended yet.
    claimed: Mutex<BTreeSet<Id>>,
}

impl Dispatcher {
    pub fn new(state: State) -> Self {
        let owner = state.new_id().to_string();
        Self { state, owner, claimed: Mutex::default() }
    }

    /// Until `end` is set; then runs are stopped and given back to the queue.
    pub async fn run(self, mut end: watch::Receiver<bool>) {
        let dispatcher = Arc::new(self);
        let mut tasks = JoinSet::new();
        if let Err(error) = dispatcher.revive(true).await {
            tracing::warn!(%error, "runs that were interrupted cannot be begun again yet");
        }
        while !*end.borrow() {
            if let Err(error) = dispatcher.look(&mut tasks).await {
                tracing::warn!(%error, "the queue cannot be looked at; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = dispatcher.state.living.changed.notified() => {}
                Some(_) = tasks.join_next() => {}
                _ = end.changed() => {}
            }
        }
        for handle in dispatcher.state.living.all() {
            handle.cancel.cancel();
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn look(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<()> {
        let (state, now) = (&self.state, self.state.now());
        let mut on = state.catalog.read().await?;
        let open = runs::open(&mut on, now, MOST_OPEN).await?;
        drop(on);
        if open.iter().any(|stored| stored.run.state == RunState::Running) {
            self.revive(false).await?;
        }
        let rests = &state.living.rests;
        rests.retain(&open.iter().map(|stored| &stored.run.id).collect());
        let (running, mut waiting): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|stored| stored.run.state == RunState::Running);
        let elapsed = state.clock.elapsed();
        waiting.retain(|stored| !rests.is_resting(&stored.run.id, elapsed));
        if waiting.is_empty() {
            return Ok(());
        }
        let slots = |all: &[Stored]| all.iter().map(|run| slot(state, run)).collect::<Vec<_>>();
        let decided = decide(&slots(&running), &slots(&waiting), &self.limits().await?);
        for (stored, wait) in waiting.into_iter().zip(decided) {
            if wait.is_none() && self.claim(&stored).await? {
                let dispatcher = Arc::clone(self);
                tasks.spawn(async move { dispatcher.carry_out(stored).await });
            }
        }
        Ok(())
    }

    async fn limits(&self) -> Result<Limits> {
        let tenants: Vec<Object<TenantSpec>> = self.state.catalog.all(None).await?;
        let of_tenant = |tenant: &Object<TenantSpec>| {
            (tenant.id.to_string(), tenant.spec.runs_at_once as usize)
        };
        Ok(Limits {
            of_host: OF_HOST,
            of_storage: OF_STORAGE,
            of_bundles: OF_BUNDLES,
            of_tenants: tenants.iter().map(of_tenant).collect(),
            of_other_tenants: 1,
        })
    }

    async fn revive(&self, at_start: bool) -> Result<()> {
        let mut change = self.state.catalog.change().await?;
        let now = self.state.now();
        let leases_before = match at_start && self.state.catalog.is_own {
            // Whoever had them is dead: nobody else works with this catalog.
            true => i64::MAX,
            false => now.as_millisecond(),
        };
        // What goes on here goes on whatever its lease says: clocks jump. What was claimed here and
        // does not go on could not be written down, and is begun again at once.
        let here = self.claimed().clone();
        let count = runs::revive(change.on(), now, leases_before, &self.owner, &here).await?;
        if count > 0 {
            tracing::warn!(count, "runs whose manager died are begun again");
        }
        change.commit_own_books().await
    }

    fn claimed(&self) -> MutexGuard<'_, BTreeSet<Id>> {
        self.claimed.lock().expect("no panic while held")
    }

    async fn claim(&self, stored: &Stored) -> Result<bool> {
        let id = &stored.run.id;
        self.claimed().insert(id.clone());
        let claimed = self.try_claim(id).await;
        if !matches!(claimed, Ok(true)) {
            self.claimed().remove(id);
        }
        claimed
    }

    async fn try_claim(&self, id: &Id) -> Result<bool> {
        let mut change = self.state.catalog.change().await?;
        if !runs::claim(change.on(), id, &self.owner, self.state.now()).await? {
            return Ok(false);
        }
        change.commit_own_books().await?;
        Ok(true)
    }

    async fn carry_out(self: Arc<Self>, stored: Stored) {
        let id = stored.run.id.clone();
        if let Err(error) = self.carry_out_claimed(&stored).await {
            tracing::error!(run = id.as_str(), %error, "a run cannot be written down");
        }
        self.claimed().remove(&id);
        self.state.living.remove(&id);
    }

    async fn carry_out_claimed(self: &Arc<Self>, stored: &Stored) -> Result<()> {
        let (state, run) = (&self.state, &stored.run);
        let steps = runs::steps(&mut *state.catalog.read().await?, &run.id).await?;
        let (id, tenant) = (run.id.clone(), run.tenant.clone());
        let storage = match run.kind {
            RunKind::CheckStorage => String::new(),
            _ => stored.storage.clone(),
        };
        let handle = Handle::new(state, id, tenant, self.owner.clone(), steps, storage);
        let handle = Arc::new(handle);
        state.living.add(&handle);
        let keeper = tokio::spawn(keep(Arc::clone(state), Arc::clone(&handle)));
        let fence = tokio::spawn(fence(Arc::clone(state), Arc::clone(&handle), stored.clone()));
        let done = execute(state, &handle, stored).await;
        keeper.abort();
        fence.abort();
        self.end(&handle, stored, done).await
    }

    /// It is begun again: at once, or when its storage may answer.
    async fn give_back(&self, handle: &Handle, stored: &Stored, error: &Error) -> Result<()> {
        let (state, run) = (&self.state, &stored.run);
        if let Some(rest) = handle.waits(state, error) {
            let storage: Object<StorageSpec> = state.catalog.get(&stored.storage.parse()?).await?;
            let told = rest::told(state, &storage.name, &rest, error);
            let end = rest::time(state, rest.since + state.patience.most);
            if handle.rest.is_none_or(|before| before.since != rest.since) {
                let line = format!("{told}: waiting for it, until {end} at most ({error})");
                handle.log(state, LogLevel::Warning, line).await;
            }
            handle.doing(format!("waiting: {told}; it is given up at {end}"));
            state.living.rests.put(&run.id, &stored.storage, rest);
        }
        let mut change = state.catalog.change().await?;
        runs::give_back(change.on(), &run.id, &self.owner, &handle.shown(state)).await?;
        change.commit_own_books().await
    }

    async fn end(&self, handle: &Handle, stored: &Stored, done: Result<Ended>) -> Result<()> {
        let (state, run) = (&self.state, &stored.run);
        let done = match done {
            Err(error) if goes_on(state, handle, &error) => {
                return self.give_back(handle, stored, &error).await;
            }
            Err(error) if error.is(ErrorKind::Unavailable) && handle.rest.is_some() => {
                Err(error.context("it was waited for long enough"))
            }
            done => done,
        };
        state.living.rests.remove(&run.id);
        let ended = done.unwrap_or_else(|error| failed(handle, &error));
        if let Some(cause) = &ended.cause {
            handle.log(state, LogLevel::Error, cause).await;
        }
        let mut change = state.catalog.change().await?;
        (ended.write)(&mut change).await?;
        let end = End { state: ended.state, cause: ended.cause, result: ended.result };
        let progress = handle.shown(state);
        let now = state.now();
        runs::end(change.on(), &run.id, &self.owner, now, &end, &progress).await?;
        let (action, object) = (format!("run.{}", run.kind.name()), format!("run {}", run.id));
        let told = audit::New {
            time: now,
            tenant: &run.tenant,
            actor: &run.by,
            action: &action,
            object: &object,
            outcome: end.state.name(),
            detail: serde_json::json!({ "title": run.title, "result": end.result }),
        };
        change.commit(&told).await
    }
}

/// What ends is this process, its database or the storage, not the run: that is begun again.
pub(super) fn goes_on(state: &State, handle: &Handle, error: &Error) -> bool {
    let is_wanted = !handle.is_unwanted.load(Ordering::Relaxed);
    catalog::is_away(error)
        || (handle.cancel.is_canceled() && is_wanted)
        || handle.waits(state, error).is_some()
}

pub(super) fn failed(handle: &Handle, error: &Error) -> Ended {
    let is_canceled = error.is(ErrorKind::Canceled) && handle.is_unwanted.load(Ordering::Relaxed);
    let (state, cause) = match is_canceled {
        true => (RunState::Canceled, None),
        false => (RunState::Failed, Some(error.to_string())),
    };
    Ended { state, result: Value::Null, cause, write: nothing() }
}

async fn execute(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    if !stored.storage.is_empty() && stored.run.kind != RunKind::CheckStorage {
        let storage: Object<StorageSpec> = state.catalog.get(&stored.storage.parse()?).await?;
        if handle.rest.is_some() {
            handle.doing(format!("asking whether storage {} answers again", storage.name));
        }
        state.still_leads(&storage).await?;
        if state.living.rests.answers(&stored.storage) {
            let line = format!("storage {} answers again", storage.name);
            handle.log(state, LogLevel::Info, line).await;
            state.living.changed.notify_one();
        }
    }
    match stored.run.kind {
        RunKind::Snapshot => snapshot::execute(state, handle, stored).await,
        RunKind::Restore => restore::execute(state, handle, stored).await,
        RunKind::Prune => care::prune(state, handle, stored).await,
        RunKind::Gc => care::gc(state, handle, stored).await,
        RunKind::Verify => care::verify(state, handle, stored).await,
        RunKind::CheckStorage => care::check_storage(state, handle, stored).await,
        RunKind::CheckConnectors => reach::check(state, handle, stored).await,
        RunKind::Sync => sync::execute(state, handle, stored).await,
        RunKind::Export => bundles::export(state, handle, stored).await,
        RunKind::Fetch => bundles::fetch(state, handle, stored).await,
        RunKind::Import => bundles::import(state, handle, stored).await,
    }
}

/// Stops a run that writes when another manager leads: begun again, it fails with the reason. Restores
/// go on: half of one helps nobody.
async fn fence(state: State, handle: Arc<Handle>, stored: Stored) {
    let Ok(storage) = stored.storage.parse::<Id>() else { return };
    if stored.run.kind == RunKind::Restore {
        return;
    }
    let mut asked = state.now();
    loop {
        tokio::time::sleep(TICK).await;
        let now = state.now();
        if now.duration_since(asked).abs() < LEADS {
            continue;
        }
        asked = now;
        // One that does not answer is no reason to stop.
        if let Ok(storage) = state.catalog.get::<StorageSpec>(&storage).await {
            let _ = state.still_leads(&storage).await;
        }
        if state.replaced_by.get().is_some() {
            handle.cancel.cancel();
            return;
        }
    }
}

/// Renews the lease as long as the run goes on, and hears whether it is to stop.
async fn keep(state: State, handle: Arc<Handle>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW) => {}
            () = state.living.changed.notified() => {}
        }
        let renewed = async {
            let mut change = state.catalog.change().await?;
            let progress = handle.shown(&state);
            let now = state.now();
            let found = runs::renew(change.on(), &handle.id, &handle.owner, now, &progress).await?;
            change.commit_own_books().await?;
            Ok::<_, Error>(found)
        };
        match renewed.await {
            Ok(Some(false)) => {}
            Ok(Some(true)) => {
                handle.is_unwanted.store(true, Ordering::Relaxed);
                handle.cancel.cancel();
            }
            Ok(None) => {
                tracing::warn!(run = handle.id.as_str(), "another manager has taken the run over");
                handle.cancel.cancel();
            }
            Err(error) => tracing::warn!(%error, "a lease cannot be renewed; trying again"),
        }
    }
}

/// What a run needs for itself, as its kind wrote it into its spec.
fn slot(state: &State, stored: &Stored) -> Slot {
    let tenant = stored.run.tenant.to_string();
    let text = |name: &str| stored.spec[name].as_str().unwrap_or_default().to_owned();
    let names = |field: &Value| -> Vec<String> {
        let names = field.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    // The run of a private snapshot is the system's; what it holds is the tenant's.
    let whose = stored.spec["new"]["tenant"].as_str().unwrap_or(&tenant).to_owned();
    let holds: BTreeSet<Hold> = match stored.run.kind {
        RunKind::Snapshot => match stored.spec["new"]["scope"].as_str() {
            Some("partial") => {
                let names = names(&stored.spec["names"]);
                names.into_iter().map(|name| Hold::Resource(whose.clone(), name)).collect()
            }
            Some("manager") => [Hold::Resource(tenant.clone(), MANAGER_NAME.to_owned())].into(),
            Some("full") if stored.run.tenant == state.system => [Hold::Everything].into(),
            _ => [Hold::Tenant(whose)].into(),
        },
        RunKind::Restore => {
            let mut tenants = names(&stored.spec["tenants"]);
            if tenants.is_empty() {
                tenants.push(tenant.clone());
            }
            tenants.into_iter().map(Hold::Tenant).collect()
        }
        RunKind::Prune | RunKind::Gc | RunKind::Verify => {
            [Hold::Repository(text("repository"))].into()
        }
        RunKind::CheckStorage => [Hold::Repository(format!("check {}", stored.storage))].into(),
        RunKind::Sync => [Hold::Repository(format!("sync {}", text("sync")))].into(),
        RunKind::Export | RunKind::CheckConnectors => BTreeSet::new(),
        RunKind::Fetch | RunKind::Import => {
            [Hold::Repository(format!("upload {}", text("upload")))].into()
        }
    };
    let is_bundle = matches!(stored.run.kind, RunKind::Export | RunKind::Fetch | RunKind::Import);
    let (id, storage) = (stored.run.id.to_string(), stored.storage.clone());
    let asks = state.living.rests.asks(&stored.run.id);
    Slot { id, tenant, storage, holds, is_bundle, asks }
}
