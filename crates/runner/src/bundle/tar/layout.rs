//! Headers of 512 bytes, and the records that stand before them where they are too small.

use std::ops::Range;

use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, Result};

use super::super::read_at::Window;

pub(crate) const BLOCK: u64 = 512;
/// Of a tar: whole records of 20 blocks.
pub(crate) const RECORD: u64 = 20 * BLOCK;

pub(crate) const FILE: u8 = b'0';
pub(crate) const LINK: u8 = b'1';
pub(crate) const SYMLINK: u8 = b'2';
const CHAR_DEVICE: u8 = b'3';
const BLOCK_DEVICE: u8 = b'4';
pub(crate) const DIRECTORY: u8 = b'5';
const FIFO: u8 = b'6';
/// Records of the next member.
const PAX: u8 = b'x';

/// Numbers in octal digits, with an end.
const MOST_ID: u64 = 0o7_777_777;
const MOST_SIZE: u64 = 0o77_777_777_777;

/// Pieces of data between holes; more cannot be in a tar.
pub(crate) const MOST_PIECES: usize = 1 << 20;
const MOST_PAX_BYTES: u64 = 128 << 20;

/// The type of a kind, if there is one.
pub(crate) fn type_of(kind: Kind) -> Option<u8> {
    Some(match kind {
        Kind::File | Kind::Image | Kind::Stream => FILE,
        Kind::Directory => DIRECTORY,
        Kind::Symlink => SYMLINK,
        Kind::Fifo => FIFO,
        Kind::CharDevice => CHAR_DEVICE,
        Kind::BlockDevice => BLOCK_DEVICE,
        Kind::Socket | Kind::Unknown => return None,
    })
}

/// What stands before a member.
pub(crate) struct Member<'m> {
    pub name: &'m [u8],
    pub kind: u8,
    /// `None`: one of our own.
    pub node: Option<&'m Node>,
    pub link: &'m [u8],
    /// Bytes that follow.
    pub size: u64,
    /// Of what is sparse: how long it really is.
    pub real_size: Option<u64>,
    /// Beside those of the node.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Default)]
struct Pax(Vec<u8>);

impl Pax {
    /// `<length> <key>=<value>\n`, where the length counts its own digits.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

/// Every header of a member, padded.
pub(crate) fn headers(member: &Member<'_>) -> Vec<u8> {
    let mut header = [0; BLOCK as usize];
    let mut pax = Pax::default();
    let texts = texts(member);
    if texts.iter().any(|(_, text, _)| std::str::from_utf8(text).is_err()) {
        pax.add(b"hdrcharset", b"BINARY");
    }
    for (key, text, field) in texts {
        // A field that is full has no end, which some readers want.
        let fits = text.len() < field.len() && text.is_ascii();
        if !fits {
            pax.add(key, text);
        }
        let length = text.len().min(field.len() - 1);
        header[field.start..field.start + length].copy_from_slice(&text[..length]);
    }
    let node = member.node;
    let (uid, gid) = node.map_or((0, 0), |node| (node.owner.uid, node.owner.gid));
    let mtime = node.map(|node| node.mtime).unwrap_or_default();
    let mode = node.map_or(0o644, |node| u64::from(node.mode));
    octal(&mut header[100..108], mode);
    for (key, id, field) in [(&b"uid"[..], uid, 108..116), (&b"gid"[..], gid, 116..124)] {
        if u64::from(id) > MOST_ID {
            pax.add(key, id.to_string().as_bytes());
        }
        octal(&mut header[field], u64::from(id).min(MOST_ID));
    }
    if member.size > MOST_SIZE {
        pax.add(b"size", member.size.to_string().as_bytes());
    }
    octal(&mut header[124..136], member.size.min(MOST_SIZE));
    let seconds = u64::try_from(mtime.seconds).unwrap_or(0);
    if mtime.nanoseconds != 0 || mtime.seconds < 0 || seconds > MOST_SIZE {
        pax.add(b"mtime", decimal(mtime.seconds, mtime.nanoseconds).as_bytes());
    }
    octal(&mut header[136..148], seconds.min(MOST_SIZE));
    header[156] = member.kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let numbers = node.and_then(|node| node.extras.as_ref()?.device_number);
    if let Some((major, minor)) = numbers {
        octal(&mut header[329..337], u64::from(major).min(MOST_ID));
        octal(&mut header[337..345], u64::from(minor).min(MOST_ID));
    }
    more(member, &mut pax);
    let mut out = Vec::new();
    if !pax.0.is_empty() {
        let mut before = [0; BLOCK as usize];
        before[..16].copy_from_slice(b"././@PaxHeader\0\0");
        octal(&mut before[100..108], 0o644);
        octal(&mut before[108..116], 0);
        octal(&mut before[116..124], 0);
        octal(&mut before[124..136], pax.0.len() as u64);
        octal(&mut before[136..148], 0);
        before[156] = PAX;
        before[257..265].copy_from_slice(b"ustar\x0000");
        sum(&mut before);
        out.extend_from_slice(&before);
        out.extend_from_slice(&pax.0);
        pad(&mut out);
    }
    sum(&mut header);
    out.extend_from_slice(&header);
    out
}

type Text<'m> = (&'static [u8], &'m [u8], Range<usize>);

/// What is text: key of the record, value, field of the header.
fn texts<'m>(member: &Member<'m>) -> Vec<Text<'m>> {
    let mut texts: Vec<Text<'m>> = vec![(&b"path"[..], member.name, 0..100)];
    if !member.link.is_empty() {
        texts.push((&b"linkpath"[..], member.link, 157..257));
    }
    if let Some(node) = member.node {
        texts.push((&b"uname"[..], &node.owner.user[..], 265..297));
        texts.push((&b"gname"[..], &node.owner.group[..], 297..329));
    }
    texts
}

