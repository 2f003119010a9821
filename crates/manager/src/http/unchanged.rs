//! What whoever asks has already is not sent again: every answer of JSON has an `ETag`, its own or
//! one of its bytes, and `If-None-Match` is answered.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tintype_api::problem::Code;

use super::failure::Failure;

/// No list is longer.
const ANSWER_BYTES: usize = 256 << 20;

pub(super) async fn unchanged(request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let asked = request.headers().get_all(header::IF_NONE_MATCH);
    let asked: Vec<HeaderValue> = asked.into_iter().cloned().collect();
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK || !is_json(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER_BYTES).await else {
        return Failure::new(Code::Internal, "the answer is too long").into_response();
    };
    let tag = parts.headers.get(header::ETAG).cloned().unwrap_or_else(|| {
        let text = format!("W/\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
        HeaderValue::from_str(&text).expect("digits and letters")
    });
    let is_known = asked.iter().any(|tags| names(tags, &tag));
    parts.headers.insert(header::ETAG, tag);
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// Whether the list has it; that a tag is weak makes no difference here (RFC 9110, 13.1.2).
pub(super) fn names(tags: &HeaderValue, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(tags), Ok(tag)) = (tags.to_str(), tag.to_str()) else { return false };
    tags.split(',').any(|one| one.trim() == "*" || strong(one) == strong(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_of_tags() {
        for (tags, tag, is_there) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"b\", W/\"a\"", "W/\"a\"", true),
            ("*", "\"a\"", true),
            ("\"b\"", "\"a\"", false),
            ("a", "\"a\"", false),
        ] {
            let of = |text| HeaderValue::from_static(text);
            assert_eq!(names(&of(tags), &of(tag)), is_there, "{tags} {tag}");
        }
    }
}
