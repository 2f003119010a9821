//! Somebody who was recognised, with what they want to do.

use axum::http::{HeaderMap, Method, header};
use jiff::{SignedDuration, Timestamp};
use tintype_api::login::Who;
use tintype_api::object::Object;
use tintype_api::problem::Code;
use tintype_api::tenant::TenantSpec;
use tintype_api::token::TokenSpec;
use tintype_api::user::UserSpec;
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Actor, Allowance, Decision, decide};

use super::secret;
use crate::catalog::bearer::{self, Bearer, Owner};
use crate::catalog::objects;
use crate::http::failure::{Failure, Outcome};
use crate::state::State;

/// `__Host-`: only over TLS, only from this host, for the whole of it.
pub const COOKIE: &str = "__Host-tintype";
pub const CSRF_HEADER: &str = "x-csrf-token";
/// A use is written down once in so long.
const USE_IS_NOTED: SignedDuration = SignedDuration::from_secs(60);
/// A session that is not used for so long is over.
const IDLE: SignedDuration = SignedDuration::from_hours(12);

#[derive(Clone, Debug)]
pub struct Caller {
    pub who: Who,
    pub actor: Actor,
    /// Of the session or token that was presented.
    pub bearer: Id,
    /// What changes must bring along, if it was presented as a cookie.
    pub csrf_token: Option<String>,
    pub is_user: bool,
    /// Who acts, or for whom a token does.
    pub user: Option<Id>,
    pub action: Action,
    /// In the audit log.
    pub name: String,
}

/// How it was presented.
struct Presented<'a> {
    secret: &'a str,
    by_cookie: bool,
}

fn presented(headers: &HeaderMap) -> Option<Presented<'_>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let secret = value.to_str().ok()?.strip_prefix("Bearer ")?;
        return Some(Presented { secret, by_cookie: false });
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, secret) = pairs.find(|(name, _)| name.trim() == COOKIE)?;
    Some(Presented { secret: secret.trim(), by_cookie: true })
}

/// Recognises who asks; whether the object is theirs is for the handler to find out.
pub async fn recognise(
    state: &State,
    action: Action,
    method: &Method,
    headers: &HeaderMap,
) -> Outcome<Caller> {
    let (caller, found) = found(state, action, method, headers).await?;
    let now = state.now();
    if now.duration_since(found.used) >= USE_IS_NOTED {
        note_use(state, &found, now).await?;
    }
    Ok(caller)
}

/// Whoever asked once and is answered for long: as it is now. Being answered is no use of a session.
pub async fn still(state: &State, action: Action, headers: &HeaderMap) -> Outcome<Caller> {
    Ok(found(state, action, &Method::GET, headers).await?.0)
}

async fn found(
    state: &State,
    action: Action,
    method: &Method,
    headers: &HeaderMap,
) -> Outcome<(Caller, Bearer)> {
    let unknown = || {
        Failure::new(Code::LoginNeeded, "nobody is logged in, or no longer")
            .cure("log in (`tintype login`), or send a valid token")
    };
    let presented = presented(headers).ok_or_else(unknown)?;
    if presented.secret.len() > secret::MOST_BYTES {
        return Err(unknown());
    }
    if presented.by_cookie && !method.is_safe() {
        let sent = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !secret::is_same(sent, &secret::csrf_token(presented.secret)) {
            let what = "a change with the cookie needs the header X-CSRF-Token of the login";
            return Err(Failure::new(Code::NotAllowed, what));
        }
    }
    let mut on = state.catalog.read().await?;
    let hash = secret::hash(presented.secret);
    let found = bearer::find(&mut on, &hash).await?.ok_or_else(unknown)?;
    let now = state.now();
    if !is_alive(&found, now) {
        return Err(unknown());
    }
    let (who, user) = whose(&mut on, state, &found, now).await?.ok_or_else(unknown)?;
    drop(on);
    let is_user = found.owner_kind == Owner::User;
    let kind = if is_user { "user" } else { "token" };
    let caller = Caller {
        actor: Actor {
            tenant: who.tenant.clone(),
            is_system: who.tenant == state.system,
            role: who.role,
        },
        name: format!("{kind} {}/{}", who.tenant_name, who.name),
        who,
        bearer: found.id.clone(),
        csrf_token: presented.by_cookie.then(|| secret::csrf_token(presented.secret)),
        is_user,
        user,
        action,
    };
    caller.check_role()?;
    Ok((caller, found))
}

fn is_alive(bearer: &Bearer, now: Timestamp) -> bool {
    let is_idle = bearer.owner_kind == Owner::User && now.duration_since(bearer.used) > IDLE;
    !is_idle && bearer.expires.is_none_or(|expires| expires > now)
}

