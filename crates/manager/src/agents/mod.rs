//! Other hosts: who they are, and what is done there (docs/manager.md, section 5).

pub mod authority;
pub mod hands;
pub mod moved;
pub mod outbox;

use serde::{Deserialize, Serialize};
use tintype_api::agent::AgentSpec;
use tintype_api::object::Object;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};

use crate::catalog::objects;
use crate::state::State;

/// Of the facts: a join token that was made and not used yet, by its hash.
pub const TOKEN: &str = "join-token ";

/// What is kept of a join token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    pub tenant: Id,
    pub expires: jiff::Timestamp,
    pub by: String,
}

/// Where something is done: by an agent, or on the manager's own host.
pub type Place = Option<Object<AgentSpec>>;

/// In words.
pub fn shown(place: &Place) -> String {
    match place {
        None => "the manager's host".to_owned(),
        Some(agent) => format!("agent {}", agent.name),
    }
}

/// The agent that something of a tenant names.
pub async fn named(state: &State, id: &Id, tenant: &Id) -> Result<Object<AgentSpec>> {
    let mut on = state.catalog.read().await?;
    match objects::get::<AgentSpec>(&mut on, id).await {
        Ok(agent) if agent.tenant == *tenant || agent.tenant == state.system => Ok(agent),
        Err(error) if !error.is(ErrorKind::NotFound) => Err(error),
        _ => Err(Error::not_found(format!(
            "its agent ({id}) was deleted: say on which host it lies now (`tintype resource apply \
             FILE --agent NAME`)"
        ))),
    }
}
