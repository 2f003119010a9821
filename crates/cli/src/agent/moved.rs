//! Finding a manager that has moved: it left a notice in the storage, signed by the authority that is
//! pinned.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_api::agent::{Move, Notice};
use tintype_engine::env::Env;
use tintype_engine::{Error, Result};
use tintype_runner::vault::work::WorkOrder;
use tintype_runner::vault::{AccessKey, Expected, Place, check_mount};

const FILE: &str = "storage.json";
const FILE_BYTES: u64 = 1 << 20;

/// The storage of the last order, for its owner only.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Storage {
    url: String,
    access: Option<(String, String, Option<String>)>,
    mount_point: Option<PathBuf>,
}

impl Storage {
    pub(super) fn of(order: &WorkOrder) -> Option<Self> {
        let access = order.access.as_ref()?;
        let revealed = access.place.access.as_ref().map(AccessKey::reveal);
        let revealed = revealed.map(|(id, secret, token)| {
            (id.to_owned(), secret.to_owned(), token.map(str::to_owned))
        });
        let (url, mount_point) = (access.storage.clone(), access.mount_point.clone());
        Some(Self { url, access: revealed, mount_point })
    }

    fn load(data: &Path) -> Option<Self> {
        let path = data.join(FILE);
        let is_ours = std::fs::metadata(&path).is_ok_and(|found| found.len() <= FILE_BYTES);
        let text = is_ours.then(|| std::fs::read(&path).ok()).flatten()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whole or not at all; not again what stands there.
    pub(super) fn keep(&self, data: &Path) -> Result<()> {
        if Self::load(data).as_ref() == Some(self) {
            return Ok(());
        }
        let path = data.join(FILE);
        let failed = |error| Error::io(error, path.display());
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        let part = path.with_extension("part");
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut made = options.open(&part).map_err(failed)?;
        made.write_all(&text).and_then(|()| made.sync_all()).map_err(failed)?;
        std::fs::rename(&part, &path).map_err(failed)
    }

    fn notices(self, env: &Env) -> Result<Vec<Vec<u8>>> {
        let Self { url, access, mount_point } = self;
        let access =
            access.map(|(id, secret, token)| AccessKey::new(&id, &secret, token.as_deref()));
        let place = Place::parse(&url, access)?;
        check_mount(&Expected { mount_point, ..Expected::default() }, &place)?;
        place.notices(env)
    }
}

/// The newest notice that is the authority's, and younger than `after`.
pub(super) fn look(
    data: &Path,
    authority: &[u8],
    after: Option<Timestamp>,
    env: &Env,
) -> Result<Option<Move>> {
    let Some(storage) = Storage::load(data) else { return Ok(None) };
    let notices = storage.notices(env)?;
    let moves = notices.iter().filter_map(|text| read(text, authority));
    Ok(moves.filter(|one| after.is_none_or(|after| one.time > after)).max_by_key(|one| one.time))
}

/// None where the authority did not sign it: others can write there, too.
fn read(text: &[u8], authority: &[u8]) -> Option<Move> {
    let Notice { text, signature } = serde_json::from_slice(text).ok()?;
    let signature = STANDARD.decode(signature).ok()?;
    let certificate = authority.into();
    let certificate = webpki::EndEntityCert::try_from(&certificate).ok()?;
    let algorithm = webpki::ring::ECDSA_P256_SHA256;
    certificate.verify_signature(algorithm, text.as_bytes(), &signature).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SigningKey as _};
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_authority_signed_is_followed() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let own = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let moved = Move {
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            addresses: vec!["new:8443".into()],
        };
        let text = json!(moved).to_string();
        let notice = |key: &KeyPair, text: &str, signed: &str| {
            let signature = STANDARD.encode(key.sign(signed.as_bytes()).unwrap());
            json!(Notice { text: text.to_owned(), signature }).to_string().into_bytes()
        };
        assert_eq!(read(&notice(&key, &text, &text), own.der()), Some(moved));
        assert_eq!(read(&notice(&other, &text, &text), own.der()), None);
        let changed = text.replace("new", "bad");
        assert_eq!(read(&notice(&key, &changed, &text), own.der()), None);
        assert_eq!(read(b"{}", own.der()), None);
    }
}
