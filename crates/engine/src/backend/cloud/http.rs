//! How requests travel: rustls over the system's authorities and one's own, HTTP/1.1. What is not a
//! success becomes an [`Answer`] here already, before a library words it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tintype_model::{Error, Result};

use super::answer::Answer;
use crate::backend::clock::Dates;

const CONNECT: Duration = Duration::from_secs(10);
/// Of what a store says when it refuses.
const MOST_WORDS: usize = 64 << 10;

#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client<HttpsConnector<Tcp>, HttpRequestBody>,
    dates: Dates,
}

impl Transport {
    /// `ca`: a file of certificates that are trusted besides the system's.
    pub(super) fn new(ca: Option<&Path>, dates: Dates) -> Result<Self> {
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(trust(ca)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).build(tls);
        Ok(Self { client, dates })
    }

    pub(super) fn client(&self) -> HttpClient {
        HttpClient::new(self.clone())
    }
}

fn trust(ca: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Some of a system's own may be unreadable or out of fashion.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let pem = std::fs::read(path).map_err(|error| {
            Error::io(error, format_args!("cannot read certificates of {}", path.display()))
        })?;
        let mut own = CertificateDer::pem_slice_iter(&pem).flatten().peekable();
        if own.peek().is_none() {
            return Err(Error::invalid(format!("{} holds no PEM certificate", path.display())));
        }
        for certificate in own {
            roots.add(certificate).map_err(|error| {
                Error::invalid(format!("a certificate of {} cannot be used", path.display()))
                    .with_source(error)
            })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .map_err(|error| Error::internal("the cipher suites cannot be used").with_source(error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client())
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let failed = |error| HttpError::new(HttpErrorKind::Unknown, error);
        let response = self.client.request(request).await.map_err(failed)?;
        self.dates.saw(response.headers().get("date").map(http::HeaderValue::as_bytes));
        if response.status().as_u16() < 400 {
            let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            return Ok(response.map(|body| HttpResponseBody::new(body.map_err(broken))));
        }
        let (parts, body) = response.into_parts();
        // Words that do not come to an end are none.
        let words = Limited::new(body, MOST_WORDS).into_data_stream();
        let words = words.try_fold(Vec::new(), async |mut all, piece| {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let words = words.await.unwrap_or_default();
        let answer = Answer::new(parts.status.as_u16(), &parts.headers, &words);
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}
