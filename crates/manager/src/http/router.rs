//! The table of routes. Each names its action; there is no other way to add one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State as AxumState};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use tintype_api::problem::Code;
use tintype_model::Error;
use tintype_model::identifier::Id;
use tintype_model::rights::Action;
use tokio::sync::watch;
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
/// Of what nobody in particular says: names, a password, a key.
const PUBLIC_BYTES: usize = 64 << 10;
/// Of a body that is refused so much is read, and of a request so long; more breaks the connection.
const DISCARDED_BYTES: usize = 16 << 20;
const DISCARDED_IN: Duration = Duration::from_secs(10);

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
    // By its head alone: nobody has memory here who is not known.
    if let Err(refused) = admitted(state, action, &mut request).await {
        let _ = tokio::time::timeout(DISCARDED_IN, read(request.into_body(), 0)).await;
        return Err(refused);
    }
    let mut request = whole(action, request).await?;
    let is_read = request.method().is_safe();
    let key = once::key(&request)?.filter(|_| request.method() == Method::POST);
    let (_waiting, asker) = watch::channel(());
    request.extensions_mut().insert(Asker(asker));
    let (own, caller) = (Arc::clone(state), request.extensions().get::<caller::Caller>().cloned());
    let answer = async move {
        match (key, caller) {
            (Some(key), Some(caller)) => once::once(&own, &caller, &key, request, next).await,
            _ => Ok(next.run(request).await),
        }
    };
    // An agent that is gone is given no order.
    match is_read || action == Action::Agent {
        true => answer.await,
        false => to_its_end(state, answer).await,
    }
}

/// Whatever changes something goes on when the connection breaks, and when the manager ends: what is
/// done is written down, and answered once more to whoever asks with the same key.
async fn to_its_end(
    state: &State,
    answer: impl Future<Output = Outcome<Response>> + Send + 'static,
) -> Outcome<Response> {
    let changing = Arc::clone(&state.changing).read_owned().await;
    let answered = tokio::spawn(async move {
        let answer = answer.await;
        drop(changing);
        answer
    });
    answered.await.map_err(|error| Error::internal(format!("a request ended: {error}")))?
}

/// Whoever waits for an answer.
#[derive(Clone)]
pub(super) struct Asker(watch::Receiver<()>);

impl Asker {
    /// Until nobody does any more.
    pub(super) async fn gone(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// A body of at most so many bytes; none where there are more, or not all. What is too much is read and
/// thrown away: the connection of a request that is refused before its body was read would be closed,
/// and the answer be lost with it.
async fn read(body: Body, most: usize) -> Option<Vec<u8>> {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.ok()?;
        count += piece.len();
        if count <= most {
            bytes.extend_from_slice(&piece);
        } else if count > most + DISCARDED_BYTES {
            return None;
        } else {
            bytes = Vec::new();
        }
    }
    (count <= most).then_some(bytes)
}

/// With its body read. Pieces of files are read by whoever takes them.
async fn whole(action: Action, request: Request) -> Outcome<Request> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_file = kind.is_some_and(|kind| kind.as_bytes() == b"application/octet-stream");
    if is_file && action != Action::Public {
        return Ok(request);
    }
    let most = match action {
        Action::Agent => AGENT_BYTES,
        Action::Public => PUBLIC_BYTES,
        _ => BODY_BYTES,
    };
    let (parts, body) = request.into_parts();
    let too_large = || Failure::new(Code::TooLarge, format!("a body has at most {most} bytes"));
    let body = read(body, most).await.ok_or_else(too_large)?;
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
