//! The JSON objects of the commit protocol (format.md §4, §11).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use crate::crypto::keys::Keys;
use crate::id::{ContentId, RandomId, SnapshotId};

/// Feature names per operation (format.md §13).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    #[serde(default)]
    pub read: Vec<String>,
    #[serde(default)]
    pub write: Vec<String>,
    #[serde(default)]
    pub delete: Vec<String>,
    #[serde(default)]
    pub check: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Delete,
    Check,
}

impl Features {
    /// Refuses an operation whose features this program does not know: it knows none yet.
    pub fn allow(&self, operation: Operation) -> Result<()> {
        let of_operation = match operation {
            Operation::Read => &[][..],
            Operation::Write => &self.write,
            Operation::Delete => &self.delete,
            Operation::Check => &self.check,
        };
        match self.read.iter().chain(of_operation).next() {
            None => Ok(()),
            Some(name) => Err(Error::unsupported(format!(
                "this repository uses {name:?}, which this version of tintype does not know; \
                 use a newer one"
            ))),
        }
    }
}

/// `config` (format.md §4). Field order is part of the MAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub tintype: String,
    pub version: u32,
    pub id: RandomId,
    pub created: Timestamp,
    pub single_writer: bool,
    pub features: Features,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<ContentId>,
}

impl Config {
    fn mac(&self, keys: &Keys) -> ContentId {
        let without = Config { mac: None, ..self.clone() };
        keys.config_mac(&serde_json::to_vec(&without).expect("plain data"))
    }

    pub fn seal(mut self, keys: &Keys) -> Self {
        self.mac = Some(self.mac(keys));
        self
    }

    /// Reads the plain text, before any key is known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            tintype: String,
            version: u32,
        }
        let not_ours = |e| Error::invalid("config is not a Tintype repository's").with_source(e);
        let version: Version = serde_json::from_slice(text).map_err(not_ours)?;
        if version.tintype != "repository" {
            return Err(Error::invalid("config is not a Tintype repository's"));
        }
        if version.version != 1 {
            return Err(Error::unsupported(format!(
                "the repository has format version {}, this program knows version 1; use a newer one",
                version.version
            )));
        }
        serde_json::from_slice(text).map_err(|e| Error::corrupt("config is damaged").with_source(e))
    }

    pub fn verify(&self, keys: &Keys) -> Result<()> {
        if self.mac == Some(self.mac(keys)) {
            Ok(())
        } else {
            Err(Error::corrupt("config was changed or belongs to another repository"))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    Snapshot,
    Read,
    Gc,
}

/// `session/<id>` (format.md §11.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    pub kind: SessionKind,
    #[serde(default)]
    pub pins: Vec<SnapshotId>,
    #[serde(default)]
    pub host: String,
    #[serde(default)]
    pub host_id: String,
    #[serde(default)]
    pub pid: u32,
    #[serde(default)]
    pub process_start: String,
    pub started: Timestamp,
    /// Of a gc: the newest record's seq when it began.
    #[serde(default)]
    pub base_seq: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FateState {
    Committed,
    Closed,
    Aborted,
}

/// `fate/<id>` (format.md §11.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    pub state: FateState,
    #[serde(default)]
    pub segments: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub repository: RandomId,
    pub snapshot: SnapshotId,
}

/// What a snapshot is; never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub scope: String,
    pub time: Timestamp,
    #[serde(default)]
    pub host: String,
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub program: String,
    #[serde(default)]
    pub paths: Vec<String>,
    /// Tree paths of the captured roots, in hex: names need not be UTF-8.
    #[serde(default)]
    pub roots: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub note: String,
    #[serde(default)]
    pub parent: Option<SnapshotId>,
    #[serde(default)]
    pub expiry: Option<Timestamp>,
    pub root: ContentId,
    pub level: u8,
    pub entries: u64,
    pub bytes: u64,
    /// Entries that make it incomplete.
    pub problems: u64,
    pub complete: bool,
    /// How it was taken, for people.
    #[serde(default)]
    pub options: serde_json::Value,
    #[serde(default)]
    pub stats: serde_json::Value,
    #[serde(default)]
    pub origin: Option<Origin>,
}