fn more(member: &Member<'_>, pax: &mut Pax) {
    if let Some(real_size) = member.real_size {
        pax.add(b"GNU.sparse.major", b"1");
        pax.add(b"GNU.sparse.minor", b"0");
        pax.add(b"GNU.sparse.name", member.name);
        pax.add(b"GNU.sparse.realsize", real_size.to_string().as_bytes());
    }
    for (name, value) in &member.xattrs {
        if !name.contains(&b'=') {
            pax.add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
    }
}

fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
}

/// Seconds and nanoseconds as one decimal number, also before 1970.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let (sign, all) = if all < 0 { ("-", -all) } else { ("", all) };
    format!("{sign}{}.{:09}", all / 1_000_000_000, all % 1_000_000_000)
}

fn checksum(header: &[u8; 512]) -> u64 {
    let spaces = 8 * u64::from(b' ');
    let own: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    header.iter().map(|byte| u64::from(*byte)).sum::<u64>() - own + spaces
}

fn sum(header: &mut [u8; 512]) {
    let sum = checksum(header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Zeros up to a whole block.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
}

/// Before the data of what is sparse: where the data belongs, in lines, padded.
pub(crate) fn sparse_map(data: &[Range<u64>]) -> Vec<u8> {
    let mut out = format!("{}\n", data.len()).into_bytes();
    for piece in data {
        out.extend_from_slice(format!("{}\n{}\n", piece.start, piece.end - piece.start).as_bytes());
    }
    pad(&mut out);
    out
}

/// A member as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub name: Vec<u8>,
    pub kind: u8,
    pub link: Vec<u8>,
    pub size: u64,
    pub real_size: Option<u64>,
}

fn wrong(what: &str) -> Error {
    Error::corrupt(what.to_owned())
}

fn number(field: &[u8]) -> Result<u64> {
    let text = field.split(|byte| matches!(byte, 0 | b' ')).next().unwrap_or_default();
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| u64::from_str_radix(text, 8).ok())
        .ok_or_else(|| wrong("a number of a header is damaged"))
}

fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

fn read_block(window: &mut Window) -> Result<[u8; 512]> {
    window.exactly("the header of a member")
}

fn check(header: &[u8; 512]) -> Result<()> {
    let is_tar = &header[257..265] == b"ustar\x0000";
    if is_tar && number(&header[148..156]).is_ok_and(|sum| sum == checksum(header)) {
        Ok(())
    } else {
        Err(wrong("no member where one should be, or its header is damaged"))
    }
}

