//! AES-256-GCM with caller-given nonces (format.md §6). The only place that knows the
//! cipher's implementation.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};

pub const TAG_BYTES: usize = 16;

pub struct AeadKey(LessSafeKey);

impl AeadKey {
    pub fn new(key: &[u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
        Self(LessSafeKey::new(unbound))
    }

    /// Seals `data` in place and gives its tag.
    pub fn seal(&self, counter: u64, additional: &[u8], data: &mut [u8]) -> [u8; TAG_BYTES] {
        self.seal_with(counter_nonce(counter), additional, data)
    }

    pub fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        data: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(additional), data)
            .expect("frames are far below the cipher's limit");
        tag.as_ref().try_into().expect("the tag has 16 bytes")
    }

    /// Opens `data` (ciphertext then tag) in place and gives the plaintext; `None` if it is not
    /// what was sealed.
    pub fn open<'d>(
        &self,
        counter: u64,
        additional: &[u8],
        data: &'d mut [u8],
    ) -> Option<&'d [u8]> {
        self.open_with(counter_nonce(counter), additional, data)
    }

    pub fn open_with<'d>(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        data: &'d mut [u8],
    ) -> Option<&'d [u8]> {
        let (body, tag) = data.split_at_mut(data.len().checked_sub(TAG_BYTES)?);
        let tag = Tag::try_from(&*tag).ok()?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plain =
            self.0.open_in_place_separate_tag(nonce, Aad::from(additional), tag, body, 0..).ok()?;
        Some(plain)
    }
}

fn counter_nonce(counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    nonce
}
