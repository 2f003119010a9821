//! Where a repository is, as people write it: a path, `file:///path`, or
//! `s3://bucket/prefix?endpoint=https://host:port&region=…&ca=/file.pem&path-style=true&profile=…`.
//!
//! An unknown key is refused, since an option that does nothing is worse than none. Secrets
//! never stand in a URL: it is printed, logged and kept in shell histories.

use std::path::PathBuf;

use tintype_model::{Error, Result};

use super::name::check_name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    S3(S3Location),
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

const SUPPORTED: &str =
    "supported are a path, file:///path and s3://bucket/prefix?endpoint=https://host";
const S3_KEYS: [&str; 5] = ["endpoint", "region", "ca", "path-style", "profile"];

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
            other => {
                Err(Error::invalid(format!("storage scheme {other:?} is unknown: {SUPPORTED}")))
            }
        }
    }

    fn path(path: &str) -> Result<Self> {
        if let Some(rest) = path.strip_prefix("s3:") {
            return Err(Error::invalid(format!("write s3://{}", rest.trim_start_matches('/'))));
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

impl S3Location {
    fn parse(rest: &str) -> Result<Self> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(Error::invalid(
                "a storage URL holds no credentials: use AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, a profile or a role",
            ));
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(Error::invalid("s3:// needs a bucket: s3://bucket/prefix"));
        }
        if bucket.contains(':') {
            return Err(Error::invalid(format!(
                "{bucket:?} is no bucket; the server goes into the query: s3://bucket?endpoint=https://host:port"
            )));
        }
        let mut location = Self {
            bucket: bucket.to_owned(),
            prefix: prefix_of(&decode(prefix)?)?,
            ..Self::default()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            location.set(key, decode(value)?)?;
        }
        Ok(location)
    }

    fn set(&mut self, key: &str, value: String) -> Result<()> {
        if S3_KEYS.contains(&key) && value.is_empty() {
            return Err(Error::invalid(format!("{key} in the storage URL has no value")));
        }
        match key {
            "endpoint" => self.endpoint = Some(endpoint(value)?),
            "region" => self.region = Some(value),
            "ca" => self.ca = Some(PathBuf::from(value)),
            "path-style" => {
                self.path_style = Some(value.parse().map_err(|_| {
                    Error::invalid(format!("path-style is true or false, not {value:?}"))
                })?);
            }
            "profile" => self.profile = Some(value),
            // The value is not repeated: it may be a secret.
            _ => {
                let nearest = nearest(key, &S3_KEYS);
                return Err(Error::invalid(format!(
                    "{key:?} in the storage URL is unknown; the nearest known key is {nearest:?}"
                )));
            }
        }
        Ok(())
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

fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    known.iter().copied().min_by_key(|one| distance(word, one)).expect("some keys are known")
}

/// Levenshtein's.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<_> = to.chars().collect();
    let mut row: Vec<_> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
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
    fn refusals_say_what_to_write() {
        assert!(fails("s3://b?regoin=x").ends_with("nearest known key is \"region\""));
        assert!(fails("s3://b?pathstyle=true").ends_with("\"path-style\""));
        assert!(fails("gs://b").contains("supported are a path, file:///path and s3://"));
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
    }
}
