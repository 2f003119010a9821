//! Leaf pages (format.md §9.1): entries in columns, which compress far better than rows.

use std::collections::HashMap;
use std::sync::Arc;

use tintype_model::entry::{
    Extras, Kind, Node, Owner, Problem, ProblemKind, Time, Xattr, file_name, flags, is_valid_path,
    path_order,
};
use tintype_model::{Error, Result};

use super::list::{put_references, take_references, total};
use super::{Content, LargeXattr, Parcel, Slot, TreeEntry};
use crate::format::bytes::{Reader, put_bytes, put_varint, put_zigzag};
use crate::format::limits;
use crate::id::ContentId;

const EXTRAS_BIT: u8 = 1 << 4;
const FORM_SHIFT: u8 = 5;
const COLUMNS: usize = 18;

pub(super) fn put_column(out: &mut Vec<u8>, column: &[u8]) {
    put_bytes(out, column);
}

/// Front coding: the part shared with the previous key is not repeated.
pub(super) fn put_key(
    key: &[u8],
    previous: &[u8],
    shared: &mut Vec<u8>,
    rest_lengths: &mut Vec<u8>,
    rest: &mut Vec<u8>,
) {
    let common = key.iter().zip(previous).take_while(|(a, b)| a == b).count();
    put_varint(shared, common as u64);
    put_varint(rest_lengths, (key.len() - common) as u64);
    rest.extend_from_slice(&key[common..]);
}

/// Reads front-coded keys.
pub(super) struct Keys<'a> {
    shared: Reader<'a>,
    rest_lengths: Reader<'a>,
    rest: Reader<'a>,
    previous: Vec<u8>,
    total: usize,
}

