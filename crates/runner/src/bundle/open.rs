//! Finds out what a file is, and opens it as far as can be told without reading all of it.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use tintype_engine::crypto::age_file::{self, SealedFile};
use tintype_engine::crypto::slot::Secret;
use tintype_model::{Error, Result};

use super::export::{README, SEALED};
use super::header::Header;
use super::listing::Listing;
use super::read_at::{ReadAt, Unsealed, Whole, Window};
use super::tar::read::TarReader;
use super::zip::layout;
use super::zip::read::ZipReader;
use super::{ENTRIES, HEADER, MOST_JSON_BYTES};

const AHEAD: usize = 256 << 10;

/// What a file turned out to be.
pub enum Found {
    Plain(Box<Bundle>),
    Sealed(SealedBundle),
}

/// A bundle that is to be unlocked.
pub struct SealedBundle(SealedFile<Window>);

/// A bundle whose header was read.
pub struct Bundle {
    pub header: Header,
    /// Its bytes.
    pub(super) header_text: Vec<u8>,
    pub(super) members: Members,
    pub(super) listing: Listing,
}

/// What follows the first two members.
pub(super) enum Members {
    Zip(Box<ZipReader>),
    Tar(Box<TarReader>),
}

/// A bundle in a file.
pub fn in_file(file: File) -> Result<Arc<dyn ReadAt>> {
    Ok(Arc::new(Whole::new(file)?))
}

/// Looks at the first bytes.
pub fn open(bytes: Arc<dyn ReadAt>) -> Result<Found> {
    let first = first_bytes(&bytes)?;
    if first.starts_with(age_file::HEAD) {
        return sealed(bytes);
    }
    if !first.starts_with(&layout::LOCAL) {
        return plain(bytes).map(Box::new).map(Found::Plain);
    }
    let mut window = Window::new(Arc::clone(&bytes), 0, AHEAD);
    if layout::read_local(&mut window).is_ok_and(|member| member.name == README.as_bytes()) {
        let mut zip = ZipReader::open(bytes)?;
        own(&mut zip, README)?;
        return sealed(Arc::new(zip.piece(SEALED.as_bytes())?));
    }
    plain(bytes).map(Box::new).map(Found::Plain)
}

fn first_bytes(bytes: &Arc<dyn ReadAt>) -> Result<Vec<u8>> {
    let mut first = Vec::new();
    Window::new(Arc::clone(bytes), 0, 512)
        .take(512)
        .read_to_end(&mut first)
        .map_err(|error| Error::io(error, "the bundle"))?;
    Ok(first)
}

fn sealed(bytes: Arc<dyn ReadAt>) -> Result<Found> {
    let window = Window::new(bytes, 0, AHEAD);
    Ok(Found::Sealed(SealedBundle(SealedFile::open(window)?)))
}

impl SealedBundle {
    /// Whether it opens with a passphrase, and not with an age identity.
    pub fn wants_passphrase(&self) -> bool {
        self.0.wants_passphrase()
    }

    pub fn unlock(self, secret: &Secret) -> Result<Bundle> {
        plain(Arc::new(Unsealed::new(self.0.unlock(secret)?)?))
    }
}

fn foreign() -> Error {
    Error::invalid(
        "is no bundle: Tintype did not make it, or it was unpacked and packed again. Unpack it and \
         take a snapshot of the directory (`tintype repo snapshot DIR`)",
    )
}

fn plain(bytes: Arc<dyn ReadAt>) -> Result<Bundle> {
    let first = first_bytes(&bytes)?;
    if first.starts_with(&layout::LOCAL) {
        let name = first.get(30..30 + HEADER.len());
        if name != Some(HEADER.as_bytes()) {
            return Err(foreign());
        }
        let mut zip = ZipReader::open(bytes)?;
        let header_text = own(&mut zip, HEADER)?;
        let header = Header::parse(&header_text)?;
        let listing = Listing::new(zip.beside(ENTRIES.as_bytes())?);
        return Ok(Bundle { header, header_text, members: Members::Zip(Box::new(zip)), listing });
    }
    if !first.starts_with(HEADER.as_bytes()) {
        return Err(foreign());
    }
    let mut tar = TarReader::open(bytes);
    tar.begin(HEADER.as_bytes(), &[super::tar::layout::FILE])?;
    let header_text = all(tar.size_bytes(), HEADER, &mut |out| tar.read(out))?;
    tar.end()?;
    let header = Header::parse(&header_text)?;
    let listing = Listing::new(tar.beside(ENTRIES.as_bytes())?);
    Ok(Bundle { header, header_text, members: Members::Tar(Box::new(tar)), listing })
}

/// All of one of our own members.
fn own(zip: &mut ZipReader, name: &str) -> Result<Vec<u8>> {
    zip.begin(name.as_bytes())?;
    let text = all(zip.size_bytes(), name, &mut |out| zip.read(out))?;
    zip.end()?;
    Ok(text)
}

fn all(size: u64, name: &str, read: &mut dyn FnMut(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    if size > MOST_JSON_BYTES {
        return Err(Error::corrupt(format!("{name}: is larger than {MOST_JSON_BYTES} bytes")));
    }
    let (mut text, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = read(&mut piece)?;
        if length == 0 {
            return Ok(text);
        }
        text.extend_from_slice(&piece[..length]);
    }
}

impl Members {
    /// All of one of our own members.
    pub(super) fn own(&mut self, name: &str) -> Result<Vec<u8>> {
        match self {
            Self::Zip(zip) => own(zip, name),
            Self::Tar(tar) => {
                tar.begin(name.as_bytes(), &[super::tar::layout::FILE])?;
                let text = all(tar.size_bytes(), name, &mut |out| tar.read(out))?;
                tar.end()?;
                Ok(text)
            }
        }
    }

    /// Content of the member that was begun; 0 at its end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Zip(zip) => zip.read(out),
            Self::Tar(tar) => tar.read(out),
        }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        match self {
            Self::Zip(zip) => zip.end(),
            Self::Tar(tar) => tar.end(),
        }
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        match self {
            Self::Zip(zip) => zip.finish(),
            Self::Tar(tar) => tar.finish(),
        }
    }
}
