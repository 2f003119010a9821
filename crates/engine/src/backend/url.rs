//! Where a repository is, as people write it: a path, `file:///path`,
//! `s3://bucket/prefix?endpoint=https://host:port&region=…&ca=/file.pem&path-style=true&profile=…`,
//! `gs://bucket/prefix` or `azure://account/container/prefix`, the last two with `endpoint` and `ca`.
//!
//! An unknown key is refused, since an option that does nothing is worse than none. Secrets
//! never stand in a URL: it is printed, logged and kept in shell histories.

use std::path::PathBuf;

use tintype_model::nearest::nearest;
use tintype_model::{Error, Result};

use super::name::check_name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    S3(S3Location),
    Google(GoogleLocation),
    Azure(AzureLocation),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Location {
    pub bucket: String,
    /// Empty, or with a slash at its end.
    pub prefix: String,
    /// `None`: Amazon.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// A file of PEM certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// The bucket in the path and not in the host name. `None`: yes with an endpoint.
    pub path_style: Option<bool>,
    /// A section of the shared configuration and credentials files.
    pub profile: Option<String>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoogleLocation {
    pub bucket: String,
    /// Empty, or with a slash at its end.
    pub prefix: String,
    /// `None`: Google.
    pub endpoint: Option<String>,
    /// A file of PEM certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureLocation {
    pub account: String,
    pub container: String,
    /// Empty, or with a slash at its end.
    pub prefix: String,
    /// Of the account. `None`: Azure's.
    pub endpoint: Option<String>,
    /// A file of PEM certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
}

const SUPPORTED: &str = "supported are a path, file:///path, s3://bucket/prefix?endpoint=https://host, \
                         gs://bucket/prefix and azure://account/container/prefix";
const S3_KEYS: &[&str] = &["endpoint", "region", "ca", "path-style", "profile"];
const CLOUD_KEYS: &[&str] = &["endpoint", "ca"];

impl Location {
    pub fn parse(url: &str) -> Result<Self> {
        if url.is_empty() || url.contains('\0') {
            return Err(Error::invalid(format!("no storage given: {SUPPORTED}")));
        }
        let Some((scheme, rest)) = split_scheme(url) else {
            return Self::path(url);
        };
        match scheme {
            "file" if rest.starts_with('/') => Self::path(&decode(rest)?),
            "file" => Err(Error::invalid("file: needs three slashes: file:///path")),
            "s3" => Ok(Self::S3(S3Location::parse(rest)?)),
            "gs" => Ok(Self::Google(GoogleLocation::parse(rest)?)),
            "azure" => Ok(Self::Azure(AzureLocation::parse(rest)?)),
            other => {
                Err(Error::invalid(format!("storage scheme {other:?} is unknown: {SUPPORTED}")))
            }
        }
    }

    /// Across a network, by its own kind: a directory may be too.
    pub fn is_cloud(&self) -> bool {
        !matches!(self, Self::Directory(_))
    }

    fn path(path: &str) -> Result<Self> {
        for scheme in ["s3", "gs", "azure"] {
            if let Some(rest) = path.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')) {
                let rest = rest.trim_start_matches('/');
                return Err(Error::invalid(format!("write {scheme}://{rest}")));
            }
        }
        Ok(Self::Directory(PathBuf::from(path)))
    }
}

/// A path may hold `://` further on, so the scheme must look like one.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal);
    is_scheme.then_some((scheme, rest))
}

/// The place before the `?`, and what stands after it.
struct Parts<'a> {
    place: &'a str,
    query: Vec<(&'a str, String)>,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str, credentials: &str) -> Result<Self> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(Error::invalid(format!(
                "a storage URL holds no credentials: use {credentials}"
            )));
        }
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((key, decode(value)?))
        });
        Ok(Self { place, query: pairs.collect::<Result<_>>()? })
    }
}

/// A known key needs a value; an unknown one is refused, without its value: that may be a secret.
fn check_key(key: &str, value: &str, known: &[&str]) -> Result<()> {
    if !known.contains(&key) {
        let nearest = nearest(key, known.iter().copied()).expect("some keys are known");
        return Err(Error::invalid(format!(
            "{key:?} in the storage URL is unknown; the nearest known key is {nearest:?}"
        )));
    }
    match value {
        "" => Err(Error::invalid(format!("{key} in the storage URL has no value"))),
        _ => Ok(()),
    }
}

