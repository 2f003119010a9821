//! Goes through a tree and says everything of its entries but their content.

use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::{Error, Result};

use super::names;
use super::record::{EntryLine, HOLES, Line, MOST_XATTRS_BYTES, XattrLine};

/// What is exported of a tree: a path with what is below it, and the directories on the way to it.
#[derive(Clone, Copy)]
pub(super) struct Selection<'s> {
    pub root: Root,
    /// Empty: everything.
    pub path: &'s [u8],
}

impl Selection<'_> {
    /// Calls `each` for every entry, in path order.
    pub(super) fn for_each(
        &self,
        reader: &ContentReader<'_>,
        cancel: &Cancel,
        each: &mut dyn FnMut(TreeEntry) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::new(reader, self.root)?;
        let slashes = self.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            let above = &self.path[..at];
            each(cursor.get(above)?.ok_or_else(|| missing(above))?)?;
        }
        let mut count = 0u64;
        cursor.for_each_within(self.path, &mut |entry| {
            cancel.check()?;
            count += 1;
            if entry.path.split(|byte| *byte == b'/').count() == 1 {
                names::check(&entry.path)?;
            }
            each(entry)
        })?;
        if count == 0 && !self.path.is_empty() { Err(missing(self.path)) } else { Ok(()) }
    }
}

fn missing(path: &[u8]) -> Error {
    Error::not_found(format!("the snapshot holds no /{}", String::from_utf8_lossy(path)))
}

/// Writes the lines of single entries.
pub(super) struct Lines<'c, 'r> {
    reader: &'c ContentReader<'r>,
    buffer: ReadBuffer,
    text: Vec<u8>,
}

impl<'c, 'r> Lines<'c, 'r> {
    pub(super) fn new(reader: &'c ContentReader<'r>) -> Result<Self> {
        Ok(Self { reader, buffer: ReadBuffer::new()?, text: Vec::new() })
    }

    /// The lines of the next entry, in pieces.
    pub(super) fn write(
        &mut self,
        entry: &TreeEntry,
        out: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.text.clear();
        push(&mut self.text, &Line::Entry(Box::new(EntryLine::of(entry))))?;
        self.xattrs(entry).map_err(|error| named(entry, error))?;
        if let Content::References { depth, list } = &entry.content {
            let text = &mut self.text;
            let references = References::new(self.reader, &mut self.buffer, *depth, list.clone());
            for holes in Holes::of(references) {
                push(text, &Line::Holes(holes.map_err(|error| named(entry, error))?))?;
                if text.len() > 1 << 20 {
                    out(text)?;
                    text.clear();
                }
            }
        }
        out(&self.text)
    }

    fn xattrs(&mut self, entry: &TreeEntry) -> Result<()> {
        let small = entry.node.extras.iter().flat_map(|extras| &extras.xattrs);
        let mut all: Vec<(&[u8], Option<&[u8]>)> =
            small.map(|xattr| (&xattr.name[..], Some(&xattr.value[..]))).collect();
        all.extend(entry.large_xattrs.iter().map(|xattr| (&xattr.name[..], None)));
        all.sort_unstable_by_key(|(name, _)| *name);
        let mut total = 0;
        for (name, value) in all {
            let value = match value {
                Some(value) => value.to_vec(),
                None => large_xattr(self.reader, &mut self.buffer, entry, name)?,
            };
            total += name.len() + value.len();
            if total > MOST_XATTRS_BYTES {
                return Err(Error::unsupported("its xattrs are too long for a bundle"));
            }
            push(&mut self.text, &Line::Xattr(XattrLine::of(name, &value)))?;
        }
        Ok(())
    }
}

/// The value of an xattr that is a frame of its own.
pub(super) fn large_xattr(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    entry: &TreeEntry,
    name: &[u8],
) -> Result<Vec<u8>> {
    let xattr = entry.large_xattrs.iter().find(|xattr| xattr.name == name);
    let xattr = xattr.ok_or_else(|| Error::internal("an xattr is looked for in vain"))?;
    let mut value = Vec::new();
    reader.read(&xattr.id, FrameKind::List, buffer, &mut value)?;
    if value.len() == xattr.length as usize {
        Ok(value)
    } else {
        Err(Error::corrupt("an xattr has another length than its entry says"))
    }
}

pub(super) fn named(entry: &TreeEntry, error: Error) -> Error {
    error.context(format!("/{}", String::from_utf8_lossy(&entry.path)))
}

fn push(text: &mut Vec<u8>, line: &Line<'_>) -> Result<()> {
    serde_json::to_writer(&mut *text, line)
        .map_err(|error| Error::internal(format!("a line of a bundle: {error}")))?;
    text.push(b'\n');
    Ok(())
}

/// The holes of some content, neighbours joined, so many at a time.
struct Holes<'c, 'r> {
    references: References<'c, 'r>,
    at: u64,
    open: Option<(u64, u64)>,
}

impl<'c, 'r> Holes<'c, 'r> {
    fn of(references: References<'c, 'r>) -> Self {
        Self { references, at: 0, open: None }
    }

    fn next_hole(&mut self) -> Option<Result<(u64, u64)>> {
        loop {
            let Some(reference) = self.references.next() else { return self.open.take().map(Ok) };
            let reference = match reference {
                Ok(reference) => reference,
                Err(error) => return Some(Err(error)),
            };
            let start = self.at;
            self.at += reference.length;
            match (reference.id, &mut self.open) {
                (None, Some((_, length))) => *length += reference.length,
                (None, none) => *none = Some((start, reference.length)),
                (Some(_), Some(_)) => return self.open.take().map(Ok),
                (Some(_), None) => {}
            }
        }
    }
}

impl Iterator for Holes<'_, '_> {
    type Item = Result<Vec<(u64, u64)>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut holes = Vec::new();
        while holes.len() < HOLES
            && let Some(hole) = self.next_hole()
        {
            match hole {
                Ok((_, 0)) => {}
                Ok(hole) => holes.push(hole),
                Err(error) => return Some(Err(error)),
            }
        }
        (!holes.is_empty()).then_some(Ok(holes))
    }
}
