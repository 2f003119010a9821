//! Hashes of passwords: argon2id with the parameters of OWASP's first choice (19 MiB, two passes).

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tintype_model::env::Random;
use tintype_model::{Error, Result};

pub const LEAST_CHARACTERS: usize = 10;
pub const MOST_BYTES: usize = 1000;
const COST: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
/// A stored hash that asks for more is refused.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 100;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

pub fn check(password: &str) -> Result<()> {
    if password.chars().count() < LEAST_CHARACTERS {
        return Err(Error::invalid(format!(
            "the password is too short: at least {LEAST_CHARACTERS} characters"
        )));
    }
    if password.len() > MOST_BYTES {
        return Err(Error::invalid(format!("the password has more than {MOST_BYTES} bytes")));
    }
    Ok(())
}

pub fn hash(password: &str, random: &dyn Random) -> Result<String> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let hash = compute(password, &salt, COST)?;
    let [salt, hash] = [&salt[..], &hash[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    let Cost { memory_kib, passes, lanes } = COST;
    Ok(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}"))
}

/// Whether it is the password of that hash.
pub fn is(password: &str, stored: &str) -> Result<bool> {
    let damaged = || Error::corrupt("the catalog: the hash of a password");
    let Stored { cost, salt, hash } = parse(stored).ok_or_else(damaged)?;
    if password.len() > MOST_BYTES {
        return Ok(false);
    }
    let found = compute(password, &salt, cost)?;
    Ok(blake3::hash(&found) == blake3::hash(&hash))
}

struct Stored {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// The text that argon2's own tools print.
fn parse(stored: &str) -> Option<Stored> {
    let mut fields = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut numbers = fields.next()?.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    let mut bytes = || STANDARD_NO_PAD.decode(fields.next()?).ok();
    let (salt, hash) = (bytes()?, bytes()?);
    let is_bounded = cost.memory_kib <= MOST_MEMORY_KIB && cost.passes <= MOST_PASSES;
    let is_whole = hash.len() == 32 && fields.next().is_none();
    (is_bounded && is_whole).then_some(Stored { cost, salt, hash })
}

fn compute(password: &str, salt: &[u8], cost: Cost) -> Result<[u8; 32]> {
    let Cost { memory_kib, passes, lanes } = cost;
    let bad = |error: argon2::Error| Error::internal(format!("argon2id: {error}"));
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(bad)?;
    let mut out = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.as_bytes(), salt, &mut out).map_err(bad)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(u8);

    impl Random for Count {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let stored = hash("correct horse", &Count(1)).unwrap();
        assert!(is("correct horse", &stored).unwrap());
        assert!(!is("correct horsf", &stored).unwrap());
        assert_ne!(stored, hash("correct horse", &Count(2)).unwrap());
    }

    #[test]
    fn damaged_and_greedy_hashes_are_refused() {
        let stored = hash("correct horse", &Count(1)).unwrap();
        let greedy = stored.replace("m=19456", "m=4000000");
        for wrong in ["", "$argon2id$v=19$", &stored[..60], &format!("{stored}$x"), &greedy] {
            assert!(is("correct horse", wrong).is_err(), "{wrong}");
        }
    }
}
