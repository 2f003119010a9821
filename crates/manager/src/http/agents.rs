//! Agents, and the tokens with which they join.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tintype_api::agent::{AgentSpec, AgentState, Discovered, JoinText, JoinToken, NewJoinToken};
use tintype_api::problem::Code;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, skew};

use super::discoveries::discovered;
use crate::agents::hands;
use crate::agents::outbox::COPY_CURE;
use crate::agents::{Expected, TOKEN};
use crate::auth::caller::Caller;
use crate::auth::secret;
use crate::catalog::{facts, objects as stored};
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, entry, handlers, own};

handlers!(AgentSpec, "agent", "/api/v1/agents", "/api/v1/agents/{id}");

const USUAL: SignedDuration = SignedDuration::from_hours(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
const MOST_ADDRESSES: usize = 16;

fn for_the_system(caller: &Caller) -> Outcome<()> {
    if caller.actor.is_system {
        return Ok(());
    }
    let what = "what reaches a host is for administrators of the system, and agents do";
    Err(Failure::new(Code::NotAllowed, what))
}

impl Rules for AgentSpec {
    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        for_the_system(context.caller)?;
        if let Some(before) = before {
            after.spec.host.clone_from(&before.spec.host);
        }
        Ok(())
    }

    async fn may_go(context: &mut Context<'_>, _: &Object<Self>) -> Outcome<()> {
        for_the_system(context.caller)
    }
}

/// What was last heard of an agent.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/state", operation_id = "get-agent-state", tag = "agent",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = AgentState),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn state(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<AgentState>> {
    own::<AgentSpec>(&state, &caller, &id).await?;
    let known = facts::state::<AgentState>(&mut *state.catalog.read().await?, "agent", &id).await?;
    let mut shown = known.unwrap_or_else(unheard);
    if let Some(seen) = state.outbox.seen(&id) {
        let silent = state.clock.elapsed().saturating_sub(seen.elapsed);
        shown.is_here = silent <= hands::SILENCE;
        shown.last_seen = Some(seen.time);
        shown.address = seen.address;
        shown.version = seen.version;
    } else {
        shown.is_here = false;
    }
    shown.doing = state.outbox.doing(&id);
    shown.refused = refused(&state, &id, &shown.version);
    if !shown.is_here {
        let addresses = state.addresses();
        shown.command =
            addresses.first().map(|address| format!("tintype agent --manager {address}"));
    }
    Ok(Json(shown))
}

fn refused(state: &State, agent: &Id, version: &str) -> Option<String> {
    if let Some(from) = state.outbox.copy(agent, state.clock.elapsed()) {
        return Some(format!(
            "another host ({from}) uses the same identity, and gets no work: on the one that is the \
             copy {COPY_CURE}"
        ));
    }
    let known = Some(version).filter(|version| !version.is_empty())?;
    skew::check(env!("CARGO_PKG_VERSION"), known).err().map(|error| error.message().to_owned())
}

pub(super) fn unheard() -> AgentState {
    AgentState {
        is_here: false,
        last_seen: None,
        address: String::new(),
        version: String::new(),
        certificate_expires: None,
        doing: Vec::new(),
        refused: None,
        command: None,
    }
}

/// Makes a token with which one agent joins, once. It is told this once.
#[utoipa::path(
    post, path = "/api/v1/agents/tokens", operation_id = "create-join-token", tag = "agent",
    request_body = NewJoinToken,
    responses(
        (status = 201, body = JoinToken),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn create_token(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewJoinToken>,
) -> Outcome<(StatusCode, Json<JoinToken>)> {
    let now = state.now();
    let tenant = new.tenant.unwrap_or_else(|| caller.actor.tenant.clone());
    let missing = format!("there is no tenant {tenant}");
    caller.check_id(&tenant, &missing)?;
    for_the_system(&caller)?;
    let addresses = if new.addresses.is_empty() { state.addresses() } else { new.addresses };
    if addresses.is_empty() || addresses.len() > MOST_ADDRESSES {
        let what = format!("a token names 1 to {MOST_ADDRESSES} addresses of the manager");
        return Err(Failure::new(Code::Invalid, what));
    }
    if let Some(wrong) = addresses.iter().find(|address| !is_address(address)) {
        let what = format!("{wrong:?} is no address like backup.example.com:8443");
        return Err(Failure::new(Code::Invalid, what));
    }
    let expires = until(new.expires, now)?;
    let secret = secret::make("", &*state.random);
    let expected = Expected { tenant: tenant.clone(), expires, by: caller.name.clone() };
    let kept = serde_json::to_string(&expected).map_err(|e| Error::internal(e.to_string()))?;
    let mut change = state.catalog.change().await?;
    stored::get::<TenantSpec>(change.on(), &tenant).await?;
    forget_old(change.on(), now).await?;
    facts::set(change.on(), &format!("{TOKEN}{}", secret::hash(&secret)), &kept).await?;
    let mut told = entry(&state, &caller, &tenant, "agent.token", "join token");
    told.detail = json!({ "expires": expires, "addresses": addresses });
    change.commit(&told).await?;
    let authority = state.authority.certificate().to_vec();
    let token = JoinText { secret, authority, addresses }.to_string();
    Ok((StatusCode::CREATED, Json(JoinToken { token, expires })))
}

fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>().is_ok_and(|p| p > 0));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    port == Some(true) && text.len() <= 300 && text.chars().all(plain)
}

fn until(wanted: Option<Timestamp>, now: Timestamp) -> Outcome<Timestamp> {
    let after = |span| now.checked_add(span).map_err(|error| Error::internal(error.to_string()));
    let (usual, longest) = (after(USUAL)?, after(LONGEST)?);
    match wanted {
        None => Ok(usual),
        Some(wanted) if wanted <= now => {
            Err(Failure::new(Code::Invalid, "`expires` is over already"))
        }
        Some(wanted) if wanted > longest => {
            Err(Failure::new(Code::Invalid, "a join token is valid for a week at most"))
        }
        Some(wanted) => Ok(wanted),
    }
}

/// Those that nobody used in time.
async fn forget_old(on: &mut sqlx::AnyConnection, now: Timestamp) -> Outcome<()> {
    for (name, value) in facts::all(on, TOKEN).await? {
        let is_over = serde_json::from_str::<Expected>(&value)
            .map_or(true, |expected| expected.expires + LONGEST < now);
        if is_over {
            facts::take(on, &name).await?;
        }
    }
    Ok(())
}

/// What runs on its host and can be protected. Nothing is changed there, and nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/discover", operation_id = "discover-agent", tag = "agent",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Discovered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn discover(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Discovered>> {
    let agent = own::<AgentSpec>(&state, &caller, &id).await?;
    for_the_system(&caller)?;
    let tenant = agent.tenant.clone();
    let (place, found) = discovered(&state, Some(agent)).await?;
    let told = entry(&state, &caller, &tenant, "agent.discover", &place);
    state.catalog.change().await?.commit(&told).await?;
    Ok(found)
}
