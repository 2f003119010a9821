//! What becomes of an entry where something stands that may be the same.

use tintype_engine::tree::TreeEntry;
use tintype_model::Result;
use tintype_model::entry::{Kind, Node};

use super::super::{Action, Overwrite, same};
use super::Planner;

/// The first name of a file that has several.
pub(super) struct FirstName {
    /// It will be another file than the one that stands there.
    is_written: bool,
    /// Device and inode of what stands there.
    standing: (u64, u64),
}

impl Planner<'_> {
    /// What becomes of something that stands there, both no directories.
    pub(super) fn compare(
        &mut self,
        path: &[u8],
        entry: &TreeEntry,
        standing: &Node,
        is_kind: bool,
    ) -> Result<Action> {
        let wanted = &entry.node;
        let target = self.target.as_ref().expect("something stands in it");
        let overwrite = self.request.overwrite;
        let mut is_same = is_kind;
        if is_same && wanted.kind == Kind::Symlink {
            let link = target.inspect(path)?;
            is_same = link.is_some_and(|link| same::content(wanted, &link));
        } else if is_same {
            is_same = same::content(wanted, standing);
        }
        if is_same && overwrite == Overwrite::Always {
            is_same = !self.is_linked_otherwise(entry, standing) && self.holds(path, entry);
        }
        if !is_same {
            return Ok(match overwrite {
                Overwrite::Always => Action::Replace,
                Overwrite::Older if standing.mtime < wanted.mtime => Action::Replace,
                _ => Action::Keep,
            });
        }
        let target = self.target.as_ref().expect("something stands in it");
        let (owners, keys) = (&self.request.owners, self.check.keys());
        let found = target.inspect(path).ok().flatten();
        let is_equal = found.map(|found| same::metadata(entry, &found, owners, keys));
        // It would change for names that are not restored.
        let is_shared = wanted.links < 2 && standing.links > 1;
        Ok(match is_equal {
            Some(true) => Action::Same,
            Some(false) if overwrite == Overwrite::Never || is_shared => Action::KeepMetadata,
            None if overwrite == Overwrite::Never || is_shared => Action::Same,
            // What cannot be read may still be set.
            Some(false) | None => Action::Metadata,
        })
    }

    /// Whether it shares its content with other names than it should.
    fn is_linked_otherwise(&mut self, entry: &TreeEntry, standing: &Node) -> bool {
        let wanted = &entry.node;
        if wanted.kind != Kind::File {
            return false;
        }
        if wanted.links < 2 {
            return standing.links > 1;
        }
        let known = self.first_names.at(&entry.path);
        known.get(&(wanted.device, wanted.inode)).is_some_and(|first| {
            first.is_written || first.standing != (standing.device, standing.inode)
        })
    }

    pub(super) fn note_first_name(
        &mut self,
        entry: &TreeEntry,
        is_written: bool,
        standing: (u64, u64),
    ) {
        let wanted = &entry.node;
        if wanted.links > 1 && wanted.kind == Kind::File {
            let key = (wanted.device, wanted.inode);
            self.first_names
                .at(&entry.path)
                .entry(key)
                .or_insert(FirstName { is_written, standing });
        }
    }

    /// Whether the file that stands there has the content of the entry. One that cannot be read
    /// is replaced like one that differs.
    fn holds(&mut self, path: &[u8], entry: &TreeEntry) -> bool {
        if !entry.node.kind.has_content() {
            return true;
        }
        let target = self.target.as_ref().expect("something stands in it");
        let compared =
            target.read(path).and_then(|file| self.check.file(&mut self.buffer, &file, entry));
        compared.is_ok()
    }
}
