//! Tokens of programs.

use tintype_api::object::NewObject;
use tintype_api::problem::Code;
use tintype_api::token::{MadeToken, PREFIX, TokenSpec};

use crate::auth::secret;
use crate::catalog::bearer::{self, Bearer, Owner};
use crate::catalog::objects as stored;
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, handlers, make};

handlers!(TokenSpec, "token", "/api/v1/tokens", "/api/v1/tokens/{id}");

impl Rules for TokenSpec {
    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        after.spec.last_used = before.and_then(|before| before.spec.last_used);
        after.spec.maker = match before {
            Some(before) => before.spec.maker.clone(),
            None => context.caller.user.clone(),
        };
        if after.spec.expires.is_some_and(|expires| expires <= context.state.now()) {
            return Err(Failure::new(Code::Invalid, "`expires` is over already"));
        }
        if before.is_none_or(|before| before.spec.expires != after.spec.expires) {
            not_longer(context, after).await?;
        }
        let own = context.caller.actor.role;
        if own.includes(after.spec.role) {
            return Ok(());
        }
        let what = format!("a token has at most the role of whoever makes it: {own}");
        Err(Failure::new(Code::NotAllowed, what))
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        Ok(bearer::delete_of(context.on, &object.id, None).await?)
    }
}

/// What a token makes ends with it, at the latest.
async fn not_longer(context: &mut Context<'_>, made: &mut Object<TokenSpec>) -> Outcome<()> {
    if context.caller.is_user {
        return Ok(());
    }
    let own = stored::get::<TokenSpec>(context.on, &context.caller.who.id).await?;
    let Some(end) = own.spec.expires else { return Ok(()) };
    if *made.spec.expires.get_or_insert(end) <= end {
        return Ok(());
    }
    let what = format!("a token that a token makes ends when that does: at {end}");
    Err(Failure::new(Code::NotAllowed, what).cure("choose an earlier `expires`, or log in"))
}

/// Makes a token. Its secret is told this once.
#[utoipa::path(
    post, path = "/api/v1/tokens", operation_id = "create-token", tag = "token",
    request_body = NewObject<TokenSpec>,
    responses(
        (status = 201, body = MadeToken),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewObject<TokenSpec>>,
) -> Outcome<(StatusCode, Json<MadeToken>)> {
    let secret = secret::make(PREFIX, &*state.random);
    let hash = secret::hash(&secret);
    let now = state.now();
    let id = state.new_id();
    let token = make(&state, &caller, new, async |on, token: &Object<TokenSpec>| {
        let bearer = Bearer {
            id,
            owner_kind: Owner::Token,
            owner: token.id.clone(),
            begun: now,
            used: now,
            expires: token.spec.expires,
            address: String::new(),
        };
        Ok(bearer::insert(on, &hash, &bearer).await?)
    });
    Ok((StatusCode::CREATED, Json(MadeToken { token: token.await?, secret })))
}
