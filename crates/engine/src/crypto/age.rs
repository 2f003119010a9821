//! The repository key as an age file (format.md §5): whoever adds such a slot needs only the
//! public recipient, and the identity that opens it may stay in a safe. X25519 only; no plugins.
//!
//! The crate asks the operating system for randomness by itself, so the bytes of these slots do
//! not repeat with a test's seed.

use std::io::{Read as _, Write as _};
use std::str::FromStr;

use age::x25519;
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use super::keys::MasterKey;

/// Much more than an age file for one recipient needs.
pub(super) const MOST_BYTES: usize = 4096;
const HEAD: &[u8] = b"age-encryption.org/v1\n";

/// A public key, `age1…`.
#[derive(Clone)]
pub struct AgeRecipient(pub(super) x25519::Recipient);

/// One secret key or several, as `age-keygen` writes them into a file.
#[derive(Clone)]
pub struct AgeIdentity(pub(super) Vec<x25519::Identity>);

impl FromStr for AgeRecipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.trim().parse().map(Self).map_err(|why| {
            Error::invalid(format!(
                "{text:?} is no age recipient ({why}): one looks like age1…, as `age-keygen` prints"
            ))
        })
    }
}

impl std::fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl AgeIdentity {
    /// Reads an identity file: a secret key on each line, `#` begins a remark.
    pub fn parse(text: &str) -> Result<Self> {
        let mut identities = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            identities.push(line.parse().map_err(|why| {
                Error::invalid(format!(
                    "line {} of the age identity is no AGE-SECRET-KEY-1… ({why}); encrypted \
                     identities and plugins are not supported",
                    number + 1
                ))
            })?);
        }
        if identities.is_empty() {
            return Err(Error::invalid("the age identity file holds no AGE-SECRET-KEY-1…"));
        }
        Ok(Self(identities))
    }

    /// Of the first of them.
    pub fn recipient(&self) -> AgeRecipient {
        AgeRecipient(self.0[0].to_public())
    }
}

/// A binary age file for one recipient.
pub(super) fn wrap(recipient: &AgeRecipient, master: &MasterKey) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| Error::internal("cannot make an age file").with_source(e);
    let recipients = std::iter::once(&recipient.0 as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients)
        .map_err(|e| Error::internal("cannot make an age file").with_source(e))?;
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).map_err(failed)?;
    writer.write_all(&master.0).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// `None` where it is for somebody else.
pub(super) fn unwrap(identity: &AgeIdentity, file: &[u8]) -> Result<Option<MasterKey>> {
    check(file)?;
    let damaged = || Error::corrupt("key slot: its age file is damaged");
    let identities = identity.0.iter().map(|identity| identity as &dyn age::Identity);
    let decryptor =
        age::Decryptor::new_buffered(file).map_err(|error| damaged().with_source(error))?;
    let reader = match decryptor.decrypt(identities) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Ok(None),
        Err(error) => return Err(damaged().with_source(error)),
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(64));
    reader.take(64).read_to_end(&mut plain).map_err(|error| damaged().with_source(error))?;
    let master = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| damaged())?;
    Ok(Some(MasterKey(master)))
}

/// What can be checked without an identity.
pub(super) fn check(file: &[u8]) -> Result<()> {
    if file.len() <= MOST_BYTES && file.starts_with(HEAD) {
        Ok(())
    } else {
        Err(Error::corrupt("key slot: holds no age file"))
    }
}