impl<'a> Keys<'a> {
    pub(super) fn new(reader: &mut Reader<'a>) -> Result<Self> {
        let (shared, rest_lengths, rest) = (reader.part()?, reader.part()?, reader.part()?);
        Ok(Self { shared, rest_lengths, rest, previous: Vec::new(), total: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Vec<u8>> {
        let common = self.shared.bounded(self.previous.len(), "shared part of a path")?;
        let length = self.rest_lengths.bounded(limits::PATH_BYTES - common, "length of a path")?;
        let rest = self.rest.take(length)?;
        self.total += common + length;
        if self.total > limits::PAGE_PATH_BYTES {
            return Err(Error::corrupt(format!(
                "the paths of a page are longer than {} bytes together",
                limits::PAGE_PATH_BYTES
            )));
        }
        self.previous.truncate(common);
        self.previous.extend_from_slice(rest);
        Ok(self.previous.clone())
    }

    pub(super) fn finish(self) -> Result<()> {
        [self.shared, self.rest_lengths, self.rest].into_iter().try_for_each(|c| c.finish("paths"))
    }
}

/// Collects entries into columns.
#[derive(Default)]
pub struct LeafEncoder {
    columns: [Vec<u8>; COLUMNS],
    owners: Vec<Arc<Owner>>,
    devices: Vec<u64>,
    parcels: Vec<Parcel>,
    parcel_numbers: HashMap<Parcel, usize>,
    count: usize,
    weight: usize,
    path_bytes: usize,
    first: Vec<u8>,
    previous_path: Vec<u8>,
    previous_mtime: i64,
    previous_inode: u64,
    slot: SlotDelta,
}

/// What the next slot is expected to be (format.md §9.1, column 15).
#[derive(Clone, Copy, Default)]
struct SlotDelta {
    parcel: usize,
    expected: u64,
}

impl LeafEncoder {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Weight of format.md §10.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether another path can be on this page.
    pub fn has_room(&self, path: &[u8]) -> bool {
        self.path_bytes + path.len() <= limits::PAGE_PATH_BYTES
    }

    pub fn first(&self) -> &[u8] {
        &self.first
    }

    pub fn push(&mut self, entry: &TreeEntry) {
        if self.count == 0 {
            self.first.clone_from(&entry.path);
        }
        self.count += 1;
        self.push_path(&entry.path);
        self.push_node(&entry.node);
        let form = self.push_content(&entry.node, &entry.content);
        let mut kind = entry.node.kind as u8 | form << FORM_SHIFT;
        if let Some(extras) = encode_extras(entry) {
            kind |= EXTRAS_BIT;
            let before = self.columns[17].len();
            put_bytes(&mut self.columns[17], &extras);
            self.weight += self.columns[17].len() - before;
        }
        self.columns[3].push(kind);
        self.weight += 32 + file_name(&entry.path).len();
    }

    fn push_path(&mut self, path: &[u8]) {
        let [shared, rest_lengths, rest, ..] = &mut self.columns;
        put_key(path, &self.previous_path, shared, rest_lengths, rest);
        self.path_bytes += path.len();
        self.previous_path.clear();
        self.previous_path.extend_from_slice(path);
    }

    fn push_node(&mut self, node: &Node) {
        let owner = number_of(&mut self.owners, &node.owner);
        let device = number_of(&mut self.devices, &node.device);
        let columns = &mut self.columns;
        put_varint(&mut columns[4], u64::from(node.mode));
        put_varint(&mut columns[5], owner as u64);
        put_zigzag(&mut columns[6], node.mtime.seconds.wrapping_sub(self.previous_mtime));
        columns[7].extend_from_slice(&node.mtime.nanoseconds.to_le_bytes());
        put_zigzag(&mut columns[8], node.ctime.seconds.wrapping_sub(node.mtime.seconds));
        let ahead = i64::from(node.ctime.nanoseconds) - i64::from(node.mtime.nanoseconds);
        put_zigzag(&mut columns[9], ahead);
        put_zigzag(&mut columns[10], node.inode.wrapping_sub(self.previous_inode) as i64);
        put_varint(&mut columns[11], device as u64);
        put_varint(&mut columns[12], u64::from(node.links));
        put_varint(&mut columns[13], node.size);
        self.previous_mtime = node.mtime.seconds;
        self.previous_inode = node.inode;
    }

    fn push_content(&mut self, node: &Node, content: &Content) -> u8 {
        match content {
            Content::None => 0,
            Content::Slot(slot) => {
                let parcels = &mut self.parcels;
                let number = *self.parcel_numbers.entry(slot.parcel).or_insert_with(|| {
                    parcels.push(slot.parcel);
                    parcels.len() - 1
                });
                let delta = &mut self.slot;
                let expected = if number == delta.parcel { delta.expected } else { 0 };
                put_zigzag(&mut self.columns[14], number as i64 - delta.parcel as i64);
                put_zigzag(&mut self.columns[14], i64::from(slot.offset) - expected as i64);
                *delta = SlotDelta { parcel: number, expected: u64::from(slot.offset) + node.size };
                self.columns[15].extend_from_slice(&slot.digest);
                1
            }
            Content::References { depth, list } => {
                let before = self.columns[16].len();
                put_references(&mut self.columns[16], *depth, list);
                self.weight += self.columns[16].len() - before;
                2
            }
        }
    }

    /// Raw bytes of the page; the encoder is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        let page = std::mem::take(self);
        let length: usize = page.columns.iter().map(Vec::len).sum();
        let mut out = Vec::with_capacity(length + 256 + page.parcels.len() * 40);
        out.extend_from_slice(b"L\x01");
        put_varint(&mut out, page.count as u64);
        put_varint(&mut out, page.owners.len() as u64);
        for owner in &page.owners {
            put_varint(&mut out, u64::from(owner.uid));
            put_varint(&mut out, u64::from(owner.gid));
            put_bytes(&mut out, &owner.user);
            put_bytes(&mut out, &owner.group);
        }
        put_varint(&mut out, page.devices.len() as u64);
        page.devices.iter().for_each(|device| put_varint(&mut out, *device));
        put_varint(&mut out, page.parcels.len() as u64);
        for parcel in &page.parcels {
            out.extend_from_slice(&parcel.id.0);
            put_varint(&mut out, u64::from(parcel.raw_bytes));
            put_varint(&mut out, u64::from(parcel.files));
        }
        page.columns.iter().for_each(|column| put_column(&mut out, column));
        out
    }
}

fn number_of<T: PartialEq + Clone>(table: &mut Vec<T>, value: &T) -> usize {
    // Tables are tiny and the last one used is nearly always it.
    table.iter().rposition(|v| v == value).unwrap_or_else(|| {
        table.push(value.clone());
        table.len() - 1
    })
}

fn encode_extras(entry: &TreeEntry) -> Option<Vec<u8>> {
    let empty = Extras::default();
    let extras = entry.node.extras.as_deref().unwrap_or(&empty);
    if *extras == empty && entry.large_xattrs.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    let mut field = |tag: u8, payload: &[u8]| {
        out.push(tag);
        put_bytes(&mut out, payload);
    };
    if !extras.xattrs.is_empty() || !entry.large_xattrs.is_empty() {
        field(1, &encode_xattrs(&extras.xattrs, &entry.large_xattrs));
    }
    let mut number = Vec::new();
    if extras.flags != 0 {
        put_varint(&mut number, u64::from(extras.flags));
        field(2, &number);
    }
    if !extras.target.is_empty() {
        field(3, &extras.target);
    }
    if let Some((major, minor)) = extras.device_number {
        number.clear();
        put_varint(&mut number, u64::from(major));
        put_varint(&mut number, u64::from(minor));
        field(4, &number);
    }
    if let Some(problem) = &extras.problem {
        let text = [&[problem.kind as u8], problem.message.as_bytes()].concat();
        field(5, &text);
    }
    Some(out)
}

fn encode_xattrs(inline: &[Xattr], large: &[LargeXattr]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, (inline.len() + large.len()) as u64);
    for xattr in inline {
        put_bytes(&mut out, &xattr.name);
        put_varint(&mut out, (xattr.value.len() as u64) << 1);
        out.extend_from_slice(&xattr.value);
    }
    for xattr in large {
        put_bytes(&mut out, &xattr.name);
        put_varint(&mut out, u64::from(xattr.length) << 1 | 1);
        out.extend_from_slice(&xattr.id.0);
    }
    out
}

struct Tables {
    owners: Vec<Arc<Owner>>,
    devices: Vec<u64>,
    parcels: Vec<Parcel>,
}

impl Tables {
    fn read(reader: &mut Reader<'_>, entries: usize) -> Result<Self> {
        let mut owners = Vec::new();
        for _ in 0..reader.bounded(entries, "number of owners")? {
            let number = |reader: &mut Reader<'_>| {
                reader.bounded(u32::MAX as usize, "owner").map(|n| n as u32)
            };
            owners.push(Arc::new(Owner {
                uid: number(reader)?,
                gid: number(reader)?,
                user: reader.bytes(limits::NAME_BYTES, "user name")?.to_vec(),
                group: reader.bytes(limits::NAME_BYTES, "group name")?.to_vec(),
            }));
        }
        let devices = (0..reader.bounded(entries, "number of devices")?)
            .map(|_| reader.varint())
            .collect::<Result<_>>()?;
        let mut parcels = Vec::new();
        for _ in 0..reader.bounded(entries, "number of parcels")? {
            parcels.push(Parcel {
                id: ContentId(reader.array()?),
                raw_bytes: reader.bounded(limits::CHUNK_BYTES as usize, "parcel length")? as u32,
                files: reader.bounded(u32::MAX as usize, "files of a parcel")? as u32,
            });
        }
        Ok(Self { owners, devices, parcels })
    }
}

