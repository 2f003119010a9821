//! The five operations that all kinds of objects have.

use std::future::Future;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::AnyConnection;
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::page::{DEFAULT_LIMIT, ListQuery, Page};
use tintype_api::problem::Code;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::resource::NAME_BYTES;
use tintype_model::{ErrorKind, Result as ModelResult};

use super::failure::{Failure, Outcome};
use super::input::{cursor_of, limit_of, page};
use crate::auth::caller::Caller;
use crate::catalog::audit;
use crate::catalog::objects::{self, Filter, Kind};
use crate::state::State;

/// What is particular to a kind. Everything happens in the transaction of the change.
pub(super) trait Rules: Kind {
    /// Whether the values make sense by themselves.
    fn check(&self) -> ModelResult<()> {
        Ok(())
    }

    /// Before it is made or changed.
    fn may_become(
        _context: &mut Context<'_>,
        _before: Option<&Object<Self>>,
        _after: &mut Object<Self>,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { Ok(()) }
    }

    /// Before it is deleted; also removes what goes with it.
    fn may_go(
        _context: &mut Context<'_>,
        _object: &Object<Self>,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { Ok(()) }
    }
}

pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) caller: &'a Caller,
    pub(super) on: &'a mut AnyConnection,
}

fn absent<S: Kind>(id: &Id) -> String {
    format!("there is no {} {id}", S::NAME)
}

/// Of a request that changes what it saw before.
fn expected_version(headers: &HeaderMap) -> Outcome<Option<i64>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(None);
    }
    let Some(version) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        let what = "If-Match is the ETag of the object, with its quotes, or `*`";
        return Err(Failure::new(Code::BadRequest, what));
    };
    match version.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(Failure::new(Code::Changed, "If-Match names no version of this object")),
    }
}

fn check_version<S: Kind>(object: &Object<S>, expected: Option<i64>) -> Outcome<()> {
    if expected.is_none_or(|expected| expected == object.version) {
        return Ok(());
    }
    let (kind, name, version) = (S::NAME, &object.name, object.version);
    let what = format!("{kind} {name} was changed meanwhile: it has version {version} now");
    Err(Failure::new(Code::Changed, what).cure("read it again, and send what is to change"))
}

pub(super) fn check_name(name: &str) -> Outcome<()> {
    let is_good = name.len() <= NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if is_good {
        return Ok(());
    }
    Err(Failure::new(
        Code::Invalid,
        format!(
            "a name has letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has \
             at most {NAME_BYTES} bytes"
        ),
    ))
}

/// With its version as `ETag`.
pub(super) fn answer<S: Kind>(status: StatusCode, object: Object<S>) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", object.version));
    let mut response = (status, Json(object)).into_response();
    response.headers_mut().insert(header::ETAG, tag.expect("digits"));
    response
}

pub(super) fn entry<'a>(
    state: &State,
    caller: &'a Caller,
    tenant: &'a Id,
    action: &'a str,
    object: &'a str,
) -> audit::New<'a> {
    audit::New {
        time: state.now(),
        tenant,
        actor: &caller.name,
        action,
        object,
        outcome: "done",
        detail: json!({}),
    }
}

/// What names must have in them.
pub(super) fn part_of(q: Option<&str>) -> Outcome<Option<String>> {
    let part = q.filter(|part| !part.is_empty());
    match part.is_some_and(|part| part.len() > NAME_BYTES) {
        true => Err(Failure::new(Code::Invalid, format!("`q` has at most {NAME_BYTES} bytes"))),
        false => Ok(part.map(str::to_owned)),
    }
}

/// Does what the catalog cannot take back. It is in the audit log before it is done (`begun`), and so
/// is that it failed; whoever asked for it notes that it is done.
pub(super) async fn acted<T>(
    state: &State,
    told: &audit::New<'_>,
    work: impl Future<Output = ModelResult<T>>,
) -> Outcome<T> {
    let note = async |outcome, detail| {
        let told = audit::New { time: state.now(), outcome, detail, ..told.clone() };
        state.catalog.change().await?.commit(&told).await
    };
    note("begun", told.detail.clone()).await?;
    match work.await {
        Ok(done) => Ok(done),
        Err(error) => {
            let mut detail = told.detail.clone();
            detail["error"] = json!(error.message());
            note("failed", detail).await?;
            Err(error.into())
        }
    }
}

pub(super) async fn list<S: Rules>(
    state: &State,
    caller: &Caller,
    query: &ListQuery,
) -> Outcome<Json<Page<Object<S>>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose();
    let filter = Filter {
        tenant: caller.scope(wanted?),
        name: query.name.clone(),
        part: part_of(query.q.as_deref())?,
        after: cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?,
        limit: limit as i64 + 1,
    };
    let items = state.catalog.list::<S>(&filter).await?;
    Ok(page(items, limit, |last: &Object<S>| last.id.to_string()))
}

