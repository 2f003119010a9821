//! Which manager leads an installation. Whoever recovers one takes the next number in the storage;
//! a manager that finds a higher one than its own was replaced: it can be read, and writes no more.
//!
//! Agents can put objects, too. So a number counts by the seal beside it, which takes the key of the
//! system's repository there. Numbers of earlier versions have none: they count until there is a seal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::{DataKey, Env, Place, check_mount};

use crate::catalog::secrets::{self, Of};
use crate::catalog::{facts, repositories};
use crate::state::Shared;
use crate::vaults::blocking;

/// Of the facts of the catalog.
const LEAD: &str = "lead";
/// So often it is tried to take a number that somebody else takes at the same time.
const ATTEMPTS: usize = 20;

/// A manager's right to write for its installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The highest counts; the first manager has 1, and leaves no note of it.
    pub number: u64,
    /// Of this manager: another one with the same number is another.
    pub manager: Id,
    pub since: Timestamp,
}

impl Lead {
    pub fn first(manager: Id, since: Timestamp) -> Self {
        Self { number: 1, manager, since }
    }

    /// `other` leads, and not this one.
    fn is_replaced_by(&self, other: &Self) -> bool {
        other.number > self.number || (other.number == self.number && other.manager != self.manager)
    }
}

pub async fn get(on: &mut AnyConnection) -> Result<Lead> {
    let text = facts::get(on, LEAD).await?;
    let text = text.ok_or_else(|| Error::corrupt("the catalog does not know who leads"))?;
    serde_json::from_str(&text).map_err(|error| Error::corrupt(format!("who leads: {error}")))
}

pub async fn set(on: &mut AnyConnection, lead: &Lead) -> Result<()> {
    let text = serde_json::to_string(lead).map_err(|error| Error::internal(error.to_string()))?;
    facts::set(on, LEAD, &text).await
}

/// By which the managers of an installation know each other's numbers in a storage.
#[derive(Clone)]
pub struct Seal([u8; 32]);

impl Seal {
    /// `key`: of the system's repository there.
    pub fn of(key: &DataKey) -> Self {
        Self(blake3::derive_key("tintype 2026-11-23 who leads an installation", key.bytes()))
    }

    fn on(&self, installation: &Id, text: &[u8]) -> String {
        let sealed = [installation.as_str().as_bytes(), text].concat();
        blake3::keyed_hash(&self.0, &sealed).to_hex().to_string()
    }
}

/// What is said in a storage.
struct Told {
    lead: Lead,
    is_sealed: bool,
}

fn parsed(place: &Place, number: u64, text: &[u8]) -> Result<Lead> {
    let lead: Lead = serde_json::from_slice(text).map_err(|error| {
        Error::corrupt(format!("{}: who leads the installation: {error}", place.url))
    })?;
    match lead.number == number {
        true => Ok(lead),
        false => Err(Error::corrupt(format!("{}: a number of who leads", place.url))),
    }
}

/// The one with the highest number that counts.
fn highest(
    place: &Place,
    installation: &Id,
    seal: Option<&Seal>,
    env: &Env,
) -> Result<Option<Told>> {
    let numbers = place.leads(installation.as_str(), env)?;
    let last = numbers.keys().next_back().copied();
    for (number, seals) in numbers.into_iter().rev().filter(|(_, seals)| !seals.is_empty()) {
        let text = place.lead(installation.as_str(), number, env)?;
        if seal.is_some_and(|seal| seals.contains(&seal.on(installation, &text))) {
            if last != Some(number) {
                tracing::warn!(place = place.url, "notes of who leads that no manager left");
            }
            let lead = parsed(place, number, &text)?;
            return Ok(Some(Told { lead, is_sealed: true }));
        }
    }
    let Some(number) = last else { return Ok(None) };
    let text = place.lead(installation.as_str(), number, env)?;
    Ok(Some(Told { lead: parsed(place, number, &text)?, is_sealed: false }))
}

/// Whether that one still counts, told by what lies in the storage.
pub fn leads(
    place: &Place,
    installation: &Id,
    lead: &Lead,
    seal: &Seal,
    env: &Env,
) -> Result<bool> {
    let found = highest(place, installation, Some(seal), env)?;
    Ok(!found.is_some_and(|found| lead.is_replaced_by(&found.lead)))
}

