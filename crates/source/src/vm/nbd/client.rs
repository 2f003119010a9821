//! One connection to an export, one request at a time.

use std::path::Path;
use std::time::Duration;

use tintype_model::{Error, Result};

use super::protocol::{
    self, Bytes, CHUNK_BLOCK_STATUS, CHUNK_DATA, CHUNK_ERROR, CHUNK_ERROR_OFFSET, CHUNK_HOLE,
    CHUNK_NONE, MOST_REPLY_BYTES, Reply, strange,
};
use crate::vm::socket::{Patience, Socket, Waits};

/// Servers take up to 32 MiB.
pub(crate) const MOST_REQUEST_BYTES: usize = 8 << 20;
/// QEMU answers no more extents than fit its own bound; asked again from there.
const MOST_STATUS_BYTES: u64 = 2 << 30;
/// A disk under load may be slow; one that says nothing for so long is gone.
const REQUEST: Duration = Duration::from_mins(2);
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) struct Nbd {
    socket: Socket,
    waits: Waits,
    size_bytes: u64,
    /// Number of the one context that was asked for.
    context: Option<u32>,
    cookie: u64,
    /// After half a reply what follows means nothing.
    broken: bool,
}

impl Nbd {
    /// `context`: what [`Nbd::states`] asks; `NotFound` if the export does not have it.
    pub(crate) fn connect(
        path: &Path,
        export: &str,
        context: Option<&str>,
        waits: Waits,
    ) -> Result<Self> {
        let patience = waits.within(HANDSHAKE);
        let socket = Socket::connect(path, &patience)?;
        let mut nbd =
            Self { socket, waits, size_bytes: 0, context: None, cookie: 0, broken: false };
        nbd.negotiate(export, context, &patience)
            .map_err(|error| error.context(format!("NBD export {export}")))?;
        Ok(nbd)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    fn negotiate(&mut self, export: &str, context: Option<&str>, wait: &Patience) -> Result<()> {
        let mut hello = [0; 18];
        self.socket.fill(&mut hello, wait)?;
        let flags = u16::from_be_bytes([hello[16], hello[17]]);
        let known = &hello[..8] == protocol::INIT_MAGIC && &hello[8..16] == protocol::OPTION_MAGIC;
        if !known || flags & protocol::HANDSHAKE_FLAGS != protocol::HANDSHAKE_FLAGS {
            return Err(Error::unsupported("the server speaks no fixed newstyle NBD"));
        }
        self.socket.send(&u32::from(protocol::HANDSHAKE_FLAGS).to_be_bytes(), wait)?;
        self.option(protocol::OPTION_STRUCTURED_REPLY, &[], wait, |_, _| Ok(()))?;
        if let Some(context) = context {
            let ask = protocol::set_meta_context(export, &[context.to_owned()]);
            let mut found = None;
            self.option(protocol::OPTION_SET_META_CONTEXT, &ask, wait, |kind, data| {
                if kind == protocol::REPLY_META_CONTEXT {
                    let (id, name) = protocol::meta_context(data)?;
                    found = (name == context).then_some(id).or(found);
                }
                Ok(())
            })?;
            let missing = || Error::not_found(format!("it has no {context}"));
            self.context = Some(found.ok_or_else(missing)?);
        }
        let mut size = None;
        self.option(protocol::OPTION_GO, &protocol::go(export), wait, |kind, data| {
            if kind == protocol::REPLY_INFO {
                size = protocol::export_info(data)?.map(|(size, _)| size).or(size);
            }
            Ok(())
        })?;
        self.size_bytes = size.ok_or_else(|| strange("an export without a size"))?;
        Ok(())
    }

    /// Sends an option; each reply but the last is handed on.
    fn option(
        &mut self,
        option: u32,
        data: &[u8],
        wait: &Patience,
        mut reply: impl FnMut(u32, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.socket.send(&protocol::option(option, data), wait)?;
        loop {
            let mut head = [0; 20];
            self.socket.fill(&mut head, wait)?;
            let head = protocol::option_reply(&head, option)?;
            let mut data = vec![0; head.length as usize];
            self.socket.fill(&mut data, wait)?;
            if head.kind & protocol::REPLY_IS_ERROR != 0 {
                let why = String::from_utf8_lossy(&data).into_owned();
                return Err(Error::not_found(format!("refused ({:#x}): {why}", head.kind)));
            }
            if head.kind == protocol::REPLY_ACK {
                return Ok(());
            }
            reply(head.kind, &data)?;
        }
    }

    pub(crate) fn read(&mut self, mut offset: u64, buffer: &mut [u8]) -> Result<()> {
        for piece in buffer.chunks_mut(MOST_REQUEST_BYTES) {
            self.whole(|nbd| nbd.read_piece(offset, piece))?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, mut offset: u64, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(MOST_REQUEST_BYTES) {
            self.whole(|nbd| {
                nbd.command(protocol::COMMAND_WRITE, offset, piece.len() as u32, piece)
            })?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.whole(|nbd| nbd.command(protocol::COMMAND_FLUSH, 0, 0, &[]))
    }

    /// States of what lies from a position on, by the context that was asked for: lengths, each
    /// with its state, at least one; as far as the server looked.
    pub(crate) fn states(&mut self, offset: u64, length: u64) -> Result<Vec<(u32, u32)>> {
        let length = length.min(MOST_STATUS_BYTES) as u32;
        self.whole(|nbd| nbd.states_piece(offset, length))
    }

    /// Marks the connection as broken unless the whole exchange went well.
    fn whole<T>(&mut self, exchange: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::unavailable("the NBD connection broke before"));
        }
        let result = exchange(self);
        self.broken = result.is_err();
        result
    }

    fn read_piece(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let wait = self.waits.within(REQUEST);
        self.request(protocol::COMMAND_READ, offset, buffer.len() as u32, &[], &wait)?;
        let mut filled = 0;
        loop {
            match self.reply(&wait)? {
                Reply::Simple { error: 0 } => return Err(strange("a read")),
                Reply::Simple { error } => return Err(failed(error, "")),
                Reply::Chunk { last, kind, length } => {
                    filled += self.read_chunk(kind, length, offset, buffer, &wait)?;
                    if last && filled == buffer.len() {
                        return Ok(());
                    }
                    if last || filled > buffer.len() {
                        return Err(strange("the length of a read"));
                    }
                }
            }
        }
    }

    fn read_chunk(
        &mut self,
        kind: u16,
        length: u32,
        offset: u64,
        buffer: &mut [u8],
        wait: &Patience,
    ) -> Result<usize> {
        let outside = || strange("a part of a read");
        let place = |at: u64, length: usize| -> Result<std::ops::Range<usize>> {
            let begin = at.checked_sub(offset).ok_or_else(outside)? as usize;
            let end = begin.checked_add(length).ok_or_else(outside)?;
            Ok(begin..end)
        };
        match kind {
            CHUNK_DATA if length > 8 => {
                let at = self.u64(wait)?;
                let place = place(at, length as usize - 8)?;
                let into = buffer.get_mut(place).ok_or_else(outside)?;
                self.socket.fill(into, wait)?;
                Ok(into.len())
            }
            CHUNK_HOLE if length == 12 => {
                let at = self.u64(wait)?;
                let mut hole = [0; 4];
                self.socket.fill(&mut hole, wait)?;
                let place = place(at, u32::from_be_bytes(hole) as usize)?;
                let into = buffer.get_mut(place).ok_or_else(outside)?;
                into.fill(0);
                Ok(into.len())
            }
            _ => self.other_chunk(kind, length, wait).map(|()| 0),
        }
    }

    fn states_piece(&mut self, offset: u64, length: u32) -> Result<Vec<(u32, u32)>> {
        let wait = self.waits.within(REQUEST);
        self.request(protocol::COMMAND_BLOCK_STATUS, offset, length, &[], &wait)?;
        let mut found = Vec::new();
        loop {
            let Reply::Chunk { last, kind, length } = self.reply(&wait)? else {
                return Err(strange("a block status"));
            };
            if kind == CHUNK_BLOCK_STATUS {
                let data = self.data(length, &wait)?;
                let (context, extents) = protocol::extents(&data)?;
                if Some(context) == self.context {
                    found = extents;
                }
            } else {
                self.other_chunk(kind, length, &wait)?;
            }
            if last {
                let none = found.is_empty();
                return if none { Err(strange("an empty block status")) } else { Ok(found) };
            }
        }
    }

    /// A request that is answered by yes or no.
    fn command(&mut self, kind: u16, offset: u64, length: u32, data: &[u8]) -> Result<()> {
        let wait = self.waits.within(REQUEST);
        self.request(kind, offset, length, data, &wait)?;
        loop {
            match self.reply(&wait)? {
                Reply::Simple { error: 0 } => return Ok(()),
                Reply::Simple { error } => return Err(failed(error, "")),
                Reply::Chunk { last, kind, length } => {
                    self.other_chunk(kind, length, &wait)?;
                    if last {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn request(
        &mut self,
        kind: u16,
        offset: u64,
        length: u32,
        data: &[u8],
        wait: &Patience,
    ) -> Result<()> {
        self.cookie += 1;
        self.socket.send(&protocol::request(kind, self.cookie, offset, length), wait)?;
        self.socket.send(data, wait)
    }

    fn reply(&mut self, wait: &Patience) -> Result<Reply> {
        let mut head = [0; 20];
        self.socket.fill(&mut head[..4], wait)?;
        let length = protocol::reply_bytes([head[0], head[1], head[2], head[3]])?;
        self.socket.fill(&mut head[4..length], wait)?;
        protocol::reply(&head[..length], self.cookie)
    }

    fn other_chunk(&mut self, kind: u16, length: u32, wait: &Patience) -> Result<()> {
        match kind {
            CHUNK_NONE if length == 0 => Ok(()),
            CHUNK_ERROR | CHUNK_ERROR_OFFSET => {
                let (number, message) = protocol::failure(&self.data(length, wait)?)?;
                Err(failed(number, &message))
            }
            _ => Err(strange("a part of a reply")),
        }
    }

    fn data(&mut self, length: u32, wait: &Patience) -> Result<Vec<u8>> {
        if length > MOST_REPLY_BYTES {
            return Err(strange("the length of a reply"));
        }
        let mut data = vec![0; length as usize];
        self.socket.fill(&mut data, wait)?;
        Ok(data)
    }

    fn u64(&mut self, wait: &Patience) -> Result<u64> {
        let mut bytes = [0; 8];
        self.socket.fill(&mut bytes, wait)?;
        Bytes(&bytes).u64()
    }
}

impl Drop for Nbd {
    fn drop(&mut self) {
        if !self.broken {
            let wait = self.waits.within(Duration::from_millis(100));
            // Only a courtesy: the server sees that the connection is closed.
            let _ = self.request(protocol::COMMAND_DISCONNECT, 0, 0, &[], &wait);
        }
    }
}

fn failed(number: u32, message: &str) -> Error {
    let error = std::io::Error::from_raw_os_error(number as i32);
    Error::io(error, if message.is_empty() { "NBD" } else { message })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tintype_model::env::Clock;
    use tintype_testkit::hostile::changed;

    use super::*;

    /// Goes on by itself, so that whoever waits comes to an end.
    struct Ticking(AtomicU64);

    impl Clock for Ticking {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
        }

        fn sleep(&self, _: Duration) {}
    }

    /// All that a server says of an export of 4 KiB: it is opened, read, and asked for its states.
    fn session() -> Vec<u8> {
        let reply = |option: u32, kind: u32, data: &[u8]| {
            let head = [0x0003_e889u32, 0x0455_65a9, option, kind, data.len() as u32];
            [&head.map(u32::to_be_bytes).concat()[..], data].concat()
        };
        let chunk = |kind: u16, cookie: u64, data: &[u8]| {
            let head = [&[0x66, 0x8e, 0x33, 0xef, 0, 1][..], &kind.to_be_bytes()].concat();
            let length = (data.len() as u32).to_be_bytes();
            [&head[..], &cookie.to_be_bytes(), &length, data].concat()
        };
        let info = [&[0, 0][..], &4096u64.to_be_bytes(), &[0, 3]].concat();
        [
            &b"NBDMAGICIHAVEOPT\0\x03"[..],
            &reply(8, 1, &[]),
            &reply(10, 4, b"\0\0\0\x05base:allocation"),
            &reply(10, 1, &[]),
            &reply(7, 3, &info),
            &reply(7, 1, &[]),
            &chunk(1, 1, &[&[0; 8][..], &[7; 4096]].concat()),
            &chunk(5, 2, b"\0\0\0\x05\0\0\x10\0\0\0\0\x02"),
        ]
        .concat()
    }

    type Said = (u64, Vec<(u32, u32)>);

    fn spoken(server: &[u8]) -> Result<Said> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(server).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let waits = Waits::by(Arc::new(Ticking(AtomicU64::new(0))));
        let socket = Socket::of(ours, "a server".into())?;
        let mut nbd = Nbd { socket, waits, size_bytes: 0, context: None, cookie: 0, broken: false };
        let patience = nbd.waits.within(HANDSHAKE);
        nbd.negotiate("x", Some("base:allocation"), &patience)?;
        nbd.read(0, &mut [0; 4096])?;
        Ok((nbd.size_bytes, nbd.states(0, 4096)?))
    }

    #[test]
    fn a_session_is_understood() {
        assert_eq!(spoken(&session()).unwrap(), (4096, vec![(4096, 2)]));
    }

    proptest::proptest! {
        #[test]
        fn a_changed_session_is_understood_or_refused(bytes in changed([session()])) {
            let _ = spoken(&bytes);
        }
    }
}
