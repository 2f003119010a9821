//! Which manager leads an installation. Whoever recovers one takes the next number in the storage;
//! a manager that finds a higher one than its own was replaced: it can be read, and writes no more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::{Env, Place};

use crate::catalog::facts;
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

/// The one with the highest number in a storage.
fn highest(place: &Place, installation: &Id, env: &Env) -> Result<Option<Lead>> {
    let Some((number, text)) = place.lead(installation.as_str(), env)? else {
        return Ok(None);
    };
    let lead: Lead = serde_json::from_slice(&text).map_err(|error| {
        Error::corrupt(format!("{}: who leads the installation: {error}", place.url))
    })?;
    match lead.number == number {
        true => Ok(Some(lead)),
        false => Err(Error::corrupt(format!("{}: a number of who leads", place.url))),
    }
}

/// Whether that one still counts, told by what lies in the storage.
pub fn leads(place: &Place, installation: &Id, lead: &Lead, env: &Env) -> Result<bool> {
    let found = highest(place, installation, env)?;
    Ok(!found.is_some_and(|found| lead.is_replaced_by(&found)))
}

/// Takes the next number: from now on all others are replaced.
pub fn take(
    place: &Place,
    installation: &Id,
    before: &Lead,
    manager: &Id,
    now: Timestamp,
    env: &Env,
) -> Result<Lead> {
    for _ in 0..ATTEMPTS {
        let found = highest(place, installation, env)?.map_or(0, |lead| lead.number);
        let number = found.max(before.number) + 1;
        let lead = Lead { number, manager: manager.clone(), since: now };
        match leave(place, installation, &lead, env) {
            Err(error) if error.is(ErrorKind::AlreadyExists) => {}
            left => return left.map(|()| lead),
        }
    }
    Err(Error::unavailable("others recover this installation at the same time; let one of them"))
}

fn leave(place: &Place, installation: &Id, lead: &Lead, env: &Env) -> Result<()> {
    let text = serde_json::to_vec(lead).map_err(|error| Error::internal(error.to_string()))?;
    place.leave_lead(installation.as_str(), lead.number, &text, env)
}

impl Shared {
    /// An error if this manager was replaced, told by what lies in the storage.
    pub async fn still_leads(&self, storage: &Object<StorageSpec>) -> Result<()> {
        if let Some(other) = self.replaced_by.get() {
            return Err(replaced(other));
        }
        let place = self.place(storage, None).await?;
        let (env, installation) = (self.host.env.clone(), self.installation.clone());
        let own = self.lead.clone();
        let found = blocking(move || {
            let found = highest(&place, &installation, &env)?;
            // In this storage nobody knows yet that it leads.
            if own.number > 1 && found.as_ref().is_none_or(|found| found.number < own.number) {
                leave(&place, &installation, &own, &env)?;
            }
            Ok(found)
        });
        let found = found.await.map_err(|error| match error.is(ErrorKind::Unavailable) {
            true => error.context(format!("storage {}", storage.name)),
            false => error,
        });
        match found? {
            Some(other) if self.lead.is_replaced_by(&other) => {
                tracing::error!(since = %other.since, "another manager leads this installation");
                let error = replaced(&other);
                let _ = self.replaced_by.set(other);
                Err(error)
            }
            _ => Ok(()),
        }
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

    #[test]
    fn each_takes_the_next_number() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::parse(&dir.path().display().to_string(), None).unwrap();
        let (env, now) = (Env::system(), Timestamp::UNIX_EPOCH);
        let id = |text: &str| text.repeat(26).parse::<Id>().unwrap();
        let (installation, manager) = (id("1"), id("2"));
        let first = Lead::first(id("3"), now);
        assert_eq!(highest(&place, &installation, &env).unwrap(), None);
        let second = take(&place, &installation, &first, &manager, now, &env).unwrap();
        let third = take(&place, &installation, &first, &manager, now, &env).unwrap();
        assert_eq!((second.number, third.number), (2, 3));
        assert_eq!(highest(&place, &installation, &env).unwrap(), Some(third.clone()));
        let taken = leave(&place, &installation, &third, &env).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(highest(&place, &id("4"), &env).unwrap(), None);
    }
}
