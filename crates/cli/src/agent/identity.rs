//! Who an agent is: its key, its certificate and what it trusts, in a file that only its owner
//! reads. The private key was made here and goes nowhere else.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use tintype_api::agent::{Certificate, Join, JoinText, Joined};
use tintype_api::client::{self, Client};
use tintype_engine::{Error, ErrorKind, Result};
use tintype_model::identifier::Id;

const FILE: &str = "identity.json";
/// Longer files are none of ours.
const FILE_BYTES: u64 = 1 << 20;
/// That many ways to the manager are remembered.
const MOST_ADDRESSES: usize = 16;
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) id: Id,
    pub(super) name: String,
    /// PEM (PKCS #8).
    key: String,
    certificate: Certificate,
    /// Base64 of the certificate of the authority that signs the manager's, too.
    authority: String,
    /// `host:port` of the manager, those that worked last first.
    pub(super) addresses: Vec<String>,
    /// When the manager left the notice that was followed last.
    #[serde(default)]
    pub(super) followed: Option<Timestamp>,
}

fn file(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// What one joins with.
pub(super) struct Joining<'j> {
    pub(super) token: &'j str,
    pub(super) name: Option<String>,
    /// In place of the addresses in the token.
    pub(super) manager: Option<&'j str>,
}

impl Identity {
    /// That of the data directory.
    pub(super) fn load(data: &Path) -> Result<Option<Self>> {
        let path = file(data);
        let found = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| Error::io(error, path.display()))?,
        };
        if found.len() > FILE_BYTES {
            return Err(Error::invalid(format!("{}: this is no identity", path.display())));
        }
        let text = std::fs::read(&path).map_err(|error| Error::io(error, path.display()))?;
        let read = serde_json::from_slice(&text).map_err(|error| {
            Error::corrupt(format!(
                "{}: {error}: bring it back, or remove it and join again",
                path.display()
            ))
        });
        read.map(Some)
    }

    /// Whole or not at all.
    pub(super) fn save(&self, data: &Path) -> Result<()> {
        let path = file(data);
        let failed = |error| Error::io(error, path.display());
        let text =
            serde_json::to_vec_pretty(self).map_err(|error| Error::internal(error.to_string()))?;
        let part = path.with_extension("part");
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut made = options.open(&part).map_err(failed)?;
        made.write_all(&text).and_then(|()| made.sync_all()).map_err(failed)?;
        std::fs::rename(&part, &path).map_err(failed)?;
        let directory = std::fs::File::open(data).and_then(|directory| directory.sync_all());
        directory.map_err(failed)
    }

    /// Makes a key pair, and shows its public half and the token to the manager.
    pub(super) fn join(joining: &Joining<'_>) -> Result<Self> {
        let JoinText { secret, authority, mut addresses } = JoinText::parse(joining.token)?;
        if let Some(manager) = joining.manager {
            addresses = vec![manager.to_owned()];
        }
        let host = tintype_runner::identity::of_this_process().host;
        let broken = |error| Error::internal(format!("making a key: {error}"));
        let key = KeyPair::generate().map_err(broken)?;
        let name = joining.name.clone().unwrap_or_else(|| host.clone());
        let join = Join {
            secret,
            public_key: STANDARD.encode(key.public_key_raw()),
            name,
            host,
            version: VERSION.to_owned(),
        };
        let trusted = client::Identity { authority: &authority, own: None };
        let mut failure = None;
        for (number, address) in addresses.iter().enumerate() {
            let answer = Client::of_agent(address, &trusted).and_then(|client| client.join(&join));
            match answer {
                Ok(joined) => {
                    addresses.swap(0, number);
                    return Ok(Self::of(joined, &key, &authority, addresses));
                }
                Err(error) if error.is(ErrorKind::Unavailable) => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::invalid("the token names no address")))
    }

    fn of(joined: Joined, key: &KeyPair, authority: &[u8], addresses: Vec<String>) -> Self {
        let mut identity = Self {
            id: joined.id,
            name: joined.name,
            key: key.serialize_pem(),
            certificate: joined.certificate,
            authority: STANDARD.encode(authority),
            addresses,
            followed: None,
        };
        identity.learn(joined.addresses);
        identity
    }

    /// Remembers addresses; whether there was a new one. The one that works stays the first.
    pub(super) fn learn(&mut self, told: Vec<String>) -> bool {
        let working = self.addresses.first().cloned();
        let old = std::mem::take(&mut self.addresses);
        for address in working.into_iter().chain(told).chain(old.iter().cloned()) {
            if !self.addresses.contains(&address) && self.addresses.len() < MOST_ADDRESSES {
                self.addresses.push(address);
            }
        }
        self.addresses != old
    }

    pub(super) fn client(&self, address: &str) -> Result<Client> {
        let authority = self.authority()?;
        let own = Some((&self.certificate.pem[..], &self.key[..]));
        Client::of_agent(address, &client::Identity { authority: &authority, own })
    }

    pub(super) fn authority(&self) -> Result<Vec<u8>> {
        let damaged = |_| Error::corrupt("the agent's identity: the authority");
        STANDARD.decode(&self.authority).map_err(damaged)
    }

    /// When a third of its time is left.
    pub(super) fn is_to_be_renewed(&self, now: Timestamp) -> bool {
        let Certificate { issued, expires, .. } = self.certificate;
        let whole = expires.duration_since(issued);
        expires.duration_since(now) < whole / 3
    }

    /// Base64, as the manager wants it.
    pub(super) fn public_key(&self) -> Result<String> {
        let damaged = |error| Error::corrupt(format!("the agent's identity: {error}"));
        let key = KeyPair::from_pem(&self.key).map_err(damaged)?;
        Ok(STANDARD.encode(key.public_key_raw()))
    }

    pub(super) fn renewed(&mut self, joined: Joined) {
        self.certificate = joined.certificate;
        self.name = joined.name;
        self.learn(joined.addresses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            id: "0".repeat(26).parse().unwrap(),
            name: "n".into(),
            key: String::new(),
            certificate: Certificate {
                pem: String::new(),
                issued: "2026-01-01T00:00:00Z".parse().unwrap(),
                expires: "2026-01-31T00:00:00Z".parse().unwrap(),
            },
            authority: String::new(),
            addresses: vec!["a:1".into(), "b:1".into()],
            followed: None,
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_is_left() {
        let identity = identity();
        for (now, is_due) in [
            ("2026-01-01T00:00:00Z", false),
            ("2026-01-20T23:00:00Z", false),
            ("2026-01-21T01:00:00Z", true),
            ("2026-03-01T00:00:00Z", true),
        ] {
            assert_eq!(identity.is_to_be_renewed(now.parse().unwrap()), is_due, "{now}");
        }
    }

    #[test]
    fn addresses_are_learned_and_the_one_that_works_stays_first() {
        let mut identity = identity();
        assert!(identity.learn(vec!["c:1".into(), "a:1".into()]));
        assert_eq!(identity.addresses, ["a:1", "c:1", "b:1"]);
        assert!(!identity.learn(vec!["c:1".into()]));
        assert!(identity.learn((0..99).map(|n| format!("x{n}:1")).collect()));
        assert_eq!(identity.addresses.len(), MOST_ADDRESSES);
    }
}
