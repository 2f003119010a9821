//! Packs: there, as long as the index says, saying of themselves what the index says; and
//! read whole, frame by frame.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use tintype_model::{Error, ErrorKind, Result};

use super::objects::{Inventory, Name};
use super::report::{Findings, Problem, Severity};
use super::segments::Segments;
use super::{Stage, VerifyEvent, VerifyOptions};
use crate::compress::Decompressor;
use crate::format::frame::Placed;
use crate::format::limits;
use crate::format::object::{FOOTER_BYTES, HEADER_BYTES};
use crate::index::PackId;
use crate::index::segment::Record;
use crate::pack::ends::Tally;
use crate::pack::reader::PackReader;
use crate::pack::window::WINDOW_BYTES;
use crate::parallel;
use crate::repair::location;
use crate::repo::Repository;

const BATCH: usize = 256;
/// Regions of damage that are told one by one.
const MOST_REGIONS: usize = 16;
/// Packs for which a wrong name is looked for.
const MOST_SEARCHES: usize = 64;

const LEFT_OUT: &str = "nothing that is needed is touched: the index leaves it out; `tintype repo \
                        gc --rewrite-damaged` replaces the pack";

/// What is wrong with packs, for the pass over the trees.
#[derive(Default)]
pub(super) struct PackDamage {
    /// Nothing of it can be read; number of the finding.
    pub lost_packs: HashMap<PackId, usize>,
    /// A frame that cannot be read, by its offset.
    pub lost_frames: HashMap<(PackId, u64), usize>,
    pub packs_read: u64,
    pub bytes_read: u64,
    pub packs_skipped: u64,
}

pub(super) struct Checker<'c> {
    pub repository: &'c Repository,
    pub inventory: &'c Inventory,
    pub segments: &'c Segments,
    pub options: &'c VerifyOptions<'c>,
}

/// What a whole reading of a pack found.
#[derive(Default)]
struct Scan {
    bytes: u64,
    good: HashSet<u64>,
    damage: Vec<(u64, String)>,
    failure: Option<Error>,
}

/// A pack that is not as it should be.
struct Bad {
    /// The finding that tells of its damage; `None`: every frame opens, and the index says
    /// something else about it.
    finding: Option<usize>,
    /// Where frames are that open.
    good: HashSet<u64>,
    /// Its ends are whole, and name something that the index does not.
    is_left_out: bool,
}

