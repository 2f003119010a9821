//! The records of a zip, byte for byte: written here, and read with every field looked at.

use jiff::Timestamp;
use tintype_model::entry::{Kind, Node, Time};
use tintype_model::{Error, Result};

use super::super::read_at::Window;

pub(crate) const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";

/// Sizes follow the content.
pub(crate) const STREAMED: u16 = 1 << 3;
/// Names are UTF-8.
pub(crate) const UTF_8: u16 = 1 << 11;
pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

const ZIP_64: u16 = 1;
/// In a field of 32 or 16 bits: it stands elsewhere.
const ELSEWHERE: u32 = u32::MAX;
const ELSEWHERE_16: u16 = u16::MAX;
/// Unix (3), as version 4.5 has it (Zip64).
const MADE_BY: u16 = 0x032d;
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END_64_BYTES: u64 = 56;

/// A streamed member of so many bytes has fields of 64 bits, whatever it deflates to.
pub(crate) const WIDE: u64 = 0xf000_0000;

/// What is written of a member beside its content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meta {
    pub name: Vec<u8>,
    /// With the kind, as `st_mode`.
    pub mode: u32,
    pub mtime: Option<Time>,
    pub owner: Option<(u32, u32)>,
}

impl Meta {
    pub(crate) fn of(name: Vec<u8>, node: &Node) -> Self {
        let kind = match node.kind {
            Kind::Directory => 0o040_000,
            Kind::Symlink => 0o120_000,
            _ => 0o100_000,
        };
        let mode = kind | u32::from(node.mode);
        let has_owner = node.kind != Kind::Stream;
        let owner = has_owner.then_some((node.owner.uid, node.owner.gid));
        Self { name, mode, mtime: Some(node.mtime), owner }
    }

    pub(crate) fn own(name: &str) -> Self {
        Self { name: name.into(), mode: 0o100_644, mtime: None, owner: None }
    }

    fn extra(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        let seconds = self.mtime.and_then(|time| i32::try_from(time.seconds).ok());
        if let Some(seconds) = seconds {
            out.extend_from_slice(b"UT\x05\x00\x01");
            out.extend_from_slice(&seconds.to_le_bytes());
        }
        if let Some((uid, gid)) = self.owner {
            out.extend_from_slice(b"ux\x0b\x00\x01\x04");
            out.extend_from_slice(&uid.to_le_bytes());
            out.push(4);
            out.extend_from_slice(&gid.to_le_bytes());
        }
        out
    }
}

/// Where a member is and how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub crc: u32,
    pub packed: u64,
    pub raw: u64,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub method: u16,
    pub is_streamed: bool,
    /// The fields of a streamed one have 64 bits.
    pub is_wide: bool,
}

impl Way {
    fn flags(self) -> u16 {
        UTF_8 | if self.is_streamed { STREAMED } else { 0 }
    }
}

/// Of the format that a reader must know.
fn version(is_wide: bool) -> u16 {
    if is_wide { 45 } else { 20 }
}

struct Out(Vec<u8>);

impl Out {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
}

fn short(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(ELSEWHERE)
}

/// Before the content. `sizes` are left out of a streamed one.
pub(crate) fn local(meta: &Meta, way: Way, sizes: Sizes) -> Vec<u8> {
    let mut extra = Out(Vec::new());
    if way.is_wide {
        extra.u16(ZIP_64).u16(16).u64(0).u64(0);
    }
    extra.bytes(&meta.extra());
    let (crc, packed, raw) = match (way.is_streamed, way.is_wide) {
        (true, true) => (0, ELSEWHERE, ELSEWHERE),
        (true, false) => (0, 0, 0),
        _ => (sizes.crc, sizes.packed as u32, sizes.raw as u32),
    };
    let mut out = Out(Vec::with_capacity(30 + meta.name.len() + extra.0.len()));
    out.bytes(&LOCAL).u16(version(way.is_wide)).u16(way.flags()).u16(way.method);
    out.u32(dos_time(meta.mtime)).u32(crc).u32(packed).u32(raw);
    out.u16(meta.name.len() as u16).u16(extra.0.len() as u16);
    out.bytes(&meta.name).bytes(&extra.0);
    out.0
}

