//! What the repository holds: objects by kind, content, and what each snapshot adds.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tintype_model::Result;

use crate::cancel::Cancel;
use crate::format::frame::{Kind, sealed_bytes};
use crate::id::{ContentId, SnapshotId};
use crate::reader::{ContentReader, ReadBuffer};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::tree::Root;
use crate::tree::cursor::Page;
use crate::tree::forest::{Forest, Visit};
use crate::tree::pieces::for_each_piece;
use crate::tree::span::Span;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub count: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Frames {
    pub count: u64,
    pub raw_bytes: u64,
    /// Compressed, without the seal.
    pub stored_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct SnapshotStats {
    pub id: SnapshotId,
    pub entries: u64,
    /// Content as a restore would write it.
    pub bytes: u64,
    /// Sealed bytes that no older snapshot refers to.
    pub new_bytes: Option<u64>,
    /// Sealed bytes that no other snapshot refers to: what its deletion would free.
    pub unique_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RepositoryStats {
    /// By the first part of the name: `data`, `meta`, `index`, `fate`, ….
    pub objects: BTreeMap<String, Amount>,
    pub total: Amount,
    /// Frames that the index names, by kind: `chunk`, `parcel`, `list`, `page`. A frame that
    /// lies in two packs counts twice.
    pub frames: BTreeMap<&'static str, Frames>,
    /// Content of all snapshots, each counted whole.
    pub logical_bytes: u64,
    /// Logical bytes for each stored byte; `None` for an empty repository.
    pub ratio: Option<f64>,
    pub snapshots: Vec<SnapshotStats>,
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Chunk => "chunk",
        Kind::Parcel => "parcel",
        Kind::List => "list",
        Kind::Page => "page",
        _ => "other",
    }
}

impl Repository {
    /// Reads listings and the index; trees only if `by_snapshot` asks what each snapshot adds
    /// (about 40 bytes of memory for each chunk then).
    pub fn stats(
        &self,
        by_snapshot: bool,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<RepositoryStats> {
        let snapshots = self.snapshots()?.snapshots;
        let reader = self.reader()?;
        let mut objects: BTreeMap<String, Amount> = BTreeMap::new();
        let mut total = Amount::default();
        self.backend.list("", &mut |listed| {
            let kind = listed.name.split('/').next().unwrap_or_default();
            for amount in [objects.entry(kind.to_owned()).or_default(), &mut total] {
                amount.count += 1;
                amount.bytes += listed.size_bytes;
            }
            Ok(())
        })?;
        let mut frames: BTreeMap<&'static str, Frames> = BTreeMap::new();
        for segment in &reader.index().segments {
            segment.for_each(&mut |_, record| {
                let frames = frames.entry(kind_name(record.kind)).or_default();
                frames.count += 1;
                frames.raw_bytes += u64::from(record.raw_bytes);
                frames.stored_bytes += u64::from(record.stored_bytes);
                Ok(())
            })?;
        }
        let sizes = snapshots.iter().map(|s| s.manifest.bytes);
        let logical_bytes = sizes.fold(0u64, u64::saturating_add);
        let shares =
            if by_snapshot { Some(shares(&reader, &snapshots, workers, cancel)?) } else { None };
        let of_snapshot = |(number, snapshot): (usize, &Snapshot)| SnapshotStats {
            id: snapshot.id,
            entries: snapshot.manifest.entries,
            bytes: snapshot.manifest.bytes,
            new_bytes: shares.as_ref().map(|s| s[number].0),
            unique_bytes: shares.as_ref().map(|s| s[number].1),
        };
        Ok(RepositoryStats {
            ratio: (total.bytes > 0).then(|| logical_bytes as f64 / total.bytes as f64),
            logical_bytes,
            objects,
            total,
            frames,
            snapshots: snapshots.iter().enumerate().map(of_snapshot).collect(),
        })
    }
}

/// Who refers to a frame: the oldest, and whether it is alone.
#[derive(Clone, Copy)]
struct Holders {
    first: u32,
    alone: bool,
}

/// New and unique bytes of each snapshot.
fn shares(
    reader: &ContentReader<'_>,
    snapshots: &[Snapshot],
    workers: usize,
    cancel: &Cancel,
) -> Result<Vec<(u64, u64)>> {
    let roots: Vec<Root> = snapshots.iter().map(|s| Root::of(&s.manifest)).collect();
    // Half an id tells frames apart well enough for a figure.
    let mut holders: HashMap<u128, (Holders, u32)> = HashMap::new();
    let forest = Forest { reader, workers, cancel, span: Span::Within(b"") };
    let index = reader.index();
    forest.walk(
        &roots,
        &|buffer, visit, page| pieces(reader, buffer, visit, page),
        &mut |visit, pieces| {
            for id in pieces? {
                let key = u128::from_le_bytes(id.0[..16].try_into().expect("16 of 32 bytes"));
                let here = Holders { first: visit.trees[0], alone: visit.trees.len() == 1 };
                if let Some((known, _)) = holders.get_mut(&key) {
                    known.alone &= here.alone && known.first == here.first;
                    known.first = known.first.min(here.first);
                } else {
                    let found = index.find(&id)?;
                    let bytes = found.map_or(0, |l| sealed_bytes(l.stored_bytes) as u32);
                    holders.insert(key, (here, bytes));
                }
            }
            Ok(())
        },
    )?;
    let mut shares = vec![(0, 0); snapshots.len()];
    for (holders, bytes) in holders.into_values() {
        let share = &mut shares[holders.first as usize];
        share.0 += u64::from(bytes);
        share.1 += if holders.alone { u64::from(bytes) } else { 0 };
    }
    Ok(shares)
}

/// Ids of a page and of all that its entries refer to, neighbours once.
fn pieces(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    visit: &Visit<'_>,
    page: Result<Page>,
) -> Result<Vec<ContentId>> {
    let mut ids = vec![visit.child.id];
    if let Page::Leaf(entries) = page? {
        for entry in &entries {
            for_each_piece(reader, buffer, entry, &mut |piece| {
                if ids.last() != Some(&piece.id) {
                    ids.push(piece.id);
                }
            });
        }
    }
    Ok(ids)
}
