//! Which part of a tree is looked at, decided page by page without reading them.

use tintype_model::entry::{is_within, path_order};

/// A part of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span<'a> {
    /// A path and everything below it; all if the path is empty.
    Within(&'a [u8]),
    /// One path.
    Exactly(&'a [u8]),
}

impl Span<'_> {
    pub fn holds(&self, path: &[u8]) -> bool {
        match self {
            Span::Within(ancestor) => is_within(path, ancestor),
            Span::Exactly(only) => path == *only,
        }
    }

    /// Whether a page of paths from `first` (empty for a root: unknown) up to but not `below`
    /// may hold something of it.
    pub fn meets(&self, first: &[u8], below: Option<&[u8]>) -> bool {
        let (Span::Within(path) | Span::Exactly(path)) = self;
        if path.is_empty() || first.is_empty() {
            return true;
        }
        let ends_before = below.is_some_and(|below| path_order(below, path).is_le());
        let begins_after = path_order(first, path).is_gt() && !self.holds(first);
        !ends_before && !begins_after
    }
}
