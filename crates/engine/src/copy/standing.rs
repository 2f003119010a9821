//! What was said about a snapshot after it was taken goes with its copy, as annotations.

use tintype_model::Result;

use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, Change, Manifest};
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::annotate::Standing;

/// Annotates the copy until it stands as the source does. Does nothing if anybody but an
/// earlier copy annotated it: then it has its own history.
pub(super) fn carry_over(
    target: &Repository,
    copy: SnapshotId,
    manifest: &Manifest,
    source: &Standing,
    by: &str,
) -> Result<()> {
    for listed in list_all(&*target.backend, &format!("annotation/{copy}/"))? {
        let annotation: Annotation = target.get_json(ObjectType::Annotation, &listed.name)?;
        if annotation.by != by {
            return Ok(());
        }
    }
    let standing = target.standing(copy, manifest)?;
    for change in changes(&standing, source, target.env.clock.now()) {
        target.annotate(copy, manifest, by, change)?;
    }
    Ok(())
}

/// Protection first. Locks that are over are not carried: nothing can be locked in the past.
fn changes(standing: &Standing, source: &Standing, now: jiff::Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(until) = source.locked_until
        && until > now
        && standing.locked_until.is_none_or(|known| known < until)
    {
        changes.push(Change::Lock(until));
    }
    changes.extend(source.holds.difference(&standing.holds).cloned().map(Change::Hold));
    let add: Vec<String> = source.tags.difference(&standing.tags).cloned().collect();
    let remove: Vec<String> = standing.tags.difference(&source.tags).cloned().collect();
    if !add.is_empty() || !remove.is_empty() {
        changes.push(Change::Tag { add, remove });
    }
    if standing.note != source.note {
        changes.push(Change::Note(source.note.clone()));
    }
    if standing.expiry != source.expiry {
        changes.push(Change::Expiry(source.expiry));
    }
    changes
}
