//! One client: what it negotiates, then its requests, one after the other.
//!
//! Nobody waits for a client without end: not for the rest of what it began to say, and not for it
//! to take an answer. Only between requests it may be silent.

use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};

use super::asked::{self, Request};
use super::{Export, Server};
use crate::vm::nbd::protocol::{self, strange};
use crate::vm::socket::{Patience, Socket};

const HANDSHAKE: Duration = Duration::from_secs(30);
/// For the rest of a request.
const REQUEST: Duration = Duration::from_secs(30);
/// For an answer to be taken.
const ANSWER: Duration = Duration::from_mins(2);
const MOST_OPTIONS: usize = 100;
const MOST_OPTION_BYTES: u32 = 64 << 10;
/// What clients may ask that were told no bound.
const MOST_READ_BYTES: u32 = 32 << 20;
const PIECE_BYTES: u64 = 1 << 20;
const MOST_EXTENTS: usize = 1024;
const MOST_MESSAGE_BYTES: usize = 1000;
/// The one context, if it was chosen.
const CONTEXT: u32 = 1;

const EPERM: u32 = 1;
const EIO: u32 = 5;
const EINVAL: u32 = 22;
const ESHUTDOWN: u32 = 108;

/// Flag of the last chunk of a reply.
const DONE: u16 = 1;

pub(super) struct Connection<'s> {
    server: &'s Server,
    socket: Socket,
    /// The first kind of answer ends with so many zeros.
    has_zeroes: bool,
    is_structured: bool,
    has_context: bool,
    buffer: Vec<u8>,
}

enum Next<'s> {
    Option,
    Serve(&'s Export),
    End,
}

impl<'s> Connection<'s> {
    pub(super) fn new(server: &'s Server, socket: Socket) -> Self {
        Self {
            server,
            socket,
            has_zeroes: false,
            is_structured: false,
            has_context: false,
            buffer: Vec::new(),
        }
    }

