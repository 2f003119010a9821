//! What the answers of Google and Azure mean for us. Messages name what to do; they hold codes and
//! the store's own sentence, never a header, a key or a signature.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;
use tintype_model::{Error, ErrorKind};

/// What the caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The name exists.
    Taken,
    /// Somebody else is at it.
    Conflict,
    NoObject,
    OutOfRange,
    Other,
}

/// A failed request.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    why: Why,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, why: Why::Other }
    }
}

impl Failure {
    pub(super) fn timeout(what: &str, deadline: Duration) -> Self {
        let seconds = deadline.as_secs();
        Error::unavailable(format!("{what}: no answer within {seconds} s")).into()
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }

    pub(super) fn is(&self, why: Why) -> bool {
        self.why == why
    }

    pub(super) fn is_retryable(&self) -> bool {
        self.error.is(ErrorKind::Unavailable)
    }

    pub(super) fn is_denied(&self) -> bool {
        self.error.is(ErrorKind::Denied)
    }

    /// Too short an answer.
    pub(super) fn is_corrupt(&self) -> bool {
        self.error.is(ErrorKind::Corrupt)
    }

    /// A request about one object: nothing found means that it does not exist.
    pub(super) fn of_object(self, name: &str) -> Error {
        match self.why {
            Why::NoObject => Error::not_found(format!("object {name} does not exist")),
            _ => self.error,
        }
    }

    pub(super) fn context(self, what: &str) -> Self {
        Self { error: self.error.context(what), why: self.why }
    }
}

/// A refusal, as the store words it.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    code: String,
    said: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code[..] {
            "" => write!(f, "HTTP {}", self.status)?,
            code => f.write_str(code)?,
        }
        if self.said.is_empty() { Ok(()) } else { write!(f, ": {}", self.said) }
    }
}

impl StdError for Answer {}

const WRONG_KEY: &str = "the store does not accept the key: it is wrong or has ended, or this \
                         machine's clock is off";

/// Of a store's sentence that is passed on.
const MOST_SAID: usize = 300;

impl Answer {
    /// Google words refusals as JSON, Azure as XML with the code in a header too.
    pub(super) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let header = headers.get("x-ms-error-code").and_then(|value| value.to_str().ok());
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &json["error"];
        let code = header.map(str::to_owned).or_else(|| element(&text, "Code"));
        let code = code.or_else(|| error["errors"][0]["reason"].as_str().map(str::to_owned));
        let said = error["message"].as_str().map(str::to_owned);
        let said = said.or_else(|| element(&text, "Message")).unwrap_or_default();
        // Azure adds the request's id in lines of their own, and for a wrong key what it would have
        // signed.
        let said = said.lines().next().unwrap_or_default().trim().chars().take(MOST_SAID);
        Self { status, code: code.unwrap_or_default(), said: said.collect() }
    }

    /// `place`: the bucket or container, in words. `is_of_object`: the request was about one object
    /// that may or may not exist.
    fn meaning(&self, place: &str, is_of_object: bool) -> (ErrorKind, Why, Option<String>) {
        let other = |kind, message: &str| (kind, Why::Other, Some(message.to_owned()));
        let no_place = self.said.contains("bucket does not exist")
            || self.code == "ContainerNotFound"
            || self.status == 404 && !is_of_object;
        match (&self.code[..], self.status) {
            ("ContainerBeingDeleted" | "ContainerDisabled", _) => {
                other(ErrorKind::NotFound, &format!("{place} is being deleted"))
            }
            (_, 404) if no_place => other(ErrorKind::NotFound, &format!("{place} does not exist")),
            ("AccountIsDisabled", _) => other(ErrorKind::Denied, "the account is disabled"),
            ("AuthenticationFailed" | "authError", _) | (_, 401) => {
                other(ErrorKind::Denied, WRONG_KEY)
            }
            _ if self.said.contains("failed to authenticate") => {
                other(ErrorKind::Denied, WRONG_KEY)
            }
            ("BlobImmutableDueToPolicy" | "SnapshotsPresent" | "retentionPolicyNotMet", _) => {
                other(ErrorKind::Denied, "the store keeps this object by a rule of its own")
            }
            ("quotaExceeded" | "AccountLimitExceeded", _) | (_, 507) => {
                other(ErrorKind::NoSpace, "the store is full")
            }
            (_, 403) => {
                let what = format!("access denied: check the key and its rights on {place}");
                other(ErrorKind::Denied, &what)
            }
            ("BlobAlreadyExists" | "conditionNotMet" | "ConditionNotMet", _) | (_, 412) => {
                (ErrorKind::AlreadyExists, Why::Taken, None)
            }
            (_, 404 | 410) => (ErrorKind::NotFound, Why::NoObject, None),
            (_, 416) => (ErrorKind::Corrupt, Why::OutOfRange, None),
            (_, 409) => (ErrorKind::Unavailable, Why::Conflict, None),
            (_, 408 | 425 | 429 | 500 | 502..=504) => (ErrorKind::Unavailable, Why::Other, None),
            (_, 405 | 501) => (ErrorKind::Unsupported, Why::Other, None),
            _ => (ErrorKind::Invalid, Why::Other, None),
        }
    }

    pub(super) fn failure(&self, place: &str, is_of_object: bool) -> Failure {
        let (kind, why, message) = self.meaning(place, is_of_object);
        let message = match message {
            Some(message) => format!("{message} ({self})"),
            None => format!("the store answers {self}"),
        };
        Failure { error: Error::new(kind, message), why }
    }
}