/// With what it may, as the description of the API names it.
pub fn with_rights(mut who: Who, tenant: &TenantSpec, system: &Id) -> Who {
    who.is_system = who.tenant == *system;
    let actor = Actor { tenant: who.tenant.clone(), is_system: who.is_system, role: who.role };
    let TenantSpec { may_snapshot, may_restore, .. } = *tenant;
    let allowance = Allowance { may_snapshot, may_restore };
    let may = |action: &Action| {
        let is_open = !who.must_change_password || *action == Action::Own;
        let decided = decide(&actor, *action, &actor.tenant, allowance);
        is_open && *action != Action::Public && decided == Decision::Allowed
    };
    let names = Action::ALL.into_iter().filter(may).map(serde_json::to_value);
    who.actions = names.filter_map(|name| Some(name.ok()?.as_str()?.to_owned())).collect();
    who
}

/// None where it counts no longer. With the user who acts, or for whom a token does.
async fn whose(
    on: &mut sqlx::AnyConnection,
    state: &State,
    bearer: &Bearer,
    now: Timestamp,
) -> Outcome<Option<(Who, Option<Id>)>> {
    let of_user = |user: Object<UserSpec>| Who {
        id: user.id,
        name: user.name,
        tenant: user.tenant,
        tenant_name: String::new(),
        role: user.spec.role,
        must_change_password: user.spec.must_change_password,
        is_system: false,
        actions: Vec::new(),
    };
    let (mut who, user) = match bearer.owner_kind {
        Owner::User => match enabled(on, &bearer.owner).await? {
            Some(user) => (of_user(user), Some(bearer.owner.clone())),
            None => return Ok(None),
        },
        Owner::Token => {
            let Some(token) = there::<TokenSpec>(on, &bearer.owner).await? else {
                return Ok(None);
            };
            let mut role = token.spec.role;
            if let Some(maker) = &token.spec.maker {
                match enabled(on, maker).await? {
                    Some(maker) => role = role.limited_by(maker.spec.role),
                    None => return Ok(None),
                }
            }
            if token.spec.expires.is_some_and(|expires| expires <= now) {
                return Ok(None);
            }
            let Object { id, name, tenant, .. } = token;
            let who = Who {
                id,
                name,
                tenant,
                tenant_name: String::new(),
                role,
                must_change_password: false,
                is_system: false,
                actions: Vec::new(),
            };
            (who, token.spec.maker)
        }
    };
    let tenant = objects::get::<TenantSpec>(on, &who.tenant).await?;
    who.tenant_name = tenant.name;
    Ok(Some((with_rights(who, &tenant.spec, &state.system), user)))
}

async fn there<S: objects::Kind>(
    on: &mut sqlx::AnyConnection,
    id: &Id,
) -> Outcome<Option<Object<S>>> {
    match objects::get::<S>(on, id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is(tintype_model::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn enabled(on: &mut sqlx::AnyConnection, id: &Id) -> Outcome<Option<Object<UserSpec>>> {
    Ok(there::<UserSpec>(on, id).await?.filter(|user| user.spec.is_enabled))
}

async fn note_use(state: &State, found: &Bearer, now: Timestamp) -> Outcome<()> {
    let mut change = state.catalog.change().await?;
    bearer::used(change.on(), &found.id, now).await?;
    if found.owner_kind == Owner::Token {
        objects::note_use_of_token(change.on(), &found.owner, now).await?;
    }
    Ok(change.commit_own_books().await?)
}

impl Caller {
    /// Whether the role includes the action at all: says nothing of any object.
    fn check_role(&self) -> Outcome<()> {
        let all = Allowance { may_snapshot: true, may_restore: true };
        let own = self.actor.tenant.clone();
        if self.who.must_change_password && self.action != Action::Own {
            return Err(Failure::new(Code::NotAllowed, "the password must be changed first")
                .cure("change it (`tintype user password`), then go on"));
        }
        match decide(&self.actor, self.action, &own, all) {
            Decision::Denied(why) => Err(Failure::new(Code::NotAllowed, why)),
            Decision::Allowed | Decision::Absent => Ok(()),
        }
    }

    /// Whether that may be done to something of this tenant. `absent` is what is said of it to
    /// those who must not know that it is there.
    pub fn check(&self, tenant: &Object<TenantSpec>, absent: &str) -> Outcome<()> {
        let TenantSpec { may_snapshot, may_restore, .. } = tenant.spec;
        self.decided(&tenant.id, Allowance { may_snapshot, may_restore }, absent)
    }

    /// The same where it does not matter what the tenant is allowed.
    pub fn check_id(&self, tenant: &Id, absent: &str) -> Outcome<()> {
        self.decided(tenant, Allowance { may_snapshot: true, may_restore: true }, absent)
    }

    fn decided(&self, tenant: &Id, allowance: Allowance, absent: &str) -> Outcome<()> {
        match decide(&self.actor, self.action, tenant, allowance) {
            Decision::Allowed => Ok(()),
            Decision::Absent => Err(Failure::new(Code::NotFound, absent)),
            Decision::Denied(why) => Err(Failure::new(Code::NotAllowed, why)),
        }
    }

    /// The tenant to which a list is narrowed: any or all for the system, one's own for others.
    pub fn scope(&self, wanted: Option<Id>) -> Option<Id> {
        if self.actor.is_system { wanted } else { Some(self.actor.tenant.clone()) }
    }
}
