//! Connectors: tried out before they are accepted.

use tintype_api::connector::{ConnectorSpec, PASSWORD_FILE, Tried};
use tintype_api::object::{ChangedObject, NewObject};
use tintype_api::problem::Code;
use tintype_api::resource::ResourceSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result as ModelResult};
use tintype_runner::vault::Passwords;

use super::resources::exists;
use crate::catalog::objects as stored;
use crate::catalog::secrets;
use crate::connectors::{secret_of, tried};
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, candidate, entry, handlers_but_change, make, own};

handlers_but_change!(ConnectorSpec, "connector", "/api/v1/connectors", "/api/v1/connectors/{id}");

impl Rules for ConnectorSpec {
    fn check(&self) -> ModelResult<()> {
        let has_password = self.has_password || self.password.is_some();
        if has_password && self.at.contains_key(PASSWORD_FILE) {
            return Err(Error::invalid(
                "a password is in `password`, or in a `password_file` of `at`",
            ));
        }
        if self.password.as_ref().is_some_and(|text| text.is_empty() || text.contains('\n')) {
            return Err(Error::invalid("a password has one line"));
        }
        let file = self.at.get(PASSWORD_FILE).and_then(|file| file.as_str());
        if file.and_then(Passwords::connector_of).is_some() {
            return Err(Error::invalid("`password_file` is the whole path of a file"));
        }
        Ok(())
    }

    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        let state = context.state;
        if let Some(agent) = &after.spec.agent {
            exists(context, agent, &after.tenant).await?;
        }
        let differs = |before: &Object<Self>| {
            before.spec.connector != after.spec.connector || before.spec.agent != after.spec.agent
        };
        if before.is_some_and(differs) {
            unused(context, &after.id, &after.name).await?;
        }
        let of = secret_of(&after.id);
        match after.spec.password.take() {
            Some(password) => {
                let (key, random) = (&state.key, &*state.random);
                secrets::put(context.on, of, password.as_bytes(), key, random).await?;
                after.spec.has_password = true;
            }
            None if !after.spec.has_password => secrets::delete(context.on, of).await?,
            None if before.is_some_and(|before| before.spec.has_password) => {}
            None => return Err(Failure::new(Code::Invalid, "`password` is missing")),
        }
        Ok(())
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        unused(context, &object.id, &object.name).await
    }
}

async fn unused(context: &mut Context<'_>, id: &Id, name: &str) -> Outcome<()> {
    let all = stored::all::<ResourceSpec>(context.on, None).await?;
    match all.iter().find(|resource| resource.spec.through.as_ref() == Some(id)) {
        None => Ok(()),
        Some(resource) => {
            let what = format!("resource {} goes through connector {name}", resource.name);
            Err(Failure::new(Code::Locked, what)
                .cure("let it go through another, or delete it first"))
        }
    }
}

/// Adds a connector, after it was tried out.
#[utoipa::path(
    post, path = "/api/v1/connectors", operation_id = "create-connector", tag = "connector",
    request_body = NewObject<ConnectorSpec>,
    responses(
        (status = 201, body = Kept<ConnectorSpec>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewObject<ConnectorSpec>>,
) -> Outcome<Response> {
    let candidate = candidate(&state, &caller, new.clone())?;
    tried(&state, &candidate, new.spec.password.clone()).await?;
    let made = make(&state, &caller, new, async |_, _| Ok(())).await?;
    Ok(crate::http::objects::answer(StatusCode::CREATED, made))
}

/// Changes a connector, after it was tried out as it is to be.
#[utoipa::path(
    patch, path = "/api/v1/connectors/{id}", operation_id = "change-connector", tag = "connector",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = ChangedObject<ConnectorSpec>,
    responses(
        (status = 200, body = Kept<ConnectorSpec>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn change(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    headers: HeaderMap,
    Body(changed): Body<ChangedObject<ConnectorSpec>>,
) -> Outcome<Response> {
    let before = own::<ConnectorSpec>(&state, &caller, &id).await?;
    if let Some(spec) = &changed.spec {
        spec.check()?;
        // The password that there is goes to the place where it went, until it is told again.
        let is_elsewhere = spec.at != before.spec.at || spec.connector != before.spec.connector;
        if is_elsewhere && spec.has_password && spec.password.is_none() {
            let what = "the connector leads elsewhere from now on: its password is told again";
            return Err(Failure::new(Code::Invalid, what));
        }
        let candidate = Object { spec: spec.clone(), ..before };
        tried(&state, &candidate, spec.password.clone()).await?;
    }
    crate::http::objects::change::<ConnectorSpec>(&state, &caller, &id, &headers, changed).await
}

/// Tries it out now.
#[utoipa::path(
    post, path = "/api/v1/connectors/{id}/check", operation_id = "check-connector",
    tag = "connector", params(("id" = String, Path)),
    responses(
        (status = 200, body = Tried),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn check(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Tried>> {
    let connector = own::<ConnectorSpec>(&state, &caller, &id).await?;
    let found = tried(&state, &connector, None).await?;
    let what = format!("connector {}", connector.name);
    let change = state.catalog.change().await?;
    change.commit(&entry(&state, &caller, &connector.tenant, "connector.check", &what)).await?;
    Ok(Json(found))
}
