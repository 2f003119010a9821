//! What is live: everything that the trees of living snapshots refer to.

use std::collections::{BTreeMap, HashSet};

use tintype_model::{Error, Result};

use crate::cancel::Cancel;
use crate::format::frame::{Kind, sealed_bytes};
use crate::format::records::Manifest;
use crate::id::{ContentId, SnapshotId};
use crate::index::segment::Record;
use crate::index::{Index, PackId};
use crate::reader::{ContentReader, ReadBuffer};
use crate::tree::cursor::{Page, read_page};
use crate::tree::list::decode_list;
use crate::tree::{Content, Reference, TreeEntry};

/// One bit for each record of each segment.
pub(super) struct Live<'i> {
    pub index: &'i Index,
    bits: Vec<Vec<u64>>,
    seen: HashSet<ContentId>,
}

/// How much of a pack is live.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub live_bytes: u64,
    pub live_frames: u64,
    /// Of all frames, live or not; without trailer and padding.
    pub frame_bytes: u64,
    pub size_bytes: u64,
}

impl<'i> Live<'i> {
    /// Marks from the roots of all given snapshots. Fails if a page or a chunk cannot be found:
    /// then nothing may be deleted.
    pub(super) fn mark(
        reader: &ContentReader<'_>,
        index: &'i Index,
        snapshots: &[(SnapshotId, &Manifest)],
        cancel: &Cancel,
    ) -> Result<Self> {
        let bits = index.segments.iter().map(|s| vec![0; (s.records() as usize).div_ceil(64)]);
        let mut live = Self { index, bits: bits.collect(), seen: HashSet::new() };
        let mut buffer = ReadBuffer::new()?;
        for (id, manifest) in snapshots {
            live.page(reader, &mut buffer, manifest.root, manifest.level, cancel)
                .map_err(|e| e.context(format!("snapshot {}", id.short())))?;
        }
        live.seen = HashSet::new();
        Ok(live)
    }

    fn page(
        &mut self,
        reader: &ContentReader<'_>,
        buffer: &mut ReadBuffer,
        id: ContentId,
        level: u8,
        cancel: &Cancel,
    ) -> Result<()> {
        cancel.check()?;
        if !self.seen.insert(id) {
            return Ok(());
        }
        self.set(&id)?;
        match read_page(reader, buffer, &id, level, None, None)? {
            // Levels fall by one each time, so this ends after eight.
            Page::Inner(children) => children
                .iter()
                .try_for_each(|child| self.page(reader, buffer, child.id, level - 1, cancel)),
            Page::Leaf(entries) => {
                entries.iter().try_for_each(|entry| self.entry(reader, buffer, entry))
            }
        }
    }

    fn entry(
        &mut self,
        reader: &ContentReader<'_>,
        buffer: &mut ReadBuffer,
        entry: &TreeEntry,
    ) -> Result<()> {
        entry.large_xattrs.iter().try_for_each(|xattr| self.set(&xattr.id))?;
        match &entry.content {
            Content::None => Ok(()),
            Content::Slot(slot) => {
                // Files of one parcel follow each other: look it up once.
                if self.seen.insert(slot.parcel.id) { self.set(&slot.parcel.id) } else { Ok(()) }
            }
            Content::References { depth, list } => self.references(reader, buffer, *depth, list),
        }
    }

    fn references(
        &mut self,
        reader: &ContentReader<'_>,
        buffer: &mut ReadBuffer,
        depth: u8,
        list: &[Reference],
    ) -> Result<()> {
        for reference in list {
            let Some(id) = reference.id else { continue };
            self.set(&id)?;
            if depth > 0 && self.seen.insert(id) {
                let mut raw = Vec::new();
                reader.read(&id, Kind::List, buffer, &mut raw)?;
                let below = decode_list(&raw, depth - 1, reference.length)?;
                self.references(reader, buffer, depth - 1, &below)?;
            }
        }
        Ok(())
    }

    /// Sets the bit of every copy of `id`.
    fn set(&mut self, id: &ContentId) -> Result<()> {
        let mut found = false;
        for (segment, bits) in self.index.segments.iter().zip(&mut self.bits) {
            if segment.may_contain(id)
                && let Some((number, _)) = segment.find_record(id)?
            {
                bits[number as usize / 64] |= 1 << (number % 64);
                found = true;
            }
        }
        if found {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "chunk {id} is missing from the index; gc deletes nothing before this is mended: \
                 `tintype repo verify --repair-index` looks for it in all packs and tells what is \
                 affected; a snapshot with --read-all of what it held stores it again"
            )))
        }
    }

    pub(super) fn is_live(&self, segment: usize, number: u32) -> bool {
        self.bits[segment][number as usize / 64] >> (number % 64) & 1 == 1
    }

    /// Usage of every pack that the index names.
    pub(super) fn usage(&self) -> Result<BTreeMap<PackId, Usage>> {
        let mut usage: BTreeMap<PackId, Usage> = BTreeMap::new();
        for (number, segment) in self.index.segments.iter().enumerate() {
            let rows = segment.pack_rows()?;
            let mut local = vec![Usage::default(); rows.len()];
            segment.for_each(&mut |record_number, record| {
                let pack = &mut local[record.pack as usize];
                let sealed = sealed_bytes(record.stored_bytes) as u64;
                pack.frame_bytes += sealed;
                if self.is_live(number, record_number) {
                    pack.live_frames += 1;
                    pack.live_bytes += sealed;
                }
                Ok(())
            })?;
            for (row, seen) in rows.iter().zip(local) {
                let pack = usage.entry(row.pack).or_default();
                pack.frame_bytes += seen.frame_bytes;
                pack.live_frames += seen.live_frames;
                pack.live_bytes += seen.live_bytes;
                pack.size_bytes = row.size_bytes;
            }
        }
        Ok(usage)
    }

    /// Calls `each` for every live record of a pack in `packs` of which no copy lies in a pack
    /// beside these and `doubtful`.
    pub(super) fn for_each_lost_with(
        &self,
        packs: &HashSet<PackId>,
        doubtful: &HashSet<PackId>,
        each: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        for (number, segment) in self.index.segments.iter().enumerate() {
            let rows = segment.pack_rows()?;
            segment.for_each(&mut |record_number, record| {
                let here = packs.contains(&rows[record.pack as usize].pack);
                let stays = |pack: &PackId| !packs.contains(pack) && !doubtful.contains(pack);
                if here
                    && self.is_live(number, record_number)
                    && !self.has_copy_where(&record.id, &stays)?
                {
                    each(&record)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn has_copy_where(&self, id: &ContentId, counts: &dyn Fn(&PackId) -> bool) -> Result<bool> {
        for segment in &self.index.segments {
            if segment.may_contain(id)
                && let Some(found) = segment.find(id)?
                && counts(&found.pack)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
