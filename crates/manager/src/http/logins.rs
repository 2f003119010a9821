//! Logging in and out, and the sessions that are open.

use axum::Json;
use axum::extract::{ConnectInfo, State as AxumState};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use serde_json::json;
use tintype_api::login::{LoggedIn, Login, Myself, Session, Who};
use tintype_api::object::Object;
use tintype_api::page::Page;
use tintype_api::problem::{Code, Problem};
use tintype_api::tenant::{SYSTEM, TenantSpec};
use tintype_api::user::UserSpec;
use tintype_model::rights::Role;
use tintype_model::{Error, ErrorKind};

use super::failure::{Failure, Outcome};
use super::input::{Body, OneId};
use super::objects::entry;
use super::router::Asking;
use crate::auth::caller::{COOKIE, with_rights};
use crate::auth::limiter::of_address;
use crate::auth::{password, secret};
use crate::catalog::bearer::{self, Bearer, Owner};
use crate::catalog::{audit, objects, passwords};
use crate::serve::Peer;
use crate::state::State;

const SESSION_PREFIX: &str = "session_";
/// However much it is used.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Computed away from the threads that answer, a few at a time.
pub(super) async fn hash(state: &State, password: String) -> Outcome<String> {
    let permit = state.passwords.acquire().await;
    let random = std::sync::Arc::clone(&state.random);
    let hash = tokio::task::spawn_blocking(move || password::hash(&password, &*random)).await;
    drop(permit);
    Ok(hash.map_err(|_| Error::internal("hashing a password"))??)
}

/// As much work for a user who is not there as for one who is.
pub(super) async fn is_password(
    state: &State,
    password: String,
    stored: Option<String>,
) -> Outcome<bool> {
    let Some(stored) = stored else {
        hash(state, password).await?;
        return Ok(false);
    };
    let permit = state.passwords.acquire().await;
    let is = tokio::task::spawn_blocking(move || password::is(&password, &stored)).await;
    drop(permit);
    Ok(is.map_err(|_| Error::internal("checking a password"))??)
}

/// Whether somebody may try a password, which counts as a failure until it was right.
pub(super) fn may_try(state: &State, keys: &[String]) -> Outcome<()> {
    if state.limiter.may_try(keys, state.now()) {
        return Ok(());
    }
    let what = "too many attempts to log in failed";
    Err(Failure::new(Code::TooManyAttempts, what).cure("wait a minute, then try again"))
}

struct Found {
    tenant: Object<TenantSpec>,
    user: Object<UserSpec>,
    hash: Option<String>,
}

async fn find(state: &State, tenant: &str, user: &str) -> Outcome<Option<Found>> {
    let mut on = state.catalog.read().await?;
    let tenant = objects::named_anywhere::<TenantSpec>(&mut on, tenant).await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let user = objects::named::<UserSpec>(&mut on, &tenant.id, user).await?;
    let Some(user) = user.filter(|user| user.spec.is_enabled) else { return Ok(None) };
    let hash = passwords::get(&mut on, &user.id).await?;
    Ok(Some(Found { tenant, user, hash }))
}

