//! Secrets that are presented: 32 random bytes as text, of which only a hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tintype_model::env::Random;

const BYTES: usize = 32;
/// Longer ones are not hashed.
pub const MOST_BYTES: usize = 200;

pub fn make(prefix: &str, random: &dyn Random) -> String {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of it. They are random and long: a slow hash would protect nothing more.
pub fn hash(secret: &str) -> String {
    let key = blake3::derive_key("tintype 2026 manager: bearer secret", secret.as_bytes());
    blake3::Hash::from_bytes(key).to_hex().to_string()
}

/// What a page must send with each change to show that it is ours and not another's that uses the
/// cookie.
pub fn csrf_token(session: &str) -> String {
    let key = blake3::derive_key("tintype 2026 manager: csrf token", session.as_bytes());
    URL_SAFE_NO_PAD.encode(&key[..24])
}

/// Does not end earlier where the first difference comes earlier.
pub fn is_same(a: &str, b: &str) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes())
}
