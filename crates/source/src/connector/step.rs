//! What stands in a step: the connector's own, which only it reads.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tintype_model::plan::{Stage, Step};
use tintype_model::{Error, Result};

/// A step with words for people.
pub(crate) fn step<A: Serialize>(stage: Stage, text: impl Into<String>, action: &A) -> Step {
    let action = serde_json::to_value(action).expect("it has texts and numbers only");
    Step { stage, text: text.into(), action }
}

/// What [`step`] put into it.
pub(crate) fn action<A: DeserializeOwned>(step: &Step) -> Result<A> {
    A::deserialize(&step.action).map_err(|error| {
        Error::invalid(format!("{:?} is no step of this connector: {error}", step.text))
    })
}
