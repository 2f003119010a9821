//! The names of one directory: one arena of bytes and four bytes per name, because a
//! directory may hold millions of them.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// Bytes for one `getdents64`.
pub(crate) const BUFFER_SIZE_BYTES: usize = 64 * 1024;

/// Names, sorted by their bytes, without `.` and `..`.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// For each name: its type as a byte, its bytes, NUL.
    arena: Vec<u8>,
    /// Where the entries begin in the arena, in the order of names.
    order: Vec<u32>,
}

impl Names {
    /// Lists an open directory. An error in the middle gives what was read before it, too.
    pub(crate) fn read(fd: impl AsFd, buffer: &mut [MaybeUninit<u8>]) -> (Self, Result<(), Errno>) {
        let mut arena = Vec::new();
        let mut common: Option<(usize, usize)> = None;
        let mut count = 0usize;
        let mut directory = RawDir::new(fd, buffer);
        let mut result = Ok(());
        while let Some(entry) = directory.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    result = Err(errno);
                    break;
                }
            };
            let name = entry.file_name().to_bytes_with_nul();
            if name == b".\0" || name == b"..\0" {
                continue;
            }
            if u32::try_from(arena.len() + name.len() + 1).is_err() {
                result = Err(Errno::OVERFLOW);
                break;
            }
            arena.push(type_byte(entry.file_type()));
            let start = arena.len();
            arena.extend_from_slice(name);
            count += 1;
            common = Some(match common {
                None => (start, name.len()),
                Some((first, len)) => (first, common_length(&arena[first..first + len], name)),
            });
        }
        let order = sorted(&arena, count, common.map_or(0, |(_, length)| length));
        (Self { arena, order }, result)
    }

    /// Made of given names, which are sorted already.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut made = Self::default();
        for name in names {
            made.order.push(made.arena.len() as u32);
            made.arena.push(type_byte(FileType::Unknown));
            made.arena.extend_from_slice(name);
            made.arena.push(0);
        }
        made
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.arena.capacity() + 4 * self.order.capacity()
    }

    /// The place of a name in the arena, for [`Names::at`].
    pub(crate) fn place(&self, index: usize) -> u32 {
        self.order[index]
    }

    pub(crate) fn at(&self, place: u32) -> &[u8] {
        name_at(&self.arena, place)
    }

    /// Whether the listing itself said that this is a directory.
    pub(crate) fn says_directory(&self, place: u32) -> bool {
        self.arena[place as usize] == type_byte(FileType::Directory)
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let index = self.order.binary_search_by(|place| self.at(*place).cmp(name)).ok()?;
        Some(self.order[index])
    }

    /// Forgets all but the name at `place`.
    pub(crate) fn keep_only(&mut self, place: u32) {
        self.order = vec![place];
    }
}

fn name_at(arena: &[u8], place: u32) -> &[u8] {
    let name = &arena[place as usize + 1..];
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    &name[..end]
}

fn common_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// Sorts by eight bytes after the prefix that all names share; only where these are equal
/// the names themselves are compared.
fn sorted(arena: &[u8], count: usize, common: usize) -> Vec<u32> {
    let mut keys: Vec<(u64, u32)> = Vec::with_capacity(count);
    let mut place = 0usize;
    while place < arena.len() {
        let name = name_at(arena, place as u32);
        let mut key = [0u8; 8];
        let rest = &name[common.min(name.len())..];
        let length = rest.len().min(8);
        key[..length].copy_from_slice(&rest[..length]);
        keys.push((u64::from_be_bytes(key), place as u32));
        place += name.len() + 2;
    }
    keys.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| name_at(arena, a.1).cmp(name_at(arena, b.1)))
    });
    // A name that is renamed while the directory is listed may be listed twice.
    keys.dedup_by(|a, b| a.0 == b.0 && name_at(arena, a.1) == name_at(arena, b.1));
    keys.into_iter().map(|(_, place)| place).collect()
}

fn type_byte(kind: FileType) -> u8 {
    match kind {
        FileType::Directory => 1,
        FileType::Unknown => 0,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_bytes_behind_a_common_prefix() {
        let listed = ["ab", "abc", "ab\u{1}", "abcdefghijk2", "abcdefghijk1", "ab", "ab."];
        let arena: Vec<u8> =
            listed.iter().flat_map(|n| [&[0u8], n.as_bytes(), &[0u8]].concat()).collect();
        let order = sorted(&arena, listed.len(), 2);
        let got: Vec<&[u8]> = order.iter().map(|p| name_at(&arena, *p)).collect();
        let mut want: Vec<&[u8]> = listed.iter().map(|n| n.as_bytes()).collect();
        want.sort_unstable();
        want.dedup();
        assert_eq!(got, want);
    }
}
