//! From a storage and twelve words to a manager: onto an empty machine, in place of another manager,
//! or over the one that runs.
//!
//! ```text
//! plan: reads the store and what is here, changes nothing
//! apply: stop ─▶ undo point ─▶ switch (one transaction) ─▶ list ─▶ restart
//! ```
//! Before the switch is committed everything is as it was; after it the undo point brings that back.

use std::fs::File;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tintype_api::object::Object;
use tintype_api::restore::NewRestore;
use tintype_api::run::RunKind;
use tintype_api::snapshot::{Excluded, SnapshotScope};
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::{DataKey, Env, Place, Snapshot, Vault};

use super::alive::{self, Sign};
use super::contents::Contents;
use super::copy::{self, Copy, Why};
use super::import::{Head, head, import};
use super::lead::{self, Lead, Seal};
use super::look::{Installation, installations};
use super::rebuild::{Rebuilt, rebuild};
use super::settle::{self, Choices};
use super::{STATE_BYTES, STATE_PATH, here, own, seal_in, switch};
use crate::catalog::objects;
use crate::catalog::runs::{self, New};
use crate::catalog::{Catalog, Change, audit};
use crate::runs::begin::BY_HAND;
use crate::runs::captured::Word;
use crate::runs::reach;
use crate::seal::MasterKey;
use crate::serve::{self, Options};
use crate::vaults::blocking;

/// What is to be recovered.
#[derive(Clone)]
pub struct Wanted {
    pub place: Place,
    /// Where there are several.
    pub installation: Option<Id>,
    /// Twelve words; none where the manager that is here knows the key.
    pub words: Option<String>,
    /// The newest, if none.
    pub snapshot: Option<String>,
    pub onto: Onto,
    /// The installation that is taken over from a manager that lives.
    pub take_over: Option<Id>,
    pub choices: Choices,
}

/// What may stand where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// Nothing, or a manager that is clean.
    Clean,
    /// Whatever manager is there; it does not run.
    Any,
    /// The manager that is there and runs, together with its applications.
    Running,
}

/// What will be done; nothing is, before it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub installation: Id,
    pub snapshot: String,
    pub scope: SnapshotScope,
    /// Of the state.
    pub time: String,
    pub program: String,
    pub excluded: Vec<Excluded>,
    /// What is here and goes.
    pub replaces: Contents,
    pub steps: Vec<String>,
    /// What must be typed, because something is replaced.
    pub confirm: Option<String>,
    /// The manager from which it is taken over: it lives.
    pub living: Option<Sign>,
}

/// Where an application of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Stop,
    UndoPoint,
    Switch,
    List,
    Restart,
}

impl Step {
    pub const ALL: [Self; 5] =
        [Self::Stop, Self::UndoPoint, Self::Switch, Self::List, Self::Restart];
}

/// Hears of each step before it begins; an error ends it there.
pub type Told<'t> = &'t mut (dyn FnMut(Step) -> Result<()> + Send);

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Recovered {
    pub installation: Id,
    pub snapshot: String,
    /// Of the state.
    pub time: String,
    pub tenants: usize,
    pub rebuilt: Rebuilt,
    /// Brings back what was here before.
    pub undo: Option<String>,
    /// Name and password of an administrator, where passwords were left out of the snapshot.
    #[serde(skip)]
    pub one_time_password: Option<(String, String)>,
    /// Which storage is the default now, where that is another one.
    pub default: Option<String>,
    /// What must be given to it again, and how.
    pub again: Vec<String>,
    /// The run that restores the applications when the manager has started.
    pub run: Option<Id>,
    /// Runs that check storages, connectors and agents then.
    pub checks: Vec<Id>,
    /// It was stopped,
    pub was_running: bool,
    /// and has started again.
    pub is_back: bool,
}

/// A plan with all that was read for it.
pub struct Recovery {
    wanted: Wanted,
    catalog: Catalog,
    vault: Vault,
    found: Snapshot,
    word: Word,
    text: String,
    /// Of the secrets in it.
    seal: MasterKey,
    head: Head,
    /// None: there is nothing.
    here: Option<here::Here>,
    /// The manager that is here leads the installation, and goes on doing so.
    keeps_lead: Option<Lead>,
    /// Another one does.
    living: Option<Sign>,
    locks: Vec<File>,
}

