//! The list of snapshots, their outcomes, holds and locks, from the repositories alone.

use std::collections::BTreeSet;

use serde::Serialize;
use tintype_model::Result;

use super::found;
use crate::catalog::repositories::{self, Repository};
use crate::catalog::{audit, snapshots};
use crate::runs::bundles::without_resources;
use crate::runs::captured::{Word, describe};
use crate::state::State;
use crate::vaults::blocking;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    pub repositories: usize,
    pub snapshots: usize,
    /// What could not be read, and why.
    pub unreadable: Vec<String>,
}

/// Snapshots of one repository that are looked at.
const MOST: i64 = 10_000_000;

/// Reads every repository that the catalog names, or that lies in one of its storages, and writes what
/// it says. What a repository does not have any more goes; a repository that cannot be read changes
/// nothing.
pub async fn rebuild(state: &State) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt { unreadable: found::find(state).await?, ..Rebuilt::default() };
    let all = repositories::list(&mut *state.catalog.read().await?, None).await?;
    for repository in &all {
        match one(state, repository, &mut rebuilt).await {
            Ok(()) => rebuilt.repositories += 1,
            Err(error) => {
                rebuilt.unreadable.push(format!("repository {}: {error}", repository.id));
            }
        }
    }
    Ok(rebuilt)
}

async fn one(state: &State, repository: &Repository, rebuilt: &mut Rebuilt) -> Result<()> {
    let vault = state.open_vault(repository).await?;
    let storage = repository.storage.clone();
    let (rows, unreadable) = blocking(move || {
        let listing = vault.snapshots()?;
        let mut unreadable: Vec<String> = listing.damaged.iter().map(ToString::to_string).collect();
        let mut rows = Vec::new();
        for found in &listing.snapshots {
            // What no manager took is not the manager's.
            let Some(word) = Word::of(found) else { continue };
            match vault.descriptor(found) {
                Ok(Some(descriptor)) => rows.push(describe(found, &word, &descriptor, &storage)),
                Ok(None) => {
                    rows.push(describe(found, &word, &without_resources(found), &storage));
                }
                Err(error) => unreadable.push(format!("snapshot {}: {error}", found.id)),
            }
        }
        Ok((rows, unreadable))
    })
    .await?;
    let filter = snapshots::Filter {
        repository: Some(repository.id.clone()),
        with_private: true,
        limit: MOST,
        ..snapshots::Filter::default()
    };
    let mut change = state.catalog.change().await?;
    let known = snapshots::list(change.on(), &filter).await?;
    let there: BTreeSet<&str> = rows.iter().map(|(snapshot, _)| &snapshot.id[..]).collect();
    let is_whole = unreadable.is_empty();
    for gone in known.iter().filter(|known| is_whole && !there.contains(&known.snapshot.id[..])) {
        snapshots::delete(change.on(), &gone.snapshot.id).await?;
    }
    for (snapshot, items) in &rows {
        snapshots::put(change.on(), &repository.id, snapshot, Some(items)).await?;
    }
    let told = audit::New {
        time: state.now(),
        tenant: &repository.tenant,
        actor: "manager",
        action: "catalog.rebuild",
        object: &format!("repository {}", repository.id),
        outcome: "done",
        detail: serde_json::json!({ "snapshots": rows.len() }),
    };
    change.commit(&told).await?;
    rebuilt.snapshots += rows.len();
    rebuilt.unreadable.extend(unreadable);
    Ok(())
}
