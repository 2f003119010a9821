//! Requests that nobody sends in earnest: each is answered, and no answer is a mistake of the server.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tintype_model::rights::Role;

use crate::lab::Lab;

/// Where parsers have their edges.
const EDGES: [&str; 30] = [
    "",
    "0",
    "-1",
    "-0",
    "+1",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "1e309",
    "NaN",
    "\0",
    "..",
    "../../etc/passwd",
    "//",
    "%",
    "%ff",
    "*",
    "\"1\"",
    "W/\"1\"",
    "\"",
    "bytes=0-",
    "bytes=-0",
    "bytes=5-2",
    "bytes=0-0,2-3",
    "bytes=99999999999999999999-99999999999999999999",
    "-262144-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "9223372036854775807-0",
    "__Host-tintype=;;=;__Host-tintype",
    "session_\u{fffd}",
];
const HEADERS: [&str; 10] = [
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "authorization",
    "cookie",
    "x-csrf-token",
    "idempotency-key",
    "last-event-id",
    "accept",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&EDGES[..]).prop_map(str::to_owned),
        any::<String>(),
        "[0-9a-z]{26}",
        "[ -~]{0,60}",
        Just("9".repeat(2000)),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        text().prop_map(|text| json!(text)),
    ];
    let names = prop_oneof![
        prop::sample::select(vec!["name", "spec", "tenant", "role", "scope", "periods", "url"])
            .prop_map(str::to_owned),
        text(),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| json!(all)),
            prop::collection::hash_map(names.clone(), inner, 0..5).prop_map(|all| json!(all)),
        ]
    })
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    })
}

/// What HTTP lets through; the rest never reaches us.
fn in_header(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).take(4000).collect()
}

#[derive(Clone, Debug)]
struct Operation {
    method: String,
    path: String,
    queries: Vec<String>,
    takes_body: bool,
}

fn operations(description: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let of = operation["parameters"].as_array().into_iter().flatten();
            let queries = of.filter(|one| one["in"] == "query");
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                queries: queries.map(|one| one["name"].as_str().unwrap().to_owned()).collect(),
                takes_body: operation["requestBody"].is_object(),
            });
        }
    }
    all
}

#[test]
fn hostile_requests_are_answered() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let tenant = Lab::tenant(&administrator, "acme").id;
    // Of a tenant: nothing that it says reaches this host.
    let somebody = lab.as_role(&administrator, &tenant, Role::Administrator, "hostile");
    let nobody = lab.nobody();
    let all = operations(&administrator.get("/openapi.json").unwrap());
    let request = (
        prop::sample::select(all),
        vec(text(), 8),
        vec((prop::sample::select(&HEADERS[..]), text()), 0..3),
        document(),
        any::<bool>(),
    );
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&request, |(operation, words, headers, body, is_known)| {
        let mut words = words.iter().cycle();
        let mut path = String::new();
        for part in operation.path.split_inclusive('}') {
            let (before, has) = part.split_once('{').map_or((part, false), |(b, _)| (b, true));
            path.push_str(before);
            if has {
                // What is empty is another path.
                let _ = write!(path, "x{}", encoded(words.next().unwrap()));
            }
        }
        for (n, name) in operation.queries.iter().enumerate() {
            let sign = if n == 0 { '?' } else { '&' };
            let _ = write!(path, "{sign}{name}={}", encoded(words.next().unwrap()));
        }
        let headers: Vec<(&str, String)> =
            headers.iter().map(|(name, value)| (*name, in_header(value))).collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| !is_known || *name != "authorization")
            .map(|(name, value)| (*name, &value[..]))
            .collect();
        let client = if is_known { &somebody } else { &nobody };
        let body = operation.takes_body.then_some(&body);
        let answer = client.exchange_with(&operation.method, &path, body, &headers);
        let answer = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let status = answer.status.as_u16();
        prop_assert!(status < 500, "{} {path}: {status}: {}", operation.method, answer.text);
        if status >= 400 {
            let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            prop_assert!(problem["code"].is_string(), "{path}: {status}: {}", answer.text);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // Still there, and nothing of it stayed.
    assert_eq!(administrator.list::<tintype_api::tenant::TenantSpec>().unwrap().len(), 2);
}
