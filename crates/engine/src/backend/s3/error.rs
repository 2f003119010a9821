//! What the store's answers mean for us. Messages name what to do; they hold codes and the
//! store's own sentence, never a header, a key or a signature.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tintype_model::{Error, ErrorKind};

/// A failed request: the error for the caller, and what the driver itself decides by.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    status: Option<u16>,
    code: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, status: None, code: String::new() }
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

    pub(super) fn is_retryable(&self) -> bool {
        self.error.is(ErrorKind::Unavailable)
    }

    /// A request about one object: nothing found means that it does not exist.
    pub(super) fn of_object(self, name: &str) -> Error {
        if self.status == Some(404) && self.code != "NoSuchBucket" {
            return Error::not_found(format!("object {name} does not exist"));
        }
        self.error
    }

    pub(super) fn is_precondition(&self) -> bool {
        self.status == Some(412)
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }

    /// The store takes offence at a condition it does not know.
    pub(super) fn is_unknown_header(&self) -> bool {
        let codes = ["NotImplemented", "InvalidArgument", "InvalidRequest", "BadRequest"];
        self.status == Some(501) || self.status == Some(400) && codes.contains(&&*self.code)
    }

    /// Too short an answer counts too.
    pub(super) fn is_out_of_range(&self) -> bool {
        self.status == Some(416) || self.error.is(ErrorKind::Corrupt)
    }

    pub(super) fn is_not_configured(&self) -> bool {
        self.code == "ObjectLockConfigurationNotFoundError"
    }

    pub(super) fn is_not_implemented(&self) -> bool {
        self.error.is(ErrorKind::Unsupported)
    }

    /// The store did it and answers in words that the client does not know.
    pub(super) fn is_unreadable(&self) -> bool {
        self.status.is_some_and(|status| status < 300)
    }

    pub(super) fn is_no_such_upload(&self) -> bool {
        self.code == "NoSuchUpload"
    }
}

pub(super) fn classify<E>(error: SdkError<E>, what: &str, bucket: &str) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    // An answer that cannot be read has a status of success too.
    let Some(status) = status.filter(|status| *status >= 300) else {
        return Failure { error: connection(&error, what), status, code: String::new() };
    };
    let code = error.code().unwrap_or_default().to_owned();
    let said = error.message().unwrap_or_default().trim().to_owned();
    let (kind, message) = meaning(status, &code, bucket);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let code_or_status = if code.is_empty() { format!("HTTP {status}") } else { code.clone() };
    let message = match message {
        Some(message) => format!("{what}: {message} ({code_or_status}{said})"),
        None => format!("{what}: the store answers {code_or_status}{said}"),
    };
    Failure { error: Error::new(kind, message), status: Some(status), code }
}

fn meaning(status: u16, code: &str, bucket: &str) -> (ErrorKind, Option<String>) {
    let (kind, message) = match (code, status) {
        ("NoSuchBucket", _) => (ErrorKind::NotFound, format!("bucket {bucket} does not exist")),
        ("RequestTimeTooSkewed", _) => {
            (ErrorKind::Denied, "this machine's clock is off".to_owned())
        }
        ("InvalidAccessKeyId", _) => {
            (ErrorKind::Denied, "the store does not know this access key".to_owned())
        }
        ("SignatureDoesNotMatch", _) => {
            (ErrorKind::Denied, "the secret key is wrong, or a proxy changes requests".to_owned())
        }
        ("ExpiredToken" | "TokenRefreshRequired", _) => {
            (ErrorKind::Denied, "the session token has expired".to_owned())
        }
        ("InvalidToken", _) => (ErrorKind::Denied, "the session token is not valid".to_owned()),
        (
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301 | 307) => (
            ErrorKind::Invalid,
            format!("bucket {bucket} is in another region: set region in the storage URL"),
        ),
        ("QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity", _) | (_, 507) => {
            (ErrorKind::NoSpace, "the store is full".to_owned())
        }
        (
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch",
            _,
        ) => (ErrorKind::Unavailable, "bytes were damaged on their way".to_owned()),
        (_, 401 | 403) => (
            ErrorKind::Denied,
            format!("access denied: check the key and its rights on bucket {bucket}"),
        ),
        ("NoSuchUpload", _) => (
            ErrorKind::Unavailable,
            "the upload was removed while it ran (swept as stale?)".to_owned(),
        ),
        ("NoSuchKey", _) | (_, 404) => return (ErrorKind::NotFound, None),
        ("SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable", _)
        | (_, 408 | 409 | 425 | 429) => return (ErrorKind::Unavailable, None),
        (_, 412) => return (ErrorKind::AlreadyExists, None),
        ("NotImplemented", _) | (_, 405 | 501) => return (ErrorKind::Unsupported, None),
        (_, 500..) => return (ErrorKind::Unavailable, None),
        _ => return (ErrorKind::Invalid, None),
    };
    (kind, Some(message))
}

/// No answer at all: network, TLS, or no credentials to sign with.
fn connection(error: &(dyn StdError + 'static), what: &str) -> Error {
    let chain = chain(error);
    let all = chain.join(": ");
    let lower = all.to_lowercase();
    if lower.contains("certificate") {
        return Error::denied(format!(
            "{what}: the server's certificate is not trusted; give its authority with \
             ca=/file.pem in the storage URL ({})",
            chain.last().map_or("", String::as_str)
        ));
    }
    if lower.contains("credential") {
        return Error::denied(format!(
            "{what}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a \
             profile in the storage URL, or give the machine a role ({})",
            chain.last().map_or("", String::as_str)
        ));
    }
    Error::unavailable(format!("{what}: {all}"))
}

fn chain(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let text = error.to_string();
        // Many layers repeat the one below.
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    texts
}

/// The answer broke off.
pub(super) fn transfer(error: impl StdError + 'static, what: &str) -> Failure {
    Error::unavailable(format!("{what}: {}", chain(&error).join(": "))).into()
}