/// One that whoever asks may do this to.
pub(super) async fn own<S: Kind>(state: &State, caller: &Caller, id: &Id) -> Outcome<Object<S>> {
    let object = state.catalog.get::<S>(id).await?;
    caller.check_id(&object.tenant, &absent::<S>(id))?;
    Ok(object)
}

/// The tenant that is asked about: one's own unless told.
pub(super) async fn tenant_of(
    state: &State,
    caller: &Caller,
    wanted: Option<Id>,
) -> Outcome<Object<TenantSpec>> {
    let id = wanted.unwrap_or_else(|| caller.actor.tenant.clone());
    let absent = format!("there is no tenant {id}");
    // Whether it is there is not for everybody to know.
    caller.check_id(&id, &absent)?;
    let tenant = state.tenant(&id).await?;
    caller.check(&tenant, &absent)?;
    Ok(tenant)
}

pub(super) async fn get<S: Rules>(state: &State, caller: &Caller, id: &Id) -> Outcome<Response> {
    Ok(answer(StatusCode::OK, own::<S>(state, caller, id).await?))
}

pub(super) async fn create<S: Rules>(
    state: &State,
    caller: &Caller,
    new: NewObject<S>,
) -> Outcome<Response> {
    let made = make(state, caller, new, async |_, _| Ok(())).await?;
    Ok(answer(StatusCode::CREATED, made))
}

/// An object as it would be made, for what is tried out before.
pub(super) fn candidate<S: Rules>(
    state: &State,
    caller: &Caller,
    new: NewObject<S>,
) -> Outcome<Object<S>> {
    new.spec.check()?;
    let tenant = new.tenant.unwrap_or_else(|| caller.actor.tenant.clone());
    caller.check_id(&tenant, &format!("there is no tenant {tenant}"))?;
    let (id, now) = (state.new_id(), state.now());
    let (name, spec) = (new.name, new.spec);
    Ok(Object { id, tenant, name, version: 1, created: now, changed: now, spec })
}

/// Makes an object, and what belongs to it in the same change.
pub(super) async fn make<S: Rules>(
    state: &State,
    caller: &Caller,
    new: NewObject<S>,
    also: impl AsyncFnOnce(&mut AnyConnection, &Object<S>) -> Outcome<()>,
) -> Outcome<Object<S>> {
    check_name(&new.name)?;
    let mut object = candidate(state, caller, new)?;
    let mut change = state.catalog.change().await?;
    let of = objects::get::<TenantSpec>(change.on(), &object.tenant).await;
    caller.check(&of?, &format!("there is no tenant {}", object.tenant))?;
    let mut context = Context { state, caller, on: change.on() };
    S::may_become(&mut context, None, &mut object).await?;
    objects::insert(change.on(), &object).await?;
    also(change.on(), &object).await?;
    let (action, what) = (format!("{}.create", S::NAME), format!("{} {}", S::NAME, object.name));
    let mut told = entry(state, caller, &object.tenant, &action, &what);
    told.detail = json!({ "id": object.id, "spec": object.spec });
    change.commit(&told).await?;
    Ok(object)
}

pub(super) async fn change<S: Rules>(
    state: &State,
    caller: &Caller,
    id: &Id,
    headers: &HeaderMap,
    changed: ChangedObject<S>,
) -> Outcome<Response> {
    let expected = expected_version(headers)?;
    let mut change = state.catalog.change().await?;
    let before = objects::get::<S>(change.on(), id).await?;
    caller.check_id(&before.tenant, &absent::<S>(id))?;
    check_version(&before, expected)?;
    let mut after = before.clone();
    if let Some(name) = changed.name {
        check_name(&name)?;
        after.name = name;
    }
    if let Some(spec) = changed.spec {
        spec.check()?;
        after.spec = spec;
    }
    after.version += 1;
    after.changed = state.now();
    let mut context = Context { state, caller, on: change.on() };
    S::may_become(&mut context, Some(&before), &mut after).await?;
    if let Err(error) = objects::update(change.on(), &after).await {
        return Err(match error.kind() {
            ErrorKind::Locked => Failure::new(Code::Changed, error.message()),
            _ => error.into(),
        });
    }
    let (action, what) = (format!("{}.change", S::NAME), format!("{} {}", S::NAME, before.name));
    let mut told = entry(state, caller, &after.tenant, &action, &what);
    told.detail = json!({ "id": after.id, "name": after.name, "spec": after.spec });
    change.commit(&told).await?;
    Ok(answer(StatusCode::OK, after))
}