fn entry_of<T: Clone>(table: &[T], number: u64, what: &str) -> Result<T> {
    usize::try_from(number).ok().and_then(|n| table.get(n).cloned()).ok_or_else(|| {
        Error::corrupt(format!("an entry names {what} {number}, which is not there"))
    })
}

/// Decodes a leaf page: entries in strictly ascending path order, everything checked.
pub fn decode(raw: &[u8]) -> Result<Vec<TreeEntry>> {
    let mut reader = Reader::new(raw);
    if reader.take(2)? != b"L\x01" {
        return Err(Error::corrupt("a leaf page has an unknown version"));
    }
    let count = reader.bounded(limits::LEAF_ENTRIES, "number of entries")?;
    let tables = Tables::read(&mut reader, count)?;
    let keys = Keys::new(&mut reader)?;
    let mut columns: [Reader<'_>; COLUMNS - 3] = std::array::from_fn(|_| Reader::new(&[]));
    for column in &mut columns {
        *column = reader.part()?;
    }
    reader.finish("leaf page")?;
    let mut decoder =
        Decoder { tables, keys, columns, mtime: 0, inode: 0, slot: SlotDelta::default(), parts: 0 };
    let mut entries: Vec<TreeEntry> = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = decoder.next()?;
        if entries.last().is_some_and(|last| path_order(&last.path, &entry.path).is_ge()) {
            return Err(Error::corrupt("the paths of a leaf page are not in order"));
        }
        entries.push(entry);
    }
    decoder.keys.finish()?;
    decoder.columns.into_iter().try_for_each(|column| column.finish("leaf page column"))?;
    Ok(entries)
}