/// Reads and decides; changes nothing but an empty directory.
pub async fn plan(wanted: Wanted, options: &Options) -> Result<Recovery> {
    let mut locks = vec![switch::begin(&options.data)?];
    if wanted.onto != Onto::Running {
        locks.push(serve::alone(&options.data)?);
    }
    let catalog = serve::as_it_stands(options).await?;
    let here = here::look(&catalog).await?;
    match (&here, wanted.onto) {
        (Some(here), Onto::Clean) if !here.contents.is_clean() => return Err(used(&here.contents)),
        (None, Onto::Running) => {
            return Err(Error::not_found(format!(
                "{}: there is no manager here to be restored in place; without --in-place one is \
                 made",
                options.data.display()
            )));
        }
        _ => {}
    }
    let known = match &wanted.words {
        None => here::key(&catalog, options, &wanted.place).await?,
        Some(_) => None,
    };
    let host = serve::host(options)?;
    let asked = wanted.clone();
    let (vault, found, word, text, seal) = blocking(move || {
        let vault = opened(&asked, known, &host)?;
        let (found, word) = newest(&vault, asked.snapshot.as_deref())?;
        let text = vault.small(&found, STATE_PATH, STATE_BYTES)?;
        let text = text.ok_or_else(|| {
            let id = found.id.short();
            Error::not_found(format!("snapshot {id} does not hold the manager's state"))
        })?;
        let text = String::from_utf8(text);
        let text = text.map_err(|_| Error::corrupt("the manager's state is no text"))?;
        let seal = seal_in(&vault, &found)?;
        Ok((vault, found, word, text, seal))
    })
    .await?;
    let head = head(text.lines().next().unwrap_or_default())?;
    let of_lead = Seal::of(vault.key());
    let keeps_lead = keeps_lead(&wanted, here.as_ref(), &head, of_lead, &options.env).await?;
    let living = match keeps_lead {
        Some(_) => None,
        None => living(&wanted, here.as_ref(), &head, &options.env).await?,
    };
    Ok(Recovery {
        wanted,
        catalog,
        vault,
        found,
        word,
        text,
        seal,
        head,
        here,
        keeps_lead,
        living,
        locks,
    })
}

/// Who would be replaced, and does not know yet.
async fn living(
    wanted: &Wanted,
    here: Option<&here::Here>,
    head: &Head,
    env: &Env,
) -> Result<Option<Sign>> {
    let (place, env, installation) = (wanted.place.clone(), env.clone(), head.installation.clone());
    let own = here.map(|here| here.lead.manager.clone());
    blocking(move || alive::find(&place, &installation, own.as_ref(), &env)).await
}

async fn keeps_lead(
    wanted: &Wanted,
    here: Option<&here::Here>,
    head: &Head,
    seal: Seal,
    env: &Env,
) -> Result<Option<Lead>> {
    let same = here.filter(|here| here.installation.as_ref() == Some(&head.installation));
    let Some(here) = same else { return Ok(None) };
    let (place, env, lead) = (wanted.place.clone(), env.clone(), here.lead.clone());
    let installation = head.installation.clone();
    let leads = blocking(move || lead::leads(&place, &installation, &lead, &seal, &env));
    let leads = leads.await?;
    Ok(leads.then(|| here.lead.clone()))
}

fn used(contents: &Contents) -> Error {
    Error::already_exists(format!(
        "a manager has worked with this data directory and database ({}): recover into an empty one \
         (--data, --database), or replace it with --force, which takes an undo point",
        contents.lines().join("; ")
    ))
}

fn opened(
    wanted: &Wanted,
    known: Option<(Place, DataKey)>,
    host: &tintype_runner::vault::Host,
) -> Result<Vault> {
    if let Some((place, key)) = known {
        return Vault::open(&place, key, host);
    }
    let chosen = choose(&wanted.place, wanted.installation.as_ref(), &host.env)?;
    let words = wanted.words.as_deref().ok_or_else(|| {
        Error::invalid("the manager that is here has no key of this storage: give the twelve words")
    })?;
    unlock(&wanted.place, &chosen, words, host)
}

