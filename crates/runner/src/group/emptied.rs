//! Volumes that are empty all at once, see [`tintype_model::emptied`].

use serde_json::Value;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::Result;
use tintype_model::emptied::{Held, why_not};
use tintype_model::item::{Item, Outcome};

use super::member::Member;
use super::undo_point::{PRE_RESTORE, TRIGGER};
use super::{ORIGINS, Taking, read_descriptor};

/// So many snapshots are asked at most what they hold of it.
const LOOKED_AT: usize = 50;

impl Taking<'_> {
    /// Fails an item that holds nothing, where the last snapshot that captured it held something.
    pub(super) fn doubt(&self, member: &mut Member) {
        let may_be_empty = member.source.as_ref().is_none_or(|source| source.may_be_empty());
        let item = &member.item;
        // What a restore brings back may well be gone.
        let is_undo_point = self.options.labels.options[TRIGGER] == PRE_RESTORE;
        if member.is_failed() || is_undo_point || item.problems > 0 {
            return;
        }
        let before = || {
            self.held_before(item).unwrap_or_else(|error| {
                tracing::warn!(item = item.name, %error, "nobody knows what there was of it before");
                None
            })
        };
        if let Some(why) = why_not(item.entries, may_be_empty, before) {
            member.fail(why);
        }
    }

    fn held_before(&self, item: &Item) -> Result<Option<Held>> {
        let reader = self.repository.reader()?;
        let known = self.repository.snapshots()?.snapshots;
        let own = known.into_iter().rev().filter(|snapshot| self.is_of_here(snapshot, &item.name));
        for snapshot in own.take(LOOKED_AT) {
            // A damaged one tells nothing of it.
            let Ok(Some(descriptor)) = read_descriptor(&reader, &snapshot) else { continue };
            let is_it = |known: &&Item| {
                known.outcome == Outcome::Captured
                    && known.kind == item.kind
                    && known.place == item.place
            };
            if let Some(known) = descriptor.item(&item.name).filter(is_it) {
                let snapshot = snapshot.id.short();
                return Ok(Some(Held { snapshot, entries: known.entries }));
            }
        }
        Ok(None)
    }

    /// Several hosts may have a resource of this name.
    fn is_of_here(&self, snapshot: &Snapshot, name: &str) -> bool {
        let origin = |options: &Value| options[ORIGINS][name].as_str().map(str::to_owned);
        match origin(&snapshot.manifest.options) {
            Some(theirs) => origin(&self.options.labels.options) == Some(theirs),
            None => snapshot.manifest.host == self.repository.identity().host,
        }
    }
}
