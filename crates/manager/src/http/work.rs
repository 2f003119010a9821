//! What agents ask for. They are known by their certificates; no user and no token may.

use axum::extract::{ConnectInfo, Path, State as AxumState};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tintype_api::agent::{AgentSpec, AgentState, Certificate, Join, Joined, Renew};
use tintype_api::object::Object;
use tintype_api::problem::{Code, Problem};
use tintype_api::work::{AskWork, Order, Work, WorkDone, WorkHeard, WorkProgress};
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, skew};
use tintype_runner::vault::work::Done;

use super::agents::unheard;
use super::failure::{Failure, Outcome};
use super::input::Body;
use super::objects::check_name;
use crate::agents::outbox::Seen;
use crate::agents::{Expected, TOKEN};
use crate::auth::secret;
use crate::catalog::{audit, facts, objects};
use crate::serve::Peer;
use crate::state::State;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An agent that was recognised.
#[derive(Clone)]
pub(super) struct FromAgent(pub(super) Object<AgentSpec>);

/// Whose certificate was shown: it is checked already, and whether it counts still is asked here.
pub(super) async fn recognise(state: &State, id: &Id) -> Outcome<FromAgent> {
    let mut on = state.catalog.read().await?;
    match objects::get::<AgentSpec>(&mut on, id).await {
        Ok(agent) => Ok(FromAgent(agent)),
        Err(error) if error.is(ErrorKind::NotFound) => {
            let what = "this agent was deleted: its identity counts no more";
            Err(Failure::new(Code::NotAllowed, what).cure(
                "remove its data directory and join again with a new token (`tintype agent token`)",
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// Notes that an agent was heard of.
async fn heard(
    state: &State,
    agent: &Object<AgentSpec>,
    peer: &Peer,
    version: &str,
    certificate: Option<&Certificate>,
) -> Outcome<()> {
    let now = state.now();
    let seen = Seen {
        elapsed: state.clock.elapsed(),
        time: now,
        address: peer.address.ip().to_string(),
        version: version.to_owned(),
    };
    if !state.outbox.heard(&agent.id, seen) && certificate.is_none() {
        return Ok(());
    }
    let Some(seen) = state.outbox.seen(&agent.id) else { return Ok(()) };
    let mut change = state.catalog.change().await?;
    let known = facts::state::<AgentState>(change.on(), "agent", &agent.id).await?;
    let known = known.unwrap_or_else(unheard);
    let told = AgentState {
        last_seen: Some(now),
        address: seen.address,
        version: seen.version,
        certificate_expires: certificate.map(|c| c.expires).or(known.certificate_expires),
        ..unheard()
    };
    facts::set_state(change.on(), "agent", &agent.id, now, &told).await?;
    Ok(change.commit_own_books().await?)
}

/// Joins with a token, which works once.
#[utoipa::path(
    post, path = "/api/v1/agents/join", operation_id = "join-agent", tag = "agent",
    request_body = Join,
    responses(
        (status = 201, body = Joined),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn join(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(join): Body<Join>,
) -> Outcome<(StatusCode, Json<Joined>)> {
    let now = state.now();
    let refused = |what: &str| {
        let what = format!("this join token {what}");
        Failure::new(Code::LoginRefused, what).cure("make a new one (`tintype agent token`)")
    };
    let mut change = state.catalog.change().await?;
    let name = match join.secret.len() <= secret::MOST_BYTES {
        true => format!("{TOKEN}{}", secret::hash(&join.secret)),
        false => return Err(refused("is not one of this manager's")),
    };
    let kept = facts::take(change.on(), &name).await?;
    let kept = kept.ok_or_else(|| refused("was used already, or is another manager's"))?;
    let expected: Expected = serde_json::from_str(&kept)
        .map_err(|error| Error::corrupt(format!("the catalog: a join token: {error}")))?;
    if expected.expires <= now {
        return Err(refused("is not valid any more"));
    }
    skew::check(VERSION, &join.version)?;
    check_name(&join.name)?;
    let agent = Object {
        id: state.new_id(),
        tenant: expected.tenant,
        name: join.name,
        version: 1,
        created: now,
        changed: now,
        spec: AgentSpec { is_enabled: true, host: join.host },
    };
    let certificate = state.authority.issue(&agent.id, &join.public_key, now)?;
    if let Err(error) = objects::insert(change.on(), &agent).await {
        let failure = Failure::from(error);
        return Err(match failure.code() {
            Code::AlreadyExists => failure.cure("choose another name (--name), or delete that one"),
            _ => failure,
        });
    }
    let told = audit::New {
        time: now,
        tenant: &agent.tenant,
        actor: &expected.by,
        action: "agent.join",
        object: &format!("agent {}", agent.name),
        outcome: "done",
        detail: json!({
            "id": agent.id, "host": agent.spec.host, "address": peer.address.ip().to_string(),
        }),
    };
    change.commit(&told).await?;
    heard(&state, &agent, &peer, &join.version, Some(&certificate)).await?;
    Ok((StatusCode::CREATED, Json(joined(&state, agent, certificate))))
}

fn joined(state: &State, agent: Object<AgentSpec>, certificate: Certificate) -> Joined {
    let Object { id, name, .. } = agent;
    let (addresses, version) = (state.addresses(), VERSION.to_owned());
    Joined { id, name, certificate, addresses, version }
}

/// Gives an agent its next certificate.
#[utoipa::path(
    post, path = "/api/v1/agents/renew", operation_id = "renew-agent", tag = "agent",
    request_body = Renew,
    responses(
        (status = 200, body = Joined),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn renew(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(FromAgent(agent)): Extension<FromAgent>,
    Body(renew): Body<Renew>,
) -> Outcome<Json<Joined>> {
    let now = state.now();
    let certificate = state.authority.issue(&agent.id, &renew.public_key, now)?;
    let told = audit::New {
        time: now,
        tenant: &agent.tenant,
        actor: &format!("agent {}", agent.name),
        action: "agent.renew",
        object: &format!("agent {}", agent.name),
        outcome: "done",
        detail: json!({ "id": agent.id, "expires": certificate.expires }),
    };
    state.catalog.change().await?.commit(&told).await?;
    heard(&state, &agent, &peer, "", Some(&certificate)).await?;
    Ok(Json(joined(&state, agent, certificate)))
}

/// Waits a while for something to do.
#[utoipa::path(
    post, path = "/api/v1/agents/work", operation_id = "fetch-work", tag = "agent",
    request_body = AskWork,
    responses(
        (status = 200, body = Work),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn fetch(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(FromAgent(agent)): Extension<FromAgent>,
    Body(ask): Body<AskWork>,
) -> Outcome<Json<Work>> {
    let from = peer.address.ip().to_string();
    let _asking = state.outbox.asks(&agent.id, &ask.instance, &from, state.clock.elapsed())?;
    // Whoever looks sees which version it has.
    heard(&state, &agent, &peer, &ask.version, None).await?;
    skew::check(VERSION, &ask.version)?;
    let found = state.outbox.next(&agent.id, &ask.holding, ask.waits).await;
    // It may have been deleted while it waited.
    recognise(&state, &agent.id).await?;
    let order = found.map(|(id, body)| Order { id, body });
    Ok(Json(Work { order, addresses: state.addresses(), version: VERSION.to_owned() }))
}

/// Says how far an order is, and hears whether it is to stop.
#[utoipa::path(
    post, path = "/api/v1/agents/work/{order}/progress", operation_id = "report-work",
    tag = "agent", params(("order" = String, Path)), request_body = WorkProgress,
    responses(
        (status = 200, body = WorkHeard),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn progress(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(FromAgent(agent)): Extension<FromAgent>,
    Path(order): Path<String>,
    Body(progress): Body<WorkProgress>,
) -> Outcome<Json<WorkHeard>> {
    heard(&state, &agent, &peer, "", None).await?;
    let found = state.outbox.progress(&agent.id, &order, &progress);
    Ok(Json(WorkHeard { is_known: found.is_some(), cancel: found == Some(true) }))
}

/// Says how an order ended. The agent keeps that until somebody waited for it.
#[utoipa::path(
    post, path = "/api/v1/agents/work/{order}/done", operation_id = "deliver-work",
    tag = "agent", params(("order" = String, Path)), request_body = WorkDone,
    responses(
        (status = 200, body = WorkHeard),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn done(
    AxumState(state): AxumState<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(FromAgent(agent)): Extension<FromAgent>,
    Path(order): Path<String>,
    Body(done): Body<WorkDone>,
) -> Outcome<Json<WorkHeard>> {
    heard(&state, &agent, &peer, "", None).await?;
    let is_known = state.outbox.done(&agent.id, &order, outcome(done));
    Ok(Json(WorkHeard { is_known, cancel: false }))
}

fn outcome(done: WorkDone) -> tintype_model::Result<Done> {
    let wrong =
        |error| Error::unsupported(format!("what the agent says is not understood: {error}"));
    let failed = |value: Value| serde_json::from_value::<Error>(value).map_err(wrong);
    match (done.result, done.failure) {
        (Some(result), None) => serde_json::from_value(result).map_err(wrong),
        (None, Some(failure)) => Err(failed(failure)?),
        _ => Err(Error::unsupported("the agent says neither what came of it nor why nothing did")),
    }
}