fn choose(place: &Place, wanted: Option<&Id>, env: &Env) -> Result<Installation> {
    let mut all = installations(place, env)?;
    if let Some(id) = wanted {
        all.retain(|one| one.id == *id);
    }
    let url = &place.url;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Error::invalid(format!(
            "{url} holds snapshots of several installations: say --installation ID (--list shows \
             them)"
        ))),
        (None, _) if place.is_repository(env) => Err(Error::unsupported(format!(
            "{url} is a repository by itself, and no storage of a manager, so that nothing there says \
             whose it is: a manager comes back out of a storage that it wrote to, or that a sync rule \
             copied to; what this one holds is restored with `tintype repo -r '{url}' restore`"
        ))),
        (None, _) => {
            Err(Error::not_found(format!("{url} holds no snapshots of such an installation")))
        }
    }
}

fn unlock(
    place: &Place,
    installation: &Installation,
    words: &str,
    host: &tintype_runner::vault::Host,
) -> Result<Vault> {
    let mut failure = None;
    for below in &installation.places {
        match Vault::unlock(&place.below(below), words, host) {
            Ok(vault) => return Ok(vault),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::not_found("this storage holds no full snapshot: recover from another storage")
    }))
}

fn newest(vault: &Vault, wanted: Option<&str>) -> Result<(Snapshot, Word)> {
    let fits = |snapshot: &Snapshot| {
        wanted.is_none_or(|wanted| snapshot.id.to_string().starts_with(wanted))
    };
    let found = vault.snapshots()?.snapshots.into_iter().rev().filter(fits);
    let mut found = found.filter_map(|snapshot| {
        let word = Word::of(&snapshot)?;
        word.scope.holds_manager().then_some((snapshot, word))
    });
    found.next().ok_or_else(|| match wanted {
        Some(id) => Error::not_found(format!(
            "there is no full snapshot {id}, and none of the manager: a partial one does not hold \
             the manager's state"
        )),
        None => Error::not_found(
            "there is no full snapshot, and none of the manager: only those hold its state",
        ),
    })
}

impl Recovery {
    fn replaces(&self) -> Contents {
        self.here.as_ref().map(|here| here.contents.clone()).unwrap_or_default()
    }

    /// Whether its applications are restored, too.
    fn with_applications(&self) -> bool {
        self.wanted.onto == Onto::Running
            && self.word.scope == SnapshotScope::Full
            && !(self.word.resources.is_empty() && self.word.parts.is_empty())
    }

    /// To be shown.
    pub fn plan(&self) -> Plan {
        let replaces = self.replaces();
        let id = self.found.id.to_string();
        let asks = !replaces.is_clean() || self.with_applications();
        Plan {
            installation: self.head.installation.clone(),
            confirm: asks.then(|| id.chars().take(8).collect()),
            snapshot: id,
            scope: self.word.scope,
            time: self.head.time.clone(),
            program: self.head.program.clone(),
            excluded: self.head.excluded.iter().copied().collect(),
            steps: self.steps(&replaces),
            replaces,
            living: self.living.clone(),
        }
    }

    /// Nobody takes over from a manager that lives without saying so.
    pub fn check_take_over(&self) -> Result<()> {
        let installation = &self.head.installation;
        match &self.living {
            Some(sign) if self.wanted.take_over.as_ref() != Some(installation) => {
                let words = sign.words();
                Err(Error::locked(format!(
                    "installation {installation} is not lost: {words}. It would write no more from now \
                     on; nothing was changed. Stop it first, or say --take-over {installation} if it \
                     cannot be reached any more; to try a recovery out, do it from a copy of this \
                     storage"
                )))
            }
            _ => Ok(()),
        }
    }

    fn steps(&self, replaces: &Contents) -> Vec<String> {
        let mut steps = Vec::new();
        let mut add = |step: &str| steps.push(step.to_owned());
        let is_running = self.wanted.onto == Onto::Running;
        if is_running {
            add("stop the manager, if it runs; it starts again by itself afterwards");
        }
        if self.here.is_some() {
            add("take an undo point of what is here; the command that brings it back is told");
        }
        for line in replaces.lines() {
            add(&format!("replace {line}"));
        }
        add("put the manager's state in place: all of it, or nothing");
        add("end all sessions: everybody logs in again");
        self.wanted.choices.steps().into_iter().for_each(&mut add);
        if let Some(sign) = &self.living {
            add(&format!("take the installation over: {}", sign.words()));
        }
        if self.keeps_lead.is_none() {
            add(
                "hand over: the manager before can be read until now, and writes no more from now on; \
                 what it did after the snapshot is not in it",
            );
        }
        add("make the list of snapshots anew from the repositories");
        add("check every storage");
        add("check every connector, and that every agent comes back by itself; what does not is \
             listed with what to do");
        if self.with_applications() {
            add(
                "restore every application and other resource over what is there, with undo points",
            );
        }
        steps
    }

