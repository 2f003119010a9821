//! format.md §12: what a reader refuses before it allocates.

pub const FRAME_BYTES: u32 = (1 << 24) - 1;
/// How much longer than raw the stored bytes of a frame may be.
pub const FRAME_EXPANSION: u32 = 1024;
pub const CHUNK_BYTES: u32 = 4 << 20;
pub const LIST_BYTES: u32 = 1 << 20;
pub const PAGE_BYTES: u32 = 4 << 20;
pub const PACK_BYTES: u64 = 4 << 30;
pub const PACK_FRAMES: u32 = 1 << 20;
pub const SEGMENT_RECORDS: u32 = 4 << 20;
pub const SEGMENT_PACKS: u32 = 1 << 18;
pub const JSON_BYTES: u64 = 256 << 20;
pub const PLAIN_JSON_BYTES: u64 = 64 << 10;
pub const TREE_LEVEL: u8 = 8;
pub const LEAF_ENTRIES: usize = 65_536;
pub const INNER_CHILDREN: usize = 4_096;
pub const PATH_BYTES: usize = 65_535;
/// Of all paths of a page together: a shared beginning is stored once and decoded each time.
pub const PAGE_PATH_BYTES: usize = 16 << 20;
pub const NAME_BYTES: usize = 255;
pub const REFERENCES: usize = 4_096;
/// References and xattrs of all entries of a page together: a hole is two bytes and decodes to
/// fifty. Each is a byte or more of a page's weight, which writers end at 131,072.
pub const PAGE_PARTS: usize = 131_072;
pub const REFERENCE_DEPTH: u8 = 4;
pub const XATTRS: usize = 4_096;
pub const XATTR_VALUE_BYTES: usize = 1 << 20;
/// Values above this become frames of their own.
pub const XATTR_INLINE_BYTES: usize = 4_096;
pub const SYMLINK_BYTES: usize = 65_535;
