//! The console as browsers get it: without a login, beside the API and not of it.

use std::sync::Arc;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::lab::Lab;

const PAGE: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

fn browser(lab: &Lab) -> Agent {
    let authority = Certificate::from_pem(&lab.authority).unwrap();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
}

fn header<'a, T>(answer: &'a Response<T>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn everybody_gets_the_page_and_nobody_gets_it_in_place_of_the_api() {
    let lab = Lab::sqlite();
    let browser = browser(&lab);
    let get = |path: &str| {
        let request = browser.get(format!("{}{path}", lab.url)).header("accept", PAGE);
        request.call().unwrap()
    };
    for path in ["/", "/snapshots/abc", "/restore"] {
        let answer = get(path);
        assert!(header(&answer, "content-type").starts_with("text/html"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(header(&answer, name), value, "{path}");
        }
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    for path in ["/api", "/api/v1/nothing", "/assets/nothing.js", "/.stamp"] {
        let answer = get(path);
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
    }
    let posted = browser.post(format!("{}/", lab.url)).send_empty().unwrap();
    assert_eq!(posted.status(), 404);
}

/// What is tested of rights is made from the description: files are no part of either.
#[test]
fn the_description_names_the_api_alone() {
    let lab = Lab::sqlite();
    let description: Value = lab.administrator().get("/openapi.json").unwrap();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| path.starts_with("/api/v1/")), "{:?}", paths.keys());
}
