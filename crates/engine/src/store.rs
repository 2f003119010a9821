//! Where a writing session puts content: known already, or compressed, sealed and packed.
//! Any number of workers call [`Store::put`] at once; all heavy work happens in their threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, TryLockError};
use std::time::Duration;

use tintype_model::Result;

use crate::compress::Compressor;
use crate::format::frame::{FrameHead, Kind};
use crate::format::object::{ObjectType, seal_bytes};
use crate::format::records::{Manifest, SessionKind};
use crate::id::{ContentId, SnapshotId};
use crate::index::local::LocalSegment;
use crate::index::segment::SegmentBuilder;
use crate::index::{Index, PackClass, PackId};
use crate::pack::writer::PackWriter;
use crate::repo::Repository;
use crate::repo::session::Session;
use crate::spot_check;

const DATA_PACK_BYTES: u64 = 64 << 20;
const META_PACK_BYTES: u64 = 16 << 20;
/// Open data packs, once there is enough to spread (format.md §7).
const OPEN_PACKS: usize = 4;
const SPREAD_BYTES: u64 = 16 << 20;
/// An index segment is published after this many records or raw bytes, so that memory stays
/// bounded, and after this time, so that a run that is killed loses little: of a long run a
/// twentieth, because each lookup asks every segment.
const SEGMENT_RECORDS: usize = 256 << 10;
const SEGMENT_BYTES: u64 = 2 << 30;
const SEGMENT_TIME: Duration = Duration::from_secs(30);
const SEGMENT_SHARE: u32 = 20;
const SHARDS: usize = 16;

/// Compression levels between which a run moves, see `Pace`.
pub const LOWEST_LEVEL: i32 = 2;
const HIGHEST_LEVEL: i32 = 7;

/// What a worker needs for itself.
pub struct Worker {
    compressor: Compressor,
}

impl Worker {
    pub fn new() -> Result<Self> {
        Ok(Self { compressor: Compressor::new()? })
    }
}

/// What became of content that was put.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub id: ContentId,
    pub is_new: bool,
}

/// Counts of a session, readable while it runs.
#[derive(Default)]
pub struct StoreStats {
    pub new_chunks: AtomicU64,
    pub known_chunks: AtomicU64,
    pub known_bytes: AtomicU64,
    /// Before compression.
    pub new_bytes: AtomicU64,
    /// After compression.
    pub stored_bytes: AtomicU64,
    pub metadata_bytes: AtomicU64,
    pub packs: AtomicU64,
    /// Length of all finished packs.
    pub pack_bytes: AtomicU64,
}

pub struct Store<'r> {
    repository: &'r Repository,
    session: Session<'r>,
    index: Index,
    data: [Mutex<Option<PackWriter>>; OPEN_PACKS],
    meta: Mutex<Option<PackWriter>>,
    fresh: [Mutex<HashSet<ContentId>>; SHARDS],
    /// Segments of this session that were published: `fresh` forgets what they hold.
    own: RwLock<Vec<LocalSegment>>,
    finished: Mutex<SegmentBuilder>,
    unpublished_bytes: AtomicU64,
    /// By the clock that never goes back.
    started: Duration,
    published_milliseconds: AtomicU64,
    segment_number: AtomicU32,
    next_pack: AtomicUsize,
    pace: Pace,
    /// A spot check failed: nothing that this run stored is to be used.
    is_distrusted: AtomicBool,
    /// See [`Store::lacking`].
    lacking: HashSet<PackId>,
    pub stats: StoreStats,
}

impl Repository {
    /// Begins a session that writes, in the order of format.md §11.1: session, then pins
    /// checked, then condemned lists, then the index. `pins`: the parent, or what is joined.
    pub fn begin_writing(
        &self,
        kind: SessionKind,
        pins: impl IntoIterator<Item = SnapshotId>,
    ) -> Result<Store<'_>> {
        self.allow_write()?;
        self.backend.keep_reserve();
        let pins: Vec<_> = pins.into_iter().collect();
        let session = self.begin_session(kind, pins.clone())?;
        let prepared = (|| {
            self.check_visible(&pins)?;
            let condemned = self.read_condemned()?;
            let index = self.read_index(condemned)?.1;
            let lacking = self.lacking_packs(&index)?;
            Ok((index, lacking))
        })();
        match prepared {
            Ok((index, lacking)) => {
                // Reused no more than what is condemned.
                let avoided = index.condemned.union(&lacking).copied().collect();
                let index = Index { condemned: Arc::new(avoided), ..index };
                Ok(Store { lacking, ..Store::new(self, session, index) })
            }
            Err(error) => {
                let _ = session.close();
                Err(error)
            }
        }
    }
}