/// Of a bucket and the like.
fn check_place(name: &str, what: &str, example: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(format!("the storage URL needs {what}: {example}")));
    }
    if name.contains(':') {
        return Err(Error::invalid(format!(
            "{name:?} is not {what}; the server goes into the query: {example}?endpoint=https://host:port"
        )));
    }
    Ok(())
}

impl S3Location {
    fn parse(rest: &str) -> Result<Self> {
        let parts =
            Parts::of(rest, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role")?;
        let (bucket, prefix) = parts.place.split_once('/').unwrap_or((parts.place, ""));
        check_place(bucket, "a bucket", "s3://bucket/prefix")?;
        let mut location = Self {
            bucket: bucket.to_owned(),
            prefix: prefix_of(&decode(prefix)?)?,
            ..Self::default()
        };
        for (key, value) in parts.query {
            check_key(key, &value, S3_KEYS)?;
            location.set(key, value)?;
        }
        Ok(location)
    }

    fn set(&mut self, key: &str, value: String) -> Result<()> {
        match key {
            "endpoint" => self.endpoint = Some(endpoint(value)?),
            "region" => self.region = Some(value),
            "ca" => self.ca = Some(PathBuf::from(value)),
            "path-style" => {
                self.path_style = Some(value.parse().map_err(|_| {
                    Error::invalid(format!("path-style is true or false, not {value:?}"))
                })?);
            }
            _ => self.profile = Some(value),
        }
        Ok(())
    }
}

/// `endpoint` and `ca`.
fn cloud_query(query: Vec<(&str, String)>) -> Result<(Option<String>, Option<PathBuf>)> {
    let (mut at, mut ca) = (None, None);
    for (key, value) in query {
        check_key(key, &value, CLOUD_KEYS)?;
        match key {
            "endpoint" => at = Some(endpoint(value)?),
            _ => ca = Some(PathBuf::from(value)),
        }
    }
    Ok((at, ca))
}

/// These stand in paths of requests as they are.
fn check_characters(name: &str) -> Result<()> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    match name.chars().all(is_good) {
        true => Ok(()),
        false => {
            Err(Error::invalid(format!("{name:?} cannot be the name of a bucket or container")))
        }
    }
}

impl GoogleLocation {
    fn parse(rest: &str) -> Result<Self> {
        let parts =
            Parts::of(rest, "GOOGLE_APPLICATION_CREDENTIALS or the machine's service account")?;
        let (bucket, prefix) = parts.place.split_once('/').unwrap_or((parts.place, ""));
        check_place(bucket, "a bucket", "gs://bucket/prefix")?;
        check_characters(bucket)?;
        let (endpoint, ca) = cloud_query(parts.query)?;
        let prefix = prefix_of(&decode(prefix)?)?;
        Ok(Self { bucket: bucket.to_owned(), prefix, endpoint, ca })
    }
}

impl AzureLocation {
    fn parse(rest: &str) -> Result<Self> {
        let parts = Parts::of(
            rest,
            "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or the machine's managed identity",
        )?;
        const EXAMPLE: &str = "azure://account/container/prefix";
        let (account, below) = parts.place.split_once('/').unwrap_or((parts.place, ""));
        let (container, prefix) = below.split_once('/').unwrap_or((below, ""));
        check_place(account, "an account", EXAMPLE)?;
        check_place(container, "a container", EXAMPLE)?;
        check_characters(account)?;
        check_characters(container)?;
        let (endpoint, ca) = cloud_query(parts.query)?;
        let prefix = prefix_of(&decode(prefix)?)?;
        let (account, container) = (account.to_owned(), container.to_owned());
        Ok(Self { account, container, prefix, endpoint, ca })
    }
}

fn endpoint(value: String) -> Result<String> {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    match host {
        Some(host) if host.contains('@') => {
            Err(Error::invalid("the endpoint of a storage URL holds no credentials"))
        }
        Some(host) if !host.is_empty() => Ok(value.trim_end_matches('/').to_owned()),
        _ => Err(Error::invalid(format!("endpoint {value:?} must begin with https:// or http://"))),
    }
}