/// Takes the next number: from now on all others are replaced.
pub fn take(
    place: &Place,
    installation: &Id,
    before: &Lead,
    new: (&Id, Timestamp),
    seal: &Seal,
    env: &Env,
) -> Result<Lead> {
    let (manager, since) = new;
    for _ in 0..ATTEMPTS {
        let numbers = place.leads(installation.as_str(), env)?;
        let found = numbers.keys().next_back().copied().unwrap_or(0);
        let number = found.max(before.number) + 1;
        let lead = Lead { number, manager: manager.clone(), since };
        match leave(place, installation, &lead, env) {
            Err(error) if error.is(ErrorKind::AlreadyExists) => {}
            left => {
                left?;
                sealed(place, installation, &lead, seal, env)?;
                return Ok(lead);
            }
        }
    }
    Err(Error::unavailable("others recover this installation at the same time; let one of them"))
}

fn leave(place: &Place, installation: &Id, lead: &Lead, env: &Env) -> Result<()> {
    let text = serde_json::to_vec(lead).map_err(|error| Error::internal(error.to_string()))?;
    place.leave_lead(installation.as_str(), lead.number, &text, env)
}

/// Seals the number, if it is this one's that lies there.
fn sealed(place: &Place, installation: &Id, lead: &Lead, seal: &Seal, env: &Env) -> Result<()> {
    let text = place.lead(installation.as_str(), lead.number, env)?;
    match parsed(place, lead.number, &text) {
        Ok(found) if found.manager == lead.manager => {
            let seal = seal.on(installation, &text);
            place.seal_lead(installation.as_str(), lead.number, &seal, env)
        }
        _ => Ok(()),
    }
}

/// The number of one who leads there, for all who come later.
fn settle(
    place: &Place,
    installation: &Id,
    own: &Lead,
    seal: Option<&Seal>,
    env: &Env,
) -> Result<Option<Told>> {
    let found = highest(place, installation, seal, env)?;
    let is_replaced = found.as_ref().is_some_and(|found| own.is_replaced_by(&found.lead));
    let is_known = found.as_ref().is_some_and(|found| found.lead == *own);
    let is_sealed = found.as_ref().is_some_and(|found| found.is_sealed) || seal.is_none();
    // The first needs no note where nobody could seal it.
    if is_replaced || (is_known && is_sealed) || (own.number == 1 && seal.is_none()) {
        return Ok(found);
    }
    // One that is gone is not made anew by this.
    if !place.is_there() {
        return Ok(found);
    }
    match leave(place, installation, own, env) {
        Err(error) if !error.is(ErrorKind::AlreadyExists) && own.number > 1 => return Err(error),
        _ => {}
    }
    // A storage that can only be read is restored from nevertheless.
    if let Some(seal) = seal
        && let Err(error) = sealed(place, installation, own, seal, env)
    {
        tracing::debug!(%error, "the note of who leads is not sealed");
    }
    Ok(found)
}