/// After the content of a streamed one.
pub(crate) fn descriptor(way: Way, sizes: Sizes) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(24));
    out.bytes(&DESCRIPTOR).u32(sizes.crc);
    match way.is_wide {
        true => out.u64(sizes.packed).u64(sizes.raw),
        false => out.u32(sizes.packed as u32).u32(sizes.raw as u32),
    };
    out.0
}

/// In the directory.
pub(crate) fn central(meta: &Meta, way: Way, sizes: Sizes, offset: u64) -> Vec<u8> {
    let mut wide = Out(Vec::new());
    let is_large = way.is_wide;
    if is_large {
        wide.u64(sizes.raw).u64(sizes.packed);
    }
    if offset >= u64::from(ELSEWHERE) {
        wide.u64(offset);
    }
    let mut extra = Out(Vec::new());
    if !wide.0.is_empty() {
        extra.u16(ZIP_64).u16(wide.0.len() as u16).bytes(&wide.0);
    }
    extra.bytes(&meta.extra());
    let is_directory = meta.mode & 0o170_000 == 0o040_000;
    let mut out = Out(Vec::with_capacity(46 + meta.name.len() + extra.0.len()));
    out.bytes(&CENTRAL).u16(MADE_BY).u16(version(!wide.0.is_empty()));
    out.u16(way.flags()).u16(way.method).u32(dos_time(meta.mtime)).u32(sizes.crc);
    match is_large {
        true => out.u32(ELSEWHERE).u32(ELSEWHERE),
        false => out.u32(sizes.packed as u32).u32(sizes.raw as u32),
    };
    out.u16(meta.name.len() as u16).u16(extra.0.len() as u16).u16(0).u16(0).u16(0);
    out.u32(meta.mode << 16 | if is_directory { 0x10 } else { 0 }).u32(short(offset));
    out.bytes(&meta.name).bytes(&extra.0);
    out.0
}

/// After the directory.
pub(crate) fn end(count: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut out = Out(Vec::new());
    let is_wide = count >= u64::from(ELSEWHERE_16)
        || size >= u64::from(ELSEWHERE)
        || offset >= u64::from(ELSEWHERE);
    if is_wide {
        out.bytes(&END_64).u64(END_64_BYTES - 12).u16(MADE_BY).u16(45).u32(0).u32(0);
        out.u64(count).u64(count).u64(size).u64(offset);
        out.bytes(&LOCATOR_64).u32(0).u64(offset + size).u32(1);
    }
    let count = u16::try_from(count).unwrap_or(ELSEWHERE_16);
    out.bytes(&END).u16(0).u16(0).u16(count).u16(count).u32(short(size)).u32(short(offset)).u16(0);
    out.0
}

/// In UTC, every second second, from 1980 to 2107.
fn dos_time(time: Option<Time>) -> u32 {
    const FIRST: [u32; 6] = [0, 1, 1, 0, 0, 0];
    const LAST: [u32; 6] = [127, 12, 31, 23, 59, 29];
    let part = |value: i8| value as u32;
    let parts = match time.map(|time| (Timestamp::from_second(time.seconds), time.seconds)) {
        None => FIRST,
        Some((Err(_), seconds)) => {
            if seconds < 0 {
                FIRST
            } else {
                LAST
            }
        }
        Some((Ok(moment), _)) => {
            let civil = jiff::tz::Offset::UTC.to_datetime(moment);
            match i32::from(civil.year()) - 1980 {
                ..0 => FIRST,
                128.. => LAST,
                years => [
                    years as u32,
                    part(civil.month()),
                    part(civil.day()),
                    part(civil.hour()),
                    part(civil.minute()),
                    part(civil.second()) / 2,
                ],
            }
        }
    };
    let widths = [7, 4, 5, 5, 6, 5];
    parts.iter().zip(widths).fold(0, |packed, (part, width)| (packed << width) | part)
}

/// A header of a member, of either kind, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub name: Vec<u8>,
    pub way: Way,
    pub sizes: Sizes,
    /// Of the local header.
    pub offset: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn wrong(what: &str) -> Error {
    Error::corrupt(what.to_owned())
}

