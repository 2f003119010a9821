//! Which tenants' parts a full snapshot is made of, and which of them a copy of it.
//!
//! A full snapshot names its parts by the ids that they have where they were captured, in storages of
//! their tenants. A copy that a sync rule made of it names the same; its own are those of their copies
//! that lie in its storage. So what is done to one does not reach the other.

use tintype_api::snapshot::{Snapshot, SnapshotScope};
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};

use crate::catalog::snapshots::{self, Filter};
use crate::state::State;

/// Hold on a part, in words.
pub(crate) const OF_FULL: &str = "part of a full snapshot";
const MOST: i64 = 1_000_000;

/// Whether a full snapshot is not whole without that part.
pub(crate) fn needs(full: &Snapshot, part: &Snapshot) -> bool {
    let is_of_run = full.scope == SnapshotScope::Full
        && part.full.is_some()
        && part.full.as_deref() == full.run.as_ref().map(Id::as_str);
    is_of_run
        && match full.copy_of {
            None => part.copy_of.is_none(),
            Some(_) => part.storage == full.storage,
        }
}

/// Whether it could be restored whole if all were lost that is not `elsewhere`.
pub(crate) fn is_safe(
    full: &Snapshot,
    parts: &[Snapshot],
    is_elsewhere: impl Fn(&Id) -> bool,
) -> bool {
    let is_good = |one: &Snapshot| {
        let is_damaged = one.verified.as_ref().is_some_and(|verified| verified.damaged > 0);
        one.is_complete && !is_damaged && is_elsewhere(&one.storage)
    };
    is_good(full)
        && full.parts.iter().all(|id| parts.iter().any(|part| is_of(part, id) && is_good(part)))
}

/// That part, or a copy of it.
fn is_of(part: &Snapshot, id: &str) -> bool {
    part.id == id || part.copy_of.as_deref() == Some(id)
}

/// What is read for that part: its own first, then the one that was captured, then any copy.
pub(crate) fn find<'p>(full: &Snapshot, parts: &'p [Snapshot], id: &str) -> Option<&'p Snapshot> {
    let rank = |part: &&Snapshot| (!needs(full, part), part.copy_of.is_some());
    parts.iter().filter(|part| is_of(part, id)).min_by_key(rank)
}

/// What is read for each of its parts; those that are gone are left out.
pub(crate) async fn of(state: &State, full: &Snapshot) -> Result<Vec<Snapshot>> {
    let (mut found, mut gone) = (Vec::new(), Vec::new());
    for id in &full.parts {
        let own = match full.copy_of {
            None => snapshots::get(&mut *state.catalog.read().await?, id).await,
            Some(_) => Err(Error::not_found("a copy's are those of its storage")),
        };
        match own {
            Err(error) if error.is(ErrorKind::NotFound) => gone.push(id),
            own => found.push(own?.snapshot),
        }
    }
    if !gone.is_empty() {
        let all = parts(state, None).await?;
        found.extend(gone.into_iter().filter_map(|id| find(full, &all, id).cloned()));
    }
    Ok(found)
}

/// All full snapshots that there are, copies too.
pub(crate) async fn fulls(state: &State) -> Result<Vec<Snapshot>> {
    of_scope(state, SnapshotScope::Full, None).await
}

/// All parts that there are, of one tenant or of all.
pub(crate) async fn parts(state: &State, tenant: Option<&Id>) -> Result<Vec<Snapshot>> {
    of_scope(state, SnapshotScope::Tenant, tenant).await
}

async fn of_scope(
    state: &State,
    scope: SnapshotScope,
    tenant: Option<&Id>,
) -> Result<Vec<Snapshot>> {
    let filter = Filter {
        tenant: tenant.cloned(),
        scope: Some(scope),
        with_private: true,
        limit: MOST,
        ..Filter::default()
    };
    let found = snapshots::list(&mut *state.catalog.read().await?, &filter).await?;
    Ok(found.into_iter().map(|known| known.snapshot).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(digit: &str) -> Id {
        digit.repeat(26).parse().unwrap()
    }

    /// In storage 1 or 2.
    fn full(storage: &str, copy_of: Option<&str>) -> Snapshot {
        let value = json!({
            "id": format!("full-{storage}"), "tenant": id("0"), "storage": id(storage),
            "scope": "full", "trigger": "manual", "time": "2030-01-01T00:00:00Z", "by": "x",
            "is_complete": true, "entries": 0, "bytes": 0, "stored_bytes": 0, "run": id("7"),
            "copy_of": copy_of, "captured": 0, "failed": 0, "skipped": 0, "parts": ["part-1"],
        });
        serde_json::from_value(value).unwrap()
    }

    fn part(storage: &str, copy_of: Option<&str>) -> Snapshot {
        Snapshot {
            id: format!("part-{storage}"),
            tenant: id("5"),
            scope: SnapshotScope::Tenant,
            full: Some(id("7").to_string()),
            parts: Vec::new(),
            ..full(storage, copy_of)
        }
    }

    #[test]
    fn originals_and_copies_have_parts_of_their_own() {
        let (first, copy) = (full("1", None), full("2", Some("full-1")));
        let (captured, copied) = (part("1", None), part("2", Some("part-1")));
        assert!(needs(&first, &captured) && !needs(&first, &copied));
        assert!(needs(&copy, &copied) && !needs(&copy, &captured));
        // A tenant that keeps its snapshots where the system keeps copies.
        assert!(needs(&first, &part("2", None)) && needs(&copy, &part("2", None)));
        let other = Snapshot { full: Some(id("8").to_string()), ..part("1", None) };
        assert!(!needs(&first, &other) && !needs(&captured, &captured));
        let both = [copied.clone(), captured.clone()];
        assert_eq!(find(&first, &both, "part-1"), Some(&captured));
        assert_eq!(find(&copy, &both, "part-1"), Some(&copied));
        assert_eq!(find(&first, &both[..1], "part-1"), Some(&copied), "what there is");
        assert_eq!(find(&first, &both, "part-9"), None);
    }

    #[test]
    fn what_is_safe_is_whole_and_undamaged_elsewhere() {
        let is_elsewhere = |storage: &Id| *storage == id("2");
        let copy = full("2", Some("full-1"));
        let copied = part("2", Some("part-1"));
        let damaged = |snapshot: &Snapshot| {
            let verified = json!({ "time": "2030-01-01T00:00:00Z", "percent": 3, "damaged": 1 });
            let verified = serde_json::from_value(verified).unwrap();
            Snapshot { verified: Some(verified), ..snapshot.clone() }
        };
        let incomplete = |one: &Snapshot| Snapshot { is_complete: false, ..one.clone() };
        let alone = Snapshot { parts: Vec::new(), ..copy.clone() };
        for (full, parts, want) in [
            (copy.clone(), vec![part("1", None), copied.clone()], true),
            (alone, vec![], true),
            (copy.clone(), vec![], false),
            (copy.clone(), vec![part("1", None)], false),
            (copy.clone(), vec![damaged(&copied)], false),
            (copy.clone(), vec![incomplete(&copied)], false),
            (damaged(&copy), vec![copied.clone()], false),
            (incomplete(&copy), vec![copied.clone()], false),
            (full("1", None), vec![part("1", None), copied], false),
        ] {
            assert_eq!(is_safe(&full, &parts, is_elsewhere), want, "{full:?} {parts:?}");
        }
    }
}
