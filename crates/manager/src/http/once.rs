//! A POST with an `Idempotency-Key` that is sent again is not done again: it gets the first answer,
//! for a day.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, header};
use axum::middleware::Next;
use axum::response::Response;
use jiff::SignedDuration;
use tintype_api::problem::Code;

use super::BODY_BYTES;
use super::failure::{Failure, Outcome};
use crate::auth::caller::Caller;
use crate::catalog::answers::{self, Answer};
use crate::state::State;

pub(super) const HEADER: &str = "idempotency-key";
/// A longer key is refused.
pub(super) const MOST_KEY_BYTES: usize = 200;
/// How long a first answer is given again.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Of an answer; what is larger was never meant for this.
const ANSWER_BYTES: usize = 4 << 20;
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// The key of a request, if it has one.
pub(super) fn key(request: &Request) -> Outcome<Option<String>> {
    let Some(value) = request.headers().get(HEADER) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=MOST_KEY_BYTES).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let what = format!("an Idempotency-Key has from 1 to {MOST_KEY_BYTES} plain letters");
            Err(Failure::new(Code::Invalid, what))
        }
    }
}

pub(super) async fn once(
    state: &State,
    caller: &Caller,
    key: &str,
    request: Request,
    next: Next,
) -> Outcome<Response> {
    // Somebody else's key is another key, and so is that of another place.
    let place = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let name = hash(&[caller.who.id.as_str().as_bytes(), place.as_bytes(), key.as_bytes()]);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        Failure::new(Code::TooLarge, format!("a body has at most {BODY_BYTES} bytes"))
    })?;
    let asked = hash(&[&body]);
    let mut change = state.catalog.change().await?;
    if !answers::begin(change.on(), &name, &asked, state.now()).await? {
        let known = answers::get(change.on(), &name).await?;
        drop(change);
        return again(state, &name, &asked, known);
    }
    change.commit_own_books().await?;
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES).await.map_err(|_| {
        Failure::new(Code::Internal, "the answer is too large to be kept for an Idempotency-Key")
    })?;
    let mut change = state.catalog.change().await?;
    if parts.status.is_server_error() {
        // It may be tried again.
        answers::delete(change.on(), &name).await?;
    } else {
        let headers: Vec<(&str, &str)> = KEPT_HEADERS
            .iter()
            .filter_map(|name| Some((name.as_str(), parts.headers.get(name)?.to_str().ok()?)))
            .collect();
        let answer = Answer {
            request: asked,
            status: parts.status.as_u16(),
            headers: serde_json::to_string(&headers).unwrap_or_default(),
            body: state.key.seal(&name, &body, &*state.random),
        };
        answers::put(change.on(), &name, &answer).await?;
    }
    change.commit_own_books().await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn again(state: &State, name: &str, asked: &str, known: Option<Answer>) -> Outcome<Response> {
    let pending = || {
        Failure::new(Code::Locked, "a request with this Idempotency-Key is being answered")
            .cure("ask again in a moment; if the manager died meanwhile, look what it did")
    };
    let known = known.filter(|known| known.status != 0).ok_or_else(pending)?;
    if known.request != asked {
        let what = "this Idempotency-Key was used for another request";
        return Err(Failure::new(Code::Invalid, what).cure("take a new key for each request"));
    }
    let body = state.key.open(name, &known.body)?;
    let headers: Vec<(String, String)> = serde_json::from_str(&known.headers).unwrap_or_default();
    let mut response = HttpResponse::new(Body::from(body.to_vec()));
    *response.status_mut() = axum::http::StatusCode::from_u16(known.status).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Of texts, each with its length.
fn hash(texts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().to_hex().to_string()
}
