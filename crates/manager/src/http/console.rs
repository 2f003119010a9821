//! The console (docs/console.md, section 4): files that hold no secret and are given to everybody.
//! What they show comes from the API.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::unchanged;

/// As `cargo xtask console` left it: each file, and beside it what it is when it is compressed.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Built;

/// Of that name; none where the console was not built.
pub(super) fn embedded(name: &str) -> Option<Cow<'static, [u8]>> {
    Built::get(name).map(|file| file.data)
}

const INDEX: &str = "index.html";
/// Names made of content: what is there is there for ever.
const ASSETS: &str = "assets/";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Tintype</title></head><body><h1>Tintype</h1>\
    <p>This program was built without its console. Build it with <code>cargo xtask console</code>, \
    then build the program again.</p>\
    <p>The API is at <code>/api/v1</code>; <code>tintype login</code> speaks it.</p></body></html>\n";

/// None where the path is not the console's.
pub(super) fn answer(
    files: &dyn Fn(&str) -> Option<Cow<'static, [u8]>>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<Response> {
    let name = path.strip_prefix('/')?;
    let is_api = name == "api" || name.starts_with("api/");
    let is_hidden = |part: &str| part.starts_with('.');
    if !matches!(*method, Method::GET | Method::HEAD) || is_api || name.split('/').any(is_hidden) {
        return None;
    }
    if name != INDEX
        && let Some(kind) = kind_of(name)
        && let Some(plain) = files(name)
    {
        return Some(file(files, name, kind, plain, headers));
    }
    // Whatever else is asked for by somebody who reads is a screen; a piece of a console that was
    // replaced is none.
    if name.starts_with(ASSETS) || !(name.is_empty() || wants_page(headers)) {
        return None;
    }
    let html = "text/html; charset=utf-8";
    Some(match files(INDEX) {
        Some(plain) => file(files, INDEX, html, plain, headers),
        None => hardened((StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, html)], NOT_BUILT)),
    })
}

fn file(
    files: &dyn Fn(&str) -> Option<Cow<'static, [u8]>>,
    name: &str,
    kind: &'static str,
    plain: Cow<'static, [u8]>,
    headers: &HeaderMap,
) -> Response {
    let (encoding, bytes) = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(headers, encoding))
        .find_map(|(encoding, end)| Some((Some(encoding), files(&format!("{name}{end}"))?)))
        .unwrap_or((None, plain));
    let tag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
    let tag = HeaderValue::from_str(&tag).expect("digits and letters");
    let kept = match name.starts_with(ASSETS) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let is_known =
        headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| unchanged::names(tags, &tag));
    let mut response = match is_known {
        true => hardened(StatusCode::NOT_MODIFIED),
        false => hardened(([(header::CONTENT_TYPE, kind)], Body::from(bytes))),
    };
    let told = response.headers_mut();
    told.insert(header::ETAG, tag);
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    told.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(encoding) = encoding.filter(|_| !is_known) {
        told.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// With what browsers must know of the console, beside what they are told of every answer.
fn hardened(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(opener, HeaderValue::from_static("same-origin"));
    response
}

/// Of what a console is made of; nothing else is given out.
fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn wants_page(headers: &HeaderMap) -> bool {
    listed(headers, &header::ACCEPT).any(|(kind, _)| kind == "text/html")
}

fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    listed(headers, &header::ACCEPT_ENCODING)
        .any(|(name, weight)| name.eq_ignore_ascii_case(encoding) && weight > 0.0)
}

