//! The table of routes. Each names its action; there is no other way to add one.

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State as AxumState};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tintype_api::problem::Code;
use tintype_model::identifier::Id;
use tintype_model::rights::Action;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::failure::{Failure, Outcome};
use super::{BODY_BYTES, described, once, work};
use crate::auth::caller;
use crate::serve::Peer;
use crate::state::State;

/// In the OpenAPI, beside each operation: who may is tested for every one that is there.
pub const ACTION: &str = "x-tintype-action";

/// Of what agents say: plans of restores and items of snapshots are long.
const AGENT_BYTES: usize = 64 << 20;

pub(super) struct Routes {
    router: OpenApiRouter<State>,
    state: State,
}

impl Routes {
    pub(super) fn new(state: State) -> Self {
        Self { router: OpenApiRouter::new(), state }
    }

    #[must_use]
    pub(super) fn on(self, action: Action, route: UtoipaMethodRouter<State>) -> Self {
        let (schemas, mut paths, methods) = route;
        paths.paths.values_mut().for_each(|item| described::describe(item, action));
        let methods = methods.layer(from_fn_with_state((self.state.clone(), action), guard));
        let methods = match action {
            Action::Agent => methods.layer(DefaultBodyLimit::max(AGENT_BYTES)),
            _ => methods,
        };
        Self { router: self.router.routes((schemas, paths, methods)), state: self.state }
    }

    pub(super) fn finish(self) -> (axum::Router, OpenApi) {
        let (router, mut description) = self.router.with_state(self.state).split_for_parts();
        described::finish(&mut description);
        (router, description)
    }
}

async fn guard(
    AxumState((state, action)): AxumState<(State, Action)>,
    request: Request,
    next: Next,
) -> Response {
    match guarded(&state, action, request, next).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn guarded(
    state: &State,
    action: Action,
    mut request: Request,
    next: Next,
) -> Outcome<Response> {
    request = whole(action, request).await?;
    admitted(state, action, &mut request).await?;
    let key = once::key(&request)?.filter(|_| request.method() == Method::POST);
    match (key, request.extensions().get::<caller::Caller>().cloned()) {
        (Some(key), Some(caller)) => once::once(state, &caller, &key, request, next).await,
        _ => Ok(next.run(request).await),
    }
}

/// With its body read: the connection of a request that is refused before that would be closed, and
/// the answer be lost with it. Pieces of files are read by whoever takes them.
async fn whole(action: Action, request: Request) -> Outcome<Request> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes() == b"application/octet-stream") {
        return Ok(request);
    }
    let most = if action == Action::Agent { AGENT_BYTES } else { BODY_BYTES };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, most)
        .await
        .map_err(|_| Failure::new(Code::TooLarge, format!("a body has at most {most} bytes")))?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Users and tokens by what they send, agents by the certificates of their connections: neither gets
/// what is the other's.
async fn admitted(state: &State, action: Action, request: &mut Request) -> Outcome<()> {
    let agent: Option<Id> =
        request.extensions().get::<ConnectInfo<Peer>>().and_then(|peer| peer.0.agent.clone());
    match (action, agent) {
        (Action::Agent, Some(id)) => {
            let agent = work::recognise(state, &id).await?;
            request.extensions_mut().insert(agent);
        }
        (_, Some(_)) => {
            let what = "an agent's certificate is for its work alone";
            return Err(Failure::new(Code::NotAllowed, what));
        }
        (Action::Public, None) => {}
        (_, None) => {
            let caller = caller::recognise(state, action, request.method(), request.headers());
            let caller = caller.await?;
            request.extensions_mut().insert(caller);
        }
    }
    Ok(())
}

/// Whoever asks: present in every handler whose action is not public.
pub(super) type Asking = Extension<caller::Caller>;
