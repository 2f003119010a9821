//! HTTP: the table of routes, and what is common to them (docs/manager.md, section 7).

mod agents;
mod audits;
mod bounds;
mod bundles;
mod connectors;
mod console;
mod content;
mod described;
mod discoveries;
mod events;
pub mod failure;
mod input;
mod keys;
mod logins;
mod objects;
pub(crate) mod once;
mod previews;
mod profiles;
mod readings;
mod resources;
mod restores;
mod router;
mod runs;
mod snapshots;
mod status;
mod storages;
mod strict;
mod syncs;
mod tenants;
mod tokens;
mod trials;
mod unchanged;
mod uploads;
mod users;
mod whole;
mod work;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
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
    let (router, mut description) = with_bundles(with_agents(with_snapshots(routes))).finish();
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    description.info = InfoBuilder::new()
        .title("Tintype")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Snapshots of a whole self-hosted platform, and their restore."))
        .license(Some(license.build()))
        .build();
    let mut shown = serde_json::to_value(&description).unwrap_or_default();
    described::name_unsigned(&mut shown);
    let router = router
        .route("/api/v1/openapi.json", axum::routing::get(async move || Json(shown)))
        .fallback(elsewhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(unchanged::unchanged))
        .layer(map_response(harden));
    (router, description)
}

/// What is protected, where, when, and what came of it.
fn with_snapshots(routes: Routes) -> Routes {
    use Action::{Change, Restore, See, SnapshotPartial};
    routes
        .on(See, routes!(status::get))
        .on(See, routes!(status::resources))
        .on(See, routes!(status::last_days))
        .on(See, routes!(events::follow))
        .on(See, routes!(storages::list))
        .on(See, routes!(storages::get))
        .on(See, routes!(storages::state))
        .on(Change, routes!(storages::create))
        .on(Change, routes!(storages::change))
        .on(Change, routes!(storages::delete))
        .on(Change, routes!(storages::check))
        .on(See, routes!(readings::schema))
        .on(See, routes!(readings::read))
        .on(See, routes!(resources::list))
        .on(See, routes!(resources::get))
        .on(Change, routes!(resources::create))
        .on(Change, routes!(resources::change))
        .on(Change, routes!(resources::delete))
        .on(See, routes!(profiles::list))
        .on(See, routes!(profiles::get))
        .on(See, routes!(profiles::read_back))
        .on(See, routes!(profiles::ready_made))
        .on(See, routes!(previews::create))
        .on(Change, routes!(profiles::create))
        .on(Change, routes!(profiles::change))
        .on(Change, routes!(profiles::delete))
        .on(See, routes!(syncs::list))
        .on(See, routes!(syncs::get))
        .on(Change, routes!(syncs::create))
        .on(Change, routes!(syncs::change))
        .on(Change, routes!(syncs::delete))
        .on(Change, routes!(syncs::run))
        .on(See, routes!(snapshots::list))
        .on(See, routes!(snapshots::get))
        .on(See, routes!(snapshots::items))
        .on(See, routes!(whole::get))
        .on(See, routes!(content::tree))
        .on(See, routes!(content::partitions))
        .on(See, routes!(content::search))
        .on(See, routes!(content::versions))
        .on(See, routes!(content::across::search))
        .on(See, routes!(content::diff))
        .on(Restore, routes!(content::files::download))
        .on(Restore, routes!(content::files::preview))
        .on(SnapshotPartial, routes!(snapshots::create))
        .on(Change, routes!(snapshots::change))
        .on(Change, routes!(snapshots::delete))
        .on(See, routes!(runs::list))
        .on(See, routes!(runs::get))
        .on(See, routes!(runs::log))
        .on(See, routes!(runs::events))
        .on(See, routes!(runs::cancel))
        .on(See, routes!(restores::list))
        .on(See, routes!(restores::get))
        .on(Restore, routes!(restores::plan_of))
        .on(Restore, routes!(restores::resume))
        .on(Restore, routes!(restores::undo))
        .on(Restore, routes!(restores::create))
        .on(Restore, routes!(restores::apply))
}

/// Snapshots as files, out and in.
fn with_bundles(routes: Routes) -> Routes {
    use Action::System;
    routes
        .on(System, routes!(bundles::secrets))
        .on(System, routes!(bundles::list))
        .on(System, routes!(bundles::create))
        .on(System, routes!(bundles::get))
        .on(System, routes!(bundles::content))
        .on(System, routes!(bundles::delete))
        .on(System, routes!(uploads::list))
        .on(System, routes!(uploads::create))
        .on(System, routes!(uploads::get))
        .on(System, routes!(uploads::send))
        .on(System, routes!(uploads::import))
        .on(System, routes!(uploads::delete))
        .on(System, routes!(trials::create))
        .on(System, routes!(discoveries::here))
        .on(System, routes!(keys::list))
        .on(System, routes!(keys::add))
        .on(System, routes!(keys::remove))
}

/// Other hosts, and what is reached over a network.
fn with_agents(routes: Routes) -> Routes {
    use Action::{Agent, Change, Public, See, System};
    routes
        .on(See, routes!(connectors::list))
        .on(See, routes!(connectors::get))
        .on(System, routes!(connectors::create))
        .on(System, routes!(connectors::change))
        .on(System, routes!(connectors::delete))
        .on(System, routes!(connectors::check))
        .on(See, routes!(agents::list))
        .on(See, routes!(agents::get))
        .on(See, routes!(agents::state))
        .on(Change, routes!(agents::change))
        .on(Change, routes!(agents::delete))
        .on(Change, routes!(agents::create_token))
        .on(Change, routes!(agents::discover))
        .on(Public, routes!(work::join))
        .on(Agent, routes!(work::renew))
        .on(Agent, routes!(work::fetch))
        .on(Agent, routes!(work::progress))
        .on(Agent, routes!(work::done))
}

/// The console, or nothing.
async fn elsewhere(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    match console::answer(&console::embedded, &method, uri.path(), &headers) {
        Some(response) => response,
        None => nothing_here(&uri).into_response(),
    }
}

fn nothing_here(uri: &Uri) -> failure::Failure {
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
