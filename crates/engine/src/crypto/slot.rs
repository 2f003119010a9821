//! Key slots: the repository key wrapped by a passphrase, by recovery words or for an age
//! recipient (format.md §5).

use std::fmt;

use bip39::{Language, Mnemonic};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::aead::AeadKey;
use super::age::{self, AgeIdentity, AgeRecipient};
use super::keys::{Keys, MasterKey};
use crate::env::Env;
use crate::format::records::names;
use crate::id::{ContentId, RandomId, decode_hex, encode_hex};

/// What a person brings to open a repository.
pub enum Secret {
    Passphrase(Passphrase),
    Recovery(RecoveryKey),
    Age(AgeIdentity),
    /// The key of the system's repository, for those of its tenants.
    Parent(MasterKey),
}

/// A passphrase; wiped from memory when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl Passphrase {
    pub fn new(text: String) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid("the passphrase is empty"));
        }
        Ok(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// 128 random bits, shown once as twelve words.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryKey([u8; 16]);

impl RecoveryKey {
    pub fn generate(env: &Env) -> Self {
        Self(env.bytes())
    }

    /// What whoever has the key of the system's repository opens that of a tenant with.
    fn derive(parent: &MasterKey, repository: RandomId) -> Self {
        let mut input = Zeroizing::new([0; 48]);
        input[..32].copy_from_slice(&parent.0);
        input[32..].copy_from_slice(&repository.0);
        let key = Zeroizing::new(blake3::derive_key("tintype v1 parent", &input[..]));
        Self(key[..16].try_into().expect("16 of 32 bytes"))
    }

    /// The twelve words, to be written down.
    pub fn words(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, &self.0)
            .expect("16 bytes are a legal length");
        Zeroizing::new(mnemonic.to_string())
    }

    /// Reads words as typed: any case, any white space. Names the word that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        if words.len() != 12 {
            return Err(Error::invalid(format!(
                "a recovery key has 12 words, this one has {}",
                words.len()
            )));
        }
        for (number, word) in words.iter().enumerate() {
            if Language::English.find_word(word).is_none() {
                return Err(Error::invalid(format!(
                    "word {} of the recovery key is not in the list; compare it with your sheet",
                    number + 1
                )));
            }
        }
        let phrase = Zeroizing::new(words.join(" "));
        let mnemonic = Mnemonic::parse_in(Language::English, phrase.as_str()).map_err(|_| {
            Error::invalid("the words do not fit together: one is wrong or two are swapped")
        })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let bytes = entropy.as_slice().try_into().expect("12 words are 16 bytes");
        Ok(Self(bytes))
    }
}

/// Cost of guessing a passphrase once (format.md §5); RFC 9106, second recommended option.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Argon2 {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Wrapping {
    Passphrase {
        kdf: Argon2,
    },
    Recovery {
        salt: String,
    },
    Age {
        recipient: String,
    },
    /// A kind of a later version: skipped, and said so.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slot {
    #[serde(flatten)]
    pub wrapping: Wrapping,
    #[serde(default)]
    pub label: String,
    pub created: Timestamp,
    wrapped: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<ContentId>,
}

const WRAPPED_BYTES: usize = 60;

impl Slot {
    pub fn seal(
        secret: &Secret,
        keys: &Keys,
        repository: RandomId,
        slot: RandomId,
        label: &str,
        env: &Env,
    ) -> Result<Self> {
        if let Secret::Parent(parent) = secret {
            let derived = Secret::Recovery(RecoveryKey::derive(parent, repository));
            return Self::seal(&derived, keys, repository, slot, label, env);
        }
        let salt = || encode_hex(&env.bytes::<16>());
        let wrapping = match secret {
            Secret::Passphrase(_) => Wrapping::Passphrase {
                kdf: Argon2 {
                    name: "argon2id".into(),
                    memory_kib: 65_536,
                    passes: 3,
                    lanes: 4,
                    salt: salt(),
                },
            },
            Secret::Recovery(_) => Wrapping::Recovery { salt: salt() },
            Secret::Age(identity) => {
                return Self::seal_for(&identity.recipient(), keys, slot, label, env);
            }
            Secret::Parent(_) => unreachable!("sealed as what is derived from it"),
        };
        let kek = wrapping.key(secret)?.expect("made for this secret");
        let nonce: [u8; 12] = env.bytes();
        let mut body = Zeroizing::new(keys.master.0);
        let tag = AeadKey::new(&kek).seal_with(nonce, &additional(repository, slot), &mut body[..]);
        let wrapped = [&nonce[..], &body[..], &tag[..]].concat();
        Ok(Self::new(wrapping, &wrapped, keys, slot, label, env))
    }

    /// For somebody whose secret is not here.
    pub fn seal_for(
        recipient: &AgeRecipient,
        keys: &Keys,
        slot: RandomId,
        label: &str,
        env: &Env,
    ) -> Result<Self> {
        let wrapped = age::wrap(recipient, &keys.master)?;
        let wrapping = Wrapping::Age { recipient: recipient.to_string() };
        Ok(Self::new(wrapping, &wrapped, keys, slot, label, env))
    }

    fn new(
        wrapping: Wrapping,
        wrapped: &[u8],
        keys: &Keys,
        slot: RandomId,
        label: &str,
        env: &Env,
    ) -> Self {
        let mut sealed = Self {
            wrapping,
            label: label.to_owned(),
            created: env.clock.now(),
            wrapped: encode_hex(wrapped),
            mac: None,
        };
        sealed.mac = Some(sealed.mac(keys, slot));
        sealed
    }

