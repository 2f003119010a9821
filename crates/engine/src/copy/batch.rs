//! A run of entries on their way: what they refer to is read where it is not known, put into
//! the target by several workers, and then the entries go into the target's tree under the new
//! names. In memory: the entries, and one run of chunks for each worker.

use std::collections::HashMap;
use std::sync::Mutex;

use tintype_model::{Error, Result};

use super::mapping::{Digest, Journal, Mapping, Pair};
use super::{CopyEvent, CopyOptions};
use crate::fetch::Wanted;
use crate::format::frame::Kind;
use crate::id::ContentId;
use crate::parallel;
use crate::reader::{ContentReader, ReadBuffer};
use crate::store::{Store, Worker};
use crate::tree::builder::TreeBuilder;
use crate::tree::{Content, TreeEntry};

const MOST_ENTRIES: usize = 4096;
const MOST_NEEDS: usize = 8192;
/// What one worker reads at a time.
const GROUP_BYTES: u64 = 8 << 20;
const GROUP: usize = 64;

/// Content that must be read.
struct Need {
    id: ContentId,
    kind: Kind,
    raw_bytes: u64,
    /// The first entry that needs it, for messages.
    entry: usize,
    /// Files in it whose digests are not known: offset, length, digest in the source.
    slots: Vec<(u32, u64, Digest)>,
}

/// What all batches of a snapshot share.
pub(super) struct Line<'l> {
    pub reader: &'l ContentReader<'l>,
    pub store: &'l Store<'l>,
    pub mapping: &'l Mutex<Mapping>,
    pub journal: &'l Mutex<Option<Journal>>,
    pub options: &'l CopyOptions<'l>,
}