    /// Does it. `options` are those that it was planned with.
    pub async fn apply(mut self, options: &Options, told: Told<'_>) -> Result<Recovered> {
        self.check_take_over()?;
        let mut was_running = None;
        if self.wanted.onto == Onto::Running {
            told(Step::Stop)?;
            let (data, clock) = (options.data.clone(), options.env.clock.clone());
            let stopped = blocking(move || switch::stop(&data, &*clock)).await?;
            was_running = stopped.0;
            self.locks.push(stopped.1);
        }
        let mut undo = None;
        if self.here.is_some() {
            told(Step::UndoPoint)?;
            let now = options.env.clock.now();
            undo = Some(copy::take(&self.catalog, &options.data, Why::Recover, now).await?);
        }
        told(Step::Switch)?;
        let switched = self.switch(options).await?;
        let back = |error: Error| match &undo {
            Some(copy) => Error::new(
                error.kind(),
                format!("{error}; `{}` brings back what was here", copy.command(&options.data)),
            ),
            None => error,
        };
        let done = self.afterwards(options, switched, undo.as_ref(), told).await;
        let mut recovered = done.map_err(&back)?;
        if let Some(process) = was_running {
            told(Step::Restart).map_err(&back)?;
            // That of the recovery last: the manager waits for it, and then takes the other.
            while self.locks.pop().is_some() {}
            let (data, clock) = (options.data.clone(), options.env.clock.clone());
            let back = blocking(move || Ok(switch::is_back(&data, process, &*clock))).await?;
            (recovered.was_running, recovered.is_back) = (true, back);
        }
        Ok(recovered)
    }

    /// All that is written to the catalog, or nothing.
    async fn switch(&mut self, options: &Options) -> Result<Switched> {
        // One that is there stays: undo points are sealed with it. One that a running manager has from
        // elsewhere is not replaced by another.
        let key = serve::master_key(options, self.wanted.onto != Onto::Running)?;
        let random = &*options.env.random;
        let mut change = self.catalog.change().await?;
        let read = import(change.on(), &self.text, &self.seal, &key, random).await?;
        let system = &read.system;
        let storage =
            own::settle(&mut change, &self.vault, &self.wanted, system, &key, options).await?;
        let default =
            own::lead_on(&mut change, &storage, &read, &self.wanted, &key, options).await?;
        self.wanted.choices.write(change.on()).await?;
        let password = settle::password(change.on(), &read, options).await?;
        let lead = self.lead(&mut change, options).await?;
        lead::set(change.on(), &lead).await?;
        let mut checks = self.queue_checks(&mut change, options).await?;
        checks.extend(self.queue_check_of_connectors(&mut change, &read, options).await?);
        let run = match self.with_applications() {
            true => Some(self.queue_applications(&mut change, &read, &storage, options).await?),
            false => None,
        };
        let told = audit::New {
            time: options.env.clock.now(),
            tenant: &read.system,
            actor: "manager",
            action: "manager.recover",
            object: &format!("snapshot {}", self.found.id),
            outcome: "done",
            detail: json!({
                "from": self.wanted.place.url, "replaced": self.replaces(),
                "certificate": self.wanted.choices.certificate,
                "tokens_revoked": self.wanted.choices.revoke_tokens,
                "default_storage": default,
            }),
        };
        change.commit(&told).await?;
        Ok(Switched { key, read, password, default, run, checks })
    }

