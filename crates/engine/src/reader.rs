//! Reading content by id, checked at every step: length, seal, id.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, RwLock};

use tintype_model::{Error, ErrorKind, Result};

use crate::compress::Decompressor;
use crate::format::frame::{Kind, sealed_bytes};
use crate::format::object::SEALED_HEAD_BYTES;
use crate::id::ContentId;
use crate::index::{Index, Location, PackId};
use crate::pack::reader::PackReader;
use crate::repo::Repository;

/// Opened packs that are remembered: a few hundred bytes each.
const OPEN_PACKS: usize = 4096;

/// Reads content of one repository; shared by any number of threads.
pub struct ContentReader<'r> {
    repository: Held<'r>,
    index: RwLock<Arc<Index>>,
    /// Whether what is missing from the index may be looked for in a fresh one.
    refreshes: bool,
    packs: Mutex<HashMap<PackId, Arc<PackReader>>>,
}

/// The repository that is read.
enum Held<'r> {
    Borrowed(&'r Repository),
    Shared(Arc<Repository>),
}

impl Deref for Held<'_> {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        match self {
            Self::Borrowed(repository) => repository,
            Self::Shared(repository) => repository,
        }
    }
}

/// Where in a [`ReadBuffer`] the raw bytes of a frame are.
enum Opened {
    /// In `sealed`: it was not compressed.
    InPlace(std::ops::Range<usize>),
    /// All of `raw`.
    Decompressed,
}

/// Buffers of one reading thread.
pub struct ReadBuffer {
    sealed: Vec<u8>,
    /// The chunk that was opened last, if it was compressed.
    raw: Vec<u8>,
    /// Of `fetch`: a run of frames.
    pub(crate) run: Vec<u8>,
    pub(crate) decompressor: Decompressor,
}

impl ReadBuffer {
    pub fn new() -> Result<Self> {
        Ok(Self {
            sealed: Vec::new(),
            run: Vec::new(),
            raw: Vec::new(),
            decompressor: Decompressor::new()?,
        })
    }
}

impl Repository {
    /// A reader by the index in force. Where that is damaged, by what is left of it and what
    /// the packs say of themselves: a lost segment makes nothing unreadable.
    pub fn reader(&self) -> Result<ContentReader<'_>> {
        ContentReader::open(Held::Borrowed(self))
    }

    /// The same, for what must not borrow the repository.
    pub fn shared_reader(self: &Arc<Self>) -> Result<ContentReader<'static>> {
        ContentReader::open(Held::Shared(Arc::clone(self)))
    }
}

impl<'r> ContentReader<'r> {
    pub fn new(repository: &'r Repository, index: Index) -> Self {
        Self::of(Held::Borrowed(repository), index)
    }

    fn of(repository: Held<'r>, index: Index) -> Self {
        let index = RwLock::new(Arc::new(index));
        Self { repository, index, refreshes: true, packs: Mutex::default() }
    }

    fn open(repository: Held<'r>) -> Result<Self> {
        match repository.read_index(HashSet::new()) {
            Ok((_, index)) => Ok(Self::of(repository, index)),
            Err(error) if error.is(ErrorKind::Corrupt) => {
                tracing::warn!(%error, "the index is damaged; reading goes by the packs instead");
                let index = repository.rescue_index()?;
                Ok(Self { refreshes: false, ..Self::of(repository, index) })
            }
            Err(error) => Err(error),
        }
    }

