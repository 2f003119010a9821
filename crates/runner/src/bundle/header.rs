//! `tintype-bundle.json`: what a bundle is and where it came from.

use serde::{Deserialize, Serialize};
use tintype_engine::format::records::Manifest;
use tintype_engine::id::{RandomId, SnapshotId, decode_hex, encode_hex};
use tintype_engine::repo::annotate::Standing;
use tintype_model::{Error, Result};

const VERSION: u32 = 1;
const READ_ME: &str = "One snapshot, made by Tintype. Its files are beside this one, at their paths. \
    `tintype repo import FILE` makes a snapshot of the whole file again, with all that unzip or tar \
    does not bring back; docs/bundle.md says how it is made.";

/// What is said of a snapshot beside its manifest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub note: String,
    #[serde(default)]
    pub expiry: Option<jiff::Timestamp>,
    #[serde(default)]
    pub holds: Vec<String>,
    #[serde(default)]
    pub locked_until: Option<jiff::Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    tintype: String,
    version: u32,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    read_me: String,
    /// Who made it.
    #[serde(default)]
    pub program: String,
    pub repository: RandomId,
    pub snapshot: SnapshotId,
    /// Tree path in hex; `None`: everything.
    #[serde(default)]
    path: Option<String>,
    pub manifest: Manifest,
    #[serde(default)]
    pub standing: Said,
}

impl Header {
    pub(super) fn new(
        program: &str,
        repository: RandomId,
        snapshot: SnapshotId,
        path: &[u8],
        manifest: Manifest,
        standing: &Standing,
    ) -> Self {
        Self {
            tintype: "bundle".into(),
            version: VERSION,
            features: Vec::new(),
            read_me: READ_ME.into(),
            program: program.into(),
            repository,
            snapshot,
            path: (!path.is_empty()).then(|| encode_hex(path)),
            manifest,
            standing: Said {
                tags: standing.tags.iter().cloned().collect(),
                note: standing.note.clone(),
                expiry: standing.expiry,
                holds: standing.holds.iter().cloned().collect(),
                locked_until: standing.locked_until,
            },
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal(format!("the header of a bundle: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            tintype: String,
            version: u32,
            #[serde(default)]
            features: Vec<String>,
        }
        let wrong = |error| {
            Error::corrupt(format!("{}: is not what it should be", super::HEADER))
                .with_source(error)
        };
        let kind: Kind = serde_json::from_slice(text).map_err(wrong)?;
        if kind.tintype != "bundle" {
            return Err(Error::invalid(format!("{}: is of no bundle", super::HEADER)));
        }
        let unknown = kind.features.first();
        if kind.version != VERSION || unknown.is_some() {
            let what = unknown.map_or_else(|| format!("version {}", kind.version), Clone::clone);
            return Err(Error::unsupported(format!(
                "the bundle has {what}, which this version of tintype does not know; use a newer one"
            )));
        }
        let header: Self = serde_json::from_slice(text).map_err(wrong)?;
        header.path()?;
        Ok(header)
    }

    /// The tree path that was exported; empty: everything.
    pub fn path(&self) -> Result<Vec<u8>> {
        let Some(text) = &self.path else { return Ok(Vec::new()) };
        let mut path = vec![0; text.len() / 2];
        decode_hex(text, &mut path)
            .filter(|()| !path.is_empty())
            .ok_or_else(|| Error::corrupt(format!("{}: its path is not in hex", super::HEADER)))?;
        Ok(path)
    }

    /// Content bytes that it announces.
    pub fn is_whole(&self) -> bool {
        self.path.is_none()
    }
}
