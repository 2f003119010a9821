//! The trees of all visible snapshots: every page readable and in its place, everything that
//! entries refer to in the index and in a pack that is whole.

use tintype_model::{Error, Result};

use super::packs::PackDamage;
use super::report::{Affected, Findings, Problem, Severity};
use super::{Stage, VerifyEvent, VerifyOptions};
use crate::format::frame::Kind;
use crate::id::{ContentId, SnapshotId};
use crate::index::{Index, Location};
use crate::reader::{ContentReader, ReadBuffer};
use crate::tree::Root;
use crate::tree::cursor::Page;
use crate::tree::forest::{Forest, Visit};
use crate::tree::pieces::{Piece, for_each_piece};
use crate::tree::span::Span;

/// Something wrong that was seen in one page.
struct Hit {
    cause: Cause,
    path: Vec<u8>,
    /// `None`: the path alone, see [`Affected`].
    until: Option<Vec<u8>>,
}

enum Cause {
    /// Found before, when packs were looked at.
    Known(usize),
    /// No segment names it.
    Absent(ContentId, Kind),
    /// The index says another kind or length than the entry.
    Contradiction { id: ContentId, expected: String, found: String },
    /// A page or list that could not be opened; the object is its pack, if known.
    Broken { object: String, expected: String, error: Error },
}

#[derive(Default)]
pub(super) struct TreeCounts {
    pub pages: u64,
    pub entries: u64,
}

pub(super) fn check(
    reader: &ContentReader<'_>,
    snapshots: &[(SnapshotId, Root)],
    damage: &PackDamage,
    options: &VerifyOptions<'_>,
    findings: &mut Findings,
) -> Result<TreeCounts> {
    let roots: Vec<Root> = snapshots.iter().map(|(_, root)| *root).collect();
    let entries = roots.iter().map(|root| root.entries).fold(0u64, u64::saturating_add);
    let stage = Stage::Trees;
    (options.on_event)(VerifyEvent::Stage { stage, count: entries, bytes: 0 });
    let (workers, cancel) = (options.workers, options.cancel);
    let forest = Forest { reader, workers, cancel, span: Span::Within(b"") };
    let index = reader.index();
    let examiner = Examiner { reader, index: &index, damage };
    let mut counts = TreeCounts::default();
    forest.walk(
        &roots,
        &|buffer, visit, page| examiner.examine(buffer, visit, page),
        &mut |visit, (entries, hits)| {
            counts.pages += 1;
            counts.entries += entries;
            (options.on_event)(VerifyEvent::Done { count: entries, bytes: 0 });
            let ids = || visit.trees.iter().map(|n| snapshots[*n as usize].0).collect();
            for hit in hits {
                let number = note(&hit.cause, findings)?;
                let Hit { path, until, .. } = hit;
                findings.affects(number, Affected { path, until, snapshots: ids() });
            }
            Ok(())
        },
    )?;
    Ok(counts)
}

fn note(cause: &Cause, findings: &mut Findings) -> Result<usize> {
    let damage = Severity::Damage;
    match cause {
        Cause::Known(number) => Ok(*number),
        Cause::Absent(id, kind) => {
            let (object, expected) = (format!("chunk {id}"), format!("a {kind:?} in the index"));
            Ok(findings.add(damage, Problem::Missing, object, expected, "no segment names it"))
        }
        Cause::Contradiction { id, expected, found } => {
            let object = format!("chunk {id}");
            Ok(findings.add(damage, Problem::Disagrees, object, expected, found))
        }
        Cause::Broken { object, expected, error } => findings.unreadable(object, expected, error),
    }
}

struct Examiner<'e, 'r> {
    reader: &'e ContentReader<'r>,
    index: &'e Index,
    damage: &'e PackDamage,
}

impl Examiner<'_, '_> {
    fn examine(
        &self,
        buffer: &mut ReadBuffer,
        visit: &Visit<'_>,
        page: Result<Page>,
    ) -> (u64, Vec<Hit>) {
        match page {
            Ok(Page::Inner(_)) => (0, Vec::new()),
            Ok(Page::Leaf(entries)) => {
                let mut hits = Vec::new();
                let mut last: Option<(Piece, bool)> = None;
                for entry in &entries {
                    let from = hits.len();
                    let hit = |cause| Hit { cause, path: entry.path.clone(), until: None };
                    let mut causes = Vec::new();
                    let broken = for_each_piece(self.reader, buffer, entry, &mut |piece| {
                        // Small files share their parcel with their neighbours.
                        if last != Some((piece, true)) {
                            let cause = self.look_up(&piece);
                            last = Some((piece, cause.is_none()));
                            causes.extend(cause);
                        }
                    });
                    hits.extend(causes.into_iter().map(hit));
                    if hits.len() == from {
                        let causes = broken.into_iter().map(|(id, e)| self.broken(id, "list", e));
                        hits.extend(causes.map(hit));
                    }
                }
                (entries.len() as u64, hits)
            }
            Err(error) => {
                let piece = Piece { id: visit.child.id, kind: Kind::Page, raw_bytes: None };
                let known = self.look_up(&piece);
                let cause = known.unwrap_or_else(|| self.broken(piece.id, "page", error));
                let until = visit.below.map(<[u8]>::to_vec).unwrap_or_default();
                let path = visit.child.first.clone();
                (0, vec![Hit { cause, path, until: Some(until) }])
            }
        }
    }

    /// Number of the finding that tells why nothing can be read there.
    fn lost(&self, place: &Location) -> Option<usize> {
        let PackDamage { lost_packs, lost_frames, .. } = self.damage;
        let frame = (place.pack, place.offset);
        lost_packs.get(&place.pack).or_else(|| lost_frames.get(&frame)).copied()
    }

    fn broken(&self, id: ContentId, what: &str, error: Error) -> Cause {
        let object = match self.index.find(&id) {
            Ok(Some(found)) => found.pack.object_name(),
            _ => format!("chunk {id}"),
        };
        Cause::Broken { object, expected: format!("{what} {id}"), error }
    }

    /// What is known to be wrong with a frame without reading it.
    fn look_up(&self, piece: &Piece) -> Option<Cause> {
        let Piece { id, kind, raw_bytes } = *piece;
        let places = match self.index.places(&id) {
            Ok(places) => places,
            Err(error) => return Some(self.broken(id, "chunk", error)),
        };
        let Some(first) = places.first() else { return Some(Cause::Absent(id, kind)) };
        // A copy that is whole will do.
        let Some(found) = places.iter().find(|place| self.lost(place).is_none()) else {
            return self.lost(first).map(Cause::Known);
        };
        let same_kind = found.kind == kind || !(found.kind.is_metadata() || kind.is_metadata());
        let same_length = raw_bytes.is_none_or(|raw| raw == u64::from(found.raw_bytes));
        (!same_kind || !same_length).then(|| Cause::Contradiction {
            id,
            expected: format!("a {kind:?} of {raw_bytes:?} bytes, by an entry"),
            found: format!("a {:?} of {} bytes, by the index", found.kind, found.raw_bytes),
        })
    }
}
