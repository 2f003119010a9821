//! Messages of PostgreSQL's protocol 3.0: a tag, a length, a body
//! (<https://www.postgresql.org/docs/15/protocol-message-formats.html>). Pure: bytes in, values out.

use std::collections::BTreeMap;

use tintype_model::{Error, ErrorKind, Result};

/// A longer message is not read.
pub(super) const MOST_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

/// Length of a body, from the five bytes before it.
pub(super) fn body_bytes(header: [u8; 5]) -> Result<usize> {
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    match length.checked_sub(4) {
        Some(bytes) if bytes <= MOST_BYTES => Ok(bytes),
        _ => Err(Error::corrupt(format!("a message of {length} bytes: no PostgreSQL server"))),
    }
}

/// `tag` is none for the startup message.
pub(super) fn message(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = tag.into_iter().collect();
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

pub(super) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    message(None, &body)
}

pub(super) fn text(tag: u8, text: &str) -> Vec<u8> {
    message(Some(tag), &[text.as_bytes(), &[0]].concat())
}

/// Takes fields off the front of a body.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn broken() -> Error {
        Error::corrupt("a message of the server ends too early")
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(Self::broken)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    /// Up to a zero byte.
    pub(super) fn text(&mut self) -> Result<String> {
        let length = self.0.iter().position(|byte| *byte == 0).ok_or_else(Self::broken)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

pub(super) type Row = Vec<Option<String>>;

/// Columns as text; bytes that are no UTF-8 are replaced.
pub(super) fn row(body: &[u8]) -> Result<Row> {
    let mut fields = Fields(body);
    let count = fields.u16()?;
    (0..count)
        .map(|_| match fields.u32()? {
            u32::MAX => Ok(None),
            bytes => {
                let text = fields.take(bytes as usize)?;
                Ok(Some(String::from_utf8_lossy(text).into_owned()))
            }
        })
        .collect()
}

/// What the server says went wrong.
pub(super) fn error(body: &[u8]) -> Error {
    let mut fields = Fields(body);
    let mut found = BTreeMap::new();
    while let Ok(kind @ 1..) = fields.u8() {
        let Ok(text) = fields.text() else { break };
        found.insert(kind, text);
    }
    let field = |kind: u8| found.get(&kind).cloned().unwrap_or_default();
    let code = field(b'C');
    let mut message = field(b'M');
    for more in [b'D', b'H'] {
        if let Some(text) = found.get(&more) {
            message = format!("{message}; {text}");
        }
    }
    Error::new(kind(&code), format!("{message} ({code})"))
}

/// What a caller can do about a code of <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn kind(code: &str) -> ErrorKind {
    match code.get(..2).unwrap_or_default() {
        "28" => ErrorKind::Denied,
        "3D" | "58" => ErrorKind::NotFound,
        "0A" => ErrorKind::Unsupported,
        "42" if code == "42501" => ErrorKind::Denied,
        "42" if code == "42P04" || code == "42710" => ErrorKind::AlreadyExists,
        "42" | "22" => ErrorKind::Invalid,
        "55" => ErrorKind::Locked,
        "53" if code == "53100" => ErrorKind::NoSpace,
        "XX" => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    }
}

/// A text as a literal of SQL and of replication commands.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_are_refused() {
        assert_eq!(body_bytes([b'D', 0, 0, 0, 4]).unwrap(), 0);
        assert!(body_bytes([b'D', 0, 0, 0, 3]).is_err());
        assert!(body_bytes([b'D', 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(row(&[0, 2, 0, 0, 0, 1, b'x']).is_err());
        assert!(row(&[0, 1, 0, 0, 0, 9, b'x']).is_err());
        assert_eq!(
            row(&[0, 2, 0, 0, 0, 1, b'x', 255, 255, 255, 255]).unwrap(),
            [Some("x".to_owned()), None]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = row(&bytes);
            let _ = error(&bytes);
        }

        #[test]
        fn changed_messages_are_read_or_refused(bytes in tintype_testkit::hostile::changed([
            &b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff"[..],
            b"SERROR\0C57P03\0Mthe database system is starting up\0Fx.c\0\0",
            b"T\0\0\0\x1b\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
        ])) {
            let _ = (row(&bytes), error(&bytes));
            let _ = bytes.first_chunk().map(|header| body_bytes(*header));
            let text = String::from_utf8_lossy(&bytes);
            for (quoted, quote) in [(literal(&text), '\''), (identifier(&text), '"')] {
                let inside = &quoted[1..quoted.len() - 1];
                assert!(!inside.replace(&format!("{quote}{quote}"), "").contains(quote));
            }
        }
    }
}
