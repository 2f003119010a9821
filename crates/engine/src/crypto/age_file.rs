//! Whole files sealed by age (docs/bundle.md), as streams: to a passphrase or to recipients.
//!
//! The crate asks the operating system for randomness by itself: two seals of the same bytes differ.

use std::io::{self, ErrorKind, Read, Seek, Write};

use age::secrecy::SecretString;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, scrypt};
use tintype_model::{Error, Result};

use super::age::AgeRecipient;
use super::slot::{Passphrase, Secret};

/// What every age file begins with.
pub const HEAD: &[u8] = b"age-encryption.org/v1\n";

/// As the program `age` has it: about a second and 256 MiB.
const WORK_FACTOR: u8 = 18;
/// What is asked of whoever opens it: 1 GiB at most.
const MOST_WORK_FACTOR: u8 = 20;

/// Who can open what is sealed.
pub enum SealFor {
    Passphrase(Passphrase),
    Recipients(Vec<AgeRecipient>),
}

/// What is written is sealed; the file is whole only after [`SealedWriter::finish`].
pub struct SealedWriter<W: Write>(StreamWriter<W>);

impl<W: Write> SealedWriter<W> {
    pub fn new(seal: &SealFor, out: W) -> Result<Self> {
        let encryptor = match seal {
            SealFor::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(secret(passphrase));
                recipient.set_work_factor(WORK_FACTOR);
                age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            }
            SealFor::Recipients(recipients) => age::Encryptor::with_recipients(
                recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient),
            ),
        };
        let encryptor =
            encryptor.map_err(|error| Error::invalid(format!("cannot seal for age: {error}")))?;
        let failed = |error| Error::io(error, "cannot write what is sealed");
        Ok(Self(encryptor.wrap_output(out).map_err(failed)?))
    }

    /// Seals the last piece: what lacks it is seen to be cut.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn secret(passphrase: &Passphrase) -> SecretString {
    SecretString::from(passphrase.text().to_owned())
}

/// A sealed file, looked at from outside.
pub struct SealedFile<R>(age::Decryptor<R>);

impl<R: Read> SealedFile<R> {
    pub fn open(read: R) -> Result<Self> {
        age::Decryptor::new(read).map(Self).map_err(|error| match error {
            DecryptError::Io(error)
                if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
            {
                Error::corrupt("its age header is cut or damaged").with_source(error)
            }
            DecryptError::Io(error) => Error::io(error, "an age file"),
            other => Error::invalid(format!("is no age file that can be read: {other}")),
        })
    }

    /// Whether it opens with a passphrase, and not with an identity.
    pub fn wants_passphrase(&self) -> bool {
        self.0.is_scrypt()
    }
}

impl<R: Read + Seek> SealedFile<R> {
    pub fn unlock(self, secret_key: &Secret) -> Result<OpenFile<R>> {
        let opened = match secret_key {
            Secret::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(secret(passphrase));
                identity.set_max_work_factor(MOST_WORK_FACTOR);
                self.0.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
            Secret::Age(identity) => {
                self.0.decrypt(identity.0.iter().map(|identity| identity as &dyn age::Identity))
            }
            Secret::Recovery(_) | Secret::Parent(_) => {
                return Err(Error::invalid(
                    "recovery keys open repositories; a bundle opens with its passphrase or an age \
                     identity",
                ));
            }
        };
        opened.map(OpenFile).map_err(|error| match error {
            DecryptError::Io(error) => Error::io(error, "an age file"),
            DecryptError::ExcessiveWork { required, .. } => Error::unsupported(format!(
                "its passphrase costs 2^{required} to try, more than 2^{MOST_WORK_FACTOR}; open it \
                 with `age -d` and import what is inside"
            )),
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => {
                Error::wrong_key("it does not open with this passphrase or identity")
            }
            other => Error::corrupt(format!("its age header is damaged: {other}")),
        })
    }
}

/// What is inside a sealed file; every piece is authenticated before it is given out.
pub struct OpenFile<R>(StreamReader<R>);

impl<R: Read> Read for OpenFile<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl<R: Read + Seek> Seek for OpenFile<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::crypto::age::AgeIdentity;

    fn identity() -> AgeIdentity {
        let key = age::x25519::Identity::generate();
        AgeIdentity::parse(age::secrecy::ExposeSecret::expose_secret(&key.to_string())).unwrap()
    }

    #[test]
    fn only_the_recipient_opens_it_and_a_cut_one_nobody() {
        let (own, other) = (identity(), identity());
        let seal = SealFor::Recipients(vec![own.recipient()]);
        let mut writer = SealedWriter::new(&seal, Vec::new()).unwrap();
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        writer.write_all(&bytes).unwrap();
        let sealed = writer.finish().unwrap();
        let open = |bytes: Vec<u8>, identity: &AgeIdentity| {
            let file = SealedFile::open(Cursor::new(bytes))?;
            assert!(!file.wants_passphrase());
            let mut plain = Vec::new();
            let mut open = file.unlock(&Secret::Age(identity.clone()))?;
            open.read_to_end(&mut plain).map_err(|error| Error::io(error, "x"))?;
            Ok::<_, Error>(plain)
        };
        assert!(open(sealed.clone(), &own).unwrap() == bytes);
        let wrong = open(sealed.clone(), &other).unwrap_err();
        assert!(wrong.is(tintype_model::ErrorKind::WrongKey), "{wrong}");
        for length in [30, sealed.len() - 1, sealed.len() - 70_000] {
            assert!(open(sealed[..length].to_vec(), &own).is_err(), "{length}");
        }
    }
}
