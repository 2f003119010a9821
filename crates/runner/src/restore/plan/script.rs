//! Which action belongs to which entry: pages are named by their content, so one that is met again
//! holds the same entries, if it is met for the same rule: rules may share one. An action whose page
//! is not met must not fall on another entry.

use tintype_engine::id::ContentId;
use tintype_engine::tree::TreeEntry;
use tintype_engine::tree::cursor::Cursor;
use tintype_model::entry::is_within;
use tintype_model::{Error, Result};

use super::super::{Action, Plan};

/// Gives each entry at and below `path` with the page that it stands on.
pub(super) fn walk(
    cursor: &mut Cursor<'_, '_>,
    path: &[u8],
    each: &mut dyn FnMut(ContentId, TreeEntry) -> Result<()>,
) -> Result<()> {
    cursor.seek(path)?;
    while let Some(entry) = cursor.next_entry()? {
        if !is_within(&entry.path, path) {
            break;
        }
        let page = cursor.leaf().expect("it came from there").id;
        each(page, entry)?;
    }
    Ok(())
}

/// What is left of a plan while it is gone through.
pub(super) struct Script<'p> {
    actions: std::slice::Iter<'p, Action>,
    pages: std::slice::Iter<'p, (usize, ContentId, u32)>,
    rule: usize,
    page: ContentId,
    /// Entries of the page that are still to come.
    left: u32,
}

impl<'p> Script<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let page = ContentId::default();
        Self { actions: plan.actions.iter(), pages: plan.pages.iter(), rule: 0, page, left: 0 }
    }

    /// The action for the next entry, which stands on `page` and belongs to a rule.
    pub(super) fn next(&mut self, rule: usize, page: ContentId) -> Result<Action> {
        if self.left == 0 {
            (self.rule, self.page, self.left) = *self.pages.next().ok_or_else(differs)?;
        }
        if (self.rule, self.page) != (rule, page) {
            return Err(differs());
        }
        self.left -= 1;
        self.actions.next().copied().ok_or_else(differs)
    }

    pub(super) fn end(mut self) -> Result<()> {
        if self.left > 0 || self.pages.next().is_some() { Err(differs()) } else { Ok(()) }
    }
}

fn differs() -> Error {
    Error::corrupt(
        "the snapshot does not read as it did when the plan was made: pages became unreadable, or \
         readable again, meanwhile; no more was done, run it again",
    )
}
