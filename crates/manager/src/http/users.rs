//! Users, and their passwords.

use serde_json::json;
use tintype_api::object::NewObject;
use tintype_api::problem::Code;
use tintype_api::token::TokenSpec;
use tintype_api::user::{NewPassword, NewUser, UserSpec};
use tintype_model::rights::Role;

use crate::auth::password;
use crate::catalog::objects as stored;
use crate::catalog::{bearer, passwords};
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, entry, handlers, make, own};

handlers!(UserSpec, "user", "/api/v1/users", "/api/v1/users/{id}");

impl Rules for UserSpec {
    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        let was = before.is_some_and(is_active_administrator);
        if was && !is_active_administrator(after) {
            not_the_last(context, after).await?;
        }
        // Whoever may no longer log in is not logged in.
        if !after.spec.is_enabled {
            bearer::delete_of(context.on, &after.id, None).await?;
        }
        Ok(())
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        if is_active_administrator(object) {
            not_the_last(context, object).await?;
        }
        bearer::delete_of(context.on, &object.id, None).await?;
        tokens_go(context, object).await?;
        Ok(passwords::delete(context.on, &object.id).await?)
    }
}

/// Those that act for a user who goes.
async fn tokens_go(context: &mut Context<'_>, user: &Object<UserSpec>) -> Outcome<()> {
    let tokens = stored::all::<TokenSpec>(context.on, None).await?;
    for token in tokens.iter().filter(|token| token.spec.maker.as_ref() == Some(&user.id)) {
        bearer::delete_of(context.on, &token.id, None).await?;
        stored::delete::<TokenSpec>(context.on, &token.id).await?;
    }
    Ok(())
}

fn is_active_administrator(user: &Object<UserSpec>) -> bool {
    user.spec.role == Role::Administrator && user.spec.is_enabled
}

/// The root must keep somebody who can do everything.
async fn not_the_last(context: &mut Context<'_>, user: &Object<UserSpec>) -> Outcome<()> {
    if user.tenant != context.state.system {
        return Ok(());
    }
    let users = stored::all::<UserSpec>(context.on, Some(&user.tenant)).await?;
    if users.iter().any(|other| other.id != user.id && is_active_administrator(other)) {
        return Ok(());
    }
    let what = format!("{} is the last administrator of the system", user.name);
    Err(Failure::new(Code::Locked, what).cure("make another user an administrator first"))
}

/// Makes a user, with a password if one is given: both or neither.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "create-user", tag = "user",
    request_body = NewUser,
    responses(
        (status = 201, body = Kept<UserSpec>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewUser>,
) -> Outcome<Response> {
    let NewUser { name, tenant, mut spec, password } = new;
    let hash = match password {
        None => None,
        Some(password) => {
            password::check(&password)?;
            spec.must_change_password = true;
            Some(super::logins::hash(&state, password).await?)
        }
    };
    let new = NewObject { name, tenant, spec };
    let made = make(&state, &caller, new, async |on, user: &Object<UserSpec>| {
        if let Some(hash) = &hash {
            passwords::set(on, &user.id, hash, user.created).await?;
        }
        Ok(())
    });
    Ok(objects::answer(StatusCode::CREATED, made.await?))
}

/// Sets a user's password and ends the user's other sessions.
#[utoipa::path(
    put, path = "/api/v1/users/{id}/password", operation_id = "set-password", tag = "user",
    params(("id" = String, Path)),
    request_body = NewPassword,
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn set_password(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Body(new): Body<NewPassword>,
) -> Outcome<StatusCode> {
    password::check(&new.new)?;
    if new.old.as_ref().is_some_and(|old| old.len() > password::MOST_BYTES) {
        return Err(Failure::new(
            Code::Invalid,
            "no password is as long as the old one that was given",
        ));
    }
    own::<UserSpec>(&state, &caller, &id).await?;
    if !caller.is_user {
        // It may end, or be taken back: what it left behind would not.
        let what = "a password is set by somebody who is logged in, not with a token";
        return Err(Failure::new(Code::NotAllowed, what).cure("log in (`tintype login`)"));
    }
    let is_own = caller.is_user && caller.who.id == id;
    if is_own && new.old.as_ref() == Some(&new.new) {
        let what = "the new password is the old one";
        return Err(Failure::new(Code::Invalid, what).cure("choose another"));
    }
    if is_own {
        let key = format!("password {id}");
        super::logins::may_try(&state, std::slice::from_ref(&key))?;
        let stored = passwords::get(&mut *state.catalog.read().await?, &id).await?;
        let old = new.old.unwrap_or_default();
        if !super::logins::is_password(&state, old, stored).await? {
            return Err(Failure::new(Code::LoginRefused, "the old password is wrong"));
        }
        state.limiter.was_right(&key, None);
    } else if caller.actor.role != Role::Administrator {
        let what = "only administrators set passwords of others";
        return Err(Failure::new(Code::NotAllowed, what));
    }
    let hash = super::logins::hash(&state, new.new).await?;
    let mut change = state.catalog.change().await?;
    let mut user = stored::get::<UserSpec>(change.on(), &id).await?;
    user.spec.must_change_password = !is_own;
    user.version += 1;
    user.changed = state.now();
    stored::update(change.on(), &user).await?;
    passwords::set(change.on(), &id, &hash, state.now()).await?;
    bearer::delete_of(change.on(), &id, is_own.then_some(&caller.bearer)).await?;
    let what = format!("user {}", user.name);
    let mut told = entry(&state, &caller, &user.tenant, "user.password", &what);
    told.detail = json!({ "id": id });
    change.commit(&told).await?;
    Ok(StatusCode::NO_CONTENT)
}