pub(super) async fn delete<S: Rules>(
    state: &State,
    caller: &Caller,
    id: &Id,
    headers: &HeaderMap,
) -> Outcome<StatusCode> {
    let expected = expected_version(headers)?;
    let mut change = state.catalog.change().await?;
    let object = objects::get::<S>(change.on(), id).await?;
    caller.check_id(&object.tenant, &absent::<S>(id))?;
    check_version(&object, expected)?;
    let mut context = Context { state, caller, on: change.on() };
    S::may_go(&mut context, &object).await?;
    objects::delete::<S>(change.on(), id).await?;
    let (action, what) = (format!("{}.delete", S::NAME), format!("{} {}", S::NAME, object.name));
    let mut told = entry(state, caller, &object.tenant, &action, &what);
    told.detail = json!({ "id": object.id });
    change.commit(&told).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What of a kind concerns one object: `get` and `delete`.
macro_rules! handlers_of_one {
    ($spec:ty, $noun:literal, $one:literal) => {
        use axum::Json;
        use axum::extract::State as AxumState;
        use axum::http::{HeaderMap, StatusCode};
        use axum::response::Response;
        use tintype_api::object::{Kept, Object};
        use tintype_api::page::{ListQuery, Page};
        use tintype_api::problem::Problem;

        use crate::http::failure::Outcome;
        use crate::http::input::{Asked, Body, OneId};
        use crate::http::objects;
        use crate::http::router::Asking;
        use crate::state::State;

        #[utoipa::path(
            get, path = $one, operation_id = concat!("get-", $noun), tag = $noun,
            params(("id" = String, Path)),
            responses(
                (status = 200, body = Kept<$spec>),
                (status = "default", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(in crate::http) async fn get(
            AxumState(state): AxumState<State>,
            caller: Asking,
            OneId(id): OneId,
        ) -> Outcome<Response> {
            objects::get::<$spec>(&state, &caller, &id).await
        }

        #[utoipa::path(
            delete, path = $one, operation_id = concat!("delete-", $noun), tag = $noun,
            params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
            responses(
                (status = 204),
                (status = "default", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(in crate::http) async fn delete(
            AxumState(state): AxumState<State>,
            caller: Asking,
            OneId(id): OneId,
            headers: HeaderMap,
        ) -> Outcome<StatusCode> {
            objects::delete::<$spec>(&state, &caller, &id, &headers).await
        }
    };
}

/// The usual list.
macro_rules! list_handler {
    ($spec:ty, $noun:literal, $all:literal) => {
        #[utoipa::path(
            get, path = $all, operation_id = concat!("list-", $noun, "s"), tag = $noun,
            params(ListQuery),
            responses(
                (status = 200, body = Page<Kept<$spec>>),
                (status = "default", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(in crate::http) async fn list(
            AxumState(state): AxumState<State>,
            caller: Asking,
            Asked(query): Asked<ListQuery>,
        ) -> Outcome<Json<Page<Object<$spec>>>> {
            objects::list::<$spec>(&state, &caller, &query).await
        }
    };
}

/// The handlers of a kind of which making and changing is special.
macro_rules! handlers_but_change {
    ($spec:ty, $noun:literal, $all:literal, $one:literal) => {
        crate::http::objects::handlers_of_one!($spec, $noun, $one);
        crate::http::objects::list_handler!($spec, $noun, $all);
    };
}

/// The five operations that all kinds have, but how one is made.
macro_rules! handlers {
    ($spec:ty, $noun:literal, $all:literal, $one:literal) => {
        crate::http::objects::handlers_but_change!($spec, $noun, $all, $one);
        use tintype_api::object::ChangedObject;

        #[utoipa::path(
            patch, path = $one, operation_id = concat!("change-", $noun), tag = $noun,
            params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
            request_body = ChangedObject<$spec>,
            responses(
                (status = 200, body = Kept<$spec>),
                (status = "default", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(in crate::http) async fn change(
            AxumState(state): AxumState<State>,
            caller: Asking,
            OneId(id): OneId,
            headers: HeaderMap,
            Body(changed): Body<ChangedObject<$spec>>,
        ) -> Outcome<Response> {
            objects::change::<$spec>(&state, &caller, &id, &headers, changed).await
        }
    };
}

/// The usual way to make one.
macro_rules! create_handler {
    ($spec:ty, $noun:literal, $all:literal) => {
        use tintype_api::object::NewObject;

        #[utoipa::path(
            post, path = $all, operation_id = concat!("create-", $noun), tag = $noun,
            request_body = NewObject<$spec>,
            responses(
                (status = 201, body = Kept<$spec>),
                (status = "default", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        pub(in crate::http) async fn create(
            AxumState(state): AxumState<State>,
            caller: Asking,
            Body(new): Body<NewObject<$spec>>,
        ) -> Outcome<Response> {
            objects::create::<$spec>(&state, &caller, new).await
        }
    };
}

pub(super) use {create_handler, handlers, handlers_but_change, handlers_of_one, list_handler};
