//! Reads a zip as it was written: directory and members side by side, in one order, without gaps.

use std::io::{self, Read};
use std::sync::Arc;

use crc32fast::Hasher as Crc;
use flate2::{Decompress, FlushDecompress, Status};
use tintype_model::{Error, Result};

use super::super::read_at::{Piece, ReadAt, Window, broken};
use super::layout::{self, DEFLATED, Directory, Read as Header, Sizes};

/// Read ahead of the directory, and of the content.
const DIRECTORY_AHEAD: usize = 64 << 10;
const CONTENT_AHEAD: usize = 512 << 10;

pub(crate) struct ZipReader {
    bytes: Arc<dyn ReadAt>,
    directory: Directory,
    records: Window,
    /// Records that were read.
    count: u64,
    /// Where the next member must begin.
    next: u64,
    member: Member,
}

fn named(name: &[u8], error: &Error) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(300)]).into_owned();
    Error::new(error.kind(), format!("member {name:?}: {}", error.message()))
}

impl ZipReader {
    pub(crate) fn open(bytes: Arc<dyn ReadAt>) -> Result<Self> {
        let mut records = Window::new(Arc::clone(&bytes), 0, DIRECTORY_AHEAD);
        let directory = layout::read_end(&mut records)?;
        records.go_to(directory.offset);
        let member = Member::new(Window::new(Arc::clone(&bytes), 0, CONTENT_AHEAD));
        Ok(Self { bytes, directory, records, count: 0, next: 0, member })
    }

    /// The record of the next member, which must begin where the one before ended.
    fn next_record(&mut self) -> Result<Header> {
        if self.count == self.directory.count {
            return Err(Error::corrupt("the directory ends too early: a member is missing"));
        }
        let record = layout::read_central(&mut self.records)?;
        self.count += 1;
        let ends = self.directory.offset + self.directory.size;
        if self.records.at() > ends {
            return Err(Error::corrupt("the directory is longer than its end record says"));
        }
        if record.offset != self.next {
            let what = "does not begin where the one before it ends: members overlap, or there is \
                        something between them";
            return Err(named(&record.name, &Error::corrupt(what)));
        }
        Ok(record)
    }

    /// Begins the next member, which must have this name.
    pub(crate) fn begin(&mut self, name: &[u8]) -> Result<()> {
        let record = self.next_record()?;
        if record.name != name {
            let wanted = String::from_utf8_lossy(&name[..name.len().min(300)]);
            let what = format!("stands where {wanted:?} should be");
            return Err(named(&record.name, &Error::corrupt(what)));
        }
        self.member.window.go_to(self.next);
        self.member.begin(record)
    }

    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        self.member.read_some(out)
    }

    /// The member must have ended.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.member.end()?;
        self.next = self.member.window.at();
        Ok(())
    }

    /// Size of the member, as both headers say.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.member.record.sizes.raw
    }

    /// Begins the next member, to be read beside those that follow it.
    pub(crate) fn beside(&mut self, name: &[u8]) -> Result<Box<dyn Read + Send>> {
        self.begin(name)?;
        // It is checked when it is read to its end; where it ends is known before.
        let (at, record) = (self.member.window.at(), self.member.record.clone());
        let mut window = Window::new(Arc::clone(&self.bytes), at, DIRECTORY_AHEAD);
        let content_end = at.checked_add(record.sizes.packed);
        let content_end = content_end
            .filter(|end| *end <= self.directory.offset)
            .ok_or_else(|| named(name, &Error::corrupt("is longer than the bundle")))?;
        window.go_to(content_end);
        if record.way.is_streamed {
            layout::read_descriptor(&mut window, record.way)
                .map_err(|error| named(name, &error))?;
        }
        self.next = window.at();
        window.go_to(at);
        let mut member = Member::new(window);
        member.start(record);
        Ok(Box::new(Beside(member)))
    }

    /// A stored member as it lies in the file; the last one of all.
    pub(crate) fn piece(&mut self, name: &[u8]) -> Result<Piece> {
        self.begin(name)?;
        let (start, record) = (self.member.window.at(), &self.member.record);
        let size = record.sizes.packed;
        if record.way.method == DEFLATED || size != record.sizes.raw {
            return Err(named(
                name,
                &Error::unsupported("is deflated, which no bundle does to it"),
            ));
        }
        let mut window = Window::new(Arc::clone(&self.bytes), start, DIRECTORY_AHEAD);
        let end = start.checked_add(size).filter(|end| *end <= self.directory.offset);
        window.go_to(end.ok_or_else(|| named(name, &Error::corrupt("is longer than the bundle")))?);
        if record.way.is_streamed {
            layout::read_descriptor(&mut window, record.way)
                .map_err(|error| named(name, &error))?;
        }
        self.next = window.at();
        self.finish()?;
        Ok(Piece { whole: Arc::clone(&self.bytes), start, size_bytes: size })
    }

    /// Nothing may follow the last member but the directory, which must have ended too.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Directory { count, offset, size } = self.directory;
        if self.count < count {
            let record = layout::read_central(&mut self.records)?;
            let what = "is there, and should not be";
            return Err(named(&record.name, &Error::corrupt(what)));
        }
        if self.next != offset || self.records.at() != offset + size {
            return Err(Error::corrupt("there is something between the members and the directory"));
        }
        Ok(())
    }
}

