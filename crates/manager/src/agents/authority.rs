//! The authority of agents: it signs their certificates, the manager's own for the name under which
//! agents know it, and notices that the manager has moved. It belongs to the installation and lies
//! sealed in the catalog, so that it goes wherever the manager does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey as _,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tintype_api::agent::{Certificate, SERVER_NAME};
use tintype_model::env::Clock;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::Env;

use crate::catalog::secrets::{self, Of};
use crate::catalog::{Catalog, facts};
use crate::seal::MasterKey;
use crate::tls::{broken, valid};

/// Of the facts: the certificate.
const FACT: &str = "agents-authority";
/// Owner of the sealed key.
const KIND: &str = "authority";
const KEY: &str = "key";
/// Behind the id of an agent, in its certificate.
const DOMAIN: &str = ".agent.tintype.internal";
const DAYS: i64 = 30;
/// Of a certificate that is made at each start.
const OWN_YEARS: i16 = 5;
const YEARS: i16 = 30;

pub struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

/// What an agent sent of its key pair.
struct Theirs(Vec<u8>);

impl PublicKeyData for Theirs {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    /// That of the installation, which is made when there is none.
    pub async fn of(
        catalog: &Catalog,
        master: &MasterKey,
        installation: &Id,
        env: &Env,
    ) -> Result<Self> {
        let of = Of { kind: KIND, id: installation, name: KEY };
        let known = facts::get(&mut *catalog.read().await?, FACT).await?;
        if let Some(known) = known {
            let damaged = || Error::corrupt("the catalog: the authority of agents");
            let certificate = STANDARD.decode(known).map_err(|_| damaged())?;
            let key = secrets::need(&mut *catalog.read().await?, of, master).await?;
            let key = KeyPair::try_from(key.as_slice()).map_err(|_| damaged())?;
            return Ok(Self { key, certificate: certificate.into() });
        }
        let key = KeyPair::generate().map_err(broken)?;
        let certificate = params(env.clock.now())?.self_signed(&key).map_err(broken)?;
        let mut change = catalog.change().await?;
        facts::set(change.on(), FACT, &STANDARD.encode(certificate.der())).await?;
        secrets::put(change.on(), of, key.serialized_der(), master, &*env.random).await?;
        change.commit_own_books().await?;
        Ok(Self { key, certificate: certificate.der().clone() })
    }

    /// What agents pin (DER).
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// For the agent of that id; `public_key` is base64 of an uncompressed point.
    pub fn issue(&self, id: &Id, public_key: &str, now: Timestamp) -> Result<Certificate> {
        let wrong = || Error::invalid("`public_key` is no uncompressed point of P-256");
        let point = STANDARD.decode(public_key).map_err(|_| wrong())?;
        if point.len() != 65 || point[0] != 4 {
            return Err(wrong());
        }
        let mut params = CertificateParams::new(vec![format!("{id}{DOMAIN}")]).map_err(broken)?;
        params.distinguished_name.push(DnType::CommonName, "Tintype agent");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let expires = now.checked_add(SignedDuration::from_hours(24 * DAYS));
        let expires = expires.map_err(|error| Error::internal(error.to_string()))?;
        valid(&mut params, now, 0);
        // To the day, and not before it.
        let date = expires.to_zoned(TimeZone::UTC).date();
        let date = date.tomorrow().unwrap_or(date);
        params.not_after =
            rcgen::date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8);
        let signed = params.signed_by(&Theirs(point), &self.issuer(now)?).map_err(broken)?;
        Ok(Certificate { pem: signed.pem(), issued: now, expires })
    }

    fn issuer(&self, now: Timestamp) -> Result<Issuer<'static, &KeyPair>> {
        // Only what the issuer is called is read of it.
        Ok(Issuer::new(params(now)?, &self.key))
    }

    /// For connections of agents: they show certificates of this authority, but for those that have
    /// not joined yet.
    pub fn server_config(&self, clock: &Arc<dyn Clock>) -> Result<Arc<ServerConfig>> {
        let now = clock.now();
        let key = KeyPair::generate().map_err(broken)?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(broken)?;
        params.distinguished_name.push(DnType::CommonName, "Tintype manager");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, OWN_YEARS);
        let own = params.signed_by(&key, &self.issuer(now)?).map_err(broken)?;
        let failed = |error: &dyn fmt::Display| Error::internal(format!("TLS: {error}"));
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| failed(&error))?;
        let time = Arc::new(Time(Arc::clone(clock)));
        let key = PrivatePkcs8KeyDer::from(key.serialized_der().to_vec());
        let config = ServerConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.der().clone()], key.into());
        let mut config = config.map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each connection shows a certificate that is valid now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// ECDSA with SHA-256, as DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key.sign(message).map_err(broken)
    }
}

fn params(now: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(broken)?;
    params.distinguished_name.push(DnType::CommonName, "Tintype agents");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    valid(&mut params, now, YEARS);
    Ok(params)
}

/// The agent that a certificate is of; it was checked before.
pub fn agent_of(certificate: &CertificateDer<'_>) -> Option<Id> {
    let read = webpki::EndEntityCert::try_from(certificate).ok()?;
    let id = read.valid_dns_names().find_map(|name| name.strip_suffix(DOMAIN))?;
    id.parse().ok()
}

/// The manager's clock, for the validity of certificates.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