#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<TreeEntry>,
    needs: Vec<Need>,
    numbers: HashMap<ContentId, usize>,
    content: HashMap<ContentId, ContentId>,
    digests: HashMap<Digest, Digest>,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= MOST_ENTRIES || self.needs.len() >= MOST_NEEDS
    }

    /// An entry whose references, if it has any, are chunks.
    pub(super) fn add(&mut self, line: &Line<'_>, entry: TreeEntry) -> Result<()> {
        match &entry.content {
            Content::None => {}
            Content::Slot(slot) => {
                let digest = self.knows_digest(line, &slot.digest).then_some(slot.digest);
                let size = u64::from(slot.parcel.raw_bytes);
                if digest.is_none() || !self.knows(line, &slot.parcel.id)? {
                    let number = self.need(slot.parcel.id, Kind::Parcel, size);
                    if digest.is_none() {
                        let file = (slot.offset, entry.node.size, slot.digest);
                        self.needs[number].slots.push(file);
                    }
                }
            }
            Content::References { list, .. } => {
                for reference in list {
                    if let Some(id) = reference.id
                        && !self.knows(line, &id)?
                    {
                        self.need(id, Kind::Chunk, reference.length);
                    }
                }
            }
        }
        for xattr in &entry.large_xattrs {
            if !self.knows(line, &xattr.id)? {
                self.need(xattr.id, Kind::List, u64::from(xattr.length));
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Whether the target holds it, by what was learned.
    fn knows(&mut self, line: &Line<'_>, id: &ContentId) -> Result<bool> {
        if self.content.contains_key(id) {
            return Ok(true);
        }
        let known = line.mapping.lock().expect("no panic while held").content(id);
        match known {
            Some(target) if line.store.holds(&target)? => {
                self.content.insert(*id, target);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn knows_digest(&mut self, line: &Line<'_>, digest: &Digest) -> bool {
        if self.digests.contains_key(digest) {
            return true;
        }
        let known = line.mapping.lock().expect("no panic while held").digest(digest);
        known.inspect(|target| {
            self.digests.insert(*digest, *target);
        });
        known.is_some()
    }

    fn need(&mut self, id: ContentId, kind: Kind, raw_bytes: u64) -> usize {
        let needs = &mut self.needs;
        let entry = self.entries.len();
        *self.numbers.entry(id).or_insert_with(|| {
            needs.push(Need { id, kind, raw_bytes, entry, slots: Vec::new() });
            needs.len() - 1
        })
    }

    /// Moves what is needed, then pushes the entries under their new names.
    pub(super) fn finish(
        &mut self,
        line: &Line<'_>,
        builder: &mut TreeBuilder<'_, '_>,
    ) -> Result<u64> {
        let entries = self.carry(line)?;
        let count = entries.len() as u64;
        entries.into_iter().try_for_each(|entry| builder.push(entry))?;
        Ok(count)
    }

    /// Moves what is needed; gives the entries under their new names.
    pub(super) fn carry(&mut self, line: &Line<'_>) -> Result<Vec<TreeEntry>> {
        let groups = self.groups(line)?;
        let (env, workers) = (line.reader.repository().env(), line.options.workers);
        let state = || Ok((ReadBuffer::new()?, Worker::new()?));
        let moved = parallel::map(env, workers, &groups, state, |(buffer, worker), group| {
            self.move_group(line, buffer, worker, group)
        });
        if let Some(journal) = &mut *line.journal.lock().expect("no panic while held") {
            journal.flush();
        }
        for pairs in moved? {
            for pair in pairs? {
                match pair {
                    Pair::Content(source, target) => {
                        self.content.insert(source, target);
                    }
                    Pair::Digest(source, target) => {
                        self.digests.insert(source, target);
                    }
                }
                line.mapping.lock().expect("no panic while held").learn(pair);
            }
        }
        let Batch { entries, content, digests, .. } = std::mem::take(self);
        entries.into_iter().map(|entry| translate(entry, &content, &digests)).collect()
    }

    /// Needs by their place in the source, neighbours together.
    fn groups(&self, line: &Line<'_>) -> Result<Vec<Vec<Wanted>>> {
        let index = line.reader.index();
        let mut placed = Vec::with_capacity(self.needs.len());
        for (tag, need) in self.needs.iter().enumerate() {
            let place = index.find(&need.id)?.map(|found| (found.pack, found.offset));
            placed.push((place, need.raw_bytes, Wanted { id: need.id, kind: need.kind, tag }));
        }
        placed.sort_by_key(|(place, ..)| *place);
        let mut groups: Vec<Vec<Wanted>> = Vec::new();
        let mut room = 0;
        for (_, bytes, wanted) in placed {
            match groups.last_mut() {
                Some(group) if bytes <= room && group.len() < GROUP => {
                    room -= bytes;
                    group.push(wanted);
                }
                _ => {
                    room = GROUP_BYTES.saturating_sub(bytes);
                    groups.push(vec![wanted]);
                }
            }
        }
        Ok(groups)
    }

    fn move_group(
        &self,
        line: &Line<'_>,
        buffer: &mut ReadBuffer,
        worker: &mut Worker,
        group: &[Wanted],
    ) -> Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        line.options.cancel.check()?;
        line.reader.fetch(group, buffer, &mut |tag, read| {
            let need = &self.needs[tag];
            let raw = read.map_err(|e| {
                let path = self.entries.get(need.entry).map(|entry| &entry.path[..]);
                e.context(String::from_utf8_lossy(path.unwrap_or_default()))
            })?;
            if raw.len() as u64 != need.raw_bytes {
                return Err(Error::corrupt(format!(
                    "chunk {} has {} bytes, an entry says {}",
                    need.id,
                    raw.len(),
                    need.raw_bytes
                )));
            }
            let stored = line.store.put(worker, need.kind, raw)?;
            let from = pairs.len();
            pairs.push(Pair::Content(need.id, stored.id));
            let keys = &line.store.repository().keys;
            for (offset, size, digest) in &need.slots {
                let start = *offset as usize;
                let file = raw.get(start..start + *size as usize);
                let file = file.ok_or_else(|| {
                    Error::corrupt(format!("a file lies outside its parcel {}", need.id))
                })?;
                pairs.push(Pair::Digest(*digest, keys.file_digest(file)));
            }
            if let Some(journal) = &mut *line.journal.lock().expect("no panic while held") {
                pairs[from..].iter().for_each(|pair| journal.note(*pair));
            }
            (line.options.on_event)(CopyEvent::Read { bytes: raw.len() as u64 });
            line.options.cancel.check()
        })?;
        line.store.beat()?;
        Ok(pairs)
    }
}

/// The entry as the target knows it.
fn translate(
    mut entry: TreeEntry,
    content: &HashMap<ContentId, ContentId>,
    digests: &HashMap<Digest, Digest>,
) -> Result<TreeEntry> {
    let renamed = |id: &mut ContentId| {
        let target = content.get(id);
        *id = *target.ok_or_else(|| Error::internal(format!("chunk {id} was not copied")))?;
        Ok(())
    };
    match &mut entry.content {
        Content::None => {}
        Content::Slot(slot) => {
            renamed(&mut slot.parcel.id)?;
            let digest = digests.get(&slot.digest);
            slot.digest = *digest.ok_or_else(|| Error::internal("a digest was not copied"))?;
        }
        Content::References { list, .. } => {
            list.iter_mut().filter_map(|r| r.id.as_mut()).try_for_each(renamed)?;
        }
    }
    entry.large_xattrs.iter_mut().map(|xattr| &mut xattr.id).try_for_each(renamed)?;
    Ok(entry)
}