    /// The export that the client chose; none if it ended.
    pub(super) fn negotiate(&mut self) -> Result<Option<&'s Export>> {
        let wait = self.server.waits.within(HANDSHAKE);
        let flags = protocol::HANDSHAKE_FLAGS.to_be_bytes();
        let hello = [&protocol::INIT_MAGIC[..], protocol::OPTION_MAGIC, &flags].concat();
        self.socket.send(&hello, &wait)?;
        let mut flags = [0; 4];
        self.socket.fill(&mut flags, &wait)?;
        let flags = u32::from_be_bytes(flags);
        if flags & !u32::from(protocol::HANDSHAKE_FLAGS) != 0 {
            return Err(strange("a client's flags"));
        }
        self.has_zeroes = flags & 2 == 0;
        for _ in 0..MOST_OPTIONS {
            let mut head = [0; 16];
            self.socket.fill(&mut head, &wait)?;
            let (option, length) = asked::option(&head)?;
            if length > MOST_OPTION_BYTES {
                return Err(strange("the length of an option"));
            }
            let mut data = vec![0; length as usize];
            self.socket.fill(&mut data, &wait)?;
            match self.option(option, &data, &wait)? {
                Next::Option => {}
                Next::Serve(export) => return Ok(Some(export)),
                Next::End => return Ok(None),
            }
        }
        Err(strange("the number of options"))
    }

    fn option(&mut self, option: u32, data: &[u8], wait: &Patience) -> Result<Next<'s>> {
        match option {
            protocol::OPTION_EXPORT_NAME => return self.export_name(data, wait),
            protocol::OPTION_GO | protocol::OPTION_INFO => return self.info(option, data, wait),
            protocol::OPTION_ABORT => {
                self.reply(option, protocol::REPLY_ACK, &[], wait)?;
                return Ok(Next::End);
            }
            protocol::OPTION_LIST if data.is_empty() => {
                for export in &self.server.exports {
                    let name = export.name.as_bytes();
                    let data = [&(name.len() as u32).to_be_bytes(), name].concat();
                    self.reply(option, protocol::REPLY_SERVER, &data, wait)?;
                }
                self.reply(option, protocol::REPLY_ACK, &[], wait)?;
            }
            protocol::OPTION_STRUCTURED_REPLY if data.is_empty() => {
                self.is_structured = true;
                self.reply(option, protocol::REPLY_ACK, &[], wait)?;
            }
            protocol::OPTION_LIST | protocol::OPTION_STRUCTURED_REPLY => {
                self.reply(option, protocol::REPLY_INVALID, &[], wait)?;
            }
            protocol::OPTION_LIST_META_CONTEXT | protocol::OPTION_SET_META_CONTEXT => {
                self.contexts(option, data, wait)?;
            }
            _ => self.reply(option, protocol::REPLY_UNSUPPORTED, &[], wait)?,
        }
        Ok(Next::Option)
    }

    /// The oldest way to begin; it knows no refusal but the end of the connection.
    fn export_name(&mut self, name: &[u8], wait: &Patience) -> Result<Next<'s>> {
        let export = self.server.export(name);
        let export = export.ok_or_else(|| Error::not_found("a client asks for another export"))?;
        let mut reply = export.image.size_bytes().to_be_bytes().to_vec();
        reply.extend(protocol::EXPORT_FLAGS.to_be_bytes());
        if self.has_zeroes {
            reply.extend([0; 124]);
        }
        self.socket.send(&reply, wait)?;
        Ok(Next::Serve(export))
    }

    fn info(&mut self, option: u32, data: &[u8], wait: &Patience) -> Result<Next<'s>> {
        let Ok((name, wants_sizes)) = asked::info(data, protocol::INFO_BLOCK_SIZE) else {
            self.reply(option, protocol::REPLY_INVALID, &[], wait)?;
            return Ok(Next::Option);
        };
        let Some(export) = self.server.export(name) else {
            self.reply(option, protocol::REPLY_UNKNOWN, b"there is no such export", wait)?;
            return Ok(Next::Option);
        };
        let mut about = protocol::INFO_EXPORT.to_be_bytes().to_vec();
        about.extend(export.image.size_bytes().to_be_bytes());
        about.extend(protocol::EXPORT_FLAGS.to_be_bytes());
        self.reply(option, protocol::REPLY_INFO, &about, wait)?;
        if wants_sizes {
            // Least, best, most.
            let sizes = [1u32, 4096, MOST_READ_BYTES].map(u32::to_be_bytes).concat();
            let sizes = [&protocol::INFO_BLOCK_SIZE.to_be_bytes()[..], &sizes].concat();
            self.reply(option, protocol::REPLY_INFO, &sizes, wait)?;
        }
        self.reply(option, protocol::REPLY_ACK, &[], wait)?;
        Ok(if option == protocol::OPTION_GO { Next::Serve(export) } else { Next::Option })
    }

    fn contexts(&mut self, option: u32, data: &[u8], wait: &Patience) -> Result<()> {
        let is_list = option == protocol::OPTION_LIST_META_CONTEXT;
        let mut is_asked = false;
        let asked = asked::contexts(data, |query| {
            is_asked |= query == protocol::ALLOCATION.as_bytes() || is_list && query == b"base:";
        });
        let refusal = match asked {
            Ok((name, _)) if self.server.export(name).is_none() => Some(protocol::REPLY_UNKNOWN),
            Ok((_, count)) => {
                is_asked |= is_list && count == 0;
                (!self.is_structured).then_some(protocol::REPLY_INVALID)
            }
            Err(_) => Some(protocol::REPLY_INVALID),
        };
        if let Some(refusal) = refusal {
            return self.reply(option, refusal, &[], wait);
        }
        if !is_list {
            self.has_context = is_asked;
        }
        if is_asked {
            let id = if is_list { 0 } else { CONTEXT };
            let data = [&id.to_be_bytes(), protocol::ALLOCATION.as_bytes()].concat();
            self.reply(option, protocol::REPLY_META_CONTEXT, &data, wait)?;
        }
        self.reply(option, protocol::REPLY_ACK, &[], wait)
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8], wait: &Patience) -> Result<()> {
        let mut bytes = protocol::OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
        for number in [option, kind, data.len() as u32] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(data);
        self.socket.send(&bytes, wait)
    }

    /// Until the client ends, or the server does.
    pub(super) fn transmit(&mut self, export: &Export) -> Result<()> {
        let silence = self.server.waits.without_end();
        loop {
            let mut head = [0; 28];
            if self.socket.fill(&mut head[..1], &silence).is_err() {
                return Ok(());
            }
            let wait = self.server.waits.within(REQUEST);
            self.socket.fill(&mut head[1..], &wait)?;
            let request = asked::request(&head)?;
            let is_plain = request.flags == 0;
            match request.kind {
                protocol::COMMAND_DISCONNECT => return Ok(()),
                protocol::COMMAND_READ if is_plain => self.read(export, &request)?,
                protocol::COMMAND_BLOCK_STATUS if request.flags & !protocol::FLAG_ONE == 0 => {
                    self.status(export, &request)?;
                }
                protocol::COMMAND_WRITE => {
                    self.discard(request.length)?;
                    self.fail(&request, EPERM, "this export is read only")?;
                }
                protocol::COMMAND_TRIM | protocol::COMMAND_WRITE_ZEROES => {
                    self.fail(&request, EPERM, "this export is read only")?;
                }
                _ => self.fail(&request, EINVAL, "not offered")?,
            }
        }
    }

    fn read(&mut self, export: &Export, request: &Request) -> Result<()> {
        let Some(end) = within(export, request).filter(|_| request.length <= MOST_READ_BYTES)
        else {
            return self.fail(request, EINVAL, "outside of the export, or too much at once");
        };
        let done = match self.is_structured {
            true => self.read_pieces(export, request, end),
            false => self.read_whole(export, request),
        };
        match done {
            Ok(()) => {
                self.server.have_read(u64::from(request.length));
                Ok(())
            }
            Err(Failed::Client(error)) => Err(error),
            Err(Failed::Image(error)) => self.unreadable(export, request, &error),
        }
    }

    /// An answer without parts: it must be known before it begins.
    fn read_whole(&mut self, export: &Export, request: &Request) -> Result<(), Failed> {
        const HEAD: usize = 16;
        self.buffer.resize(HEAD + request.length as usize, 0);
        let (head, data) = self.buffer.split_at_mut(HEAD);
        export.image.read_at(request.offset, data).map_err(Failed::Image)?;
        head.copy_from_slice(&simple(request.cookie, 0));
        self.send_buffer()
    }

    fn read_pieces(&mut self, export: &Export, request: &Request, end: u64) -> Result<(), Failed> {
        const HEAD: usize = 28;
        let mut at = request.offset;
        while at < end {
            let (stop, is_zero) = extent(export, at, end).map_err(Failed::Image)?;
            if is_zero {
                let length = ((stop - at) as u32).to_be_bytes();
                let hole = [&at.to_be_bytes()[..], &length].concat();
                let sent = self.chunk(request, 0, protocol::CHUNK_HOLE, &hole);
                sent.map_err(Failed::Client)?;
                at = stop;
                continue;
            }
            let stop = stop.min((at / PIECE_BYTES + 1) * PIECE_BYTES);
            let length = (stop - at) as usize;
            self.buffer.resize(HEAD + length, 0);
            let (head, data) = self.buffer.split_at_mut(HEAD);
            export.image.read_at(at, data).map_err(Failed::Image)?;
            let length = 8 + length as u32;
            head[..20].copy_from_slice(&chunk(request.cookie, 0, protocol::CHUNK_DATA, length));
            head[20..].copy_from_slice(&at.to_be_bytes());
            self.send_buffer()?;
            at = stop;
        }
        self.chunk(request, DONE, protocol::CHUNK_NONE, &[]).map_err(Failed::Client)
    }

    fn status(&mut self, export: &Export, request: &Request) -> Result<()> {
        let end = within(export, request).filter(|_| self.has_context);
        let Some(end) = end else {
            return self.fail(request, EINVAL, "no context was chosen, or outside of the export");
        };
        let most = if request.flags & protocol::FLAG_ONE == 0 { MOST_EXTENTS } else { 1 };
        let mut data = CONTEXT.to_be_bytes().to_vec();
        let mut at = request.offset;
        for _ in 0..most {
            if at == end {
                break;
            }
            let (stop, is_zero) = match extent(export, at, end) {
                Ok(found) => found,
                Err(error) => return self.unreadable(export, request, &error),
            };
            let state = if is_zero { protocol::STATE_HOLE | protocol::STATE_ZERO } else { 0 };
            data.extend(((stop - at) as u32).to_be_bytes());
            data.extend(state.to_be_bytes());
            at = stop;
        }
        self.chunk(request, DONE, protocol::CHUNK_BLOCK_STATUS, &data)
    }

    fn unreadable(&mut self, export: &Export, request: &Request, error: &Error) -> Result<()> {
        if error.is(ErrorKind::Canceled) {
            return self.fail(request, ESHUTDOWN, "the server ends");
        }
        self.server.have_failed(export, error);
        self.fail(request, EIO, &error.to_string())
    }

    fn fail(&mut self, request: &Request, number: u32, why: &str) -> Result<()> {
        if !self.is_structured {
            let wait = self.server.waits.within(ANSWER);
            return self.socket.send(&simple(request.cookie, number), &wait);
        }
        let why = &why[..why.floor_char_boundary(MOST_MESSAGE_BYTES)];
        let mut data = number.to_be_bytes().to_vec();
        data.extend((why.len() as u16).to_be_bytes());
        data.extend(why.as_bytes());
        self.chunk(request, DONE, protocol::CHUNK_ERROR, &data)
    }

    fn chunk(&mut self, request: &Request, flags: u16, kind: u16, data: &[u8]) -> Result<()> {
        let head = chunk(request.cookie, flags, kind, data.len() as u32);
        let wait = self.server.waits.within(ANSWER);
        self.socket.send(&[&head, data].concat(), &wait)
    }

    fn send_buffer(&mut self) -> Result<(), Failed> {
        let wait = self.server.waits.within(ANSWER);
        self.socket.send(&self.buffer, &wait).map_err(Failed::Client)
    }

    /// What a client sends to be written.
    fn discard(&mut self, length: u32) -> Result<()> {
        if length > MOST_READ_BYTES {
            return Err(strange("the length of a request"));
        }
        let wait = self.server.waits.within(REQUEST);
        self.buffer.resize(length as usize, 0);
        self.socket.fill(&mut self.buffer, &wait)
    }
}