impl Manifest {
    /// Tree paths of the captured roots.
    pub fn root_paths(&self) -> Vec<Vec<u8>> {
        let decode = |text: &String| {
            let mut path = vec![0; text.len() / 2];
            crate::id::decode_hex(text, &mut path).map(|()| path)
        };
        self.roots.iter().filter_map(decode).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Tag {
        #[serde(default)]
        add: Vec<String>,
        #[serde(default)]
        remove: Vec<String>,
    },
    Note(String),
    Expiry(Option<Timestamp>),
    Hold(String),
    Release(String),
    Lock(Timestamp),
    Deleted(String),
    Verified {
        data_percent: u8,
        damaged: u64,
    },
}

/// `annotation/<id>/<n>` (format.md §11.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    pub time: Timestamp,
    #[serde(default)]
    pub by: String,
    pub change: Change,
}

/// `condemned/<seq>/<id>` (format.md §11.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    pub packs: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletions {
    pub objects: Vec<String>,
    pub retire: Vec<RandomId>,
}

/// `gc/<seq>` (format.md §11.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRecord {
    pub seq: u32,
    pub session: RandomId,
    pub base: Vec<String>,
    pub absorbed: Vec<RandomId>,
    /// Of snapshots that stay: the number of the last annotation that was read.
    #[serde(default)]
    pub annotations: BTreeMap<SnapshotId, u32>,
    /// Names of the retired lists that stay.
    #[serde(default)]
    pub retired: Vec<String>,
    pub delete: Deletions,
    pub time: Timestamp,
}

/// `retired/<id>` (format.md §11.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    pub sessions: Vec<RandomId>,
}

/// Names of objects (format.md §3).
pub mod names {
    use super::SessionKind;
    use crate::id::RandomId;

    /// Before the number of a segment that a gc made.
    const GC_MARK: &str = "g";

    pub const CONFIG: &str = "config";
    /// The same bytes once more: nobody can open a repository without them.
    pub const CONFIG_COPY: &str = "config-copy";

    pub fn slot(id: RandomId) -> String {
        format!("keys/{id}")
    }
    pub fn session(id: RandomId) -> String {
        format!("session/{id}")
    }
    pub fn fate(id: RandomId) -> String {
        format!("fate/{id}")
    }
    pub fn segment(session: RandomId, kind: SessionKind, number: u32) -> String {
        let mark = if kind == SessionKind::Gc { GC_MARK } else { "" };
        format!("index/{session}-{mark}{number}")
    }
    /// Session and number of a segment.
    pub fn parse_segment(name: &str) -> Option<(RandomId, u32)> {
        let (session, number) = name.strip_prefix("index/")?.split_once('-')?;
        let number = number.strip_prefix(GC_MARK).unwrap_or(number);
        Some((session.parse().ok()?, number.parse().ok()?))
    }
    /// Whether a gc made this segment: it counts only through a record, and its session goes
    /// without a word.
    pub fn is_gc_segment(name: &str) -> bool {
        name.split_once('-').is_some_and(|(_, number)| number.starts_with(GC_MARK))
    }
    pub fn annotation(snapshot: RandomId, number: u32) -> String {
        format!("annotation/{snapshot}/{number:08}")
    }
    pub fn condemned(seq: u32, session: RandomId) -> String {
        format!("condemned/{seq:08}/{session}")
    }
    pub fn gc(seq: u32) -> String {
        format!("gc/{seq:08}")
    }
    pub fn retired(id: RandomId) -> String {
        format!("retired/{id}")
    }
    pub fn beat(session: RandomId, number: u32) -> String {
        format!("beat/{session}/{number:08}")
    }
    /// The id in `prefix<id>` or `prefix<id>/…`.
    pub fn parse_id(name: &str, prefix: &str) -> Option<RandomId> {
        name.strip_prefix(prefix)?.split('/').next()?.parse().ok()
    }
    /// The number at the end of `…/<8 digits>`.
    pub fn parse_number(name: &str) -> Option<u32> {
        let digits = name.rsplit('/').next()?;
        (digits.len() == 8).then(|| digits.parse().ok())?
    }
}