/// What stands in such a header, each with its weight.
fn listed<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        (name, weight.unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "assets/index-3f9a.js";

    fn built(name: &str) -> Option<Cow<'static, [u8]>> {
        let bytes: &'static [u8] = match name {
            INDEX => b"<!doctype html>",
            "index.html.gz" => b"gzipped page",
            SCRIPT => b"script",
            "assets/index-3f9a.js.br" => b"br",
            "assets/index-3f9a.js.gz" => b"gz",
            ".stamp" | ".vite/manifest.json" => b"of the build",
            _ => return None,
        };
        Some(Cow::Borrowed(bytes))
    }

    fn headers(all: &[(HeaderName, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn get(path: &str, all: &[(HeaderName, &'static str)]) -> Option<Response> {
        answer(&built, &Method::GET, path, &headers(all))
    }

    fn header_of<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_path_is_a_file_a_screen_or_not_the_consoles() {
        let html = (header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        for (path, accept, kind) in [
            ("/", None, Some("text/html; charset=utf-8")),
            ("/index.html", Some(&html), Some("text/html; charset=utf-8")),
            ("/snapshots/abc?tab=log", Some(&html), Some("text/html; charset=utf-8")),
            ("/snapshots", None, None),
            ("/assets/index-3f9a.js", None, Some("text/javascript; charset=utf-8")),
            ("/assets/index-0000.js", Some(&html), None),
            ("/api", Some(&html), None),
            ("/api/v1/nothing", Some(&html), None),
            ("/apis", Some(&html), Some("text/html; charset=utf-8")),
            ("/.stamp", Some(&html), None),
            ("/.vite/manifest.json", None, None),
            ("/assets/../index.html", Some(&html), None),
            ("/assets/index-3f9a.js.br", None, None),
        ] {
            let accept: Vec<_> = accept.into_iter().cloned().collect();
            let found = get(path, &accept);
            let found = found.as_ref().and_then(|found| header_of(found, "content-type"));
            assert_eq!(found, kind, "{path}");
        }
        let posted = answer(&built, &Method::POST, "/", &headers(&[html]));
        assert!(posted.is_none(), "it is only read");
    }

    #[test]
    fn each_file_goes_out_as_small_as_whoever_asks_can_read_it() {
        let script = format!("/{SCRIPT}");
        for (path, accepted, encoding) in [
            (&script[..], "gzip, deflate, br", Some("br")),
            (&script, "gzip", Some("gzip")),
            (&script, "br;q=0, gzip;q=0.5", Some("gzip")),
            (&script, "identity", None),
            ("/", "gzip, br", Some("gzip")),
        ] {
            let found = get(path, &[(header::ACCEPT_ENCODING, accepted)]).unwrap();
            assert_eq!(header_of(&found, "content-encoding"), encoding, "{path} {accepted}");
            assert_eq!(header_of(&found, "vary"), Some("Accept-Encoding"));
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let br = (header::ACCEPT_ENCODING, "br");
        let path = format!("/{SCRIPT}");
        let first = get(&path, std::slice::from_ref(&br)).unwrap();
        let tag: &'static str = header_of(&first, "etag").unwrap().to_owned().leak();
        assert!(tag.starts_with('"'), "a strong one: {tag}");
        let again = get(&path, &[br, (header::IF_NONE_MATCH, tag)]).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = get(&path, &[(header::IF_NONE_MATCH, tag)]).unwrap();
        assert_eq!(other.status(), StatusCode::OK, "other bytes have another tag");
    }

    #[test]
    fn names_made_of_content_are_kept_for_ever_and_the_page_is_asked_for_again() {
        let script = get(&format!("/{SCRIPT}"), &[]).unwrap();
        let kept = Some("public, max-age=31536000, immutable");
        assert_eq!(header_of(&script, "cache-control"), kept);
        assert_eq!(header_of(&get("/", &[]).unwrap(), "cache-control"), Some("no-cache"));
    }

    #[test]
    fn without_a_console_the_page_says_how_to_get_one() {
        let none = |_: &str| None;
        let found = answer(&none, &Method::GET, "/", &HeaderMap::new()).unwrap();
        assert_eq!(found.status(), StatusCode::NOT_FOUND);
        assert!(NOT_BUILT.contains("cargo xtask console"));
        assert_eq!(header_of(&found, "content-security-policy"), Some(POLICY));
        assert!(answer(&none, &Method::GET, "/assets/a.js", &HeaderMap::new()).is_none());
    }
}
