//! Errors of requests: what the library says, with a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tintype_api::problem::{Code, MEDIA_TYPE, Problem};
use tintype_model::{Error, ErrorKind};

use crate::catalog::is_away;

pub type Outcome<T> = Result<T, Failure>;

#[derive(Debug)]
pub struct Failure {
    code: Code,
    detail: String,
    cure: Option<String>,
}

impl Failure {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), cure: None }
    }

    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::AlreadyExists => Code::AlreadyExists,
            ErrorKind::Locked => Code::Locked,
            ErrorKind::Invalid => Code::Invalid,
            ErrorKind::Denied | ErrorKind::WrongKey => Code::NotAllowed,
            ErrorKind::Unavailable | ErrorKind::Canceled => Code::Unavailable,
            ErrorKind::NoSpace => Code::NoSpace,
            ErrorKind::Corrupt => Code::Corrupt,
            ErrorKind::Unsupported => Code::Unsupported,
            ErrorKind::Faulty | ErrorKind::Internal => Code::Internal,
        };
        if is_away(&error) {
            return Self::new(code, error.message())
                .cure("the manager goes on when the database answers again; then ask again");
        }
        if code != Code::Internal {
            return Self::new(code, error.message());
        }
        // What went wrong inside is for whoever reads the log.
        tracing::error!(%error, "a request failed");
        Self::new(code, "the manager made a mistake").cure("its log says more; report it")
    }
}

fn status(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::BadRequest => (StatusCode::BAD_REQUEST, "not understood"),
        Code::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "wrong"),
        Code::LoginNeeded => (StatusCode::UNAUTHORIZED, "login needed"),
        Code::LoginRefused => (StatusCode::UNAUTHORIZED, "login refused"),
        Code::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too many attempts"),
        Code::NotAllowed => (StatusCode::FORBIDDEN, "not allowed"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not found"),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "no such method here"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "exists already"),
        Code::Locked => (StatusCode::CONFLICT, "locked"),
        Code::Changed => (StatusCode::PRECONDITION_FAILED, "changed meanwhile"),
        Code::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
        Code::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong media type"),
        Code::Unsupported => (StatusCode::UNPROCESSABLE_ENTITY, "not supported"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "not now"),
        Code::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no space"),
        Code::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "damaged"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "a mistake of the manager"),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title) = status(self.code);
        let name = serde_json::to_value(self.code).unwrap_or_default();
        let problem = Problem {
            kind: format!("urn:tintype:problem:{}", name.as_str().unwrap_or("internal")),
            title: title.to_owned(),
            status: status.as_u16(),
            code: self.code,
            detail: self.detail,
            cure: self.cure,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
