//! Bytes that are read at any place, by several readers at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

use tintype_engine::crypto::age_file::OpenFile;
use tintype_model::{Error, Result};

/// A bundle's bytes.
pub trait ReadAt: Send + Sync {
    fn size_bytes(&self) -> u64;

    /// Like [`Read::read`], at a place; 0 only at the end.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;
}

/// A file whose length was looked at once: what grows later does not count.
pub(super) struct Whole {
    file: File,
    size_bytes: u64,
}

impl Whole {
    pub(super) fn new(file: File) -> Result<Self> {
        let size = file.metadata().map_err(|error| Error::io(error, "the bundle"))?.len();
        Ok(Self { file, size_bytes: size })
    }
}

impl ReadAt for Whole {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = out.len().min(left);
        self.file.read_at(&mut out[..length], offset)
    }
}

/// A piece of something.
pub(super) struct Piece {
    pub whole: Arc<dyn ReadAt>,
    pub start: u64,
    pub size_bytes: u64,
}

impl ReadAt for Piece {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = out.len().min(left);
        self.whole.read_at(self.start + offset, &mut out[..length])
    }
}

/// What is inside an age file, in the clear only in memory.
pub(super) struct Unsealed {
    file: Mutex<OpenFile<Window>>,
    size_bytes: u64,
}

impl Unsealed {
    pub(super) fn new(mut file: OpenFile<Window>) -> Result<Self> {
        // Reads the last piece: a file that was cut is seen here.
        let size = file.seek(SeekFrom::End(0)).map_err(|error| {
            Error::corrupt(format!("the age file is cut or damaged at its end: {error}"))
        })?;
        Ok(Self { file: Mutex::new(file), size_bytes: size })
    }
}

impl ReadAt for Unsealed {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().expect("no panic while held");
        file.seek(SeekFrom::Start(offset))?;
        let mut filled = 0;
        while filled < out.len() {
            match file.read(&mut out[filled..])? {
                0 => break,
                length => filled += length,
            }
        }
        Ok(filled)
    }
}

/// Reads ahead from a place on.
pub(super) struct Window {
    bytes: Arc<dyn ReadAt>,
    /// Place of the next byte.
    at: u64,
    buffer: Vec<u8>,
    /// Of the buffer, what was not given yet.
    from: usize,
    ahead_bytes: usize,
}

impl Window {
    pub(super) fn new(bytes: Arc<dyn ReadAt>, at: u64, ahead_bytes: usize) -> Self {
        Self { bytes, at, buffer: Vec::new(), from: 0, ahead_bytes }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    /// Goes to another place.
    pub(super) fn go_to(&mut self, at: u64) {
        let ahead = (self.buffer.len() - self.from) as u64;
        match at.checked_sub(self.at) {
            Some(skipped) if skipped <= ahead => self.from += skipped as usize,
            _ => {
                self.buffer.clear();
                self.from = 0;
            }
        }
        self.at = at;
    }

    /// What comes next, at least one byte but at the end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.from == self.buffer.len() {
            self.buffer.resize(self.ahead_bytes, 0);
            self.from = 0;
            let length = self.bytes.read_at(self.at, &mut self.buffer);
            self.buffer.truncate(*length.as_ref().unwrap_or(&0));
            length?;
        }
        Ok(&self.buffer[self.from..])
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.from += length;
        self.at += length as u64;
    }

    /// Exactly so many bytes; `what` is cut where there are fewer.
    pub(super) fn exactly<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        self.exactly_into(&mut out, what)?;
        Ok(out)
    }

    pub(super) fn exactly_into(&mut self, out: &mut [u8], what: &str) -> Result<()> {
        let mut filled = 0;
        while filled < out.len() {
            let ahead = self.fill().map_err(|error| broken(error, what))?;
            if ahead.is_empty() {
                return Err(Error::corrupt(format!("the bundle is cut: it ends within {what}")));
            }
            let length = ahead.len().min(out.len() - filled);
            out[filled..filled + length].copy_from_slice(&ahead[..length]);
            self.consume(length);
            filled += length;
        }
        Ok(())
    }
}

/// What age does not open is damage; the rest concerns the file.
pub(super) fn broken(error: io::Error, what: &str) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::corrupt(format!("{what}: the bundle is damaged: {error}"))
        }
        _ => Error::io(error, format_args!("reading {what}")),
    }
}

impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ahead = self.fill()?;
        let length = ahead.len().min(out.len());
        out[..length].copy_from_slice(&ahead[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size_bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.go_to(at);
        Ok(at)
    }
}