/// Reads all headers of the next member; `None` at the end mark.
pub(crate) fn read_member(window: &mut Window) -> Result<Option<Read>> {
    let mut header = read_block(window)?;
    let mut records = Records::default();
    if header == [0; 512] {
        return Ok(None);
    }
    check(&header)?;
    if header[156] == PAX {
        let size = number(&header[124..136])?;
        if size > MOST_PAX_BYTES {
            return Err(wrong("its records are too long"));
        }
        records = Records::read(window, size)?;
        header = read_block(window)?;
        check(&header)?;
    }
    let kind = header[156];
    let known = [FILE, LINK, SYMLINK, CHAR_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO];
    if !known.contains(&kind) {
        return Err(Error::unsupported("a member of a type that no bundle has"));
    }
    let name = records.name.unwrap_or_else(|| text(&header[..100]));
    let link = records.link.unwrap_or_else(|| text(&header[157..257]));
    let size = match records.size {
        Some(size) => size,
        None => number(&header[124..136])?,
    };
    Ok(Some(Read { name, kind, link, size, real_size: records.real_size }))
}

/// What the records say that an import goes by.
#[derive(Default)]
struct Records {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
}

impl Records {
    fn read(window: &mut Window, size: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        let padded = size.next_multiple_of(BLOCK) as usize;
        // Grows with what is there, not with what is announced.
        while bytes.len() < padded {
            let from = bytes.len();
            bytes.resize((from + (1 << 20)).min(padded), 0);
            window.exactly_into(&mut bytes[from..], "the records of a member")?;
        }
        bytes.truncate(size as usize);
        let mut records = Self::default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).ok_or_else(|| wrong("a record of a member is damaged"))?;
            let decimal = || {
                let text = std::str::from_utf8(value).ok();
                text.and_then(|text| text.parse::<u64>().ok())
                    .ok_or_else(|| wrong("a number of a record is damaged"))
            };
            match key {
                b"path" => records.name = Some(value.to_vec()),
                b"linkpath" => records.link = Some(value.to_vec()),
                b"size" => records.size = Some(decimal()?),
                b"GNU.sparse.realsize" => records.real_size = Some(decimal()?),
                _ => {}
            }
            rest = after;
        }
        Ok(records)
    }
}

/// Key, value, and what comes after the first record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(12).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let whole = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = whole.iter().position(|byte| *byte == b'=')?;
    Some((&whole[..equals], &whole[equals + 1..], &bytes[length..]))
}

/// Reads a map of data; gives it and how many bytes it took, padded.
pub(crate) fn read_sparse_map(window: &mut Window, most: u64) -> Result<(Vec<Range<u64>>, u64)> {
    let start = window.at();
    let mut line = || -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            let [byte]: [u8; 1] = window.exactly("a map of holes")?;
            match byte {
                b'\n' => break,
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte),
                _ => return Err(wrong("its map of holes is damaged")),
            }
        }
        let text = String::from_utf8(digits).unwrap_or_default();
        text.parse().map_err(|_| wrong("its map of holes is damaged"))
    };
    let count = line()?;
    if count > MOST_PIECES as u64 {
        return Err(Error::unsupported("it has more pieces between holes than a bundle may"));
    }
    let mut data = Vec::new();
    for _ in 0..count {
        let (offset, length) = (line()?, line()?);
        let end = offset.checked_add(length).ok_or_else(|| wrong("its map of holes is damaged"))?;
        data.push(offset..end);
    }
    let taken = (window.at() - start).next_multiple_of(BLOCK);
    if taken > most {
        return Err(wrong("its map of holes is longer than itself"));
    }
    let padding = taken - (window.at() - start);
    let mut rest = vec![0; padding as usize];
    window.exactly_into(&mut rest, "a map of holes")?;
    Ok((data, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_records_count_themselves() {
        for length in [1usize, 85, 86, 87, 88, 89, 90, 980, 985, 986, 987, 988, 9_990] {
            let mut pax = Pax::default();
            pax.add(b"path", &vec![b'a'; length]);
            let (key, value, rest) = record(&pax.0).unwrap();
            assert_eq!((key, value.len(), rest.len()), (&b"path"[..], length, 0));
        }
    }

    #[test]
    fn times_before_1970_are_one_number() {
        assert_eq!(decimal(5, 1), "5.000000001");
        assert_eq!(decimal(-1, 0), "-1.000000000");
        assert_eq!(decimal(-1, 500_000_000), "-0.500000000");
    }
}
