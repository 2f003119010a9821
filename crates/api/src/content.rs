//! What snapshots hold: directories, files, versions, differences.
//!
//! Paths are those of the tree, without a slash in front. Where the bytes of a path or a name are
//! not UTF-8, the text has U+FFFD for them, and a field of the same name with `_hex` beside it has
//! all bytes in hexadecimal digits; a request takes either (`path`, or `path_hex`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use utoipa::{IntoParams, ToSchema};

/// One entry of a tree, or of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    pub kind: EntryKind,
    /// Permissions in octal digits: `0644`.
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_hex: Option<String>,
    pub group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_hex: Option<String>,
    /// Bytes of content.
    pub size: u64,
    pub mtime: EntryTime,
    /// Number of names that the file has.
    pub links: u32,
    /// Where a symlink points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_hex: Option<String>,
    /// Why it is not what it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether its content was captured not at all, or in part only.
    #[serde(default)]
    pub is_lost: bool,
}

/// Since 1970 in UTC; may lie before any calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryTime {
    pub seconds: i64,
    pub nanoseconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Fifo,
    CharDevice,
    BlockDevice,
    Socket,
    /// The content of a disk: can be looked into.
    Image,
    /// What a program wrote, such as the dump of a database.
    Stream,
    /// Could not even be looked at.
    Unknown,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing {
    /// What stands at the path itself; none at a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itself: Option<Entry>,
    /// What is directly inside, in order; nothing if it is no directory.
    pub items: Vec<Entry>,
    /// `cursor` of the next page; none after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A partition of a disk image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Partition {
    /// 0: the whole disk, which has no table.
    pub number: u32,
    /// First byte on the disk.
    pub start: u64,
    pub size: u64,
    /// What lies on it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether its files can be looked at without restoring it.
    pub can_be_read: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// In order of their paths.
    pub items: Vec<Entry>,
    /// There are others: look for less, or below a path.
    pub has_more: bool,
    /// First paths of parts of the tree that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// How an entry differs from what was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Added,
    Removed,
    /// Bytes of a file, target of a symlink.
    Content,
    /// Mode, owner, times, attributes alone.
    Metadata,
    /// Another kind of entry.
    Type,
}

/// A path in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Id of the snapshot.
    pub snapshot: String,
    /// Id of the storage in which it lies.
    #[schema(value_type = String)]
    pub storage: Id,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub entry: Entry,
    /// How it differs from that of the snapshot before, in the same storage; none: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// The newest first.
    pub items: Vec<Version>,
    /// Older snapshots were not looked into.
    pub has_more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    pub change: Change,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Differences {
    /// In order of their paths.
    pub items: Vec<Difference>,
    /// `cursor` of the next page; none after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Of all differences: with the last page, and with `summary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<DifferenceCounts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferenceCounts {
    pub added: u64,
    pub added_bytes: u64,
    pub removed: u64,
    pub removed_bytes: u64,
    /// Of which the content changed.
    pub content: u64,
    /// Of which only the metadata changed.
    pub metadata: u64,
    /// Of another kind than before.
    pub types: u64,
    /// Size of changed files, new minus old.
    pub grown_bytes: i64,
}

/// The beginning of a file, as far as it can be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    pub entry: Entry,
    #[serde(flatten)]
    pub shown: Shown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "shown", rename_all = "kebab-case")]
pub enum Shown {
    Text {
        /// `utf-8`, `utf-16le`, `utf-16be`, or `iso-8859-1` where it is none of these.
        charset: String,
        text: String,
        /// The file goes on behind it.
        is_cut: bool,
    },
    Picture {
        /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`: as the bytes say.
        media_type: String,
        /// All bytes, in base64.
        data: String,
    },
    Table {
        charset: String,
        /// Without a last row that is cut.
        rows: Vec<Vec<String>>,
        is_cut: bool,
    },
    /// Nothing that can be shown here: download it.
    Binary,
}

/// Which entry of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EntryQuery {
    /// Path in the tree, or on the disk; none: the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The same in hexadecimal digits, for one that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// Path of a disk image in the tree: `path` is one on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Number of a partition of that disk; default: the only one whose files can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// At most so many; 1 to 1000, default 100. Of a list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before. Of a list only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Give also what is there of a file that was not captured whole. Of a file only.
    pub incomplete: bool,
}

/// What is looked for in a snapshot; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Like `*.conf`; with a slash it is matched with the whole path, `**` crosses slashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// This text somewhere in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Only at or below this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<EntryKind>,
    /// Only of at least so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<u64>,
    /// Only of at most so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<u64>,
    /// Only what was modified since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub newer: Option<Timestamp>,
    /// Only what was modified until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub older: Option<Timestamp>,
    /// At most so many; 1 to 1000, default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Something found in one of many snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sighting {
    /// Id of the newest snapshot that was looked into and holds it.
    pub snapshot: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub entry: Entry,
}

/// What was found, and how far it was looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sightings {
    /// Of the newest snapshot first; each path once.
    pub items: Vec<Sighting>,
    /// So many snapshots were looked into.
    pub looked_into: u64,
    /// When the oldest of them was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Snapshots that hold more than is told: look for less in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub has_more: Vec<String>,
    /// Snapshots that could not be looked into, or not everywhere, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadSnapshot>,
    /// `cursor` to go on with older snapshots; none: all were looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadSnapshot {
    pub snapshot: String,
    pub reason: String,
}

/// What is looked for in all snapshots of a tenant, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AcrossQuery {
    /// Like `*.conf`; with a slash it is matched with the whole path, `**` crosses slashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// This text somewhere in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Only at or below this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<EntryKind>,
    /// Id of a tenant; default: that of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Id of a resource: only snapshots that hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// About so many; 1 to 1000, default 100. A snapshot that was begun is looked into to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Of which path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct VersionsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The same in hexadecimal digits, for one that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// Id of a tenant; default: that of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Id of a resource: only snapshots that hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Look into so many of the newest snapshots; 1 to 1000, default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Two snapshots of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// Id of the older one.
    pub from: String,
    /// Id of the newer one.
    pub to: String,
    /// Only at or below this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The same in hexadecimal digits, for one that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// At most so many; 1 to 1000, default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only the counts of all differences.
    pub summary: bool,
}