/// The extra field of Zip64, if there is one; every field must end where they all do.
fn zip_64(extra: &[u8]) -> Result<Option<&[u8]>> {
    let (mut rest, mut found) = (extra, None);
    while !rest.is_empty() {
        let length = rest.get(2..4).map(|length| usize::from(u16_at(length, 0)));
        let body = length.and_then(|length| rest.get(4..4 + length));
        let body =
            body.ok_or_else(|| wrong("extra fields of another length than their header says"))?;
        if u16_at(rest, 0) == ZIP_64 && found.replace(body).is_some() {
            return Err(wrong("Zip64 sizes that are there twice"));
        }
        rest = &rest[4 + body.len()..];
    }
    Ok(found)
}

fn way_of(flags: u16, method: u16, is_wide: bool) -> Result<Way> {
    if flags & 1 != 0 {
        return Err(Error::unsupported("encrypted by the zip itself; bundles are sealed by age"));
    }
    if flags & !(STREAMED | UTF_8) != 0 || (method != STORED && method != DEFLATED) {
        return Err(Error::unsupported("flags or a method that no bundle has"));
    }
    Ok(Way { method, is_streamed: flags & STREAMED != 0, is_wide })
}

fn name_and_extra(
    window: &mut Window,
    name: u16,
    extra: u16,
    what: &str,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut both = vec![0; usize::from(name) + usize::from(extra)];
    window.exactly_into(&mut both, what)?;
    let extra = both.split_off(usize::from(name));
    Ok((both, extra))
}

/// Reads a local header. Sizes of a streamed one are 0.
pub(crate) fn read_local(window: &mut Window) -> Result<Read> {
    let what = "the header of a member";
    let offset = window.at();
    let head: [u8; 30] = window.exactly(what)?;
    if head[..4] != LOCAL {
        return Err(wrong("no member where the directory says"));
    }
    let (name, extra) = name_and_extra(window, u16_at(&head, 26), u16_at(&head, 28), what)?;
    let wide = zip_64(&extra)?;
    let way = way_of(u16_at(&head, 6), u16_at(&head, 8), wide.is_some())?;
    let (crc, packed, raw) = (u32_at(&head, 14), u32_at(&head, 18), u32_at(&head, 22));
    let is_right = match (way.is_streamed, wide) {
        (true, Some(wide)) => wide == [0; 16] && (crc, packed, raw) == (0, ELSEWHERE, ELSEWHERE),
        (true, None) => (crc, packed, raw) == (0, 0, 0),
        (false, wide) => wide.is_none() && packed != ELSEWHERE && raw != ELSEWHERE,
    };
    if !is_right {
        return Err(wrong("sizes in its header that no bundle has"));
    }
    let sizes = match way.is_streamed {
        true => Sizes::default(),
        false => Sizes { crc, packed: u64::from(packed), raw: u64::from(raw) },
    };
    Ok(Read { name, way, sizes, offset })
}

/// Reads a record of the directory.
pub(crate) fn read_central(window: &mut Window) -> Result<Read> {
    let what = "the directory";
    let head: [u8; 46] = window.exactly(what)?;
    if head[..4] != CENTRAL {
        return Err(wrong("the directory has no record where one should be"));
    }
    if u16_at(&head, 32) != 0 || u16_at(&head, 34) != 0 {
        return Err(Error::unsupported("comments, or several parts: no bundle has them"));
    }
    let (name, extra) = name_and_extra(window, u16_at(&head, 28), u16_at(&head, 30), what)?;
    let mut wide = zip_64(&extra)?.unwrap_or_default();
    let mut is_wide = false;
    let mut field = |short: u32, widens: bool| {
        if short != ELSEWHERE {
            return Ok(u64::from(short));
        }
        is_wide |= widens;
        let value = wide.get(..8).map(|bytes| u64_at(bytes, 0));
        wide = wide.get(8..).unwrap_or_default();
        value.ok_or_else(|| wrong("a Zip64 field is missing"))
    };
    let raw = field(u32_at(&head, 24), true)?;
    let packed = field(u32_at(&head, 20), true)?;
    let offset = field(u32_at(&head, 42), false)?;
    if !wide.is_empty() {
        return Err(wrong("Zip64 fields that nobody needs"));
    }
    let way = way_of(u16_at(&head, 8), u16_at(&head, 10), is_wide)?;
    Ok(Read { name, way, sizes: Sizes { crc: u32_at(&head, 16), packed, raw }, offset })
}