impl Repository {
    /// Packs that the index names, nobody condemned, and the store does not list: they are lost.
    fn lacking_packs(&self, index: &Index) -> Result<HashSet<PackId>> {
        let mut named = HashSet::new();
        for segment in &index.segments {
            named.extend(segment.pack_rows()?.into_iter().map(|row| row.pack));
        }
        named.retain(|pack| !index.condemned.contains(pack));
        for class in ["data/", "meta/"] {
            self.backend.list(class, &mut |listed| {
                PackId::parse(&listed.name).map(|pack| named.remove(&pack));
                Ok(())
            })?;
        }
        Ok(named)
    }
}

impl<'r> Store<'r> {
    pub(crate) fn new(repository: &'r Repository, session: Session<'r>, index: Index) -> Self {
        let started = repository.env.clock.elapsed();
        Self {
            repository,
            session,
            index,
            started,
            published_milliseconds: AtomicU64::new(started.as_millis() as u64),
            data: Default::default(),
            meta: Mutex::default(),
            fresh: Default::default(),
            own: RwLock::default(),
            finished: Mutex::default(),
            unpublished_bytes: AtomicU64::new(0),
            segment_number: AtomicU32::new(0),
            next_pack: AtomicUsize::new(0),
            pace: Pace::default(),
            is_distrusted: AtomicBool::new(false),
            lacking: HashSet::new(),
            stats: StoreStats::default(),
        }
    }

