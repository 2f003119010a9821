//! Certificates: one's own authority and a certificate of it, made where none is given.

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tintype_model::{Error, Result};

const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "certificate.key";
/// The authority lasts as long as an installation may.
const AUTHORITY_YEARS: i16 = 30;
const CERTIFICATE_YEARS: i16 = 5;
/// In the data directory.
pub const DIRECTORY: &str = "tls";
/// The key of the authority last: its presence says that all of it is there.
pub const FILES: [&str; 4] = [AUTHORITY, CERTIFICATE, KEY, AUTHORITY_KEY];
/// Those that depend on names and addresses.
pub const OF_NAMES: [&str; 2] = [KEY, CERTIFICATE];

pub fn is_there(directory: &Path) -> bool {
    directory.join(AUTHORITY_KEY).exists()
}

/// Where a certificate and its key are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What a client must trust; none where it is known to all already.
    pub authority: Option<PathBuf>,
}

/// Those in `directory`, made when they are not there.
pub fn own(directory: &Path, names: &[String], now: Timestamp) -> Result<Files> {
    let at = |name: &str| directory.join(name);
    if !at(AUTHORITY_KEY).exists() {
        std::fs::create_dir_all(directory).map_err(|e| Error::io(e, directory.display()))?;
        let key = KeyPair::generate().map_err(broken)?;
        let certificate = authority(now)?.self_signed(&key).map_err(broken)?;
        write(&at(AUTHORITY), &certificate.pem(), 0o644)?;
        // Last: its presence says that both are there.
        write(&at(AUTHORITY_KEY), &key.serialize_pem(), 0o600)?;
    }
    if !at(KEY).exists() {
        let text =
            |name| std::fs::read_to_string(at(name)).map_err(|e| Error::io(e, at(name).display()));
        let key = KeyPair::from_pem(&text(AUTHORITY_KEY)?).map_err(broken)?;
        // Only what the issuer is called is read of it.
        let issuer = Issuer::new(authority(now)?, key);
        let key = KeyPair::generate().map_err(broken)?;
        let certificate = server(names, now)?.signed_by(&key, &issuer).map_err(broken)?;
        write(&at(CERTIFICATE), &certificate.pem(), 0o644)?;
        write(&at(KEY), &key.serialize_pem(), 0o600)?;
    }
    Ok(Files { certificate: at(CERTIFICATE), key: at(KEY), authority: Some(at(AUTHORITY)) })
}

fn authority(now: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(broken)?;
    params.distinguished_name.push(DnType::CommonName, "Tintype authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, now, AUTHORITY_YEARS);
    Ok(params)
}

fn server(names: &[String], now: Timestamp) -> Result<CertificateParams> {
    let wrong = |error| Error::invalid(format!("a name for the certificate: {error}"));
    let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    params.distinguished_name.push(DnType::CommonName, "Tintype");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, CERTIFICATE_YEARS);
    Ok(params)
}

/// From yesterday on: clocks differ.
pub(crate) fn valid(params: &mut CertificateParams, now: Timestamp, years: i16) {
    let today = now.to_zoned(TimeZone::UTC).date();
    let from = today.yesterday().unwrap_or(today);
    let day = |date: jiff::civil::Date, years: i16| {
        rcgen::date_time_ymd(
            i32::from(date.year() + years),
            date.month() as u8,
            date.day().min(28) as u8,
        )
    };
    params.not_before = day(from, 0);
    params.not_after = day(today, years);
}

pub(crate) fn broken(error: rcgen::Error) -> Error {
    Error::internal(format!("making a certificate: {error}"))
}

/// Whole or not at all.
fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    let failed = |error| Error::io(error, file.display());
    let part = file.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(mode);
    let mut made = options.open(&part).map_err(failed)?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
    std::fs::rename(&part, file).map_err(failed)
}

/// Names and addresses of this host under which it can be reached at least from itself.
pub fn usual_names(listen: IpAddr) -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let is_name = |name: &String| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    };
    names.extend(Some(host).filter(is_name));
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    names.sort();
    names.dedup();
    names
}

/// For a listener: TLS 1.2 and 1.3.
pub fn server_config(files: &Files) -> Result<Arc<ServerConfig>> {
    let what = |file: &Path, error: &dyn std::fmt::Display| {
        Error::invalid(format!("{}: {error}", file.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| what(&files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| what(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key);
    let mut config = config.map_err(|error| what(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
