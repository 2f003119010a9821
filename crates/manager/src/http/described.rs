//! What the description says of every operation, so that no handler has to: who may, how one logs
//! in, and with which statuses an error may come.

use serde_json::{Value, json};
use tintype_api::change::Changed;
use tintype_api::problem::MEDIA_TYPE;
use tintype_model::rights::Action;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::once;
use super::router::ACTION;
use crate::auth::caller::COOKIE;

const PROBLEM: &str = "Problem";
/// Of the ways to show who asks.
const TOKEN: &str = "token";
const SESSION: &str = "session";
const CERTIFICATE: &str = "certificate";

/// Of one path of the table of routes.
pub(super) fn describe(item: &mut PathItem, action: Action) {
    let methods = [
        (&mut item.get, false),
        (&mut item.head, false),
        (&mut item.put, true),
        (&mut item.post, true),
        (&mut item.delete, true),
        (&mut item.patch, true),
    ];
    for (operation, changes) in methods {
        let Some(operation) = operation else { continue };
        let name = serde_json::to_value(action).unwrap_or_default();
        let extensions = ExtensionsBuilder::new().add(ACTION, name).build();
        operation.extensions.get_or_insert_default().merge(extensions);
        operation.security = Some(security(action));
        problems(operation, action, changes);
    }
    item.get.iter_mut().for_each(may_be_known);
    if let Some(post) = &mut item.post
        && !matches!(action, Action::Public | Action::Agent)
    {
        post.parameters.get_or_insert_default().push(idempotency_key().into());
    }
}

fn security(action: Action) -> Vec<SecurityRequirement> {
    let by = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    match action {
        Action::Public => Vec::new(),
        Action::Agent => vec![by(CERTIFICATE)],
        _ => vec![by(TOKEN), by(SESSION)],
    }
}

/// In place of `default`: all statuses with which this operation may refuse.
fn problems(operation: &mut Operation, action: Action, changes: bool) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |wanted: ParameterIn| {
        parameters.iter().any(|one| matches!(one, RefOr::T(one) if one.parameter_in == wanted))
    };
    let takes_body = operation.request_body.is_some();
    let takes_words = takes_body || has(ParameterIn::Query);
    let may = [
        ("400", takes_body || has(ParameterIn::Path)),
        ("401", true),
        ("403", true),
        ("404", takes_words || has(ParameterIn::Path)),
        ("409", changes),
        ("412", changes && has(ParameterIn::Header)),
        ("413", changes),
        ("415", takes_body),
        ("416", operation.responses.responses.contains_key("206")),
        ("422", takes_words || changes || has(ParameterIn::Path)),
        ("429", action == Action::Public),
        ("500", true),
        ("503", true),
        ("507", changes),
    ];
    operation.responses.responses.remove("default");
    for (status, _) in may.into_iter().filter(|(_, may)| *may) {
        let problem = || RefOr::Ref(Ref::from_response_name(PROBLEM));
        operation.responses.responses.entry(status.to_owned()).or_insert_with(problem);
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

/// What is JSON is not sent again ([`super::unchanged`]).
fn may_be_known(get: &mut Operation) {
    let answers = &mut get.responses.responses;
    let is_json = matches!(
        answers.get("200"),
        Some(RefOr::T(answer)) if answer.content.contains_key("application/json")
    );
    if !is_json {
        return;
    }
    let known = ResponseBuilder::new().description("It is what `If-None-Match` names.").build();
    answers.insert("304".to_owned(), known.into());
    let tag = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The `ETag` of what one has already."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    get.parameters.get_or_insert_default().push(tag.into());
}

/// What operations refer to.
pub(super) fn finish(description: &mut OpenApi) {
    let components = description.components.get_or_insert_default();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build();
    let problem = ResponseBuilder::new()
        .description("What happened to what, and what to do next.")
        .content(MEDIA_TYPE, content)
        .build();
    components.responses.insert(PROBLEM.to_owned(), problem.into());
    // Text of events is JSON, of which the description of a stream says nothing.
    let mut in_events = vec![(Changed::name().into_owned(), Changed::schema())];
    Changed::schemas(&mut in_events);
    components.schemas.extend(in_events);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token, or a session that was begun without `cookie`."))
        .build();
    let cookie = "A session that was begun with `cookie`; changes need its `X-CSRF-Token`, too.";
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, cookie));
    let certificate = SecurityScheme::MutualTls {
        description: Some("Of an agent that has joined.".to_owned()),
        deprecated: None,
        extensions: None,
    };
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(cookie));
    components.add_security_scheme(CERTIFICATE, certificate);
}

/// A number without a sign is called so: `int64` ends at half of its values.
pub(super) fn name_unsigned(description: &mut Value) {
    let mut waiting = vec![description];
    while let Some(one) = waiting.pop() {
        match one {
            Value::Object(fields) => {
                if fields.get("minimum") == Some(&json!(0))
                    && fields.get("format") == Some(&json!("int64"))
                    && !fields.contains_key("maximum")
                {
                    fields.insert("format".to_owned(), json!("uint64"));
                }
                waiting.extend(fields.values_mut());
            }
            Value::Array(values) => waiting.extend(values),
            _ => {}
        }
    }
}
