//! Google Cloud Storage, through its JSON API: the one that has put-if-absent for every kind of
//! upload (`ifGenerationMatch=0`) and that Google's own tools speak. Who we are to the store is the
//! `object_store` crate's: it knows Google's ways to get a token and renews them.
//!
//! Without a key of its own, a backend asks in this order: `GOOGLE_SERVICE_ACCOUNT_KEY` or
//! `GOOGLE_SERVICE_ACCOUNT`, the file of `GOOGLE_APPLICATION_CREDENTIALS`, what `gcloud auth
//! application-default login` left, the machine's service account.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request};
use object_store::RetryConfig;
use object_store::client::{HttpClient, HttpResponse};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use serde_json::Value;
use tintype_model::{Error, Result};

use super::answer::{Failure, classify};
use super::http::Transport;
use super::{Answered, CloudBackend, Download, Driver, Page, Part, runtime};
use crate::backend::clock::Dates;
use crate::backend::s3::AccessKey;
use crate::backend::url::GoogleLocation;
use crate::backend::{Backend, Retries, StoreFeatures};
use crate::env::Env;

const GOOGLE: &str = "https://storage.googleapis.com";
const CREDENTIALS: &str = "name a service account's key file in GOOGLE_APPLICATION_CREDENTIALS, or \
                           give the machine a service account";

struct Google {
    location: GoogleLocation,
    base: String,
    client: HttpClient,
    credentials: GcpCredentialProvider,
    /// Stands in no object, so it parts them.
    boundary: String,
}

/// Reads where credentials come from; sends nothing to the store yet. The key's secret is a service
/// account's key file; its id, where there is one, that account's e-mail address.
pub fn open(
    location: GoogleLocation,
    key: Option<&AccessKey>,
    retries: Retries,
    env: &Env,
) -> Result<impl Backend + use<>> {
    let runtime = runtime()?;
    let inside = runtime.enter();
    let dates = Dates::default();
    let transport = Transport::new(location.ca.as_deref(), dates.clone())?;
    let mut builder = match key {
        None => GoogleCloudStorageBuilder::from_env(),
        Some(key) => {
            check_key(key)?;
            GoogleCloudStorageBuilder::new().with_service_account_key(key.reveal().1)
        }
    };
    builder = builder
        .with_bucket_name(&location.bucket)
        .with_http_connector(transport.clone())
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    // The error may hold pieces of a file that is secret.
    let store = builder.build().map_err(|_| {
        Error::denied(format!(
            "the credentials for Google Cloud Storage cannot be read; {CREDENTIALS}"
        ))
    })?;
    let google = Google {
        base: location.endpoint.clone().unwrap_or_else(|| GOOGLE.to_owned()),
        client: transport.client(),
        credentials: store.credentials().clone(),
        boundary: format!("tintype-{:032x}", u128::from_le_bytes(env.bytes())),
        location,
    };
    drop(inside);
    Ok(CloudBackend::new(google, runtime, dates, retries))
}

fn check_key(key: &AccessKey) -> Result<()> {
    let (id, secret, _) = key.reveal();
    let file: Value = serde_json::from_str(secret).unwrap_or_default();
    match file["client_email"].as_str() {
        None => Err(Error::invalid(
            "the secret of a key for Google Cloud Storage is the whole key file of a service \
             account (JSON)",
        )),
        Some(email) if !id.is_empty() && id != email => {
            Err(Error::invalid(format!("the key file is one of {email}, not of {id}")))
        }
        Some(_) => Ok(()),
    }
}

/// As it stands in a path or query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |out, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            out + char::from(byte).encode_utf8(&mut [0; 4])
        }
        _ => out + &format!("%{byte:02X}"),
    })
}

fn header(answer: &HttpResponse, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn json(answer: HttpResponse) -> Answered<Value> {
    let body = answer.into_body().bytes().await;
    let body = body.map_err(|error| Error::unavailable(error.to_string()))?;
    let read = serde_json::from_slice(&body);
    read.map_err(|_| {
        Error::unsupported("the store answers in words that are not understood").into()
    })
}

/// Numbers of 64 bits are texts.
fn number(value: &Value) -> Option<u64> {
    value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok())
}