    fn mac(&self, keys: &Keys, slot: RandomId) -> ContentId {
        let without = Self { mac: None, ..self.clone() };
        let mut text = names::slot(slot).into_bytes();
        serde_json::to_writer(&mut text, &without).expect("plain data");
        keys.config_mac(&text)
    }

    /// Whether all of the slot is as it was written, under this name in this repository.
    pub fn verify(&self, keys: &Keys, slot: RandomId) -> Result<()> {
        if self.mac == Some(self.mac(keys, slot)) {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "{}: was changed, or belongs under another name or into another repository",
                names::slot(slot)
            )))
        }
    }

    /// The repository key, or `None` if this secret does not open this slot.
    pub fn open(
        &self,
        secret: &Secret,
        repository: RandomId,
        slot: RandomId,
    ) -> Result<Option<MasterKey>> {
        if let (Wrapping::Age { .. }, Secret::Age(identity)) = (&self.wrapping, secret) {
            return age::unwrap(identity, &self.age_file()?);
        }
        if let Secret::Parent(parent) = secret {
            let derived = Secret::Recovery(RecoveryKey::derive(parent, repository));
            return self.open(&derived, repository, slot);
        }
        let Some(kek) = self.wrapping.key(secret)? else { return Ok(None) };
        let mut wrapped = [0u8; WRAPPED_BYTES];
        decode_hex(&self.wrapped, &mut wrapped).ok_or_else(|| {
            Error::corrupt(format!("key slot {slot}: wrapped key is not 60 bytes"))
        })?;
        let nonce: [u8; 12] = wrapped[..12].try_into().expect("12 of 60 bytes");
        let opened =
            AeadKey::new(&kek).open_with(nonce, &additional(repository, slot), &mut wrapped[12..]);
        let master =
            opened.map(|plain| MasterKey(plain.try_into().expect("60 − 12 − 16 = 32 bytes")));
        wrapped.zeroize();
        Ok(master)
    }

    /// Whether nothing but the mac says that the wrapped key is this repository's: anybody can
    /// make an age file.
    pub fn needs_mac(&self) -> bool {
        matches!(self.wrapping, Wrapping::Age { .. })
    }

    fn age_file(&self) -> Result<Vec<u8>> {
        let mut file = vec![0; (self.wrapped.len() / 2).min(age::MOST_BYTES)];
        decode_hex(&self.wrapped, &mut file)
            .ok_or_else(|| Error::corrupt("key slot: its age file is no hex, or too long"))?;
        Ok(file)
    }

    /// What can be checked without a secret: lengths, and limits of the kdf.
    pub fn check(&self) -> Result<()> {
        if let Wrapping::Age { recipient } = &self.wrapping {
            recipient.parse::<AgeRecipient>()?;
            return age::check(&self.age_file()?);
        }
        let mut wrapped = [0u8; WRAPPED_BYTES];
        decode_hex(&self.wrapped, &mut wrapped)
            .ok_or_else(|| Error::corrupt("key slot: wrapped key is not 60 bytes"))?;
        match &self.wrapping {
            Wrapping::Passphrase { kdf } => kdf.check().and_then(|()| parse_salt(&kdf.salt)),
            Wrapping::Recovery { salt } => parse_salt(salt),
            Wrapping::Age { .. } | Wrapping::Unknown => return Ok(()),
        }
        .map(|_| ())
    }

    pub fn kind(&self) -> &'static str {
        match self.wrapping {
            Wrapping::Passphrase { .. } => "passphrase",
            Wrapping::Recovery { .. } => "recovery",
            Wrapping::Age { .. } => "age",
            Wrapping::Unknown => "unknown",
        }
    }
}

fn additional(repository: RandomId, slot: RandomId) -> Vec<u8> {
    [b"tintype v1 slot".as_slice(), &repository.0, &slot.0].concat()
}

impl Wrapping {
    /// The key-encrypting key, or `None` where the secret is of another kind.
    fn key(&self, secret: &Secret) -> Result<Option<Zeroizing<[u8; 32]>>> {
        match (self, secret) {
            (Self::Passphrase { kdf }, Secret::Passphrase(passphrase)) => {
                kdf.derive(passphrase).map(Some)
            }
            (Self::Recovery { salt }, Secret::Recovery(key)) => {
                let input = Zeroizing::new([key.0, parse_salt(salt)?].concat());
                let kek = blake3::derive_key("tintype v1 recovery", &input);
                Ok(Some(Zeroizing::new(kek)))
            }
            _ => Ok(None),
        }
    }
}

impl Argon2 {
    fn check(&self) -> Result<()> {
        if self.name != "argon2id"
            || self.memory_kib > 4 << 20
            || self.passes > 64
            || self.lanes > 64
        {
            return Err(Error::unsupported(format!(
                "key slot asks for {} with {} KiB, {} passes, {} lanes: beyond the format's limits",
                self.name, self.memory_kib, self.passes, self.lanes
            )));
        }
        Ok(())
    }

    fn derive(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>> {
        self.check()?;
        let mut out = Zeroizing::new([0u8; 32]);
        let bad = |e: argon2::Error| Error::invalid(format!("key slot: argon2id: {e}"));
        let params =
            argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bad)?;
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.0.as_bytes(), &parse_salt(&self.salt)?, &mut out[..])
            .map_err(bad)?;
        Ok(out)
    }
}

fn parse_salt(text: &str) -> Result<[u8; 16]> {
    let mut salt = [0; 16];
    decode_hex(text, &mut salt).ok_or_else(|| Error::corrupt("key slot: salt is not 16 bytes"))?;
    Ok(salt)
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}
