//! Packs with damage that can be left behind: what lives in them is copied forward, and they go.
//!
//! Not everything is read for that (`verify --all` does): looked into are packs whose ends do not
//! agree with the index, as those do of which a repair left something out, and the padding of the
//! others. Damage to frames that the index names is none of this: where something living is lost
//! the pack is spared, and a repair must take it out of the index first.

use std::collections::{BTreeMap, HashSet};

use tintype_model::{ErrorKind, Result};

use crate::cancel::Cancel;
use crate::compress::Decompressor;
use crate::format::object::HEADER_BYTES;
use crate::index::{Index, PackId};
use crate::pack::ends::Ends;
use crate::pack::reader::PackReader;
use crate::reader::{ContentReader, ReadBuffer};
use crate::repair::location;
use crate::repo::Repository;
use crate::repo::session::Session;

use super::{GcPlan, Reason};

impl Repository {
    pub(super) fn damaged_packs(
        &self,
        index: &Index,
        stored: &BTreeMap<PackId, u64>,
        cancel: &Cancel,
    ) -> Result<HashSet<PackId>> {
        let mut damaged = HashSet::new();
        for (pack, ends) in Ends::of_all(self, index, stored, cancel)? {
            let is_damaged = match ends {
                Ends::Gone => false,
                Ends::Damaged => true,
                Ends::Differ => self.is_damaged_from(pack, HEADER_BYTES as u64, stored, cancel)?,
                Ends::Agree(end) => self.is_damaged_from(pack, end, stored, cancel)?,
            };
            if is_damaged {
                damaged.insert(pack);
            }
        }
        Ok(damaged)
    }

    /// Whether anything does not open between this byte, where a frame begins, and the end.
    fn is_damaged_from(
        &self,
        pack: PackId,
        from: u64,
        stored: &BTreeMap<PackId, u64>,
        cancel: &Cancel,
    ) -> Result<bool> {
        let (backend, keys) = (&*self.backend, &self.keys);
        let (mut decompressor, mut raw) = (Decompressor::new()?, Vec::new());
        let (mut broken, mut unopened) = (false, false);
        let scanned = PackReader::open(backend, keys, self.config.id, pack).and_then(|reader| {
            let mut found = |placed: crate::format::frame::Placed, sealed: &mut [u8]| {
                let at = location(pack, &placed);
                let id = &placed.head.id;
                let opened = reader.open_frame(keys, id, &at, sealed, &mut decompressor, &mut raw);
                broken |= opened.is_err();
                cancel.check()
            };
            let region = &mut |_: u64, _: &str| unopened = true;
            reader.scan(backend, from, stored[&pack], &mut found, region)
        });
        match scanned {
            Ok(()) => Ok(broken || unopened),
            Err(error) if error.is(ErrorKind::NotFound) => Ok(false),
            Err(error) if error.is(ErrorKind::Corrupt) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Packs whose copies do not count when others go: those that are named and not there, and
    /// those in which the other copy of what a candidate holds does not open. It may hold the last
    /// whole copy of something, and nobody has read the other.
    pub(super) fn doubtful_packs(
        &self,
        index: &Index,
        plan: &GcPlan,
        session: &Session<'_>,
        cancel: &Cancel,
    ) -> Result<HashSet<PackId>> {
        let stored = self.stored_packs()?;
        let reader = ContentReader::fixed(self, index.clone());
        let holds_something =
            |reason| matches!(reason, Reason::Damaged | Reason::Sparse | Reason::Small);
        let going: HashSet<PackId> = plan
            .candidates
            .iter()
            .filter(|candidate| holds_something(candidate.reason))
            .map(|candidate| candidate.id)
            .collect();
        let candidates = plan.ids();
        let mut doubtful = HashSet::new();
        let mut buffer = ReadBuffer::new()?;
        for segment in &index.segments {
            let rows = segment.pack_rows()?;
            let is_gone = |pack: &PackId| !stored.contains_key(pack);
            doubtful.extend(rows.iter().map(|row| row.pack).filter(is_gone));
            if going.is_empty() {
                continue;
            }
            segment.for_each(&mut |_, record| {
                if !going.contains(&rows[record.pack as usize].pack) {
                    return Ok(());
                }
                session.beat()?;
                cancel.check()?;
                for place in index.places(&record.id)? {
                    if candidates.contains(&place.pack) || doubtful.contains(&place.pack) {
                        continue;
                    }
                    // One that opens is enough.
                    if reader.opens_at(&record.id, &place, &mut buffer)? {
                        break;
                    }
                    doubtful.insert(place.pack);
                }
                Ok(())
            })?;
        }
        Ok(doubtful)
    }
}
