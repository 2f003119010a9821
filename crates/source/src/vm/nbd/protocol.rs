//! The bytes of the protocol. Nothing here waits or allocates by what the other side says.

use tintype_model::{Error, Result};

pub(crate) const INIT_MAGIC: &[u8; 8] = b"NBDMAGIC";
pub(crate) const OPTION_MAGIC: &[u8; 8] = b"IHAVEOPT";
pub(crate) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
pub(crate) const REQUEST_MAGIC: u32 = 0x2560_9513;
pub(crate) const SIMPLE_MAGIC: u32 = 0x6744_6698;
pub(crate) const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// Fixed newstyle, no zeroes: what both sides must speak.
pub(crate) const HANDSHAKE_FLAGS: u16 = 3;

pub(crate) const OPTION_EXPORT_NAME: u32 = 1;
pub(crate) const OPTION_ABORT: u32 = 2;
pub(crate) const OPTION_LIST: u32 = 3;
pub(crate) const OPTION_INFO: u32 = 6;
pub(crate) const OPTION_GO: u32 = 7;
pub(crate) const OPTION_STRUCTURED_REPLY: u32 = 8;
pub(crate) const OPTION_LIST_META_CONTEXT: u32 = 9;
pub(crate) const OPTION_SET_META_CONTEXT: u32 = 10;

pub(crate) const REPLY_ACK: u32 = 1;
pub(crate) const REPLY_SERVER: u32 = 2;
pub(crate) const REPLY_INFO: u32 = 3;
pub(crate) const REPLY_META_CONTEXT: u32 = 4;
pub(crate) const REPLY_IS_ERROR: u32 = 1 << 31;
pub(crate) const REPLY_UNSUPPORTED: u32 = REPLY_IS_ERROR | 1;
pub(crate) const REPLY_INVALID: u32 = REPLY_IS_ERROR | 3;
pub(crate) const REPLY_UNKNOWN: u32 = REPLY_IS_ERROR | 6;

/// Kinds of information of an export: size and flags; sizes of blocks.
pub(crate) const INFO_EXPORT: u16 = 0;
pub(crate) const INFO_BLOCK_SIZE: u16 = 3;

/// Flags of an export: they mean something; read only; several connections see the same.
pub(crate) const EXPORT_FLAGS: u16 = 1 | 1 << 1 | 1 << 8;

pub(crate) const COMMAND_READ: u16 = 0;
pub(crate) const COMMAND_WRITE: u16 = 1;
pub(crate) const COMMAND_DISCONNECT: u16 = 2;
pub(crate) const COMMAND_FLUSH: u16 = 3;
pub(crate) const COMMAND_TRIM: u16 = 4;
pub(crate) const COMMAND_WRITE_ZEROES: u16 = 6;
pub(crate) const COMMAND_BLOCK_STATUS: u16 = 7;

/// Of a request for a block status: the first extent will do.
pub(crate) const FLAG_ONE: u16 = 1 << 3;

pub(crate) const CHUNK_NONE: u16 = 0;
pub(crate) const CHUNK_DATA: u16 = 1;
pub(crate) const CHUNK_HOLE: u16 = 2;
pub(crate) const CHUNK_BLOCK_STATUS: u16 = 5;
pub(crate) const CHUNK_ERROR: u16 = 0x8001;
pub(crate) const CHUNK_ERROR_OFFSET: u16 = 0x8002;

/// What of a disk holds data.
pub(crate) const ALLOCATION: &str = "base:allocation";
/// Of `base:allocation`: nothing is stored there.
pub(crate) const STATE_HOLE: u32 = 1;
/// Of `base:allocation`: reads as zeros.
pub(crate) const STATE_ZERO: u32 = 2;
/// Of `qemu:dirty-bitmap:…`.
pub(crate) const STATE_DIRTY: u32 = 1;

/// What is longer is not a reply to anything that this client asks.
pub(crate) const MOST_REPLY_BYTES: u32 = 16 << 20;