/// Which side failed: an image that cannot be read is an answer, a client that is gone is the end.
enum Failed {
    Client(Error),
    Image(Error),
}

/// Where a request ends, if it asks for something that is there.
fn within(export: &Export, request: &Request) -> Option<u64> {
    let end = request.offset.checked_add(u64::from(request.length))?;
    (request.length > 0 && end <= export.image.size_bytes()).then_some(end)
}

fn extent(export: &Export, at: u64, end: u64) -> Result<(u64, bool)> {
    let (stop, is_zero) = export.image.extent(at..end)?;
    if at < stop && stop <= end {
        Ok((stop, is_zero))
    } else {
        Err(Error::internal("an extent of an image leads nowhere"))
    }
}

fn simple(cookie: u64, error: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[..4].copy_from_slice(&protocol::SIMPLE_MAGIC.to_be_bytes());
    head[4..8].copy_from_slice(&error.to_be_bytes());
    head[8..].copy_from_slice(&cookie.to_be_bytes());
    head
}

fn chunk(cookie: u64, flags: u16, kind: u16, length: u32) -> [u8; 20] {
    let mut head = [0; 20];
    head[..4].copy_from_slice(&protocol::CHUNK_MAGIC.to_be_bytes());
    head[4..6].copy_from_slice(&flags.to_be_bytes());
    head[6..8].copy_from_slice(&kind.to_be_bytes());
    head[8..16].copy_from_slice(&cookie.to_be_bytes());
    head[16..].copy_from_slice(&length.to_be_bytes());
    head
}