impl Shared {
    /// An error if this manager was replaced, told by what lies in the storage.
    pub async fn still_leads(&self, storage: &Object<StorageSpec>) -> Result<()> {
        if let Some(other) = self.replaced_by.get() {
            return Err(replaced(other));
        }
        let place = self.place(storage, None).await?;
        let (env, installation) = (self.host.env.clone(), self.installation.clone());
        let (own, seal) = (self.lead.clone(), self.seal(&storage.id).await?);
        let expected = Self::expected(&storage.spec);
        let found = blocking(move || {
            // What lies below a mount that is missing says nothing.
            check_mount(&expected, &place)?;
            settle(&place, &installation, &own, seal.as_ref(), &env)
        });
        let found = found.await.map_err(|error| match error.is(ErrorKind::Unavailable) {
            true => error.context(format!("storage {}", storage.name)),
            false => error,
        });
        match found? {
            Some(Told { lead: other, .. }) if self.lead.is_replaced_by(&other) => {
                tracing::error!(since = %other.since, "another manager leads this installation");
                let error = replaced(&other);
                let _ = self.replaced_by.set(other);
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// None where the system has no repository yet.
    async fn seal(&self, storage: &Id) -> Result<Option<Seal>> {
        let mut on = self.catalog.read().await?;
        let Some(repository) = repositories::of(&mut on, storage, &self.system).await? else {
            return Ok(None);
        };
        let of = Of { kind: repositories::KIND, id: &repository.id, name: repositories::KEY };
        let key = secrets::need(&mut on, of, &self.key).await?;
        let key: [u8; 32] =
            key.as_slice().try_into().map_err(|_| Error::corrupt("a key of a repository"))?;
        Ok(Some(Seal::of(&DataKey::from_bytes(key))))
    }
}

fn replaced(other: &Lead) -> Error {
    Error::locked(format!(
        "this manager was replaced: another one leads its installation since {}. It can be read, and \
         writes no more: stop it, and use the other",
        other.since
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_leads() {
        let id = |text: &str| text.repeat(26).parse::<Id>().unwrap();
        let lead = |number, manager: &str| Lead {
            number,
            manager: id(manager),
            since: Timestamp::UNIX_EPOCH,
        };
        let own = lead(2, "0");
        assert!(!own.is_replaced_by(&own));
        assert!(!own.is_replaced_by(&lead(1, "1")));
        assert!(own.is_replaced_by(&lead(2, "1")) && own.is_replaced_by(&lead(3, "0")));
    }

    fn id(text: &str) -> Id {
        text.repeat(26).parse().unwrap()
    }

    /// A storage, and what a manager of the installation has.
    fn storage() -> (tempfile::TempDir, Place, Seal, Env) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::parse(&dir.path().display().to_string(), None).unwrap();
        (dir, place, Seal::of(&DataKey::from_bytes([7; 32])), Env::system())
    }

    #[test]
    fn each_takes_the_next_number() {
        let (_dir, place, seal, env) = storage();
        let now = Timestamp::UNIX_EPOCH;
        let (installation, manager) = (id("1"), id("2"));
        let first = Lead::first(id("3"), now);
        let found = || highest(&place, &installation, Some(&seal), &env).unwrap();
        assert!(found().is_none());
        let take = || take(&place, &installation, &first, (&manager, now), &seal, &env).unwrap();
        let (second, third) = (take(), take());
        assert_eq!((second.number, third.number), (2, 3));
        assert!(found().is_some_and(|found| found.lead == third && found.is_sealed));
        let taken = leave(&place, &installation, &third, &env).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert!(highest(&place, &id("4"), Some(&seal), &env).unwrap().is_none());
        assert!(!leads(&place, &installation, &first, &seal, &env).unwrap());
    }

    #[test]
    fn a_number_that_no_manager_sealed_replaces_nobody() {
        let (_dir, place, seal, env) = storage();
        let (installation, now) = (id("1"), Timestamp::UNIX_EPOCH);
        let own = Lead::first(id("3"), now);
        settle(&place, &installation, &own, Some(&seal), &env).unwrap();
        let forged = Lead { number: 9, manager: id("6"), since: now };
        leave(&place, &installation, &forged, &env).unwrap();
        assert!(leads(&place, &installation, &own, &seal, &env).unwrap());
        // Nor does one with the seal of another key, of another number, or what is no note at all.
        let other = Seal::of(&DataKey::from_bytes([8; 32]));
        sealed(&place, &installation, &forged, &other, &env).unwrap();
        let text = place.lead(installation.as_str(), 1, &env).unwrap();
        let copied = seal.on(&installation, &text);
        place.seal_lead(installation.as_str(), 9, &copied, &env).unwrap();
        place.leave_lead(installation.as_str(), 11, b"nothing", &env).unwrap();
        place.seal_lead(installation.as_str(), 11, "nothing", &env).unwrap();
        assert!(leads(&place, &installation, &own, &seal, &env).unwrap());
        let next = take(&place, &installation, &own, (&id("5"), now), &seal, &env).unwrap();
        assert_eq!(next.number, 12, "behind all that lies there");
        assert!(!leads(&place, &installation, &own, &seal, &env).unwrap());
    }

    #[test]
    fn numbers_of_earlier_versions_count_until_one_is_sealed() {
        let (_dir, place, seal, env) = storage();
        let (installation, now) = (id("1"), Timestamp::UNIX_EPOCH);
        let old = Lead::first(id("3"), now);
        let new = Lead { number: 2, manager: id("4"), since: now };
        leave(&place, &installation, &new, &env).unwrap();
        assert!(!leads(&place, &installation, &old, &seal, &env).unwrap());
        // The one that was replaced seals nothing; the one that leads does, and stays what it is.
        settle(&place, &installation, &old, Some(&seal), &env).unwrap();
        assert!(place.leads(installation.as_str(), &env).unwrap()[&2].is_empty());
        for _ in 0..2 {
            settle(&place, &installation, &new, Some(&seal), &env).unwrap();
        }
        assert_eq!(place.leads(installation.as_str(), &env).unwrap()[&2].len(), 1);
        assert!(leads(&place, &installation, &new, &seal, &env).unwrap());
        assert!(!leads(&place, &installation, &old, &seal, &env).unwrap());
    }
}