    pub fn repository(&self) -> &'r Repository {
        self.repository
    }

    pub fn id(&self) -> SnapshotId {
        self.session.id
    }

    /// How many packs of the index are lost: what they hold is stored again by whoever has it.
    pub fn lacking(&self) -> usize {
        self.lacking.len()
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Shows that the session lives, and publishes what was finished a while ago; cheap, to be
    /// called often.
    pub fn beat(&self) -> Result<()> {
        self.session.beat()?;
        if !self.is_publication_due() {
            return Ok(());
        }
        match self.finished.try_lock() {
            Ok(mut finished) => self.publish(&mut finished),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Poisoned(_)) => panic!("a worker panicked while it published"),
        }
    }

    fn is_publication_due(&self) -> bool {
        let now = self.repository.env.clock.elapsed();
        let last = Duration::from_millis(self.published_milliseconds.load(Ordering::Relaxed));
        let pause = SEGMENT_TIME.max(now.saturating_sub(self.started) / SEGMENT_SHARE);
        now.saturating_sub(last) >= pause
    }

    /// Stores content under its id unless it is there already.
    pub fn put(&self, worker: &mut Worker, kind: Kind, raw: &[u8]) -> Result<Stored> {
        let id = self.repository.keys.content_id(kind, raw);
        if !self.claim(&id)? {
            self.stats.known_chunks.fetch_add(1, Ordering::Relaxed);
            self.stats.known_bytes.fetch_add(raw.len() as u64, Ordering::Relaxed);
            return Ok(Stored { id, is_new: false });
        }
        let clock = &self.repository.env.clock;
        let started = clock.elapsed();
        let (codec, stored) = if kind.is_metadata() {
            worker.compressor.compress_page(raw)?
        } else {
            worker.compressor.compress(raw, self.pace.level())?
        };
        let head = FrameHead {
            kind,
            codec,
            stored_bytes: stored.len() as u32,
            raw_bytes: raw.len() as u32,
            id,
        };
        if spot_check::is_due(&id)
            && let Err(error) = spot_check::check(&self.repository.keys, &head, stored)
        {
            self.is_distrusted.store(true, Ordering::Relaxed);
            return Err(error);
        }
        let compressed = clock.elapsed();
        self.append(head, stored)?;
        self.count(&head);
        let packed = clock.elapsed();
        self.pace.note(
            raw.len(),
            compressed.saturating_sub(started),
            packed.saturating_sub(compressed),
        );
        Ok(Stored { id, is_new: true })
    }

    fn count(&self, head: &FrameHead) {
        let add = |counter: &AtomicU64, value: u32| {
            counter.fetch_add(u64::from(value), Ordering::Relaxed);
        };
        if head.kind.is_metadata() {
            add(&self.stats.metadata_bytes, head.stored_bytes);
        } else {
            add(&self.stats.new_chunks, 1);
            add(&self.stats.new_bytes, head.raw_bytes);
            add(&self.stats.stored_bytes, head.stored_bytes);
        }
    }

    /// True for exactly one caller per id, if the id is not in the repository.
    fn claim(&self, id: &ContentId) -> Result<bool> {
        if self.holds(id)? {
            return Ok(false);
        }
        Ok(self.shard(id).lock().expect("no panic while held").insert(*id))
    }

    fn shard(&self, id: &ContentId) -> &Mutex<HashSet<ContentId>> {
        &self.fresh[id.0[31] as usize % SHARDS]
    }

    /// Whether what this session commits may refer to `id` without putting it.
    pub(crate) fn holds(&self, id: &ContentId) -> Result<bool> {
        Ok(self.shard(id).lock().expect("no panic while held").contains(id)
            || self.index.is_reusable(id)?
            || self.in_own_segments(id)?)
    }

    fn in_own_segments(&self, id: &ContentId) -> Result<bool> {
        for segment in self.own.read().expect("no panic while held").iter() {
            if segment.may_contain(id) && segment.find(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Seals a frame into an open pack.
    fn append(&self, head: FrameHead, stored: &[u8]) -> Result<()> {
        let mut slot = if head.kind.is_metadata() {
            self.meta.lock().expect("no panic while held")
        } else {
            self.data_pack()
        };
        if slot.as_ref().is_some_and(|pack| !pack.has_room(stored.len())) {
            let full = slot.take().expect("checked");
            self.finish_pack(full)?;
        }
        if slot.is_none() {
            *slot = Some(self.begin_pack(head.kind)?);
        }
        slot.as_mut().expect("just made").add(head, stored)
    }

    fn begin_pack(&self, kind: Kind) -> Result<PackWriter> {
        let (class, target) = if kind.is_metadata() {
            (PackClass::Meta, META_PACK_BYTES)
        } else {
            (PackClass::Data, DATA_PACK_BYTES)
        };
        let repository = self.repository;
        let (backend, env) = (&*repository.backend, &repository.env);
        PackWriter::begin(backend, &repository.keys, repository.config.id, class, target, env)
    }

    /// One of the open data packs, preferably one that nobody writes to right now.
    fn data_pack(&self) -> MutexGuard<'_, Option<PackWriter>> {
        let bytes = self.stats.stored_bytes.load(Ordering::Relaxed);
        let open = OPEN_PACKS.min(1 + (bytes / SPREAD_BYTES) as usize);
        let first = self.next_pack.fetch_add(1, Ordering::Relaxed);
        for turn in 0..open {
            match self.data[(first + turn) % open].try_lock() {
                Ok(slot) => return slot,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Poisoned(_)) => panic!("a worker panicked while it packed"),
            }
        }
        self.data[first % open].lock().expect("no panic while held")
    }

    fn finish_pack(&self, pack: PackWriter) -> Result<()> {
        let finished = pack.finish()?;
        self.stats.packs.fetch_add(1, Ordering::Relaxed);
        self.stats.pack_bytes.fetch_add(finished.row.size_bytes, Ordering::Relaxed);
        let mut segment = self.finished.lock().expect("no panic while held");
        segment.add(finished.row, &finished.placed);
        let size = finished.row.size_bytes;
        let waiting = self.unpublished_bytes.fetch_add(size, Ordering::Relaxed) + size;
        let is_large = segment.len() >= SEGMENT_RECORDS || waiting >= SEGMENT_BYTES;
        if is_large || self.is_publication_due() {
            self.publish(&mut segment)?;
        }
        Ok(())
    }

    /// Publishes what was finished as the next index segment of this session.
    fn publish(&self, builder: &mut SegmentBuilder) -> Result<()> {
        if builder.is_empty() {
            return Ok(());
        }
        let segment = builder.take();
        let now = self.repository.env.clock.elapsed();
        self.published_milliseconds.store(now.as_millis() as u64, Ordering::Relaxed);
        self.unpublished_bytes.store(0, Ordering::Relaxed);
        let number = self.segment_number.fetch_add(1, Ordering::Relaxed);
        let name = self.session.segment_name(number);
        let repository = self.repository;
        let place = repository.place(ObjectType::IndexSegment, &name);
        let sealed = seal_bytes(&place, Kind::IndexBlock, &segment.encode(), &repository.env)?;
        repository.backend.put(&name, &sealed)?;
        self.session.published(name.clone());
        let path = repository.cache.segment_path(&name);
        let local = LocalSegment::build(&segment, path.as_deref())?;
        self.own.write().expect("no panic while held").push(local);
        for record in &segment.records {
            self.shard(&record.id).lock().expect("no panic while held").remove(&record.id);
        }
        Ok(())
    }

    /// Finishes all open packs and publishes them; after it, the counts are final.
    pub fn flush(&self) -> Result<()> {
        for slot in self.data.iter().chain([&self.meta]) {
            let pack = slot.lock().expect("no panic while held").take();
            if let Some(pack) = pack {
                self.finish_pack(pack)?;
            }
        }
        self.publish(&mut self.finished.lock().expect("no panic while held"))
    }

    /// Makes the snapshot visible.
    pub fn commit(self, manifest: Manifest) -> Result<SnapshotId> {
        self.flush()?;
        self.session.commit(manifest)
    }

    /// Ends without a snapshot, but keeps what was uploaded for the next run; unless this machine
    /// turned out to be faulty.
    pub fn abandon(self) -> Result<()> {
        if self.is_distrusted.load(Ordering::Relaxed) {
            return self.session.discard();
        }
        self.flush()?;
        self.session.close()
    }

    pub(crate) fn segment_names(&self) -> Vec<String> {
        self.session.segments()
    }
}