    /// Reads by this index and no other: for looking at a repository as it is.
    pub fn fixed(repository: &'r Repository, index: Index) -> Self {
        Self { refreshes: false, ..Self::new(repository, index) }
    }

    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().expect("no panic while held"))
    }

    /// Where `id` is. What is not found is looked for once more in a fresh index: a gc may
    /// have moved it, or the local cache may be damaged.
    pub fn locate(&self, id: &ContentId) -> Result<Location> {
        match self.index().find(id) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) if error.is(ErrorKind::Corrupt) => self.repository.cache.clear(),
            Err(error) => return Err(error),
        }
        self.refresh()?;
        self.index().find(id)?.ok_or_else(|| {
            Error::corrupt(format!("chunk {id} is in no index segment: it is missing"))
        })
    }

    fn refresh(&self) -> Result<()> {
        if !self.refreshes {
            return Ok(());
        }
        let (_, index) = self.repository.read_index(HashSet::new())?;
        *self.index.write().expect("no panic while held") = Arc::new(index);
        Ok(())
    }

    pub fn pack(&self, pack: PackId) -> Result<Arc<PackReader>> {
        if let Some(open) = self.packs.lock().expect("no panic while held").get(&pack) {
            return Ok(Arc::clone(open));
        }
        let repository = &*self.repository;
        let backend = &*repository.backend;
        let open =
            Arc::new(PackReader::open(backend, &repository.keys, repository.config.id, pack)?);
        let mut packs = self.packs.lock().expect("no panic while held");
        if packs.len() >= OPEN_PACKS {
            packs.clear();
        }
        packs.insert(pack, Arc::clone(&open));
        Ok(open)
    }

    /// Appends the raw bytes of `id` to `out`.
    pub fn read(
        &self,
        id: &ContentId,
        kind: Kind,
        buffer: &mut ReadBuffer,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.extend_from_slice(self.read_slice(id, kind, buffer)?);
        Ok(())
    }

    /// The raw bytes of `id`, in the buffer. Where one copy is damaged or missing, the others
    /// are tried; the error is that of the first.
    pub fn read_slice<'b>(
        &self,
        id: &ContentId,
        kind: Kind,
        buffer: &'b mut ReadBuffer,
    ) -> Result<&'b [u8]> {
        let location = self.locate(id)?;
        let opened = match self.read_at(id, kind, &location, buffer) {
            Ok(opened) => opened,
            Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
            Err(error) => self.read_elsewhere(id, kind, &location, error, buffer)?,
        };
        Ok(match opened {
            Opened::InPlace(range) => &buffer.sealed[range],
            Opened::Decompressed => &buffer.raw,
        })
    }

    fn read_at(
        &self,
        id: &ContentId,
        kind: Kind,
        location: &Location,
        buffer: &mut ReadBuffer,
    ) -> Result<Opened> {
        check_kind(id, kind, location)?;
        let pack = self.pack(location.pack)?;
        let ReadBuffer { sealed, raw, decompressor, .. } = buffer;
        sealed.resize(sealed_bytes(location.stored_bytes), 0);
        let name = location.pack.object_name();
        self.repository.backend.read_into(&name, location.offset, sealed)?;
        raw.clear();
        let keys = &self.repository.keys;
        let length = pack.open_frame(keys, id, location, sealed, decompressor, raw)?.len();
        Ok(match raw.is_empty() {
            true => Opened::InPlace(SEALED_HEAD_BYTES..SEALED_HEAD_BYTES + length),
            false => Opened::Decompressed,
        })
    }

    /// `error`: of the place that was tried first.
    fn read_elsewhere(
        &self,
        id: &ContentId,
        kind: Kind,
        first: &Location,
        error: Error,
        buffer: &mut ReadBuffer,
    ) -> Result<Opened> {
        let is_gone = error.is(ErrorKind::NotFound);
        if is_gone {
            // The pack is gone: moved by a gc, or lost.
            self.refresh()?;
        }
        for place in self.index().places(id)? {
            if (place.pack, place.offset) == (first.pack, first.offset) {
                continue;
            }
            match self.read_at(id, kind, &place, buffer) {
                Ok(opened) => {
                    tracing::debug!(%error, pack = place.pack.object_name(), "read elsewhere");
                    return Ok(opened);
                }
                Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
                Err(_) => {}
            }
        }
        let pack = first.pack.object_name();
        match is_gone {
            true => Err(Error::corrupt(format!("chunk {id}: its pack {pack} is missing"))),
            false => Err(error),
        }
    }

    /// Whether just this copy of `id` is there and whole.
    pub(crate) fn opens_at(
        &self,
        id: &ContentId,
        place: &Location,
        buffer: &mut ReadBuffer,
    ) -> Result<bool> {
        match self.read_at(id, place.kind, place, buffer) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a frame out of bytes that were read already.
    pub fn open_sealed<'b>(
        &self,
        id: &ContentId,
        location: &Location,
        sealed: &'b mut [u8],
        buffer: &'b mut ReadBuffer,
    ) -> Result<&'b [u8]> {
        let pack = self.pack(location.pack)?;
        let ReadBuffer { raw, decompressor, .. } = buffer;
        pack.open_frame(&self.repository.keys, id, location, sealed, decompressor, raw)
    }
}

fn check_kind(id: &ContentId, kind: Kind, location: &Location) -> Result<()> {
    let both_content = !kind.is_metadata() && !location.kind.is_metadata();
    if location.kind == kind || both_content {
        Ok(())
    } else {
        Err(Error::corrupt(format!("{id} is a {:?}, not a {kind:?}", location.kind)))
    }
}
