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
use crate::repair::location;
use crate::repo::Repository;

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
}
