//! Where every chunk is. The truth is the sealed segments in the repository (format.md §8);
//! each is kept locally in a form that is searched without being loaded ([`local`]).
//!
//! The local form is a cache: it may be deleted at any time, and what is found in it is
//! believed only after its checksum held.

pub mod local;
pub mod map;
pub mod segment;

use std::collections::HashSet;
use std::sync::Arc;

use tintype_model::Result;

use crate::format::frame::Kind;
use crate::id::{ContentId, RandomId};
use local::LocalSegment;

/// Data packs hold file content, meta packs hold pages and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PackClass {
    Data = 1,
    Meta = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId {
    pub class: PackClass,
    pub id: RandomId,
}

impl PackId {
    /// `data/<xx>/<id>` (format.md §3).
    pub fn object_name(&self) -> String {
        let id = self.id.to_string();
        let class = match self.class {
            PackClass::Data => "data",
            PackClass::Meta => "meta",
        };
        format!("{class}/{}/{id}", &id[..2])
    }

    pub fn parse(name: &str) -> Option<Self> {
        let (class, rest) = name.split_once('/')?;
        let class = match class {
            "data" => PackClass::Data,
            "meta" => PackClass::Meta,
            _ => return None,
        };
        let (prefix, id) = rest.split_once('/')?;
        let id = id.strip_prefix(prefix).filter(|_| prefix.len() == 2).and(Some(id))?;
        Some(Self { class, id: id.parse().ok()? })
    }
}

/// Where a content frame is and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub pack: PackId,
    pub offset: u64,
    pub stored_bytes: u32,
    pub raw_bytes: u32,
    pub kind: Kind,
}

/// All segments that count, newest last; immutable once read.
#[derive(Default, Clone)]
pub struct Index {
    pub segments: Vec<Arc<LocalSegment>>,
    /// Packs named by a condemned list in force: found by readers, never reused by writers.
    pub condemned: Arc<HashSet<PackId>>,
}

impl Index {
    /// For readers: where `id` is. Does not trust the filters, so that a damaged cache cannot
    /// hide a chunk.
    pub fn find(&self, id: &ContentId) -> Result<Option<Location>> {
        let mut condemned = None;
        for segment in self.segments.iter().rev() {
            if let Some(found) = segment.find(id)? {
                if !self.condemned.contains(&found.pack) {
                    return Ok(Some(found));
                }
                condemned = Some(found);
            }
        }
        Ok(condemned)
    }

    /// Every place of `id`, that of [`Self::find`] first: any of them will do (format.md §8).
    pub fn places(&self, id: &ContentId) -> Result<Vec<Location>> {
        let mut places = Vec::new();
        for segment in self.segments.iter().rev() {
            places.extend(segment.find(id)?);
        }
        places.sort_by_key(|place| self.condemned.contains(&place.pack));
        Ok(places)
    }

    /// For writers: whether `id` may be reused. A false "no" costs an upload, a false "yes"
    /// would cost data and cannot happen: a hit is confirmed by a checked record.
    pub fn is_reusable(&self, id: &ContentId) -> Result<bool> {
        for segment in &self.segments {
            if segment.may_contain(id)
                && let Some(found) = segment.find(id)?
                && !self.condemned.contains(&found.pack)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn records(&self) -> u64 {
        self.segments.iter().map(|s| u64::from(s.records())).sum()
    }
}
