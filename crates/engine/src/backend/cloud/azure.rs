//! Azure Blob Storage, through the `object_store` crate.
//!
//! Without a key of its own, a backend asks in this order: `AZURE_STORAGE_ACCOUNT_KEY`, a service
//! principal (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET` or
//! `AZURE_FEDERATED_TOKEN_FILE`), `AZURE_STORAGE_SAS_TOKEN`, the machine's managed identity.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use tintype_model::{Error, Result};

use super::answer::{Answer, Failure, classify};
use super::http::Transport;
use super::{Answered, CloudBackend, Download, Driver, Page, Part, runtime};
use crate::backend::clock::Dates;
use crate::backend::s3::AccessKey;
use crate::backend::url::AzureLocation;
use crate::backend::{Backend, Retries, StoreFeatures};

/// What the id of a key says that its secret is.
pub const ACCOUNT_KEY: &str = "account-key";
pub const SAS: &str = "sas";

const CREDENTIALS: &str = "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or give the \
                           machine a managed identity";

struct Azure {
    location: AzureLocation,
    store: MicrosoftAzure,
}

/// Reads where credentials come from; sends nothing to the store yet. A key's id is [`ACCOUNT_KEY`]
/// or [`SAS`].
pub fn open(
    location: AzureLocation,
    key: Option<&AccessKey>,
    retries: Retries,
) -> Result<impl Backend + use<>> {
    let runtime = runtime()?;
    let inside = runtime.enter();
    let dates = Dates::default();
    let transport = Transport::new(location.ca.as_deref(), dates.clone())?;
    let builder = match key {
        None => MicrosoftAzureBuilder::from_env(),
        Some(key) => with_key(key)?,
    };
    let endpoint = location.endpoint.clone();
    let endpoint =
        endpoint.unwrap_or_else(|| format!("https://{}.blob.core.windows.net", location.account));
    let builder = builder
        .with_account(&location.account)
        .with_container_name(&location.container)
        .with_endpoint(endpoint)
        .with_use_emulator(false)
        .with_http_connector(transport)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    // The error may hold pieces of what is secret.
    let store = builder.build().map_err(|_| {
        Error::denied(format!("the credentials for Azure cannot be used; {CREDENTIALS}"))
    })?;
    drop(inside);
    Ok(CloudBackend::new(Azure { location, store }, runtime, dates, retries))
}

fn with_key(key: &AccessKey) -> Result<MicrosoftAzureBuilder> {
    let (id, secret, _) = key.reveal();
    let builder = MicrosoftAzureBuilder::new();
    match id {
        ACCOUNT_KEY => Ok(builder.with_access_key(secret)),
        SAS => Ok(builder.with_config(AzureConfigKey::SasKey, secret)),
        other => Err(Error::invalid(format!(
            "a key for Azure is called {ACCOUNT_KEY} or {SAS}, which says what its secret is; not \
             {other:?}"
        ))),
    }
}

impl Azure {
    fn place(&self) -> String {
        let AzureLocation { account, container, .. } = &self.location;
        format!("container {container} of account {account}")
    }

    fn failure(&self, error: object_store::Error, is_of_object: bool) -> Failure {
        classify(&error, &self.place(), is_of_object, CREDENTIALS)
    }

    /// Of a request about an object, of which no more is known.
    fn answered(&self, status: u16) -> Failure {
        Answer::new(status, &http::HeaderMap::new(), b"").failure(&self.place(), true)
    }
}

/// A deletion travels as a batch of one, whose own answer the library gives as words.
fn refusal(error: &object_store::Error) -> Option<u16> {
    match error {
        object_store::Error::NotFound { .. } => Some(404),
        other => other.to_string().rsplit_once("(code: ")?.1.trim_end_matches(')').parse().ok(),
    }
}

/// A range that begins behind the end is refused by the library, in words; of an empty object Azurite
/// gives the range `0--1`, which the library cannot read.
fn is_past_end(error: &object_store::Error) -> bool {
    let said = error.to_string();
    said.contains("but object was only") || said.contains("bytes 0--1/0")
}

impl Driver for Azure {
    /// Blocks need nothing in common: what is not in the list at the end is forgotten by the store.
    type Session = String;

    fn describe(&self) -> String {
        let AzureLocation { account, container, prefix, endpoint, .. } = &self.location;
        let place = format!("azure://{account}/{container}/{prefix}");
        let place = place.trim_end_matches('/');
        match endpoint {
            Some(endpoint) => format!("{place} at {endpoint}"),
            None => place.to_owned(),
        }
    }

    fn prefix(&self) -> &str {
        &self.location.prefix
    }

    async fn put(&self, key: &str, data: Bytes, if_absent: bool) -> Answered<()> {
        let mode = if if_absent { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, ..PutOptions::default() };
        let (path, payload) = (Path::from(key), PutPayload::from_bytes(data));
        let put = self.store.put_opts(&path, payload, options).await;
        put.map(drop).map_err(|error| self.failure(error, false))
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Answered<Download> {
        let range = range.map(GetRange::Bounded);
        let options = GetOptions { range, ..GetOptions::default() };
        let answer = self.store.get_opts(&Path::from(key), options).await;
        let answer = answer.map_err(|error| match is_past_end(&error) {
            true => self.answered(416),
            false => self.failure(error, true),
        })?;
        let length = Some(answer.range.end - answer.range.start);
        let bytes = answer.into_stream();
        let bytes = bytes.map_err(|error| Error::unavailable(error.to_string()).into()).boxed();
        Ok(Download { length, bytes })
    }

    async fn size(&self, key: &str) -> Answered<u64> {
        let head = self.store.head(&Path::from(key)).await;
        head.map(|found| found.size).map_err(|error| self.failure(error, true))
    }

    async fn page(&self, prefix: &str, token: Option<&str>) -> Answered<Page> {
        let page_token = token.map(str::to_owned);
        let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
        let page = self.store.list_paginated(Some(prefix), options).await;
        let page = page.map_err(|error| self.failure(error, false))?;
        let listed = page.result.objects.into_iter();
        let listed = listed.map(|found| (found.location.to_string(), found.size)).collect();
        Ok(Page { listed, next: page.page_token })
    }

    async fn delete(&self, key: &str) -> Answered<()> {
        self.store.delete(&Path::from(key)).await.map_err(|error| match refusal(&error) {
            Some(status) => self.answered(status),
            None => self.failure(error, true),
        })
    }

    async fn begin(&self, key: &str) -> Answered<String> {
        let begun = self.store.create_multipart(&Path::from(key)).await;
        begun.map_err(|error| self.failure(error, false))
    }

    async fn part(&self, key: &str, session: &String, part: Part) -> Answered<String> {
        let payload = PutPayload::from_bytes(part.data);
        let sent = self.store.put_part(&Path::from(key), session, 0, payload).await;
        sent.map(|part| part.content_id).map_err(|error| self.failure(error, false))
    }

    async fn finish(&self, key: &str, session: &String, parts: Vec<String>) -> Answered<()> {
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = self.store.complete_multipart(&Path::from(key), session, parts).await;
        done.map(drop).map_err(|error| self.failure(error, false))
    }

    async fn abandon(&self, _: &str, _: &String) -> Answered<()> {
        Ok(())
    }

    /// Not asked for: they belong to the account, which whoever may write need not see.
    async fn features(&self) -> Answered<StoreFeatures> {
        Ok(StoreFeatures::default())
    }
}
