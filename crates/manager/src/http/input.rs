//! What a request says, read with our own errors.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json as AxumJson, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tintype_api::page::{MOST, Page};
use tintype_api::problem::Code;
use tintype_model::identifier::Id;
use tintype_model::reading::plain;

use super::failure::Failure;
use super::strict;

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let value = match AxumJson::<Value>::from_request(request, state).await {
            Ok(AxumJson(value)) => value,
            Err(JsonRejection::MissingJsonContentType(error)) => {
                return Err(Failure::new(Code::UnsupportedMediaType, error.body_text()));
            }
            Err(JsonRejection::BytesRejection(error))
                if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE =>
            {
                return Err(Failure::new(Code::TooLarge, error.body_text()));
            }
            Err(error) => {
                let told = error.body_text();
                let what = told.rsplit_once(": ").map_or(&told[..], |(_, what)| what);
                let what = format!("the body is no JSON: {}", plain(what));
                return Err(Failure::new(Code::BadRequest, what));
            }
        };
        strict::read(value).map(Self).map_err(|what| Failure::new(Code::Invalid, what))
    }
}

/// The `{id}` of a path. One that is no id names nothing.
pub(super) struct OneId(pub(super) Id);

impl<S: Send + Sync> FromRequestParts<S> for OneId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) =
            path.map_err(|error: PathRejection| Failure::new(Code::BadRequest, error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: tintype_model::Error| Failure::new(Code::NotFound, error.message()))
    }
}

/// What stands behind the `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let query =
            query.map_err(|error: QueryRejection| Failure::new(Code::Invalid, of_query(&error)))?;
        Ok(Self(query.0))
    }
}

/// Which field is wrong, and how.
fn of_query(error: &QueryRejection) -> String {
    let told = error.body_text();
    let what = told.trim_start_matches("Failed to deserialize query string: ");
    match what.split_once(": ") {
        Some((field, what)) if field.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
            format!("`{field}`: {}", plain(what))
        }
        _ => plain(what),
    }
}

/// How many are asked for.
pub(super) fn limit_of(limit: Option<u32>, usual: u32) -> Result<usize, Failure> {
    match limit.unwrap_or(usual) {
        limit @ 1..=MOST => Ok(limit as usize),
        _ => Err(Failure::new(Code::Invalid, format!("a limit is from 1 to {MOST}"))),
    }
}

/// Where a page begins, as `next` of the one before said it.
pub(super) fn cursor_of<T>(
    cursor: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Failure> {
    let bad = || Failure::new(Code::Invalid, "that is no cursor of a page before");
    cursor.map(|text| read(text).ok_or_else(bad)).transpose()
}

/// `items` has one more than `limit` where there is a next page, which begins behind `last`.
pub(super) fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    last: impl FnOnce(&T) -> String,
) -> AxumJson<Page<T>> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(last);
    AxumJson(Page { items, next })
}
