//! HTTP: the table of routes, and what is common to them (docs/manager.md, section 7).

mod audits;
pub mod failure;
mod input;
mod logins;
mod objects;
mod router;
mod tenants;
mod tokens;
mod users;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Json, Router};
use tintype_api::problem::Code;
use tintype_model::rights::Action;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi};
use utoipa_axum::routes;

pub use router::ACTION;
use router::Routes;

use crate::state::State;

/// Of a body; what is larger goes another way.
const BODY_BYTES: usize = 4 << 20;

/// The application, and its description.
pub fn application(state: State) -> (Router, OpenApi) {
    use Action::{Audit, Own, Public, See, System, Users};
    let routes = Routes::new(state)
        .on(Public, routes!(logins::login))
        .on(Own, routes!(logins::logout))
        .on(Own, routes!(logins::whoami))
        .on(Own, routes!(logins::sessions))
        .on(Own, routes!(logins::end_session))
        .on(See, routes!(tenants::list))
        .on(See, routes!(tenants::get))
        .on(System, routes!(tenants::create))
        .on(System, routes!(tenants::change))
        .on(System, routes!(tenants::delete))
        .on(See, routes!(users::list))
        .on(See, routes!(users::get))
        .on(Users, routes!(users::create))
        .on(Users, routes!(users::change))
        .on(Users, routes!(users::delete))
        .on(Own, routes!(users::set_password))
        .on(Users, routes!(tokens::list))
        .on(Users, routes!(tokens::get))
        .on(Users, routes!(tokens::create))
        .on(Users, routes!(tokens::change))
        .on(Users, routes!(tokens::delete))
        .on(Audit, routes!(audits::list))
        .on(Audit, routes!(audits::check));
    let (router, mut description) = routes.finish();
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    description.info = InfoBuilder::new()
        .title("Tintype")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Snapshots of a whole self-hosted platform, and their restore."))
        .license(Some(license.build()))
        .build();
    let shown = serde_json::to_value(&description).unwrap_or_default();
    let router = router
        .route("/api/v1/openapi.json", axum::routing::get(async move || Json(shown)))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(map_response(harden));
    (router, description)
}

async fn nothing_here(uri: Uri) -> failure::Failure {
    failure::Failure::new(Code::NotFound, format!("there is nothing at {}", uri.path()))
        .cure("see /api/v1/openapi.json")
}

async fn wrong_method(method: Method, uri: Uri) -> failure::Failure {
    let what = format!("{} does not take {method}", uri.path());
    failure::Failure::new(Code::MethodNotAllowed, what)
}

/// What browsers must know of every answer.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
