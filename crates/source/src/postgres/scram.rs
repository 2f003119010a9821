//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding, as PostgreSQL speaks it.
//!
//! Passwords outside ASCII are taken as they are: normalising them (SASLprep) changes only what
//! is not in its usual composed form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::pbkdf2;
use tintype_model::{Error, Result};

pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
const HASH_BYTES: usize = 32;
/// A server that asks for more would keep us busy for minutes.
const MOST_ITERATIONS: u32 = 1_000_000;

pub(super) struct Scram {
    password: zeroize::Zeroizing<String>,
    nonce: String,
    /// What our last message implies about the server's.
    server_signature: Option<Vec<u8>>,
}

impl Scram {
    pub(super) fn new(password: &str, random: &[u8]) -> Self {
        let password = zeroize::Zeroizing::new(password.to_owned());
        Self { password, nonce: STANDARD.encode(random), server_signature: None }
    }

    /// The user's name stands in the startup message; here it is empty, as libpq has it.
    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    /// Our proof, for what the server answered to [`Scram::first`].
    pub(super) fn second(&mut self, server_first: &str) -> Result<String> {
        let wrong = || Error::denied("the server's answer to the authentication makes no sense");
        let field = |name: &str| {
            server_first.split(',').find_map(|field| field.strip_prefix(name)).ok_or_else(wrong)
        };
        let nonce = field("r=")?;
        let salt = STANDARD.decode(field("s=")?).map_err(|_| wrong())?;
        let iterations: u32 = field("i=")?.parse().map_err(|_| wrong())?;
        let fresh = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        let iterations =
            std::num::NonZeroU32::new(iterations).filter(|i| i.get() <= MOST_ITERATIONS);
        let (true, Some(iterations)) = (fresh, iterations) else { return Err(wrong()) };
        let mut salted = [0; HASH_BYTES];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, &salt, self.password.as_bytes(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{server_first},{without_proof}", self.first_bare());
        let signature = sign(digest(&SHA256, &client_key).as_ref(), all.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.server_signature = Some(sign(&sign(&salted, b"Server Key"), all.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password too.
    pub(super) fn verify(&self, server_final: &str) -> Result<()> {
        let given = server_final.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok());
        if given.is_some() && given == self.server_signature {
            return Ok(());
        }
        Err(Error::denied("the server could not prove that it knows the password"))
    }
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, §3, but for the user's name.
    #[test]
    fn a_known_exchange() {
        let mut scram = Scram::new("pencil", b"");
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let second = scram.second(server_first).unwrap();
        assert!(
            second.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")
        );
        assert!(scram.verify("v=AAAA").is_err());
        for bad in ["", "r=x,s=AA==,i=1", "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=0"] {
            assert!(scram.second(bad).is_err(), "{bad}");
        }
    }
}
