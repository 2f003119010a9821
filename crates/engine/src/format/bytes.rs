//! Reading and writing integers in byte strings (format.md, conventions). Readers bound
//! everything and never panic.

use tintype_model::{Error, Result};

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A cursor over untrusted bytes.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

fn ends_early() -> Error {
    Error::corrupt("ends before it is complete")
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("took N bytes"))
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        if let [byte, rest @ ..] = self.rest
            && *byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for index in 0..10 {
            let byte = *self.rest.get(index).ok_or_else(ends_early)?;
            if index == 9 && byte > 1 {
                return Err(Error::corrupt("a number is larger than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if byte == 0 && index > 0 {
                    return Err(Error::corrupt("a number is not in its shortest form"));
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Error::corrupt("a number is longer than ten bytes"))
    }

    /// A varint that must not exceed `limit`; `what` names it in the error.
    pub fn bounded(&mut self, limit: usize, what: &str) -> Result<usize> {
        let value = self.varint()?;
        if value > limit as u64 {
            return Err(Error::corrupt(format!("{what} is {value}, the limit is {limit}")));
        }
        Ok(value as usize)
    }

    pub fn zigzag(&mut self) -> Result<i64> {
        self.varint().map(unzigzag)
    }

    pub fn bytes(&mut self, limit: usize, what: &str) -> Result<&'a [u8]> {
        let length = self.bounded(limit, what)?;
        self.take(length)
    }

    /// A part with a length in front, as a reader of its own.
    pub fn part(&mut self) -> Result<Reader<'a>> {
        let length = self.bounded(self.rest.len(), "a column's length")?;
        self.take(length).map(Reader::new)
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Everything was read; anything left is corruption.
    pub fn finish(self, what: &str) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("{what}: {} bytes too many", self.rest.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_zigzag(&mut out, signed);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint().unwrap(), value);
            prop_assert_eq!(reader.zigzag().unwrap(), signed);
            reader.finish("test").unwrap();
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() {}
            let _ = reader.part().and_then(|mut p| p.bytes(10, "x").map(<[u8]>::len));
        }
    }

    #[test]
    fn long_forms_are_refused() {
        assert!(Reader::new(&[0x80, 0x00]).varint().is_err());
        assert!(Reader::new(&[0xff; 10]).varint().is_err());
    }
}