/// One member that is read.
struct Member {
    window: Window,
    record: Header,
    inflate: Decompress,
    has_ended: bool,
    crc: Crc,
    /// Bytes of the file, and of the content, that were read.
    packed: u64,
    raw: u64,
}

impl Member {
    fn new(window: Window) -> Self {
        let way = layout::Way { method: 0, is_streamed: false, is_wide: false };
        let record = Header { name: Vec::new(), way, sizes: Sizes::default(), offset: 0 };
        let (inflate, crc) = (Decompress::new(false), Crc::new());
        Self { window, record, inflate, has_ended: true, crc, packed: 0, raw: 0 }
    }

    /// Reads the header, which must say what the directory says.
    fn begin(&mut self, record: Header) -> Result<()> {
        let local = layout::read_local(&mut self.window).map_err(|e| named(&record.name, &e))?;
        let expected = match record.way.is_streamed {
            true => Header { sizes: Sizes::default(), ..record.clone() },
            false => record.clone(),
        };
        if local != expected {
            let what = "its header and the directory differ";
            return Err(named(&record.name, &Error::corrupt(what)));
        }
        self.start(record);
        Ok(())
    }

    fn start(&mut self, record: Header) {
        self.inflate.reset(false);
        self.crc = Crc::new();
        (self.packed, self.raw) = (0, 0);
        self.has_ended = false;
        self.record = record;
    }

    /// 0: its end, if nothing is wrong with it.
    fn read_some(&mut self, out: &mut [u8]) -> Result<usize> {
        let read =
            if self.record.way.method == DEFLATED { self.inflated(out) } else { self.stored(out) };
        let length = read.map_err(|error| named(&self.record.name, &error))?;
        self.crc.update(&out[..length]);
        self.raw += length as u64;
        if self.raw > self.record.sizes.raw {
            let what = "holds more than its size says";
            return Err(named(&self.record.name, &Error::corrupt(what)));
        }
        Ok(length)
    }

    fn left(&self) -> u64 {
        self.record.sizes.packed - self.packed
    }

    fn stored(&mut self, out: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX).min(out.len());
        let length = self.window.read(&mut out[..left]).map_err(|e| broken(e, "content"))?;
        if length == 0 && left > 0 {
            return Err(Error::corrupt("the bundle is cut: it ends within this member"));
        }
        self.packed += length as u64;
        self.has_ended = self.left() == 0;
        Ok(length)
    }

    fn inflated(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.has_ended || out.is_empty() {
            return Ok(0);
        }
        loop {
            let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
            let ahead = self.window.fill().map_err(|error| broken(error, "content"))?;
            let ahead = &ahead[..ahead.len().min(left)];
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(ahead, out, FlushDecompress::None)
                .map_err(|_| Error::corrupt("what is deflated is damaged"))?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            let length = (self.inflate.total_out() - before_out) as usize;
            let is_stuck = taken == 0 && length == 0;
            self.window.consume(taken);
            self.packed += taken as u64;
            self.has_ended = status == Status::StreamEnd;
            if length > 0 || self.has_ended {
                return Ok(length);
            }
            if is_stuck {
                return Err(Error::corrupt("what is deflated has no end"));
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        let sizes = self.record.sizes;
        let mut more = [0];
        let wrong = if self.read_some(&mut more)? > 0 {
            "holds more than its size says"
        } else if self.raw != sizes.raw {
            "holds less than its size says"
        } else if self.packed != sizes.packed {
            "takes less room than its size says"
        } else if self.crc.clone().finalize() != sizes.crc {
            "has the wrong CRC: it is damaged"
        } else {
            return self.descriptor();
        };
        Err(named(&self.record.name, &Error::corrupt(wrong)))
    }

    fn descriptor(&mut self) -> Result<()> {
        if !self.record.way.is_streamed {
            return Ok(());
        }
        let found = layout::read_descriptor(&mut self.window, self.record.way);
        let found = found.map_err(|error| named(&self.record.name, &error))?;
        if found == self.record.sizes {
            return Ok(());
        }
        let what = "the sizes that follow it and the directory differ";
        Err(named(&self.record.name, &Error::corrupt(what)))
    }
}

/// A member that is read beside the others, checked at its end.
struct Beside(Member);

impl Read for Beside {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read_some(out).map_err(io::Error::other)?;
        if length == 0 && !out.is_empty() {
            self.0.end().map_err(io::Error::other)?;
            // At the end again: the same answer, without the sizes that were read.
            self.0.record.way.is_streamed = false;
        }
        Ok(length)
    }
}
