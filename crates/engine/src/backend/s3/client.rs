//! The SDK's client, set up so that it works with stores other than Amazon's too.

use std::path::Path;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use tintype_model::{Error, Result};

use super::S3Config;
use crate::backend::clock::Dates;

const CONNECT: Duration = Duration::from_secs(10);
/// Nothing moves for so long: the connection is dead.
const STALLED: Duration = Duration::from_secs(30);
/// What stores that have no regions expect.
const ANY_REGION: &str = "us-east-1";

pub(super) async fn build(config: &S3Config, dates: Dates) -> Result<Client> {
    let location = &config.location;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(trust(location.ca.as_deref())?)
        .build_https();
    let stalled = StalledStreamProtectionConfig::enabled().grace_period(STALLED).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .stalled_stream_protection(stalled)
        .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(key) = &config.access_key {
        loader = loader.credentials_provider(key.credentials());
    }
    if let Some(profile) = &location.profile {
        loader = loader.profile_name(profile);
    }
    let region = location.region.as_deref();
    let region = region.or(location.endpoint.as_deref().map(|_| ANY_REGION));
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let loaded = loader.load().await;
    if loaded.region().is_none() {
        return Err(Error::invalid(format!(
            "the region of bucket {} is unknown: add ?region=… to the storage URL or set AWS_REGION",
            location.bucket
        )));
    }
    let path_style = location.path_style.unwrap_or(location.endpoint.is_some());
    let mut settings =
        aws_sdk_s3::config::Builder::from(&loaded).force_path_style(path_style).interceptor(dates);
    if let Some(endpoint) = &location.endpoint {
        settings = settings.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(settings.build()))
}

fn trust(ca: Option<&Path>) -> Result<TlsContext> {
    let mut store = TrustStore::default();
    if let Some(path) = ca {
        let pem = std::fs::read(path).map_err(|error| {
            Error::io(error, format_args!("cannot read certificates of {}", path.display()))
        })?;
        if !pem.windows(10).any(|window| window == b"-----BEGIN") {
            return Err(Error::invalid(format!("{} holds no PEM certificate", path.display())));
        }
        store = store.with_pem_certificate(pem);
    }
    TlsContext::builder().with_trust_store(store).build().map_err(|error| {
        Error::invalid("the trusted certificates cannot be used").with_source(error)
    })
}
