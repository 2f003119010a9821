//! The repository key and everything derived from it (format.md §2).

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aead::AeadKey;
use crate::env::Env;
use crate::format::frame::Kind;
use crate::id::{ContentId, RandomId};

/// The random key of a repository. Never leaves memory but wrapped: in a key slot, or as a secret of
/// a manager.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey(pub(crate) [u8; 32]);

impl MasterKey {
    pub fn generate(env: &Env) -> Self {
        Self(env.bytes())
    }

    /// For whoever keeps it sealed elsewhere, as the manager does: it opens without a key slot.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Keys of one repository in memory.
pub struct Keys {
    pub(crate) master: MasterKey,
    content: [u8; 32],
    list: [u8; 32],
    page: [u8; 32],
    digest: [u8; 32],
    cut: [u8; 32],
    gear: [u8; 32],
    config: [u8; 32],
}

impl Drop for Keys {
    fn drop(&mut self) {
        for key in [
            &mut self.content,
            &mut self.list,
            &mut self.page,
            &mut self.digest,
            &mut self.cut,
            &mut self.gear,
            &mut self.config,
        ] {
            key.zeroize();
        }
    }
}

impl Keys {
    pub fn new(master: MasterKey) -> Self {
        let derive = |context: &str| blake3::derive_key(context, &master.0);
        let content = derive("tintype v1 chunk id");
        let of_kind = |kind: Kind| *blake3::keyed_hash(&content, &[kind as u8]).as_bytes();
        Self {
            list: of_kind(Kind::List),
            page: of_kind(Kind::Page),
            content,
            digest: derive("tintype v1 file digest"),
            cut: derive("tintype v1 cut"),
            gear: derive("tintype v1 gear table"),
            config: derive("tintype v1 config"),
            master,
        }
    }

    /// Id of a content frame (format.md §7).
    pub fn content_id(&self, kind: Kind, raw: &[u8]) -> ContentId {
        let key = match kind {
            Kind::List => &self.list,
            Kind::Page => &self.page,
            _ => &self.content,
        };
        ContentId(*blake3::keyed_hash(key, raw).as_bytes())
    }

    /// Digest of a small file's bytes (format.md §9.1, column 16).
    pub fn file_digest(&self, bytes: &[u8]) -> [u8; 16] {
        let hash = blake3::keyed_hash(&self.digest, bytes);
        hash.as_bytes()[..16].try_into().expect("16 of 32 bytes")
    }

    /// The repository's own key, for whoever keeps it sealed.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// `c(x)` of format.md §10.
    pub fn cut_hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.cut);
        for part in parts {
            hasher.update(part);
        }
        let hash = hasher.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 of 32 bytes"))
    }

    /// The chunker's table (format.md §10).
    pub fn gear_table(&self) -> Box<[u64; 256]> {
        let mut bytes = [0u8; 2048];
        blake3::Hasher::new_keyed(&self.gear).finalize_xof().fill(&mut bytes);
        let mut table = Box::new([0u64; 256]);
        for (word, bytes) in table.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
        }
        table
    }

    /// MAC of the plain objects: the configuration and key slots (format.md §4, §5).
    pub fn config_mac(&self, text: &[u8]) -> ContentId {
        ContentId(*blake3::keyed_hash(&self.config, text).as_bytes())
    }

    /// Key of the local journal of copies out of another repository; no part of the format.
    pub(crate) fn journal_key(&self, source: RandomId) -> [u8; 32] {
        let mut input = [0u8; 48];
        input[..32].copy_from_slice(&self.master.0);
        input[32..].copy_from_slice(&source.0);
        let key = blake3::derive_key("tintype v1 copy journal", &input);
        input.zeroize();
        key
    }

    /// Key and commitment of one object (format.md §2).
    pub fn object_key(&self, epoch: u32, salt: &[u8; 32]) -> (AeadKey, [u8; 32]) {
        let mut input = [0u8; 36];
        input[..32].copy_from_slice(&self.master.0);
        input[32..].copy_from_slice(&epoch.to_le_bytes());
        let mut epoch_key = blake3::derive_key("tintype v1 epoch", &input);
        let mut out = [0u8; 64];
        blake3::Hasher::new_keyed(&epoch_key).update(salt).finalize_xof().fill(&mut out);
        let key: [u8; 32] = out[..32].try_into().expect("32 of 64 bytes");
        let commitment = out[32..].try_into().expect("32 of 64 bytes");
        let key = AeadKey::new(&key);
        out.zeroize();
        input.zeroize();
        epoch_key.zeroize();
        (key, commitment)
    }
}