impl Google {
    fn object(&self, key: &str) -> String {
        format!("{}/storage/v1/b/{}/o/{}", self.base, self.location.bucket, encoded(key))
    }

    fn upload(&self, kind: &str, key: &str) -> String {
        let (base, bucket, name) = (&self.base, &self.location.bucket, encoded(key));
        format!("{base}/upload/storage/v1/b/{bucket}/o?uploadType={kind}&name={name}")
    }

    fn place(&self) -> String {
        format!("bucket {}", self.location.bucket)
    }

    /// `is_of_object`: what is not found is the object and not the bucket.
    async fn ask(
        &self,
        (method, url): (Method, String),
        headers: &[(&str, String)],
        body: Bytes,
        is_of_object: bool,
    ) -> Answered<HttpResponse> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            classify(error, &self.place(), is_of_object, CREDENTIALS)
        };
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| match failed(&error).into_error() {
            error if error.is(tintype_model::ErrorKind::Unavailable) => {
                Error::denied(format!("no credentials: {CREDENTIALS} ({error})")).into()
            }
            error => Failure::from(error),
        })?;
        let mut request = Request::builder().method(method).uri(url);
        if !credential.bearer.is_empty() {
            request = request.header("authorization", format!("Bearer {}", credential.bearer));
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body.into());
        let request = request
            .map_err(|error| Error::invalid("the request cannot be made").with_source(error))?;
        self.client.execute(request).await.map_err(|error| failed(&error))
    }
}

impl Driver for Google {
    /// Where parts go.
    type Session = String;

    fn describe(&self) -> String {
        let place = format!("gs://{}/{}", self.location.bucket, self.location.prefix);
        let place = place.trim_end_matches('/');
        match &self.location.endpoint {
            Some(endpoint) => format!("{place} at {endpoint}"),
            None => place.to_owned(),
        }
    }

    fn prefix(&self) -> &str {
        &self.location.prefix
    }