/// Chooses the compression level by what the run waits for: where packing waits for the store,
/// processors have time to compress harder; where they are the bottleneck, they do not.
#[derive(Default)]
struct Pace {
    raised: AtomicU32,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    bytes: usize,
    computing: Duration,
    waiting: Duration,
}

const WINDOW_BYTES: usize = 32 << 20;

impl Pace {
    fn level(&self) -> i32 {
        LOWEST_LEVEL + self.raised.load(Ordering::Relaxed) as i32
    }

    fn note(&self, bytes: usize, computing: Duration, waiting: Duration) {
        let mut window = self.window.lock().expect("no panic while held");
        window.bytes += bytes;
        window.computing += computing;
        window.waiting += waiting;
        if window.bytes < WINDOW_BYTES {
            return;
        }
        let seen = std::mem::take(&mut *window);
        let raised = self.raised.load(Ordering::Relaxed);
        let most = (HIGHEST_LEVEL - LOWEST_LEVEL) as u32;
        let next = if seen.waiting > seen.computing * 2 {
            (raised + 1).min(most)
        } else if seen.waiting < seen.computing {
            raised.saturating_sub(1)
        } else {
            raised
        };
        self.raised.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::MemoryBackend;
    use crate::crypto::slot::{RecoveryKey, Secret};
    use crate::env::Env;
    use crate::repo::Identity;
    use crate::repo::open::OpenOptions;

    #[test]
    fn what_a_faulty_machine_uploaded_is_not_reused() {
        let env = Env::system();
        let secret = Secret::Recovery(RecoveryKey::generate(&env));
        let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
        let backend = std::sync::Arc::new(MemoryBackend::new());
        let (repository, _) =
            Repository::init(backend, &[(&secret, "test")], false, options).unwrap();
        let is_new = |is_distrusted: bool| {
            let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
            let stored = store.put(&mut Worker::new().unwrap(), Kind::Chunk, b"a chunk").unwrap();
            store.flush().unwrap();
            store.is_distrusted.store(is_distrusted, Ordering::Relaxed);
            store.abandon().unwrap();
            stored.is_new
        };
        assert!(is_new(true));
        assert!(is_new(false), "published, and no fate names it");
        assert!(!is_new(false));
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// The level after `windows` full windows of this kind.
    fn level_after(pace: &Pace, windows: usize, computing: Duration, waiting: Duration) -> i32 {
        (0..windows).for_each(|_| pace.note(WINDOW_BYTES, computing, waiting));
        pace.level()
    }

    #[test]
    fn the_level_follows_what_the_run_waits_for() {
        let pace = Pace::default();
        assert_eq!(pace.level(), LOWEST_LEVEL);
        // Less than a window says nothing.
        pace.note(WINDOW_BYTES - 1, SECOND, SECOND * 100);
        assert_eq!(pace.level(), LOWEST_LEVEL);
        pace.note(1, SECOND, SECOND * 100);
        assert_eq!(pace.level(), LOWEST_LEVEL + 1);
        assert_eq!(level_after(&pace, 2, SECOND, SECOND * 3), LOWEST_LEVEL + 3);
        // In between it stays; where processors are the bottleneck it falls.
        assert_eq!(level_after(&pace, 5, SECOND, SECOND * 2), LOWEST_LEVEL + 3);
        assert_eq!(level_after(&pace, 2, SECOND, SECOND / 2), LOWEST_LEVEL + 1);
        assert_eq!(level_after(&pace, 100, SECOND, Duration::ZERO), LOWEST_LEVEL);
        assert_eq!(level_after(&pace, 100, SECOND, SECOND * 3), HIGHEST_LEVEL);
    }

    proptest! {
        #[test]
        fn the_level_stays_in_bounds_and_moves_by_one(
            steps in prop::collection::vec((0usize..80 << 20, 0u64..5000, 0u64..5000), 0..100),
        ) {
            let pace = Pace::default();
            for (bytes, computing, waiting) in steps {
                let before = pace.level();
                pace.note(bytes, Duration::from_millis(computing), Duration::from_millis(waiting));
                let after = pace.level();
                prop_assert!((LOWEST_LEVEL..=HIGHEST_LEVEL).contains(&after));
                prop_assert!((after - before).abs() <= 1);
            }
        }
    }
}