struct Decoder<'a> {
    tables: Tables,
    keys: Keys<'a>,
    columns: [Reader<'a>; COLUMNS - 3],
    mtime: i64,
    inode: u64,
    slot: SlotDelta,
    /// References and xattrs so far.
    parts: usize,
}

impl<'a> Decoder<'a> {
    /// Column by its number in format.md.
    fn column(&mut self, number: usize) -> &mut Reader<'a> {
        &mut self.columns[number - 4]
    }

    fn next(&mut self) -> Result<TreeEntry> {
        let path = self.keys.next()?;
        let long_name = path.split(|b| *b == b'/').any(|c| c.len() > limits::NAME_BYTES);
        if !is_valid_path(&path, limits::PATH_BYTES) || long_name {
            return Err(Error::corrupt("an entry has a path that is not allowed"));
        }
        let bits = self.column(4).u8()?;
        let kind = Kind::from_number(bits & 0x0f)
            .ok_or_else(|| Error::corrupt(format!("entry kind {} is unknown", bits & 0x0f)))?;
        let mut node = self.node(kind)?;
        let content = match bits >> FORM_SHIFT {
            0 => Content::None,
            1 if kind.has_content() => Content::Slot(self.slot(node.size)?),
            2 if kind.has_content() => {
                let most = self.room_for(limits::REFERENCES);
                let (depth, list) = take_references(self.column(17), most)?;
                self.parts += list.len();
                Content::References { depth, list }
            }
            form => return Err(Error::corrupt(format!("content form {form} is not allowed here"))),
        };
        let mut large_xattrs = Vec::new();
        if bits & EXTRAS_BIT != 0 {
            let limit = limits::PAGE_BYTES as usize;
            let extras = self.column(18).bytes(limit, "extras")?;
            let extras = decode_extras(extras, self.room_for(limits::XATTRS), &mut large_xattrs)?;
            self.parts += extras.xattrs.len() + large_xattrs.len();
            node.extras = (extras != Extras::default()).then(|| Box::new(extras));
        }
        let entry = TreeEntry { path, node, content, large_xattrs };
        check_length(&entry)?;
        Ok(entry)
    }

    /// How many parts the next entry may have, of a kind of which no entry has more than `most`.
    fn room_for(&self, most: usize) -> usize {
        most.min(limits::PAGE_PARTS - self.parts)
    }

    fn node(&mut self, kind: Kind) -> Result<Node> {
        let mode = self.column(5).bounded(0o7777, "mode")? as u16;
        let owner = self.column(6).varint()?;
        let owner = entry_of(&self.tables.owners, owner, "owner")?;
        self.mtime = self.mtime.wrapping_add(self.column(7).zigzag()?);
        let mtime = Time { seconds: self.mtime, nanoseconds: self.column(8).u32()? };
        let seconds = self.mtime.wrapping_add(self.column(9).zigzag()?);
        let ahead = self.column(10).zigzag()?;
        let nanoseconds = i64::from(mtime.nanoseconds).wrapping_add(ahead);
        if mtime.nanoseconds >= 1_000_000_000 || !(0..1_000_000_000).contains(&nanoseconds) {
            return Err(Error::corrupt("a time has more than 10^9 nanoseconds"));
        }
        self.inode = self.inode.wrapping_add(self.column(11).zigzag()? as u64);
        let device = self.column(12).varint()?;
        Ok(Node {
            kind,
            mode,
            owner,
            mtime,
            ctime: Time { seconds, nanoseconds: nanoseconds as u32 },
            inode: self.inode,
            device: entry_of(&self.tables.devices, device, "device")?,
            links: self.column(13).bounded(u32::MAX as usize, "links")? as u32,
            size: self.column(14).varint()?,
            extras: None,
        })
    }

    fn slot(&mut self, size: u64) -> Result<Slot> {
        let number = (self.slot.parcel as i64).wrapping_add(self.column(15).zigzag()?) as u64;
        let parcel = entry_of(&self.tables.parcels, number, "parcel")?;
        let expected = if number as usize == self.slot.parcel { self.slot.expected } else { 0 };
        let offset = (expected as i64).wrapping_add(self.column(15).zigzag()?);
        let end = u64::try_from(offset).ok().and_then(|o| o.checked_add(size));
        let end = end.filter(|end| *end <= u64::from(parcel.raw_bytes));
        let end = end.ok_or_else(|| Error::corrupt("a file lies outside its parcel"))?;
        self.slot = SlotDelta { parcel: number as usize, expected: end };
        Ok(Slot { parcel, offset: offset as u32, digest: self.column(16).array()? })
    }
}

