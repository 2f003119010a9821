//! Reads a tar as it was written.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use tintype_model::{Error, Result};

use super::super::read_at::{ReadAt, Window, broken};
use super::layout::{self, BLOCK, FILE};

const AHEAD: usize = 512 << 10;

pub(crate) struct TarReader {
    bytes: Arc<dyn ReadAt>,
    window: Window,
    member: layout::Read,
    /// Where data is; of what has no holes, all.
    data: Vec<Range<u64>>,
    /// Data of the member that was not read yet.
    left: u64,
}

fn named(name: &[u8], error: &Error) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(300)]).into_owned();
    Error::new(error.kind(), format!("member {name:?}: {}", error.message()))
}

impl TarReader {
    pub(crate) fn open(bytes: Arc<dyn ReadAt>) -> Self {
        let window = Window::new(Arc::clone(&bytes), 0, AHEAD);
        let member = layout::Read::default();
        Self { bytes, window, member, data: Vec::new(), left: 0 }
    }

    /// Begins the next member, which must have this name and be of one of these types; gives which.
    pub(crate) fn begin(&mut self, name: &[u8], kinds: &[u8]) -> Result<u8> {
        let member = layout::read_member(&mut self.window).map_err(|error| named(name, &error))?;
        let member = member
            .ok_or_else(|| named(name, &Error::corrupt("is missing: the tar ends before")))?;
        if member.name != name || !kinds.contains(&member.kind) {
            let wanted = String::from_utf8_lossy(&name[..name.len().min(300)]);
            let what = format!("stands where {wanted:?} should be, or is of another type");
            return Err(named(&member.name, &Error::corrupt(what)));
        }
        if member.kind != FILE && member.size != 0 {
            return Err(named(name, &Error::corrupt("has content, and is no file")));
        }
        self.data = std::iter::once(0..member.size).collect();
        self.left = member.size;
        self.member = member;
        if let Some(real_size) = self.member.real_size {
            self.map(real_size).map_err(|error| named(&self.member.name, &error))?;
        }
        Ok(self.member.kind)
    }

    fn map(&mut self, real_size: u64) -> Result<()> {
        let (mut data, taken) = layout::read_sparse_map(&mut self.window, self.left)?;
        self.left -= taken;
        if data.last().is_some_and(Range::is_empty) {
            data.pop();
        }
        let mut last = 0;
        for piece in &data {
            if piece.start < last || piece.is_empty() || piece.end > real_size {
                return Err(Error::corrupt("its map of holes is not in order"));
            }
            last = piece.end;
        }
        let content: u64 = data.iter().map(|piece| piece.end - piece.start).sum();
        if content != self.left {
            return Err(Error::corrupt("its map of holes says another length than it has"));
        }
        self.data = data;
        Ok(())
    }

    /// How long the content is, with its holes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.member.real_size.unwrap_or(self.member.size)
    }

    /// Where a symlink points, or a further name.
    pub(crate) fn link(&self) -> &[u8] {
        &self.member.link
    }

    /// Where data is.
    pub(crate) fn data(&self) -> &[Range<u64>] {
        &self.data
    }

    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let name = &self.member.name;
        let length =
            self.window.read(&mut out[..most]).map_err(|e| named(name, &broken(e, "content")))?;
        if length == 0 && most > 0 {
            return Err(named(
                name,
                &Error::corrupt("the bundle is cut: it ends within this member"),
            ));
        }
        self.left -= length as u64;
        Ok(length)
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        if self.left > 0 {
            let what = "holds more than its entry says";
            return Err(named(&self.member.name, &Error::corrupt(what)));
        }
        let padding = self.window.at().next_multiple_of(BLOCK) - self.window.at();
        let mut rest = vec![0; padding as usize];
        self.window.exactly_into(&mut rest, "what fills up a member")
    }

    /// Begins the next member, to be read beside those that follow it.
    pub(crate) fn beside(&mut self, name: &[u8]) -> Result<Box<dyn Read + Send>> {
        self.begin(name, &[FILE])?;
        let (start, size) = (self.window.at(), self.left);
        let next = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK));
        let next = next.filter(|next| *next <= self.window.size_bytes());
        self.window
            .go_to(next.ok_or_else(|| named(name, &Error::corrupt("is longer than the bundle")))?);
        let window = Window::new(Arc::clone(&self.bytes), start, AHEAD);
        Ok(Box::new(Beside { window, left: size }))
    }

    /// Nothing may follow the last member but zeros.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if let Some(member) = layout::read_member(&mut self.window)? {
            return Err(named(&member.name, &Error::corrupt("is there, and should not be")));
        }
        loop {
            let rest = self.window.fill().map_err(|error| broken(error, "the end of the tar"))?;
            let length = rest.len();
            if rest.iter().any(|byte| *byte != 0) {
                return Err(Error::corrupt("something follows the end of the tar"));
            }
            if length == 0 {
                return Ok(());
            }
            self.window.consume(length);
        }
    }
}

struct Beside {
    window: Window,
    left: u64,
}

impl Read for Beside {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let length = self.window.read(&mut out[..most])?;
        self.left -= length as u64;
        Ok(length)
    }
}
