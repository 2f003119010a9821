//! `tintype.toml`; flags and environment win over it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tintype_model::patience::Patience;
use tintype_model::{Error, Result};

use crate::outside::Network;
use crate::uploads::Limits;

/// Longer files are not read.
pub const FILE_BYTES: u64 = 1 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Where the manager keeps everything.
    pub data: Option<PathBuf>,
    /// Address and port on which it listens.
    pub listen: Option<SocketAddr>,
    /// `postgres://…`; none: SQLite in the data directory.
    pub database: Option<String>,
    /// Names and addresses for the certificate that it makes.
    pub names: Vec<String>,
    pub tls: TlsFile,
    pub uploads: UploadsFile,
    pub runs: RunsFile,
}

/// How runs go on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunsFile {
    /// A storage that does not answer is waited for at most so long; 0: not at all.
    pub storage_wait_minutes: u32,
}

impl Default for RunsFile {
    fn default() -> Self {
        Self { storage_wait_minutes: 30 }
    }
}

impl RunsFile {
    pub fn patience(&self) -> Patience {
        Patience { most: Duration::from_mins(self.storage_wait_minutes.into()) }
    }
}

/// What may be uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadsFile {
    /// Of one file, and of the content of one bundle, like `200GiB`; default: 1 TiB.
    pub most: Option<String>,
    /// Addresses and networks that are not public and may be fetched from all the same.
    pub allow: Vec<Network>,
}

impl UploadsFile {
    pub fn limits(&self) -> Result<Limits> {
        let usual = Limits::default();
        let most = self.most.as_deref().map(tintype_model::size::parse).transpose();
        let most_bytes = most.map_err(|error| error.context("uploads.most"))?;
        let most_bytes = most_bytes.unwrap_or(usual.most_bytes);
        Ok(Limits { most_bytes, allowed: self.allow.clone() })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsFile {
    /// A certificate of one's own, with those above it (PEM).
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
}

const KEYS: [(&str, &[&str]); 4] = [
    ("", &["data", "listen", "database", "names", "tls", "uploads", "runs"]),
    ("tls", &["certificate", "key"]),
    ("uploads", &["most", "allow"]),
    ("runs", &["storage_wait_minutes"]),
];

impl File {
    pub fn parse(text: &str) -> Result<Self> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| Error::invalid(error.to_string()))?;
        check_keys("", &table)?;
        for (section, _) in &KEYS[1..] {
            if let Some(table) = table.get(*section).and_then(toml::Value::as_table) {
                check_keys(section, table)?;
            }
        }
        let file: Self =
            table.try_into().map_err(|error: toml::de::Error| Error::invalid(error.to_string()))?;
        if file.tls.certificate.is_some() != file.tls.key.is_some() {
            return Err(Error::invalid("`tls.certificate` and `tls.key` are given together"));
        }
        file.uploads.limits()?;
        Ok(file)
    }
}

fn check_keys(section: &str, table: &toml::Table) -> Result<()> {
    let known = KEYS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, keys)| keys);
    for key in table.keys() {
        if known.contains(&key.as_str()) {
            continue;
        }
        let dot = if section.is_empty() { "" } else { "." };
        let nearest = nearest(key, known)
            .map_or_else(String::new, |near| format!(": did you mean `{section}{dot}{near}`?"));
        return Err(Error::invalid(format!("there is no setting `{section}{dot}{key}`{nearest}")));
    }
    Ok(())
}

/// The one that is changed into `key` by the fewest letters, if those are few.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key: String = key.chars().take(64).collect();
    let best = known.iter().map(|known| (distance(&key, known), *known)).min()?;
    (best.0 <= best.1.len().div_ceil(2)).then_some(best.1)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = "data = '/var/lib/tintype'\nlisten = '[::]:8443'\nnames = ['backup.example']\n\
                    [tls]\ncertificate = 'a.pem'\nkey = 'b.pem'\n\
             [uploads]\nmost = '2GiB'\nallow = ['10.0.0.0/8']\n\
             [runs]\nstorage_wait_minutes = 5\n";
        let file = File::parse(text).unwrap();
        assert_eq!(file.uploads.limits().unwrap().most_bytes, 2 << 30);
        assert_eq!(file.runs.patience().most, Duration::from_mins(5));
        assert_eq!(RunsFile::default().patience().most, Duration::from_mins(30));
        assert_eq!(file.listen.unwrap().port(), 8443);
        assert_eq!(file.names, ["backup.example"]);
        assert_eq!(File::parse("").unwrap(), File::default());
    }

    #[test]
    fn unknown_settings_are_refused_with_the_nearest_known_one() {
        let table = [
            ("lisen = 1", "there is no setting `lisen`: did you mean `listen`?"),
            (
                "[tls]\ncertifcate = 'x'",
                "there is no setting `tls.certifcate`: did you mean `tls.certificate`?",
            ),
            (
                "[runs]\nstorage_wait = 5",
                "there is no setting `runs.storage_wait`: did you mean `runs.storage_wait_minutes`?",
            ),
            ("quux = 1", "there is no setting `quux`"),
        ];
        for (text, message) in table {
            assert_eq!(File::parse(text).unwrap_err().message(), message);
        }
        assert!(File::parse("listen = 'nowhere'").is_err());
        assert!(File::parse("[tls]\nkey = 'x'").is_err());
        assert!(File::parse("[uploads]\nallow = ['10.0.0.0/99']").is_err());
        assert!(File::parse("[uploads]\nmost = 'much'").is_err());
    }
}
