//! Sees a machine that computes wrongly. A bit that flips in memory between hashing and sealing
//! would be sealed as if it were right, and noticed only by whoever reads it back. So of a sample
//! of chunks what compression gave is opened again, and the id taken once more, before it is
//! sealed.

use tintype_model::{Error, ErrorKind, Result};

use crate::compress::Decompressor;
use crate::crypto::keys::Keys;
use crate::format::frame::FrameHead;
use crate::id::ContentId;

/// One chunk of so many is checked: what that costs does not show.
const ONE_OF: u8 = 64;

/// Ids are as good as random.
pub(crate) fn is_due(id: &ContentId) -> bool {
    id.0[0].is_multiple_of(ONE_OF)
}

/// Whether `stored`, which is to be sealed under `head`, opens to what `head.id` was taken of.
/// `Faulty` if not.
pub(crate) fn check(keys: &Keys, head: &FrameHead, stored: &[u8]) -> Result<()> {
    let mut raw = Vec::new();
    let opened = Decompressor::new()?.append(head, stored, &mut raw);
    if opened.is_ok() && keys.content_id(head.kind, &raw) == head.id {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Faulty,
        format!(
            "chunk {} changed in memory before it was stored: the memory or the processor of this \
             machine is faulty; nothing wrong was committed, and what this run uploaded is not used",
            head.id
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::Compressor;
    use crate::crypto::keys::MasterKey;
    use crate::format::frame::{Codec, Kind};

    fn keys() -> Keys {
        Keys::new(MasterKey([7; 32]))
    }

    fn head(kind: Kind, codec: Codec, raw: &[u8], stored: &[u8]) -> FrameHead {
        let id = keys().content_id(kind, raw);
        let (stored_bytes, raw_bytes) = (stored.len() as u32, raw.len() as u32);
        FrameHead { kind, codec, stored_bytes, raw_bytes, id }
    }

    /// `raw`, as it is stored, and again with one bit flipped at each of some places.
    fn try_all(kind: Kind, codec: Codec, raw: &[u8], stored: &[u8]) {
        let head = head(kind, codec, raw, stored);
        check(&keys(), &head, stored).unwrap();
        for at in [stored.len() / 3, stored.len() / 2, stored.len() - 1] {
            let mut flipped = stored.to_vec();
            flipped[at] ^= 0x10;
            let error = check(&keys(), &head, &flipped).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Faulty, "byte {at} of {codec:?}");
            assert!(error.message().contains(&head.id.to_string()), "{error}");
        }
    }

    #[test]
    fn a_bit_that_flips_after_the_id_was_taken_is_seen() {
        let raw: Vec<u8> = (0..20_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let mut compressor = Compressor::new().unwrap();
        try_all(Kind::Chunk, Codec::None, &raw, &raw);
        let (codec, stored) = compressor.compress(&raw, 2).unwrap();
        assert_eq!(codec, Codec::Zstd);
        try_all(Kind::Parcel, codec, &raw, stored);
        let (codec, stored) = compressor.compress_page(&raw).unwrap();
        assert_eq!(codec, Codec::ZstdPage);
        try_all(Kind::Page, codec, &raw, stored);
    }

    #[test]
    fn one_chunk_of_64_is_checked() {
        let id = |number: u32| keys().content_id(Kind::Chunk, &number.to_le_bytes());
        let due = (0..64_000).filter(|number| is_due(&id(*number))).count();
        assert!((800..1200).contains(&due), "{due} of 64,000");
    }
}