impl Checker<'_> {
    /// `chosen`: packs that are read whole. Others are too if something about them is wrong.
    pub(super) fn check(
        &self,
        chosen: &BTreeSet<PackId>,
        findings: &mut Findings,
    ) -> Result<PackDamage> {
        let mut damage = PackDamage::default();
        let suspects = self.check_ends(findings, &mut damage)?;
        self.note_orphans(findings);
        let mut wanted: Vec<(PackId, u64)> = Vec::new();
        for pack in chosen.iter().chain(suspects.keys().filter(|p| !chosen.contains(*p))) {
            let Some(size) = self.inventory.sizes.get(&pack.object_name()) else { continue };
            if self.options.verified.contains(pack) && !suspects.contains_key(pack) {
                damage.packs_skipped += 1;
            } else {
                wanted.push((*pack, *size));
            }
        }
        wanted.sort_unstable();
        let mut bad = HashMap::new();
        self.scan_all(&wanted, findings, &suspects, &mut damage, &mut bad)?;
        self.map_lost_frames(&bad, findings, &mut damage)?;
        lessen_what_is_left_out(&bad, &damage, findings);
        Ok(damage)
    }

    fn stage(&self, stage: Stage, count: u64, bytes: u64) {
        (self.options.on_event)(VerifyEvent::Stage { stage, count, bytes });
    }

    /// Presence, length, header, footer and trailer. Gives packs to look into, with the number
    /// of the finding if there is one already.
    fn check_ends(
        &self,
        findings: &mut Findings,
        damage: &mut PackDamage,
    ) -> Result<BTreeMap<PackId, Option<usize>>> {
        let mut suspects = BTreeMap::new();
        let packs: Vec<PackId> = self.segments.packs.keys().copied().collect();
        self.stage(Stage::Packs, packs.len() as u64, 0);
        let (env, workers) = (self.repository.env(), self.options.workers);
        let mut searches = 0;
        for batch in packs.chunks(BATCH) {
            self.options.cancel.check()?;
            let work = |(): &mut (), pack: &PackId| self.trailer_tally(*pack);
            let results = parallel::map(env, workers, batch, || Ok(()), work)?;
            for (pack, result) in batch.iter().zip(results) {
                let name = pack.object_name();
                let indexed = self.segments.packs[pack];
                match result {
                    Ok(tally) if tally == indexed.tally => {}
                    Ok(_) => {
                        suspects.insert(*pack, None);
                    }
                    Err(error) if error.is(ErrorKind::NotFound) => {
                        let expected = format!("a pack of {} bytes", indexed.size_bytes);
                        let number = findings.unreadable(&name, &expected, &error)?;
                        damage.lost_packs.insert(*pack, number);
                    }
                    Err(error) => {
                        searches += 1;
                        let number = self.report_ends(*pack, &error, searches, findings)?;
                        suspects.insert(*pack, Some(number));
                    }
                }
                (self.options.on_event)(VerifyEvent::Done { count: 1, bytes: 0 });
            }
        }
        Ok(suspects)
    }

    fn trailer_tally(&self, pack: PackId) -> Result<Tally> {
        let name = pack.object_name();
        let expected = self.segments.packs[&pack].size_bytes;
        let size = match self.inventory.sizes.get(&name) {
            Some(size) => *size,
            // Listings take time: it may have been put meanwhile.
            None => self.repository.backend.stat(&name)?,
        };
        if size != expected {
            return Err(Error::corrupt(format!("{name}: has {size} bytes")));
        }
        let (backend, keys) = (&*self.repository.backend, &self.repository.keys);
        let reader = PackReader::open(backend, keys, self.repository.config.id, pack)?;
        Ok(Tally::of(&reader.trailer(backend, size)?))
    }

    fn report_ends(
        &self,
        pack: PackId,
        error: &Error,
        searches: usize,
        findings: &mut Findings,
    ) -> Result<usize> {
        let name = pack.object_name();
        let expected = self.segments.packs[&pack].size_bytes;
        let size = self.inventory.sizes.get(&name).copied().unwrap_or_default();
        let damage = Severity::Damage;
        if searches <= MOST_SEARCHES
            && let Some(other) = self.true_name(pack, size)
        {
            let found = format!("the pack that belongs at {}", other.object_name());
            return Ok(findings.add(
                damage,
                Problem::Misplaced,
                name,
                "the pack of this name",
                found,
            ));
        }
        if size != expected {
            let (expected, found) = (format!("{expected} bytes"), format!("{size} bytes"));
            return Ok(findings.add(damage, Problem::WrongLength, name, expected, found));
        }
        findings.unreadable(&name, "header, trailer and footer of a pack", error)
    }

    /// The name under which a pack was written, if it is one of those that are known.
    fn true_name(&self, pack: PackId, size: u64) -> Option<PackId> {
        let name = pack.object_name();
        let backend = &*self.repository.backend;
        let (mut header, mut footer) = ([0; HEADER_BYTES], [0; FOOTER_BYTES]);
        backend.read_into(&name, 0, &mut header).ok()?;
        let end = size.checked_sub(FOOTER_BYTES as u64)?;
        backend.read_into(&name, end, &mut footer).ok()?;
        let (keys, id) = (&self.repository.keys, self.repository.config.id);
        let known = self.segments.packs.keys().filter(|other| **other != pack);
        known.copied().find(|other| {
            PackReader::from_header(keys, id, *other, &header)
                .is_ok_and(|reader| reader.ends_with(size, &footer))
        })
    }

    /// Packs that are there and in no index.
    fn note_orphans(&self, findings: &mut Findings) {
        let leaving = self.inventory.leaving();
        for name in self.inventory.sizes.keys() {
            let Name::Pack(pack) = Name::of(name) else { continue };
            let is_known = self.segments.packs.contains_key(&pack)
                || self.segments.undecided.contains(&pack)
                || leaving.contains(&name[..]);
            if !is_known {
                let found = "a pack that no index segment names: of a writer that runs or was \
                             interrupted; gc removes it";
                findings.add(Severity::Info, Problem::Orphan, name, "nothing", found);
            }
        }
    }

    /// Reads packs from beginning to end, as many at once as there are workers and memory has
    /// room for their windows.
    fn scan_all(
        &self,
        wanted: &[(PackId, u64)],
        findings: &mut Findings,
        suspects: &BTreeMap<PackId, Option<usize>>,
        damage: &mut PackDamage,
        bad: &mut HashMap<PackId, Bad>,
    ) -> Result<()> {
        let bytes = wanted.iter().map(|(_, size)| size).sum();
        self.stage(Stage::Reading, wanted.len() as u64, bytes);
        let (env, workers) = (self.repository.env(), self.options.workers);
        let windows = (self.options.memory_bytes / WINDOW_BYTES).max(1) as usize;
        let mut rest = wanted;
        while !rest.is_empty() {
            self.options.cancel.check()?;
            let (batch, later) = rest.split_at(windows.min(rest.len()));
            rest = later;
            let work = |decompressor: &mut Decompressor, (pack, size): &(PackId, u64)| {
                self.scan(*pack, *size, decompressor)
            };
            let scans = parallel::map(env, workers, batch, Decompressor::new, work)?;
            for ((pack, _), scan) in batch.iter().zip(scans) {
                damage.packs_read += 1;
                damage.bytes_read += scan.bytes;
                (self.options.on_event)(VerifyEvent::Done { count: 1, bytes: scan.bytes });
                let earlier = suspects.get(pack).copied().flatten();
                let is_suspect = suspects.contains_key(pack);
                let finding = Self::report_scan(*pack, &scan, earlier, findings)?;
                if finding.is_none() && !is_suspect {
                    (self.options.on_event)(VerifyEvent::PackVerified(*pack));
                    continue;
                }
                let is_left_out = is_suspect && earlier.is_none() && scan.failure.is_none();
                bad.insert(*pack, Bad { finding, good: scan.good, is_left_out });
            }
        }
        Ok(())
    }

    fn scan(&self, pack: PackId, size: u64, decompressor: &mut Decompressor) -> Scan {
        let mut scan = Scan::default();
        if let Err(error) = self.try_scan(pack, size, decompressor, &mut scan) {
            scan.failure = Some(error);
        }
        scan
    }

    fn try_scan(
        &self,
        pack: PackId,
        size: u64,
        decompressor: &mut Decompressor,
        scan: &mut Scan,
    ) -> Result<()> {
        let (repository, name) = (self.repository, pack.object_name());
        if size > limits::PACK_BYTES {
            return Err(Error::corrupt(format!("{name}: is longer than any pack")));
        }
        let (backend, keys) = (&*repository.backend, &repository.keys);
        let reader = PackReader::open(backend, keys, repository.config.id, pack)?;
        let (mut raw, mut broken) = (Vec::new(), Vec::new());
        let (good, damage) = (&mut scan.good, &mut scan.damage);
        let mut found = |placed: Placed, sealed: &mut [u8]| {
            let at = location(pack, &placed);
            let id = &placed.head.id;
            match reader.open_frame(keys, id, &at, sealed, decompressor, &mut raw) {
                Ok(_) => {
                    good.insert(placed.offset);
                }
                Err(error) => broken.push((placed.offset, error.to_string())),
            }
            self.options.cancel.check()
        };
        reader.scan(backend, HEADER_BYTES as u64, size, &mut found, &mut |offset, what| {
            damage.push((offset, format!("byte {offset}: {what}")));
        })?;
        scan.bytes = size;
        damage.append(&mut broken);
        damage.sort_unstable();
        Ok(())
    }

    /// Gives the number of the finding that tells of this pack's damage, if there is any.
    fn report_scan(
        pack: PackId,
        scan: &Scan,
        earlier: Option<usize>,
        findings: &mut Findings,
    ) -> Result<Option<usize>> {
        let name = pack.object_name();
        let expected = "a pack in which every frame opens and holds what its id names";
        if let Some(error) = &scan.failure {
            let number = findings.unreadable(&name, expected, error)?;
            return Ok(Some(earlier.unwrap_or(number)));
        }
        if scan.damage.is_empty() {
            return Ok(earlier);
        }
        let mut found = String::new();
        for (_, what) in scan.damage.iter().take(MOST_REGIONS) {
            let separator = if found.is_empty() { "" } else { "; " };
            let _ = write!(found, "{separator}{what}");
        }
        if scan.damage.len() > MOST_REGIONS {
            let _ = write!(found, "; and {} more", scan.damage.len() - MOST_REGIONS);
        }
        if let Some(earlier) = earlier {
            findings.add_detail(earlier, &found);
            return Ok(Some(earlier));
        }
        Ok(Some(findings.add(Severity::Damage, Problem::Unreadable, name, expected, found)))
    }

    /// Which records of the index point at frames that could not be opened.
    fn map_lost_frames(
        &self,
        bad: &HashMap<PackId, Bad>,
        findings: &mut Findings,
        damage: &mut PackDamage,
    ) -> Result<()> {
        if bad.is_empty() {
            return Ok(());
        }
        for segment in &self.segments.index.segments {
            let rows = segment.pack_rows()?;
            segment.for_each(&mut |_, record: Record| {
                let pack = rows[record.pack as usize].pack;
                let Some(Bad { finding, good, .. }) = bad.get(&pack) else { return Ok(()) };
                if good.contains(&record.offset) {
                    return Ok(());
                }
                let number = finding.unwrap_or_else(|| {
                    findings.add(
                        Severity::Damage,
                        Problem::Disagrees,
                        pack.object_name(),
                        format!("{} at byte {}, by the index", record.id, record.offset),
                        "no such frame there",
                    )
                });
                damage.lost_frames.insert((pack, record.offset), number);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Damage in which nothing lies that the index names is over: a repair left it out of the index, so
/// nobody reads or reuses it. What snapshots miss of it, the pass over the trees does not find.
fn lessen_what_is_left_out(
    bad: &HashMap<PackId, Bad>,
    damage: &PackDamage,
    findings: &mut Findings,
) {
    let touched: HashSet<PackId> = damage.lost_frames.keys().map(|(pack, _)| *pack).collect();
    for (pack, bad) in bad.iter().filter(|(pack, _)| !touched.contains(*pack)) {
        if let (Some(finding), true) = (bad.finding, bad.is_left_out) {
            tracing::debug!(pack = pack.object_name(), "damaged where nothing is needed");
            findings.lessen(finding, LEFT_OUT);
        }
    }
}
