//! The table of routes. Each names its action; there is no other way to add one.

use axum::Extension;
use axum::extract::{Request, State as AxumState};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tintype_model::rights::Action;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::failure::Outcome;
use super::once;
use crate::auth::caller;
use crate::state::State;

/// In the OpenAPI, beside each operation: who may is tested for every one that is there.
pub const ACTION: &str = "x-tintype-action";

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
        let name = serde_json::to_value(action).unwrap_or_default();
        if action != Action::Public {
            let posts = paths.paths.values_mut().filter_map(|item| item.post.as_mut());
            posts.for_each(|post| {
                post.parameters.get_or_insert_default().push(idempotency_key().into())
            });
        }
        for operation in paths.paths.values_mut().flat_map(operations) {
            let extensions = ExtensionsBuilder::new().add(ACTION, name.clone()).build();
            operation.extensions.get_or_insert_default().merge(extensions);
        }
        let methods = methods.layer(from_fn_with_state((self.state.clone(), action), guard));
        Self { router: self.router.routes((schemas, paths, methods)), state: self.state }
    }

    pub(super) fn finish(self) -> (axum::Router, OpenApi) {
        self.router.with_state(self.state).split_for_parts()
    }
}

fn idempotency_key() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Sent again with the same key, it is not done again: the first answer is given, for a day."))
        .schema(Some(text.max_length(Some(once::MOST_KEY_BYTES))))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
        &mut item.head,
        &mut item.options,
        &mut item.trace,
    ]
    .into_iter()
    .flatten()
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
    if action == Action::Public {
        return Ok(next.run(request).await);
    }
    let caller = caller::recognise(state, action, request.method(), request.headers()).await?;
    request.extensions_mut().insert(caller.clone());
    match once::key(&request)?.filter(|_| request.method() == Method::POST) {
        Some(key) => once::once(state, &caller, &key, request, next).await,
        None => Ok(next.run(request).await),
    }
}

/// Whoever asks: present in every handler whose action is not public.
pub(super) type Asking = Extension<caller::Caller>;