/// Reads what follows the content of a streamed member.
pub(crate) fn read_descriptor(window: &mut Window, way: Way) -> Result<Sizes> {
    let what = "what follows a member";
    let head: [u8; 8] = window.exactly(what)?;
    if head[..4] != DESCRIPTOR {
        return Err(wrong("no sizes after its content, or content of another length"));
    }
    let crc = u32_at(&head, 4);
    let (packed, raw) = if way.is_wide {
        let sizes: [u8; 16] = window.exactly(what)?;
        (u64_at(&sizes, 0), u64_at(&sizes, 8))
    } else {
        let sizes: [u8; 8] = window.exactly(what)?;
        (u64::from(u32_at(&sizes, 0)), u64::from(u32_at(&sizes, 4)))
    };
    Ok(Sizes { crc, packed, raw })
}

/// Where the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub count: u64,
    pub offset: u64,
    pub size: u64,
}

/// Reads the end records, which must be the last bytes.
pub(crate) fn read_end(window: &mut Window) -> Result<Directory> {
    let what = "the end of the zip";
    let size = window.size_bytes();
    let cut = || wrong("the bundle is cut, or something was added to it: a zip ends otherwise");
    let end_at = size.checked_sub(END_BYTES).ok_or_else(cut)?;
    window.go_to(end_at);
    let end: [u8; 22] = window.exactly(what)?;
    if end[..4] != END || u16_at(&end, 20) != 0 {
        return Err(cut());
    }
    let narrow = Directory {
        count: u64::from(u16_at(&end, 10)),
        offset: u64::from(u32_at(&end, 16)),
        size: u64::from(u32_at(&end, 12)),
    };
    let is_elsewhere = narrow.count == u64::from(ELSEWHERE_16)
        || narrow.offset == u64::from(ELSEWHERE)
        || narrow.size == u64::from(ELSEWHERE);
    let is_one_part = end[4..8] == [0; 4] && u16_at(&end, 8) == u16_at(&end, 10);
    let (directory, ends_at) = match is_elsewhere {
        false => (narrow, end_at),
        true => read_end_64(window, end_at, narrow)?,
    };
    if is_one_part && directory.offset.checked_add(directory.size) == Some(ends_at) {
        Ok(directory)
    } else {
        Err(wrong("the end record of the zip does not say where its directory is"))
    }
}

fn read_end_64(window: &mut Window, end_at: u64, narrow: Directory) -> Result<(Directory, u64)> {
    let what = "the end of the zip";
    let wrong = || wrong("the Zip64 end record is not what it should be");
    let locator_at = end_at.checked_sub(LOCATOR_BYTES).ok_or_else(wrong)?;
    let record_at = locator_at.checked_sub(END_64_BYTES).ok_or_else(wrong)?;
    window.go_to(record_at);
    let record: [u8; 56] = window.exactly(what)?;
    let locator: [u8; 20] = window.exactly(what)?;
    let directory = Directory {
        count: u64_at(&record, 32),
        offset: u64_at(&record, 48),
        size: u64_at(&record, 40),
    };
    let is_right = record[..4] == END_64
        && u64_at(&record, 4) == END_64_BYTES - 12
        && record[16..24] == [0; 8]
        && u64_at(&record, 24) == directory.count
        && locator[..4] == LOCATOR_64
        && u32_at(&locator, 4) == 0
        && u64_at(&locator, 8) == record_at
        && u32_at(&locator, 16) == 1
        && narrow.count == directory.count.min(u64::from(ELSEWHERE_16))
        && narrow.offset == directory.offset.min(u64::from(ELSEWHERE))
        && narrow.size == directory.size.min(u64::from(ELSEWHERE));
    if is_right { Ok((directory, record_at)) } else { Err(wrong()) }
}
