//! What of a recovered manager is kept, made anew, and to be given again: its certificate, tokens and
//! credentials.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use tintype_api::agent::AgentSpec;
use tintype_api::object::Object;
use tintype_api::snapshot::Excluded;
use tintype_api::storage::StorageSpec;
use tintype_api::user::UserSpec;
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use tintype_model::{Error, Result};

use super::import::Head;
use crate::auth::password;
use crate::catalog::objects;
use crate::catalog::secrets::{self, Of};
use crate::catalog::{Catalog, failed, passwords};
use crate::seal::MasterKey;
use crate::serve::{Options, one_time_password};
use crate::state::State;
use crate::tls;

/// Owner of the sealed copies of the certificate's files.
const TLS: &str = "tls";

/// What is kept of the manager that was, and what is made anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    pub certificate: Certificate,
    /// Tokens end, as sessions do.
    pub revoke_tokens: bool,
}

/// What its clients see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// The same certificate: clients notice nothing, if its names are the same.
    #[default]
    Keep,
    /// Of the same authority, for the names and addresses that it has now: clients go on trusting it.
    Renew,
    /// Of another authority, which clients must be given.
    New,
}

impl Choices {
    /// In words, for the plan.
    pub fn steps(&self) -> [&'static str; 2] {
        let tokens = match self.revoke_tokens {
            true => "revoke all tokens: whatever uses one needs another",
            false => "keep tokens",
        };
        let certificate = match self.certificate {
            Certificate::Keep => "keep the certificate",
            Certificate::Renew => {
                "make a new certificate of the same authority, for the names and addresses of now"
            }
            Certificate::New => "make a new authority and certificate: clients must be given it",
        };
        [tokens, certificate]
    }

    /// In the change that brings the state.
    pub async fn write(&self, on: &mut AnyConnection) -> Result<()> {
        let mut queries = Vec::new();
        if self.revoke_tokens {
            queries.push("DELETE FROM bearer WHERE owner_kind = 'token'");
            queries.push("DELETE FROM object WHERE kind = 'token'");
        }
        if self.certificate == Certificate::New {
            queries.push("DELETE FROM secret WHERE owner_kind = 'tls'");
        }
        for query in queries {
            let done = sqlx::query(query).execute(&mut *on).await;
            done.map_err(|error| failed("revoking", error))?;
        }
        Ok(())
    }

    /// The files of the certificate, when the change is committed. `keeps` are those that are here.
    pub async fn files(
        &self,
        catalog: &Catalog,
        key: &MasterKey,
        installation: &Id,
        options: &Options,
        keeps: bool,
    ) -> Result<()> {
        let directory = options.data.join(tls::DIRECTORY);
        match self.certificate {
            Certificate::New => return remove(&directory, &tls::FILES),
            _ if keeps && tls::is_there(&directory) => {}
            _ => write_files(catalog, key, installation, &directory).await?,
        }
        match self.certificate {
            // It is made when the manager starts, for the names that it then has.
            Certificate::Renew => remove(&directory, &tls::OF_NAMES),
            _ => Ok(()),
        }
    }
}

/// Of the catalog, where it holds them.
pub async fn write_files(
    catalog: &Catalog,
    key: &MasterKey,
    installation: &Id,
    directory: &Path,
) -> Result<()> {
    let mut on = catalog.read().await?;
    for name in tls::FILES {
        let of = Of { kind: TLS, id: installation, name };
        let Some(text) = secrets::get(&mut on, of, key).await? else { continue };
        let file = directory.join(name);
        let failed = |error| Error::io(error, file.display());
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed)?;
        let _ = std::fs::remove_file(&file);
        let mut open = std::fs::OpenOptions::new();
        let open = open.write(true).create_new(true).mode(0o600).open(&file);
        let mut open = open.map_err(failed)?;
        open.write_all(&text).and_then(|()| open.sync_all()).map_err(failed)?;
    }
    Ok(())
}

fn remove(directory: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let file = directory.join(name);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(error, file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The manager's own certificate travels with its state, sealed: clients that trust it go on doing so.
pub async fn remember(state: &State, directory: &Path) -> Result<()> {
    for name in tls::FILES {
        let file = directory.join(name);
        let text = zeroize::Zeroizing::new(
            std::fs::read(&file).map_err(|error| Error::io(error, file.display()))?,
        );
        let of = Of { kind: TLS, id: &state.installation, name };
        let known = secrets::get(&mut *state.catalog.read().await?, of, &state.key).await?;
        if known.is_none_or(|known| *known != *text) {
            let mut change = state.catalog.change().await?;
            let of = Of { kind: TLS, id: &state.installation, name };
            secrets::put(change.on(), of, &text, &state.key, &*state.random).await?;
            change.commit_own_books().await?;
        }
    }
    Ok(())
}

/// Where passwords were left out: a new one for the first administrator, told once.
pub async fn password(
    on: &mut AnyConnection,
    head: &Head,
    options: &Options,
) -> Result<Option<(String, String)>> {
    if !head.excluded.contains(&Excluded::Credentials) {
        return Ok(None);
    }
    let all: Vec<Object<UserSpec>> = objects::all(on, Some(&head.system)).await?;
    let may = |user: &Object<UserSpec>| user.spec.role == Role::Administrator;
    let mut user = all.into_iter().find(may).ok_or_else(|| {
        Error::unsupported("the snapshot holds no administrator, and no passwords: use another")
    })?;
    let (random, now) = (&*options.env.random, options.env.clock.now());
    let text = one_time_password(random);
    passwords::set(on, &user.id, &password::hash(&text, random)?, now).await?;
    (user.spec.is_enabled, user.spec.must_change_password) = (true, true);
    user.version += 1;
    objects::update(on, &user).await?;
    Ok(Some((user.name, text)))
}

/// What must be given again, and how.
pub async fn needed(state: &State, head: &Head) -> Result<Vec<String>> {
    let agents: Vec<Object<AgentSpec>> = state.catalog.all(None).await?;
    if !head.excluded.contains(&Excluded::Credentials) {
        return Ok(Vec::new());
    }
    let mut needed = vec![
        "passwords of all other users (`tintype user password NAME`)".to_owned(),
        "tokens (`tintype token create`)".to_owned(),
    ];
    let storages: Vec<Object<StorageSpec>> = state.catalog.all(None).await?;
    for storage in storages {
        let keys = [
            (&storage.spec.access_key, "--access-key"),
            (&storage.spec.agent_access_key, "--agent-access-key"),
        ];
        for (key, option) in keys {
            if let Some(key) = key {
                let (name, id) = (&storage.name, &key.id);
                needed.push(format!(
                    "the secret of access key {id} (`tintype storage change {name} {option} {id}`)"
                ));
            }
        }
    }
    needed.extend(agents.iter().map(|agent| {
        let name = &agent.name;
        format!("agent {name}: it must join again (`tintype agent token`)")
    }));
    Ok(needed)
}
