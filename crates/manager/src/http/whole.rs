//! How a snapshot is restored as a whole, the manager with it: by one command on a host, since the
//! manager cannot replace itself while it answers.

use axum::Json;
use axum::extract::{Path, State as AxumState};
use tintype_api::problem::Problem;
use tintype_api::restore::WholeRestore;
use tintype_api::snapshot::{Excluded, Snapshot, SnapshotScope};
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::rights::Role;

use super::failure::Outcome;
use super::router::Asking;
use super::snapshots::find;
use crate::auth::caller::Caller;
use crate::catalog::snapshots::Known;
use crate::state::State;

/// The command that restores everything, what to know before and after it; or why there is none.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/recovery", operation_id = "get-whole-restore",
    tag = "snapshot", params(("id" = String, Path)),
    responses(
        (status = 200, body = WholeRestore),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
) -> Outcome<Json<WholeRestore>> {
    let known = find(&state, &caller, &id).await?;
    if let Some(why_not) = why_not(&caller, &known.snapshot) {
        let why_not = Some(why_not.to_owned());
        return Ok(Json(WholeRestore { why_not, ..WholeRestore::default() }));
    }
    let storage = state.catalog.get::<StorageSpec>(&known.snapshot.storage).await?;
    let from = from(&state, &known).await?;
    // What lies on the manager's own host is lost with it.
    let is_elsewhere = storage.spec.kind != StorageKind::Internal;
    Ok(Json(WholeRestore {
        command: Some(format!("{from} --in-place")),
        command_elsewhere: is_elsewhere.then_some(from),
        before: before(&known.snapshot),
        afterwards: afterwards(&known.snapshot),
        why_not: None,
    }))
}

fn why_not(caller: &Caller, snapshot: &Snapshot) -> Option<&'static str> {
    match snapshot.scope {
        SnapshotScope::Partial => Some(
            "it holds chosen resources only: the manager, other tenants and other resources are not \
             in it, and a restore of everything would lose them; restore what it holds",
        ),
        SnapshotScope::Tenant => Some(
            "it holds one tenant only: the manager and other tenants are not in it; restore the \
             resources of the tenant",
        ),
        SnapshotScope::Full | SnapshotScope::Manager if !restores_all(caller) => {
            Some("administrators of the system restore everything")
        }
        SnapshotScope::Full | SnapshotScope::Manager => None,
    }
}

pub(super) fn restores_all(caller: &Caller) -> bool {
    caller.actor.is_system && caller.actor.role == Role::Administrator
}

/// The command that is typed on a host, up to whether a manager runs there.
async fn from(state: &State, known: &Known) -> Outcome<String> {
    let storage = state.catalog.get(&known.snapshot.storage).await?;
    let url = state.place(&storage, None).await?.url;
    let (url, id) = (url.replace('\'', "'\\''"), &known.snapshot.id);
    Ok(format!("tintype recover --from '{url}' --snapshot {id}"))
}

/// What restores the manager itself together with everything, for those who may.
pub(super) async fn manager_command(
    state: &State,
    caller: &Caller,
    known: &Known,
) -> Outcome<Option<String>> {
    if !restores_all(caller) || !known.snapshot.scope.holds_manager() {
        return Ok(None);
    }
    Ok(Some(format!("{} --in-place", from(state, known).await?)))
}

fn before(snapshot: &Snapshot) -> Vec<String> {
    let holds = match snapshot.scope {
        SnapshotScope::Manager => {
            "it holds the manager's state alone: applications stay as they are"
        }
        _ => "what was changed since, in the manager and in all applications, is replaced",
    };
    let mut words = vec![
        "it is typed on the manager's host, as the user that the manager runs as; it shows a plan and \
         asks before anything is done; on another machine it asks for the twelve words of the recovery \
         sheet, too"
            .to_owned(),
        holds.to_owned(),
    ];
    if !snapshot.is_complete {
        words.push("something is missing in this snapshot: look at its items first".to_owned());
    }
    words
}

fn afterwards(snapshot: &Snapshot) -> Vec<String> {
    let mut words = vec![
        "all sessions have ended: log in again, with the passwords of that time; tokens go on, unless \
         `--revoke-tokens` ends them"
            .to_owned(),
        "`tintype manager undo`, which it names at its end, brings back what was there".to_owned(),
    ];
    if snapshot.excluded.contains(&Excluded::Credentials) {
        words.push(
            "credentials were left out of this snapshot: an administrator gets a one-time password \
             from the command, and passwords and access keys are to be given again"
                .to_owned(),
        );
    }
    words
}
