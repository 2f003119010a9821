//! Encryption towards a server, with the words of PostgreSQL's own clients
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tintype_model::env::Clock;
use tintype_model::{Error, Result};

use super::At;
use crate::connector::Context;

/// How long a server may take to agree.
const PATIENCE: Duration = Duration::from_secs(10);
/// A message of eight bytes with the number that asks for encryption.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// A longer file of certificates is not read.
const MOST_BYTES: u64 = 4 << 20;

/// Whether a connection over the network is encrypted, as PostgreSQL's clients name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SslMode {
    /// Never.
    Disable,
    /// If the server can; whoever sits in between can prevent and read it.
    #[default]
    Prefer,
    /// Else there is no connection. The server is not known to be the right one, unless
    /// `sslrootcert` is given.
    Require,
    /// And its certificate is of an authority in `sslrootcert`.
    VerifyCa,
    /// And it is made out to `host`.
    VerifyFull,
}

impl SslMode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// What came of asking.
pub(super) enum Asked {
    Plain(TcpStream),
    Encrypted(Box<Stream>),
}

impl At {
    /// What can be told without a server.
    pub(super) fn check_tls(&self, name: &str) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("{name}: {what}")));
        match (self.sslmode, &self.sslrootcert) {
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => {
                let mode = self.sslmode.name();
                wrong(&format!(
                    "sslmode {mode} needs sslrootcert, a file with the authority's certificate"
                ))
            }
            (SslMode::Disable | SslMode::Prefer, Some(_)) => {
                wrong("sslrootcert needs sslmode require, verify-ca or verify-full")
            }
            _ => Ok(()),
        }
    }
}

/// Asks a server for encryption, before anything else is said. The socket has a read timeout.
pub(super) fn ask(name: &str, at: &At, mut socket: TcpStream, context: &Context) -> Result<Asked> {
    if at.sslmode == SslMode::Disable {
        return Ok(Asked::Plain(socket));
    }
    let shown = format!("{name}: PostgreSQL at {}", at.shown());
    let failed = |error: io::Error| Error::unavailable(format!("{shown}: {error}"));
    socket.write_all(&REQUEST).map_err(failed)?;
    let mut answer = [0];
    // One byte and no more: what comes after it is encrypted.
    until(context, || match socket.read(&mut answer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(true),
    })?
    .map_err(failed)?;
    match answer[0] {
        b'S' => {}
        b'N' if at.sslmode == SslMode::Prefer => return Ok(Asked::Plain(socket)),
        b'N' => {
            let mode = at.sslmode.name();
            return Err(Error::denied(format!(
                "{shown}: does not encrypt, and sslmode is {mode}; switch `ssl` on in the server, or \
                 use its socket"
            )));
        }
        _ => {
            let what = "it does not say whether it encrypts; see its log";
            return Err(Error::unavailable(format!("{shown}: {what}")));
        }
    }
    let host = ServerName::try_from(at.host.clone())
        .map_err(|error| Error::invalid(format!("{name}: host {:?}: {error}", at.host)))?;
    let config = config(name, at, context)?;
    let connection = ClientConnection::new(Arc::new(config), host);
    let connection = connection.map_err(|error| Error::invalid(format!("{name}: {error}")))?;
    let mut stream = StreamOwned::new(connection, socket);
    until(context, || agree(&mut stream))?.map_err(|error| refused(&shown, at, &error))?;
    Ok(Asked::Encrypted(Box::new(stream)))
}

fn refused(shown: &str, at: &At, error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, &at.sslrootcert) {
        (Some(rustls::Error::InvalidCertificate(why)), Some(file)) => Error::denied(format!(
            "{shown}: its certificate does not fit sslmode {} with {}: {why}",
            at.sslmode.name(),
            file.display()
        )),
        _ => Error::unavailable(format!("{shown}: no encryption was agreed on: {error}")),
    }
}

/// One message of a handshake; gives whether that was the last.
fn agree(stream: &mut Stream) -> io::Result<bool> {
    let StreamOwned { conn, sock } = stream;
    if conn.wants_write() {
        conn.write_tls(sock)?;
    } else if conn.read_tls(sock)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    } else if let Err(error) = conn.process_new_packets() {
        // The server should learn why; it may be gone.
        let _ = conn.write_tls(sock);
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(!conn.is_handshaking() && !conn.wants_write())
}

/// Calls until it is done, for as long as a server may take.
fn until(context: &Context, mut step: impl FnMut() -> io::Result<bool>) -> Result<io::Result<()>> {
    let begun = context.clock.elapsed();
    loop {
        match step() {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => {}
            Err(error) => {
                use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
                if !matches!(error.kind(), Interrupted | TimedOut | WouldBlock) {
                    return Ok(Err(error));
                }
            }
        }
        context.cancel.check()?;
        if context.clock.elapsed().saturating_sub(begun) > PATIENCE {
            let late = io::Error::new(io::ErrorKind::TimedOut, "it takes too long to answer");
            return Ok(Err(late));
        }
    }
}

fn config(name: &str, at: &At, context: &Context) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match &at.sslrootcert {
        None => Verifier {
            known: Vec::new(),
            chains: None,
            provider: Arc::clone(&provider),
            named: false,
        },
        Some(file) => {
            let named = at.sslmode == SslMode::VerifyFull;
            Verifier::of(file, named, &provider).map_err(|error| error.context(name))?
        }
    };
    let now = Arc::new(Now(Arc::clone(&context.clock)));
    let versions = ClientConfig::builder_with_details(provider, now)
        .with_safe_default_protocol_versions()
        .expect("the provider knows both versions");
    let verified = versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(verified.with_no_client_auth())
}

struct Now(Arc<dyn Clock>);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

#[derive(Debug)]
struct Verifier {
    /// Certificates that were named: of authorities, or that of the server itself.
    known: Vec<CertificateDer<'static>>,
    /// None: whoever answers is taken for the server.
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// Whether the name must be right, too.
    named: bool,
}

impl Verifier {
    fn of(file: &Path, named: bool, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let shown = || format!("sslrootcert {}", file.display());
        let mut text = Vec::new();
        std::fs::File::open(file)
            .and_then(|opened| opened.take(MOST_BYTES).read_to_end(&mut text))
            .map_err(|error| Error::io(error, shown()))?;
        let wrong = |why: &dyn fmt::Display| Error::invalid(format!("{}: {why}", shown()));
        let known: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        let mut roots = RootCertStore::empty();
        for certificate in &known {
            roots.add(certificate.clone()).map_err(|error| wrong(&error))?;
        }
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let chains = chains.build().map_err(|error| wrong(&error))?;
        Ok(Self { known, chains: Some(chains), provider: Arc::clone(provider), named })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        // One that is signed by itself, and was named itself: no chain is needed.
        if self.known.iter().any(|known| known == server) {
            if self.named {
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chains.verify_server_cert(server, more, name, ocsp, now) {
            // The name is looked at last.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.named => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a program of PostgreSQL is told of it.
pub(super) fn environment(at: &At) -> Vec<(&'static str, PathBuf)> {
    let mut all = vec![("PGSSLMODE", at.sslmode.name().into())];
    all.extend(at.sslrootcert.clone().map(|file| ("PGSSLROOTCERT", file)));
    all
}