    async fn lead(&self, change: &mut Change, options: &Options) -> Result<Lead> {
        if let Some(lead) = &self.keeps_lead {
            return Ok(lead.clone());
        }
        let before = lead::get(change.on()).await?;
        let (place, env) = (self.wanted.place.clone(), options.env.clone());
        let (now, installation) = (env.clock.now(), self.head.installation.clone());
        let manager = Id::new(now, &*options.env.random);
        let seal = Seal::of(self.vault.key());
        let new = move || lead::take(&place, &installation, &before, (&manager, now), &seal, &env);
        blocking(new).await
    }

    /// Of each storage, when the manager has started: they may look different from here.
    async fn queue_checks(&self, change: &mut Change, options: &Options) -> Result<Vec<Id>> {
        let (now, mut queued) = (options.env.clock.now(), Vec::new());
        let storages: Vec<Object<StorageSpec>> = objects::all(change.on(), None).await?;
        for storage in storages {
            let run = New {
                id: Id::new(now, &*options.env.random),
                tenant: storage.tenant,
                kind: RunKind::CheckStorage,
                title: format!("check of storage {}", storage.name),
                by: "manager".to_owned(),
                priority: BY_HAND,
                not_before: Timestamp::UNIX_EPOCH,
                storage: Some(storage.id),
                spec: serde_json::Value::Null,
                is_planned: false,
            };
            runs::insert(change.on(), &run, now).await?;
            queued.push(run.id);
        }
        Ok(queued)
    }

    /// And of what is reached from here, or from the hosts of agents.
    async fn queue_check_of_connectors(
        &self,
        change: &mut Change,
        read: &Head,
        options: &Options,
    ) -> Result<Option<Id>> {
        let now = options.env.clock.now();
        let id = Id::new(now, &*options.env.random);
        let at = Timestamp::UNIX_EPOCH;
        let Some(run) = reach::wanted(change.on(), id, &read.system, at).await? else {
            return Ok(None);
        };
        runs::insert(change.on(), &run, now).await?;
        Ok(Some(run.id))
    }

    /// Agreed to with the plan; planned in detail when the manager has started, with its agents.
    async fn queue_applications(
        &self,
        change: &mut Change,
        read: &Head,
        storage: &Id,
        options: &Options,
    ) -> Result<Id> {
        let now = options.env.clock.now();
        let id = Id::new(now, &*options.env.random);
        let new = NewRestore::all_of(&self.found.id.to_string());
        let tenants: Vec<&Id> =
            self.word.parts.iter().map(|part| &part.tenant).chain([&read.system]).collect();
        let run = New {
            id: id.clone(),
            tenant: read.system.clone(),
            kind: RunKind::Restore,
            title: "restore of everything, after the manager itself".to_owned(),
            by: "manager".to_owned(),
            priority: BY_HAND,
            not_before: Timestamp::UNIX_EPOCH,
            storage: Some(storage.clone()),
            spec: json!({ "new": new, "tenants": tenants, "is_agreed": true }),
            is_planned: false,
        };
        runs::insert(change.on(), &run, now).await?;
        Ok(id)
    }

    async fn afterwards(
        &mut self,
        options: &Options,
        switched: Switched,
        undo: Option<&Copy>,
        told: Told<'_>,
    ) -> Result<Recovered> {
        let Switched { key, read, password, default, run, checks } = switched;
        let keeps = self.wanted.onto == Onto::Running;
        let choices = &self.wanted.choices;
        choices.files(&self.catalog, &key, &read.installation, options, keeps).await?;
        told(Step::List)?;
        let catalog = serve::as_it_stands(options).await?;
        let state = serve::state(catalog, key, read.system.clone(), options).await?;
        let rebuilt = rebuild(&state).await?;
        let tenants: Vec<Object<TenantSpec>> = state.catalog.all(None).await?;
        let again = settle::needed(&state, &read).await?;
        state.catalog.close().await;
        self.catalog.close().await;
        Ok(Recovered {
            installation: read.installation,
            snapshot: self.found.id.to_string(),
            time: read.time,
            tenants: tenants.len(),
            rebuilt,
            undo: undo.map(|copy| copy.command(&options.data)),
            one_time_password: password,
            default,
            again,
            run,
            checks,
            was_running: false,
            is_back: false,
        })
    }
}

/// What was committed.
struct Switched {
    key: MasterKey,
    read: Head,
    password: Option<(String, String)>,
    default: Option<String>,
    run: Option<Id>,
    checks: Vec<Id>,
}