/// Any text may be a prefix in the store; ours are as narrow as the names below them.
fn prefix_of(prefix: &str) -> Result<String> {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    check_name(&prefix.to_lowercase())
        .map_err(|_| Error::invalid(format!("{prefix:?} cannot be the prefix of a repository")))?;
    Ok(format!("{prefix}/"))
}

/// `%41` is `A`; all else is itself.
fn decode(text: &str) -> Result<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(Error::invalid("a % in a storage URL needs two hexadecimal digits")),
        }
    }
    String::from_utf8(out).map_err(|_| Error::invalid("the storage URL is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(url: &str) -> String {
        Location::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn paths() {
        for (url, path) in [
            ("/srv/repo", "/srv/repo"),
            ("repo", "repo"),
            ("file:///srv/a%20b", "/srv/a b"),
            ("/odd/a://b", "/odd/a://b"),
        ] {
            assert_eq!(Location::parse(url).unwrap(), Location::Directory(path.into()), "{url}");
        }
    }

    #[test]
    fn s3() {
        let plain = Location::parse("s3://bucket").unwrap();
        let expected = S3Location { bucket: "bucket".into(), ..S3Location::default() };
        assert_eq!(plain, Location::S3(expected));
        let full = "s3://b/one/Two/?endpoint=https://host:9000/&region=eu&ca=/a%26b.pem&path-style=false&profile=p";
        let expected = S3Location {
            bucket: "b".into(),
            prefix: "one/Two/".into(),
            endpoint: Some("https://host:9000".into()),
            region: Some("eu".into()),
            ca: Some("/a&b.pem".into()),
            path_style: Some(false),
            profile: Some("p".into()),
        };
        assert_eq!(Location::parse(full).unwrap(), Location::S3(expected));
    }

    #[test]
    fn google_and_azure() {
        let expected = GoogleLocation {
            bucket: "b".into(),
            prefix: "one/".into(),
            endpoint: Some("http://h:1".into()),
            ca: Some("/ca.pem".into()),
        };
        let url = "gs://b/one?endpoint=http://h:1/&ca=/ca.pem";
        assert_eq!(Location::parse(url).unwrap(), Location::Google(expected));
        let expected = AzureLocation {
            account: "a".into(),
            container: "c".into(),
            prefix: "one/two/".into(),
            ..AzureLocation::default()
        };
        assert_eq!(Location::parse("azure://a/c/one/two").unwrap(), Location::Azure(expected));
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert!(fails("s3://b?regoin=x").ends_with("nearest known key is \"region\""));
        assert!(fails("s3://b?pathstyle=true").ends_with("\"path-style\""));
        assert!(fails("ftp://b").contains("supported are a path, file:///path, s3://"));
        assert!(fails("s3:bucket/x").contains("write s3://bucket/x"));
        assert!(fails("s3://host:9000/b").contains("endpoint="));
        assert!(fails("s3://b?endpoint=host").contains("must begin with https://"));
        for secret in
            ["s3://key:hidden@b", "s3://b?secret=hidden", "s3://b?endpoint=http://a:hidden@h"]
        {
            assert!(!fails(secret).contains("hidden"), "{}", fails(secret));
        }
        for bad in ["", "s3://", "s3://b?path-style=1", "s3://b/a%2", "file://x", "s3://b/../a"] {
            fails(bad);
        }
        assert!(fails("gs:bucket/x").contains("write gs://bucket/x"));
        assert!(fails("azure://account").contains("azure://account/container/prefix"));
        assert!(fails("gs://b?region=x").contains("the nearest known key is"));
        assert!(fails("azure://host:1/c").contains("endpoint="));
        for bad in ["gs://", "gs://b c", "azure://a/", "azure://a//p", "gs://b/../a", "gs://b?ca="]
        {
            fails(bad);
        }
        for secret in ["gs://key:hidden@b", "azure://a:hidden@b/c", "azure://a/b?sig=hidden"] {
            assert!(!fails(secret).contains("hidden"), "{}", fails(secret));
        }
    }
}