/// Begins a session.
#[utoipa::path(
    post, path = "/api/v1/login", operation_id = "login", tag = "login",
    request_body = Login,
    responses(
        (status = 200, body = LoggedIn),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn login(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(login): Body<Login>,
) -> Outcome<Response> {
    let now = state.now();
    let address = peer.address.ip().to_string();
    let tenant = login.tenant.as_deref().unwrap_or(SYSTEM);
    let account = format!("{tenant}/{}", login.user);
    let keys = [format!("user {account}"), of_address(peer.address.ip())];
    may_try(&state, &keys)?;
    let found = find(&state, tenant, &login.user).await?;
    let stored = found.as_ref().and_then(|found| found.hash.clone());
    let is_right = is_password(&state, login.password, stored).await?;
    let Some(Found { tenant, user, .. }) = found.filter(|_| is_right) else {
        note_refusal(&state, &account, &address).await?;
        return Err(Failure::new(Code::LoginRefused, "user, tenant or password is wrong"));
    };
    state.limiter.was_right(&keys[0], Some(&keys[1]));
    let session = secret::make(SESSION_PREFIX, &*state.random);
    let expires = now + LONGEST;
    let bearer = Bearer {
        id: state.new_id(),
        owner_kind: Owner::User,
        owner: user.id.clone(),
        begun: now,
        used: now,
        expires: Some(expires),
        address: address.clone(),
    };
    let mut change = state.catalog.change().await?;
    bearer::delete_expired(change.on(), now).await?;
    bearer::insert(change.on(), &secret::hash(&session), &bearer).await?;
    let (actor, object) =
        (format!("user {}/{}", tenant.name, user.name), format!("user {}", user.name));
    let told = audit::New {
        time: now,
        tenant: &tenant.id,
        actor: &actor,
        action: "login",
        object: &object,
        outcome: "done",
        detail: json!({ "address": address }),
    };
    change.commit(&told).await?;
    let who = Who {
        id: user.id,
        name: user.name,
        tenant: tenant.id,
        tenant_name: tenant.name,
        role: user.spec.role,
        must_change_password: user.spec.must_change_password,
        is_system: false,
        actions: Vec::new(),
    };
    let who = with_rights(who, &tenant.spec, &state.system);
    Ok(answer(who, session, login.cookie, expires))
}

/// Names that do not exist are written down, too, but no password is.
async fn note_refusal(state: &State, account: &str, address: &str) -> Outcome<()> {
    let change = state.catalog.change().await?;
    let account: String = account.chars().take(200).collect();
    let told = audit::New {
        time: state.now(),
        tenant: &state.system,
        actor: "nobody",
        action: "login",
        object: &format!("user {account}"),
        outcome: "refused",
        detail: json!({ "address": address }),
    };
    Ok(change.commit(&told).await?)
}

fn answer(who: Who, session: String, cookie: bool, expires: jiff::Timestamp) -> Response {
    let seconds = LONGEST.as_secs();
    let set =
        format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    let csrf_token = cookie.then(|| secret::csrf_token(&session));
    let session = (!cookie).then_some(session);
    let mut response = Json(LoggedIn { who, session, csrf_token, expires }).into_response();
    let headers = response.headers_mut();
    if cookie {
        headers.insert(header::SET_COOKIE, HeaderValue::from_str(&set).expect("plain characters"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Ends the session that asks.
#[utoipa::path(
    post, path = "/api/v1/logout", operation_id = "logout", tag = "login",
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn logout(
    AxumState(state): AxumState<State>,
    caller: Asking,
) -> Outcome<Response> {
    if !caller.is_user {
        let what = "a token has no session: delete it to end its use";
        return Err(Failure::new(Code::Invalid, what));
    }
    end(&state, &caller, &caller.bearer, &caller.who.name).await?;
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
    let cookie = HeaderValue::from_str(&gone).expect("plain characters");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Whoever asks.
#[utoipa::path(
    get, path = "/api/v1/whoami", operation_id = "whoami", tag = "login",
    responses(
        (status = 200, body = Myself),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn whoami(caller: Asking) -> Json<Myself> {
    Json(Myself { who: caller.who.clone(), csrf_token: caller.csrf_token.clone() })
}

/// Open sessions: one's own, and for administrators those of their users.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "list-sessions", tag = "login",
    responses(
        (status = 200, body = Page<Session>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn sessions(
    AxumState(state): AxumState<State>,
    caller: Asking,
) -> Outcome<Json<Page<Session>>> {
    let is_administrator = caller.who.role == Role::Administrator;
    let own = (!is_administrator).then_some(&caller.who.id);
    let mut on = state.catalog.read().await?;
    let mut items = Vec::new();
    for found in bearer::sessions(&mut on, own).await? {
        let user = match objects::get::<UserSpec>(&mut on, &found.owner).await {
            Ok(user) => user,
            Err(error) if error.is(ErrorKind::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        if caller.check_id(&user.tenant, "").is_err() {
            continue;
        }
        items.push(Session {
            is_this: found.id == caller.bearer,
            id: found.id,
            user: user.id,
            user_name: user.name,
            begun: found.begun,
            last_used: found.used,
            expires: found.expires.unwrap_or(found.begun),
            address: found.address,
        });
    }
    Ok(Json(Page { items, next: None }))
}

/// Ends a session.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", operation_id = "end-session", tag = "login",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end_session(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<StatusCode> {
    let absent = || Failure::new(Code::NotFound, format!("there is no session {id}"));
    let mut on = state.catalog.read().await?;
    let all = bearer::sessions(&mut on, None).await?;
    let found = all.into_iter().find(|session| session.id == id).ok_or_else(absent)?;
    let user = objects::get::<UserSpec>(&mut on, &found.owner).await.map_err(|_| absent())?;
    drop(on);
    let is_own = caller.is_user && user.id == caller.who.id;
    if !is_own && caller.who.role != Role::Administrator {
        return Err(absent());
    }
    caller.check_id(&user.tenant, &format!("there is no session {id}"))?;
    end(&state, &caller, &id, &user.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    state: &State,
    caller: &Asking,
    session: &tintype_model::identifier::Id,
    user: &str,
) -> Outcome<()> {
    let mut change = state.catalog.change().await?;
    bearer::delete(change.on(), session).await?;
    let object = format!("user {user}");
    let told = entry(state, caller, &caller.actor.tenant, "logout", &object);
    Ok(change.commit(&told).await?)
}
