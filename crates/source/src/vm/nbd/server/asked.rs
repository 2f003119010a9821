//! What a client asks. Nothing here allocates by what it says.

use tintype_model::Result;

use crate::vm::nbd::protocol::{Bytes, OPTION_MAGIC, REQUEST_MAGIC, strange};

/// An option and the length of its data.
pub(super) fn option(head: &[u8; 16]) -> Result<(u32, u32)> {
    let mut bytes = Bytes(&head[8..]);
    if &head[..8] != OPTION_MAGIC {
        return Err(strange("an option"));
    }
    Ok((bytes.u32()?, bytes.u32()?))
}

/// Of `INFO` and `GO`: an export, and whether the sizes of blocks are wanted.
pub(super) fn info(data: &[u8], wanted: u16) -> Result<(&[u8], bool)> {
    let mut bytes = Bytes(data);
    let (name, count) = (bytes.text()?, bytes.u16()?);
    if bytes.0.len() != usize::from(count) * 2 {
        return Err(strange("a list of information"));
    }
    let is_wanted = bytes.0.chunks_exact(2).any(|kind| kind == wanted.to_be_bytes());
    Ok((name, is_wanted))
}

/// Of `LIST_META_CONTEXT` and `SET_META_CONTEXT`: an export, and which of the queries it is.
pub(super) fn contexts(data: &[u8], mut each: impl FnMut(&[u8])) -> Result<(&[u8], u32)> {
    let mut bytes = Bytes(data);
    let (name, count) = (bytes.text()?, bytes.u32()?);
    for _ in 0..count {
        each(bytes.text()?);
    }
    if !bytes.0.is_empty() {
        return Err(strange("a list of contexts"));
    }
    Ok((name, count))
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    pub flags: u16,
    pub kind: u16,
    pub cookie: u64,
    pub offset: u64,
    pub length: u32,
}

pub(super) fn request(head: &[u8; 28]) -> Result<Request> {
    let mut bytes = Bytes(head);
    if bytes.u32()? != REQUEST_MAGIC {
        return Err(strange("a request"));
    }
    Ok(Request {
        flags: bytes.u16()?,
        kind: bytes.u16()?,
        cookie: bytes.u64()?,
        offset: bytes.u64()?,
        length: bytes.u32()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::nbd::protocol;

    #[test]
    fn what_the_client_here_says_is_understood() {
        let go = protocol::go("disk");
        assert_eq!(info(&go, 3).unwrap(), (&b"disk"[..], false));
        let wanted = [&go[..8], &[0, 2, 0, 0, 0, 3]].concat();
        assert_eq!(info(&wanted, 3).unwrap(), (&b"disk"[..], true));
        let set = protocol::set_meta_context("", &["base:allocation".into(), "x".into()]);
        let mut asked = Vec::new();
        let found = contexts(&set, |query| asked.push(query.to_vec())).unwrap();
        assert_eq!((found, asked.len()), ((&b""[..], 2), 2));
        let read = request(&protocol::request(0, 7, 4096, 512)).unwrap();
        let expected = Request { flags: 0, kind: 0, cookie: 7, offset: 4096, length: 512 };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_count_that_the_data_does_not_hold_is_refused() {
        let many = [&[0u8; 4][..], &u32::MAX.to_be_bytes()].concat();
        assert!(contexts(&many, |_| ()).is_err());
        let mut calls = 0;
        let empty = [&[0u8; 4][..], &u32::MAX.to_be_bytes(), &[0; 400]].concat();
        assert!(contexts(&empty, |_| calls += 1).is_err());
        assert_eq!(calls, 100, "each takes four bytes at least");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, head: [u8; 16], long: [u8; 28]) {
            let _ = (option(&head), request(&long), info(&bytes, 3), contexts(&bytes, |_| ()));
        }
    }
}