/// The text of the first element of that name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

/// What went wrong below: a refusal, or no answer at all. `credentials`: what to set when there are
/// none.
pub(super) fn classify(
    error: &(dyn StdError + 'static),
    place: &str,
    is_of_object: bool,
    credentials: &str,
) -> Failure {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(answer) = error.downcast_ref::<Answer>() {
            return answer.failure(place, is_of_object);
        }
        next = error.source();
        texts.push(error.to_string());
    }
    // The layers above repeat the ones below, with addresses that may hold a signature.
    let last = texts.pop().unwrap_or_default();
    let last = if last.contains("sig=") { "no answer".to_owned() } else { last };
    let lower = texts.iter().chain([&last]).map(|text| text.to_lowercase());
    let all: Vec<String> = lower.collect();
    let has = |word: &str| all.iter().any(|text| text.contains(word));
    if has("certificate") {
        return Error::denied(format!(
            "the server's certificate is not trusted; give its authority with ca=/file.pem in the \
             storage URL ({last})"
        ))
        .into();
    }
    if has("credential") || has("token request") || has("metadata.google") {
        return Error::denied(format!("no credentials: {credentials} ({last})")).into();
    }
    Error::unavailable(last).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: Option<&'static str>, body: &str, is_of_object: bool) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(code) = code {
            headers.insert("x-ms-error-code", code.parse().unwrap());
        }
        Answer::new(status, &headers, body.as_bytes()).failure("bucket b", is_of_object)
    }

    #[test]
    fn refusals_are_told_by_what_helps() {
        let gone = r#"{"error":{"code":404,"message":"The specified bucket does not exist.",
                      "errors":[{"reason":"notFound"}]}}"#;
        let missing = r#"{"error":{"code":404,"message":"No such object: b/x",
                         "errors":[{"reason":"notFound"}]}}"#;
        let key = "<Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:1\
                   </Message><AuthenticationErrorDetail>canary</AuthenticationErrorDetail></Error>";
        for (failure, kind, why, part) in [
            (of(404, None, gone, true), ErrorKind::NotFound, Why::Other, "b does not exist"),
            (of(404, None, missing, true), ErrorKind::NotFound, Why::NoObject, "No such object"),
            (of(404, None, "", false), ErrorKind::NotFound, Why::Other, "bucket b does not"),
            (
                of(404, Some("ContainerNotFound"), "", true),
                ErrorKind::NotFound,
                Why::Other,
                "exist",
            ),
            (of(404, Some("BlobNotFound"), "", true), ErrorKind::NotFound, Why::NoObject, "Blob"),
            (of(403, None, key, true), ErrorKind::Denied, Why::Other, "does not accept the key"),
            (of(403, None, "{}", true), ErrorKind::Denied, Why::Other, "rights on bucket b"),
            (of(401, None, "", false), ErrorKind::Denied, Why::Other, "clock is off"),
            (of(412, None, "", true), ErrorKind::AlreadyExists, Why::Taken, "HTTP 412"),
            (
                of(409, Some("BlobAlreadyExists"), "", true),
                ErrorKind::AlreadyExists,
                Why::Taken,
                "BlobAlreadyExists",
            ),
            (of(409, None, "", true), ErrorKind::Unavailable, Why::Conflict, "409"),
            (of(416, None, "", true), ErrorKind::Corrupt, Why::OutOfRange, "416"),
            (of(503, None, "", true), ErrorKind::Unavailable, Why::Other, "503"),
            (of(429, None, "", true), ErrorKind::Unavailable, Why::Other, "429"),
            (of(507, None, "", true), ErrorKind::NoSpace, Why::Other, "full"),
        ] {
            let error = &failure.error;
            assert_eq!((error.kind(), failure.why), (kind, why), "{error}");
            assert!(error.message().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
