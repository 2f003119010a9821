//! Which objects the commit of a gc makes superfluous, and who is retired by it (format.md §11.5, 7).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tintype_model::{ErrorKind, Result};

use super::run::Reading;
use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Deletions, FateState, SessionKind, SessionRecord, names};
use crate::id::RandomId;
use crate::index::PackId;
use crate::repo::Repository;
use crate::repo::session::is_unreadable;
use crate::repo::state::State;

pub(super) fn deletions(
    repository: &Repository,
    reading: &Reading,
    gone: &HashSet<PackId>,
    base: &[String],
) -> Result<Deletions> {
    let state = &reading.state;
    let base: HashSet<&str> = base.iter().map(String::as_str).collect();
    let sessions = read_sessions(repository, state)?;
    let kind_of = |id| sessions.get(id).and_then(Option::as_ref).map(|record| record.kind);
    let mut retire = Vec::new();
    let mut remove = BTreeSet::new();
    for (id, fate) in &state.fates {
        // Their fates name no segments: one that arrives late changes nothing.
        let names_nothing = fate.state != FateState::Committed
            && matches!(kind_of(id), Some(SessionKind::Read | SessionKind::Gc));
        match fate.state {
            FateState::Committed if !reading.dead.contains(id) => continue,
            _ if names_nothing => {}
            _ => retire.push(*id),
        }
        remove.insert(*id);
    }
    retire.extend(&reading.given_up);
    remove.extend(&reading.given_up);
    remove.extend(state.retired.iter().copied());
    // Without a fate: done, or void after this commit.
    let is_done_gc = |record: &SessionRecord| {
        record.kind == SessionKind::Gc && record.base_seq <= state.newest.seq
    };
    let done = sessions.iter().filter(|(_, record)| record.as_ref().is_some_and(is_done_gc));
    remove.extend(done.map(|(id, _)| *id));

    let mut objects: Vec<String> = gone.iter().map(PackId::object_name).collect();
    objects.sort_unstable();
    objects.extend(reading.segment_names.iter().filter(|n| !base.contains(&n[..])).cloned());
    objects.extend(segments(repository, state, &remove, &base)?);
    // Annotations before fates before sessions.
    for prefix in ["annotation/", "fate/", "beat/", "session/"] {
        for listed in list_all(&*repository.backend, prefix)? {
            if names::parse_id(&listed.name, prefix).is_some_and(|id| remove.contains(&id)) {
                objects.push(listed.name);
            }
        }
    }
    let mut seen = HashSet::new();
    objects.retain(|name| seen.insert(name.clone()));
    Ok(Deletions { objects, retire })
}

/// Sessions but for those of committed snapshots; `None`: it cannot be read. With a fate such a one
/// goes as what the fate says, without one it stays for the next gc.
fn read_sessions(
    repository: &Repository,
    state: &State,
) -> Result<BTreeMap<RandomId, Option<SessionRecord>>> {
    let id_of = |name: &str| names::parse_id(name, "session/");
    let is_committed =
        |id: &RandomId| state.fates.get(id).is_some_and(|fate| fate.state == FateState::Committed);
    let mut listed = repository.names_of("session/")?;
    listed.retain(|name| id_of(name).is_some_and(|id| !is_committed(&id)));
    let get = |name: &str| repository.get_json::<SessionRecord>(ObjectType::Session, name);
    let mut sessions = BTreeMap::new();
    for (name, read) in listed.iter().zip(repository.read_each(&listed, get)?) {
        let record = match read {
            Ok(record) => Some(record),
            Err(error) if error.is(ErrorKind::NotFound) || is_unreadable(&error) => None,
            Err(error) => return Err(error),
        };
        sessions.extend(id_of(name).map(|id| (id, record)));
    }
    Ok(sessions)
}

/// Segments outside of the base: of who is removed; of sessions that an earlier gc absorbed, made
/// again by a late put; and late ones of gcs whose session is gone.
fn segments(
    repository: &Repository,
    state: &State,
    remove: &BTreeSet<RandomId>,
    base: &HashSet<&str>,
) -> Result<Vec<String>> {
    let absorbed: HashSet<&RandomId> = state.newest.absorbed.iter().collect();
    let mut superfluous = Vec::new();
    for name in repository.names_of("index/")? {
        let Some((owner, _)) = names::parse_segment(&name) else { continue };
        if base.contains(&name[..]) {
            continue;
        }
        let known = remove.contains(&owner) || absorbed.contains(&owner);
        // A gc that began meanwhile is void after this commit.
        if known || names::is_gc_segment(&name) && !repository.exists(&names::session(owner))? {
            superfluous.push(name);
        }
    }
    Ok(superfluous)
}