pub(crate) fn option(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = OPTION_MAGIC.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// Data of `GO`: an export, and nothing more asked.
pub(crate) fn go(export: &str) -> Vec<u8> {
    let mut data = text(export);
    data.extend(0u16.to_be_bytes());
    data
}

pub(crate) fn set_meta_context(export: &str, contexts: &[String]) -> Vec<u8> {
    let mut data = text(export);
    data.extend((contexts.len() as u32).to_be_bytes());
    contexts.iter().for_each(|context| data.extend(text(context)));
    data
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

#[derive(Debug, PartialEq)]
pub(crate) struct OptionReply {
    pub kind: u32,
    pub length: u32,
}

/// The head of a reply to an option.
pub(crate) fn option_reply(head: &[u8; 20], asked: u32) -> Result<OptionReply> {
    let mut bytes = Bytes(head);
    let (magic, option) = (bytes.u64()?, bytes.u32()?);
    let reply = OptionReply { kind: bytes.u32()?, length: bytes.u32()? };
    if magic != OPTION_REPLY_MAGIC || option != asked || reply.length > MOST_REPLY_BYTES {
        return Err(strange("a reply to an option"));
    }
    Ok(reply)
}

/// Size and flags of an export, where the information holds these.
pub(crate) fn export_info(data: &[u8]) -> Result<Option<(u64, u16)>> {
    let mut bytes = Bytes(data);
    if bytes.u16()? != 0 {
        return Ok(None);
    }
    Ok(Some((bytes.u64()?, bytes.u16()?)))
}

/// The number of a context and its name.
pub(crate) fn meta_context(data: &[u8]) -> Result<(u32, String)> {
    let mut bytes = Bytes(data);
    let id = bytes.u32()?;
    let name = String::from_utf8(bytes.0.to_vec()).map_err(|_| strange("a context's name"))?;
    Ok((id, name))
}

pub(crate) fn request(kind: u16, cookie: u64, offset: u64, length: u32) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..24].copy_from_slice(&offset.to_be_bytes());
    bytes[24..].copy_from_slice(&length.to_be_bytes());
    bytes
}

#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// An error number, 0 for none.
    Simple { error: u32 },
    /// Followed by `length` bytes.
    Chunk { last: bool, kind: u16, length: u32 },
}

/// Length of the head of a reply, by its first four bytes.
pub(crate) fn reply_bytes(magic: [u8; 4]) -> Result<usize> {
    match u32::from_be_bytes(magic) {
        SIMPLE_MAGIC => Ok(16),
        CHUNK_MAGIC => Ok(20),
        _ => Err(strange("a reply")),
    }
}

/// The head of a reply to the request of that cookie.
pub(crate) fn reply(head: &[u8], asked: u64) -> Result<Reply> {
    let mut bytes = Bytes(head);
    let (reply, cookie) = if bytes.u32()? == SIMPLE_MAGIC {
        let error = bytes.u32()?;
        (Reply::Simple { error }, bytes.u64()?)
    } else {
        let (flags, kind) = (bytes.u16()?, bytes.u16()?);
        let cookie = bytes.u64()?;
        (Reply::Chunk { last: flags & 1 == 1, kind, length: bytes.u32()? }, cookie)
    };
    if cookie == asked { Ok(reply) } else { Err(strange("a reply to another request")) }
}

/// The number of a context, and lengths with their states.
pub(crate) fn extents(data: &[u8]) -> Result<(u32, Vec<(u32, u32)>)> {
    let mut bytes = Bytes(data);
    let context = bytes.u32()?;
    if bytes.0.is_empty() || bytes.0.len() % 8 != 0 {
        return Err(strange("a list of extents"));
    }
    let mut extents = Vec::with_capacity(bytes.0.len() / 8);
    while !bytes.0.is_empty() {
        let extent = (bytes.u32()?, bytes.u32()?);
        if extent.0 == 0 {
            return Err(strange("an extent of no length"));
        }
        extents.push(extent);
    }
    Ok((context, extents))
}

/// The number of an error, and what is said of it.
pub(crate) fn failure(data: &[u8]) -> Result<(u32, String)> {
    let mut bytes = Bytes(data);
    let (number, length) = (bytes.u32()?, usize::from(bytes.u16()?));
    let message = bytes.0.get(..length).ok_or_else(|| strange("an error"))?;
    Ok((number, String::from_utf8_lossy(message).into_owned()))
}

pub(crate) fn strange(what: &str) -> Error {
    Error::invalid(format!("{what} is not as the NBD protocol says"))
}

/// Numbers from the front of a slice.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(|| strange("a length"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

impl<'a> Bytes<'a> {
    /// A text after its length.
    pub(crate) fn text(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(|| strange("a text"))?;
        self.0 = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_extents_is_read() {
        let data = [0u8, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0, 0, 0];
        assert_eq!(extents(&data).unwrap(), (1, vec![(65536, 3), (512, 0)]));
        assert!(extents(&data[..4]).is_err(), "none");
        assert!(extents(&data[..19]).is_err(), "cut");
        assert!(extents(&[0; 12]).is_err(), "no length: the list would never end");
    }

    #[test]
    fn a_reply_to_another_request_is_refused() {
        let head: Vec<u8> =
            [&SIMPLE_MAGIC.to_be_bytes()[..], &[0; 4], &7u64.to_be_bytes()].concat();
        assert_eq!(reply(&head, 7).unwrap(), Reply::Simple { error: 0 });
        assert!(reply(&head, 8).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, head: [u8; 20]) {
            let _ = (extents(&bytes), failure(&bytes), meta_context(&bytes), export_info(&bytes));
            let _ = (reply(&bytes, 1), option_reply(&head, OPTION_GO));
        }
    }
}
