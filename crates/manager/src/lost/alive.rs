//! Signs of life. A manager that runs says so in each storage that it could be recovered from, and says
//! when it ends; so whoever recovers its installation meanwhile is asked first: a drill takes nothing
//! over by mistake.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::{Env, Place, check_mount};
use tokio::sync::watch;

use super::lead::Lead;
use crate::catalog::repositories;
use crate::state::{Shared, State};
use crate::vaults::{blocking, within};

/// Storages that need a sign are looked for so often.
const LOOK: Duration = Duration::from_mins(1);
/// Each gets one so often.
const EVERY: SignedDuration = SignedDuration::from_mins(5);
/// One that is older, or so much too early, is of a manager that is gone.
const LASTS: SignedDuration = SignedDuration::from_mins(15);
/// A storage that does not answer holds up nobody's end.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a manager says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// Since when it leads, as which of all.
    #[serde(flatten)]
    pub lead: Lead,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// When it said so.
    pub time: Timestamp,
}

impl Sign {
    /// For whoever would take its installation over.
    pub fn words(&self) -> String {
        let at = match &self.addresses[..] {
            [] => String::new(),
            all => format!(" at {}", all.join(", ")),
        };
        format!("a manager{at} leads it since {} and was there at {}", self.lead.since, self.time)
    }
}

/// The newest of those that still count; `own` is not another.
fn living(signs: Vec<Sign>, own: Option<&Id>, now: Timestamp) -> Option<Sign> {
    let counts = |sign: &Sign| now.duration_since(sign.time).abs() < LASTS;
    let others = signs.into_iter().filter(|sign| own != Some(&sign.lead.manager) && counts(sign));
    others.max_by_key(|sign| sign.time)
}

/// Whether another manager of the installation lives, told by what lies in the storage.
pub fn find(place: &Place, installation: &Id, own: Option<&Id>, env: &Env) -> Result<Option<Sign>> {
    let texts = place.signs(installation.as_str(), env)?;
    let signs = texts.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect();
    Ok(living(signs, own, env.clock.now()))
}

/// Until `end` is set; then it takes back what it said.
pub async fn run(state: State, mut end: watch::Receiver<bool>) {
    while !*end.borrow() {
        if let Err(error) = say(&state).await {
            tracing::debug!(%error, "a sign of life could not be left; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = end.changed() => {}
        }
    }
    let said = std::mem::take(&mut *held(&state));
    for storage in said.into_keys() {
        if let Err(error) = take_back(&state, &storage).await {
            tracing::debug!(%error, "the sign of life stays until it is too old");
        }
    }
}

fn held(state: &State) -> MutexGuard<'_, BTreeMap<Id, Timestamp>> {
    state.signs.lock().expect("no panic while held")
}

/// Leaves those that are due.
pub async fn say(state: &State) -> Result<()> {
    let known = repositories::list(&mut *state.catalog.read().await?, None).await?;
    let of_system = known.into_iter().filter(|repository| repository.tenant == state.system);
    let mut failure = None;
    for storage in of_system.map(|repository| repository.storage) {
        if state.replaced_by.get().is_some() {
            return Ok(());
        }
        let now = state.now();
        let last = held(state).get(&storage).copied();
        if last.is_some_and(|last| now.duration_since(last).abs() < EVERY) {
            continue;
        }
        match say_in(state, &storage, now).await {
            Ok(()) => drop(held(state).insert(storage, now)),
            // The others are told nevertheless.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn say_in(state: &State, storage: &Id, now: Timestamp) -> Result<()> {
    let storage: Object<StorageSpec> = state.catalog.get(storage).await?;
    state.still_leads(&storage).await?;
    let sign = Sign { lead: state.lead.clone(), addresses: state.addresses(), time: now };
    let text = serde_json::to_vec(&sign).map_err(|error| Error::internal(error.to_string()))?;
    let (place, expected) = (state.place(&storage, None).await?, Shared::expected(&storage.spec));
    let (installation, env) = (state.installation.to_string(), state.host.env.clone());
    let name = format!("{:016}", now.as_millisecond());
    blocking(move || {
        check_mount(&expected, &place)?;
        place.leave_sign(&installation, &name, &text, &env)
    })
    .await
}

async fn take_back(state: &State, storage: &Id) -> Result<()> {
    let storage: Object<StorageSpec> = state.catalog.get(storage).await?;
    let place = state.place(&storage, None).await?;
    let (installation, env) = (state.installation.to_string(), state.host.env.clone());
    let own = state.lead.manager.clone();
    within(&state.host.env, GOODBYE, move || {
        // Of another one, that took over meanwhile, it stays.
        let is_own = |text: &[u8]| {
            serde_json::from_slice(text).is_ok_and(|sign: Sign| sign.lead.manager == own)
        };
        place.take_signs(&installation, is_own, &env)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_manager_lives_that_said_so_lately() {
        let id = |digit: &str| digit.repeat(26).parse::<Id>().unwrap();
        let now: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
        let sign = |manager: &str, minutes: i64| Sign {
            lead: Lead::first(id(manager), Timestamp::UNIX_EPOCH),
            addresses: vec!["tt:8443".into()],
            time: now - SignedDuration::from_mins(minutes),
        };
        for (signs, is_found) in [
            (vec![], None),
            (vec![sign("1", 14)], Some(14)),
            (vec![sign("1", 15)], None),
            // Of a clock that is ahead; and of one that was far ahead, once.
            (vec![sign("1", -14)], Some(-14)),
            (vec![sign("1", -600)], None),
            (vec![sign("1", 9), sign("2", 3), sign("1", 5)], Some(3)),
            // It is replaced itself.
            (vec![sign("0", 1), sign("2", 3)], Some(3)),
            (vec![sign("0", 1)], None),
        ] {
            let found = living(signs.clone(), Some(&id("0")), now).map(|sign| sign.time);
            let wanted = is_found.map(|minutes| now - SignedDuration::from_mins(minutes));
            assert_eq!(found, wanted, "{signs:?}");
        }
    }
}
