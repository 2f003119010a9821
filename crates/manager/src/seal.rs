//! Secrets in the catalog are sealed under a master key that lies outside of it.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tintype_model::env::Random;
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;

pub struct MasterKey(LessSafeKey);

impl MasterKey {
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("the key has the length of a key");
        Self(LessSafeKey::new(key))
    }

    /// Of a file of 64 hexadecimal digits that nobody else may read; made when it is not there and
    /// `may_make`.
    pub fn of_file(file: &Path, may_make: bool, random: &dyn Random) -> Result<Self> {
        match std::fs::metadata(file) {
            Ok(found) if found.mode() & 0o077 != 0 => Err(Error::denied(format!(
                "{}: others can read the master key: chmod 600, and think about who did",
                file.display()
            ))),
            Ok(_) => Self::read(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => {
                Self::make(file, random)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::not_found(format!(
                    "{}: the master key is missing, and what the catalog holds is sealed with it: \
                     bring it back, or recover the manager (`tintype recover`)",
                    file.display()
                )))
            }
            Err(error) => Err(Error::io(error, file.display())),
        }
    }

    fn make(file: &Path, random: &dyn Random) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *bytes);
        let failed = |error| Error::io(error, file.display());
        let mut options = std::fs::OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
        let text = Zeroizing::new(blake3::Hash::from_bytes(*bytes).to_hex().to_string());
        writeln!(&made, "{}", *text).and_then(|()| made.sync_all()).map_err(failed)?;
        if let Some(directory) = file.parent() {
            let directory = std::fs::File::open(directory).and_then(|d| d.sync_all());
            directory.map_err(failed)?;
        }
        Ok(Self::from_bytes(&bytes))
    }

    fn read(file: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(file).map_err(|error| Error::io(error, file.display()))?;
        let text = Zeroizing::new(text);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let digits = text.trim();
        let wrong =
            || Error::invalid(format!("{}: a master key is 64 hexadecimal digits", file.display()));
        if digits.len() != 2 * KEY_BYTES || !digits.is_ascii() {
            return Err(wrong());
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            let pair = &digits[2 * i..2 * i + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self::from_bytes(&bytes))
    }

    /// `of` names whose secret it is: it cannot be opened as another's.
    pub fn seal(&self, of: &str, secret: &[u8], random: &dyn Random) -> String {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        let own = Nonce::assume_unique_for_key(nonce);
        let done = self.0.seal_in_place_append_tag(own, Aad::from(of.as_bytes()), &mut sealed);
        done.expect("secrets are short");
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        STANDARD.encode(out)
    }

    pub fn open(&self, of: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
        let wrong = || {
            Error::wrong_key(format!(
                "the secret of {of} cannot be opened: it is damaged, or sealed with another master \
                 key"
            ))
        };
        let mut bytes = Zeroizing::new(STANDARD.decode(sealed).map_err(|_| wrong())?);
        if bytes.len() < NONCE_LEN {
            return Err(wrong());
        }
        let (nonce, rest) = bytes.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let opened = self.0.open_in_place(nonce, Aad::from(of.as_bytes()), rest);
        Ok(Zeroizing::new(opened.map_err(|_| wrong())?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    struct Count(AtomicU8);

    impl Random for Count {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn a_secret_opens_as_its_own_only() {
        let random = Count(AtomicU8::new(1));
        let key = MasterKey::from_bytes(&[1; 32]);
        let sealed = key.seal("storage a", b"hunter2", &random);
        assert!(!sealed.contains("hunter2"));
        assert_eq!(**key.open("storage a", &sealed).unwrap(), *b"hunter2");
        assert_ne!(sealed, key.seal("storage a", b"hunter2", &random));
        assert!(key.open("storage b", &sealed).is_err());
        assert!(MasterKey::from_bytes(&[2; 32]).open("storage a", &sealed).is_err());
        for cut in ["", "AAAA", &sealed[..12], &sealed[..sealed.len() - 4]] {
            assert!(key.open("storage a", cut).is_err());
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_read_by_its_owner_only() {
        let random = Count(AtomicU8::new(1));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        assert!(MasterKey::of_file(&file, false, &random).is_err());
        let key = MasterKey::of_file(&file, true, &random).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let sealed = key.seal("x", b"secret", &random);
        let again = MasterKey::of_file(&file, true, &random).unwrap();
        assert_eq!(**again.open("x", &sealed).unwrap(), *b"secret");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(&file, open).unwrap();
        assert!(MasterKey::of_file(&file, true, &random).is_err());
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "no key").unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, closed).unwrap();
        assert!(MasterKey::of_file(&file, true, &random).is_err());
    }
}
