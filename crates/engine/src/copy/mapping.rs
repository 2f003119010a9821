//! What content of the source is called in the target. Ids and digests are keyed by
//! repository, so they can be learned only by reading content, or from what was copied before.
//!
//! The journal keeps what an interrupted copy learned, in the local cache. Each record has a
//! MAC under a key of the target for this source, so that nobody can make a snapshot refer to
//! something else; and a known id is believed only while the target's index names it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tintype_model::{Error, Result};

use crate::id::ContentId;

const RECORD: usize = 1 + 32 + 32 + 16;
const OF_CONTENT: u8 = 1;
const OF_DIGEST: u8 = 2;

pub(super) type Digest = [u8; 16];

/// Something that was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    Content(ContentId, ContentId),
    Digest(Digest, Digest),
}

/// All that is known, up to a limit: what is not known is read again.
pub(super) struct Mapping {
    content: HashMap<ContentId, ContentId>,
    digests: HashMap<Digest, Digest>,
    limit: usize,
}

impl Mapping {
    pub(super) fn new(limit: usize) -> Self {
        Self { content: HashMap::new(), digests: HashMap::new(), limit }
    }

    pub(super) fn learn(&mut self, pair: Pair) {
        match pair {
            Pair::Content(source, target) if self.content.len() < self.limit => {
                self.content.insert(source, target);
            }
            Pair::Digest(source, target) if self.digests.len() < self.limit => {
                self.digests.insert(source, target);
            }
            _ => {}
        }
    }

    pub(super) fn content(&self, source: &ContentId) -> Option<ContentId> {
        self.content.get(source).copied()
    }

    pub(super) fn digest(&self, source: &Digest) -> Option<Digest> {
        self.digests.get(source).copied()
    }
}

/// The file. Losing it, or any part of it, costs reading again.
pub(super) struct Journal {
    key: [u8; 32],
    path: PathBuf,
    out: BufWriter<File>,
}

fn encode(key: &[u8; 32], pair: Pair) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    match pair {
        Pair::Content(source, target) => {
            out[0] = OF_CONTENT;
            out[1..33].copy_from_slice(&source.0);
            out[33..65].copy_from_slice(&target.0);
        }
        Pair::Digest(source, target) => {
            out[0] = OF_DIGEST;
            out[1..17].copy_from_slice(&source);
            out[33..49].copy_from_slice(&target);
        }
    }
    let mac = blake3::keyed_hash(key, &out[..RECORD - 16]);
    out[RECORD - 16..].copy_from_slice(&mac.as_bytes()[..16]);
    out
}

fn decode(key: &[u8; 32], record: &[u8; RECORD]) -> Option<Pair> {
    let part = |at: usize| record[at..at + 32].try_into().expect("32 bytes");
    let half = |at: usize| record[at..at + 16].try_into().expect("16 bytes");
    let pair = match record[0] {
        OF_CONTENT => Pair::Content(ContentId(part(1)), ContentId(part(33))),
        OF_DIGEST => Pair::Digest(half(1), half(33)),
        _ => return None,
    };
    (encode(key, pair) == *record).then_some(pair)
}

impl Journal {
    /// Opens or makes it; what it holds is learned. Ends at the first record that is not whole
    /// and true: what follows is cut off.
    pub(super) fn open(path: &Path, key: [u8; 32], mapping: &mut Mapping) -> Result<Self> {
        let failed = |e| Error::io(e, path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        let mut reader = BufReader::new(file);
        let mut good = 0u64;
        let mut record = [0; RECORD];
        while reader.read_exact(&mut record).is_ok()
            && let Some(pair) = decode(&key, &record)
        {
            mapping.learn(pair);
            good += RECORD as u64;
        }
        let mut file = reader.into_inner();
        file.set_len(good).map_err(failed)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { key, path: path.to_owned(), out: BufWriter::new(file) })
    }

    /// A journal that cannot be written helps the next run less; the copy goes on.
    pub(super) fn note(&mut self, pair: Pair) {
        let record = encode(&self.key, pair);
        if let Err(error) = self.out.write_all(&record) {
            tracing::debug!(%error, path = %self.path.display(), "journal of copy");
        }
    }

    pub(super) fn flush(&mut self) {
        if let Err(error) = self.out.flush() {
            tracing::debug!(%error, path = %self.path.display(), "journal of copy");
        }
    }

    /// Everything was copied: the trees say the same.
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_record_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (a, b) = (ContentId([1; 32]), ContentId([2; 32]));
        let open = |key| {
            let mut mapping = Mapping::new(10);
            Journal::open(&path, key, &mut mapping).map(|journal| (journal, mapping)).unwrap()
        };
        let (mut journal, _) = open([7; 32]);
        journal.note(Pair::Content(a, b));
        journal.note(Pair::Digest([3; 16], [4; 16]));
        journal.flush();
        let (_, mapping) = open([7; 32]);
        assert_eq!(mapping.content(&a), Some(b));
        assert_eq!(mapping.digest(&[3; 16]), Some([4; 16]));
        for at in 0..2 * RECORD {
            let good = std::fs::read(&path).unwrap();
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let (_, mapping) = open([7; 32]);
            assert_eq!(mapping.content(&a).is_some(), at >= RECORD);
            assert_eq!(mapping.digest(&[3; 16]), None);
            std::fs::write(&path, &good).unwrap();
        }
        assert_eq!(open([8; 32]).1.content(&a), None);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