/// Whether content and size agree (format.md §9.3).
pub(super) fn check_length(entry: &TreeEntry) -> Result<()> {
    let length = match &entry.content {
        Content::None => 0,
        Content::Slot(_) => return Ok(()),
        Content::References { list, .. } => total(list)?,
    };
    // What could not be read to its end has the length of what was read, or nothing.
    let excused = entry.node.problem().is_some_and(|p| matches!(p.kind, ProblemKind::Unreadable));
    let nothing = !entry.node.kind.has_content() && entry.node.size != 0;
    if (length == entry.node.size || excused) && !nothing {
        Ok(())
    } else {
        Err(Error::corrupt("the content of an entry is not as long as its size"))
    }
}

fn decode_extras(bytes: &[u8], most_xattrs: usize, large: &mut Vec<LargeXattr>) -> Result<Extras> {
    let mut reader = Reader::new(bytes);
    let mut extras = Extras::default();
    let mut last = 0;
    while reader.remaining() > 0 {
        let tag = reader.u8()?;
        if tag <= last {
            return Err(Error::corrupt("extras are not in order"));
        }
        last = tag;
        let mut field = reader.part()?;
        match tag {
            1 => decode_xattrs(&mut field, most_xattrs, &mut extras.xattrs, large)?,
            2 => extras.flags = field.bounded(u32::MAX as usize, "flags")? as u32 & flags::KEPT,
            3 => extras.target = take_rest(&mut field, limits::SYMLINK_BYTES)?.to_vec(),
            4 => {
                let limit = u32::MAX as usize;
                let major = field.bounded(limit, "device number")? as u32;
                extras.device_number = Some((major, field.bounded(limit, "device number")? as u32));
            }
            5 => {
                let number = field.u8()?;
                let kind = ProblemKind::from_number(number)
                    .ok_or_else(|| Error::corrupt(format!("problem {number} is unknown")))?;
                let message = String::from_utf8_lossy(take_rest(&mut field, 65_535)?).into_owned();
                extras.problem = Some(Problem { kind, message });
            }
            _ => {
                take_rest(&mut field, usize::MAX)?;
            }
        }
        field.finish("extras field")?;
    }
    Ok(extras)
}

fn take_rest<'a>(field: &mut Reader<'a>, limit: usize) -> Result<&'a [u8]> {
    if field.remaining() > limit {
        return Err(Error::corrupt("an extras field is too long"));
    }
    field.take(field.remaining())
}

fn decode_xattrs(
    field: &mut Reader<'_>,
    most: usize,
    inline: &mut Vec<Xattr>,
    large: &mut Vec<LargeXattr>,
) -> Result<()> {
    for _ in 0..field.bounded(most, "number of xattrs")? {
        let name = field.bytes(limits::NAME_BYTES, "xattr name")?.to_vec();
        let word = field.varint()?;
        let length = word >> 1;
        if length > limits::XATTR_VALUE_BYTES as u64 {
            return Err(Error::corrupt("an xattr value is too long"));
        }
        if (word & 1 == 1) != (length > limits::XATTR_INLINE_BYTES as u64) {
            return Err(Error::corrupt("an xattr value is stored on the wrong side of 4096 bytes"));
        }
        if word & 1 == 1 {
            let id = ContentId(field.array()?);
            large.push(LargeXattr { name, length: length as u32, id });
        } else {
            let value = field.take(length as usize)?.to_vec();
            inline.push(Xattr { name, value });
        }
    }
    Ok(())
}