    async fn put(&self, key: &str, data: Bytes, if_absent: bool) -> Answered<()> {
        let boundary = &self.boundary;
        let head = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let body = [head.as_bytes(), &data, tail.as_bytes()].concat();
        let mut url = self.upload("multipart", key);
        if if_absent {
            url.push_str("&ifGenerationMatch=0");
        }
        let kind = [("content-type", format!("multipart/related; boundary={boundary}"))];
        self.ask((Method::POST, url), &kind, body.into(), false).await.map(drop)
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Answered<Download> {
        let url = format!("{}?alt=media", self.object(key));
        let mut headers = Vec::new();
        if let Some(range) = &range {
            headers.push(("range", format!("bytes={}-{}", range.start, range.end - 1)));
        }
        let answer = self.ask((Method::GET, url), &headers, Bytes::new(), true).await?;
        let length = header(&answer, "content-length").and_then(|length| length.parse().ok());
        let is_whole = range.is_some_and(|range| (range.start, Some(range.end)) != (0, length));
        if is_whole && answer.status() != 206 {
            return Err(Error::unsupported("the store does not give ranges of objects").into());
        }
        let bytes = answer.into_body().bytes_stream();
        let bytes = bytes.map_err(|error| Error::unavailable(error.to_string()).into()).boxed();
        Ok(Download { length, bytes })
    }

    async fn size(&self, key: &str) -> Answered<u64> {
        let url = format!("{}?fields=size", self.object(key));
        let told = json(self.ask((Method::GET, url), &[], Bytes::new(), true).await?).await?;
        number(&told["size"])
            .ok_or_else(|| Error::unsupported("the store does not tell the object's size").into())
    }

    async fn page(&self, prefix: &str, token: Option<&str>) -> Answered<Page> {
        let (base, bucket) = (&self.base, &self.location.bucket);
        let page = token.map(|token| format!("&pageToken={}", encoded(token)));
        let url = format!(
            "{base}/storage/v1/b/{bucket}/o?fields=items(name,size),nextPageToken&prefix={}{}",
            encoded(prefix),
            page.unwrap_or_default()
        );
        let mut told = json(self.ask((Method::GET, url), &[], Bytes::new(), false).await?).await?;
        let items = match told["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        let one = |item: Value| Some((item["name"].as_str()?.to_owned(), number(&item["size"])?));
        let next = told["nextPageToken"].as_str().map(str::to_owned);
        Ok(Page { listed: items.into_iter().filter_map(one).collect(), next })
    }

    async fn delete(&self, key: &str) -> Answered<()> {
        let url = self.object(key);
        self.ask((Method::DELETE, url), &[], Bytes::new(), true).await.map(drop)
    }

    /// The answer says where; what counts of that is on our own server.
    async fn begin(&self, key: &str) -> Answered<String> {
        let kind = [("content-type", "application/json".to_owned())];
        let url = self.upload("resumable", key);
        let answer = self.ask((Method::POST, url), &kind, Bytes::from_static(b"{}"), false).await?;
        let place = header(&answer, "location").and_then(|place| place.parse::<http::Uri>().ok());
        let place = place.as_ref().and_then(http::Uri::path_and_query);
        let place =
            place.ok_or_else(|| Error::unsupported("the store does not say where parts go"))?;
        Ok(format!("{}{place}", self.base))
    }

    /// What the store has already of it, after an answer that was lost, it passes over.
    async fn part(&self, _: &str, session: &String, part: Part) -> Answered<String> {
        let end = part.offset + part.data.len() as u64;
        let total = part.total_bytes.map_or_else(|| "*".to_owned(), |total| total.to_string());
        let mut from = part.offset;
        while from < end {
            let data = part.data.slice((from - part.offset) as usize..);
            let range = [("content-range", format!("bytes {from}-{}/{total}", end - 1))];
            let request = (Method::PUT, session.clone());
            let answer = self.ask(request, &range, data, true).await?;
            if answer.status() != 308 {
                let size = number(&json(answer).await?["size"]);
                return match part.total_bytes {
                    Some(total) if size.is_none_or(|size| size == total) => Ok(String::new()),
                    _ => Err(Error::unsupported(format!(
                        "the store ended an upload at {size:?} bytes that has {total}"
                    ))
                    .into()),
                };
            }
            let kept = header(&answer, "range").and_then(|range| {
                range.rsplit_once('-').and_then(|(_, last)| last.parse::<u64>().ok())
            });
            let kept = kept.map_or(0, |last| last + 1);
            if kept <= from || kept > end {
                return Err(Error::unavailable(format!(
                    "the store kept {kept} bytes of an upload where {end} were sent"
                ))
                .into());
            }
            from = kept;
        }
        match part.total_bytes {
            None => Ok(String::new()),
            Some(_) => Err(Error::unavailable("the store did not end the upload").into()),
        }
    }

    /// The last part ended it.
    async fn finish(&self, _: &str, _: &String, _: Vec<String>) -> Answered<()> {
        Ok(())
    }

    async fn abandon(&self, _: &str, session: &String) -> Answered<()> {
        let request = (Method::DELETE, session.clone());
        self.ask(request, &[], Bytes::new(), true).await.map(drop)
    }

    async fn features(&self) -> Answered<StoreFeatures> {
        let (base, bucket) = (&self.base, &self.location.bucket);
        let url = format!(
            "{base}/storage/v1/b/{bucket}?fields=versioning,retentionPolicy,objectRetention"
        );
        let told = json(self.ask((Method::GET, url), &[], Bytes::new(), false).await?).await?;
        let is_locked = told["objectRetention"]["mode"] == "Enabled"
            || told["retentionPolicy"]["isLocked"] == true;
        Ok(StoreFeatures {
            versioning: Some(told["versioning"]["enabled"] == true),
            object_lock: Some(is_locked),
            ..StoreFeatures::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_whole_file_of_the_account_that_is_named() {
        let file = r#"{"client_email":"a@b","private_key":"hidden"}"#;
        assert!(check_key(&AccessKey::new("a@b", file, None)).is_ok());
        assert!(check_key(&AccessKey::new("", file, None)).is_ok());
        for (id, secret) in [("c@d", file), ("a@b", "hidden"), ("a@b", "{\"x\":\"hidden\"}")] {
            let error = check_key(&AccessKey::new(id, secret, None)).unwrap_err();
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
