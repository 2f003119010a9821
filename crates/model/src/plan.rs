//! Restores as values: what is checked, what is done, in which order. Printed, stored, then
//! carried out without another decision.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A named check before a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is looked at: `free-space`, `name`, `running`, `version`, `network`, …
    pub name: String,
    pub outcome: Verdict,
    /// What was found.
    pub message: String,
    /// What helps, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// What another part of the same restore may bring, so that this passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
    /// Room that was looked for: what others of the same restore need there is added.
    #[serde(skip)]
    pub needs: Vec<Need>,
}

/// What goes to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub path: PathBuf,
    /// Bytes that are written for certain.
    pub certain: u64,
    /// What it can become.
    pub most: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Warn,
    /// Nothing is restored as long as it is so.
    Block,
}

impl Check {
    pub fn pass(name: &str, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Pass, message.into(), None)
    }

    pub fn warn(name: &str, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warn, message.into(), Some(cure.into()))
    }

    pub fn block(name: &str, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(name, Verdict::Block, message.into(), Some(cure.into()))
    }

    /// See [`Check::unless`](field@Check::unless).
    #[must_use]
    pub fn unless(mut self, what: impl Into<String>) -> Self {
        self.unless = Some(what.into());
        self
    }

    /// See [`Check::needs`](field@Check::needs).
    #[must_use]
    pub fn needing(mut self, needs: &[Need]) -> Self {
        self.needs = needs.to_vec();
        self
    }

    fn new(name: &str, outcome: Verdict, message: String, cure: Option<String>) -> Self {
        Self { name: name.into(), outcome, message, cure, unless: None, needs: Vec::new() }
    }
}

/// One step of a restore. Everything that it needs to know stands in `action`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub stage: Stage,
    /// For people: `write 12 GiB beside /srv/data`.
    pub text: String,
    /// The connector's own. It may hold secrets, a definition with passwords, and is shown to nobody.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub action: Value,
}

impl Step {
    /// What may be printed, and kept when it is done.
    pub fn shown(&self) -> Self {
        Self { stage: self.stage, text: self.text.clone(), action: Value::Null }
    }
}

/// Steps of all resources are done stage by stage. Up to the switch, what was there is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Written beside what is there.
    Stage,
    /// Right before the undo point, and only if one is taken: what is needed to tell what changes
    /// after it. That is never removed.
    Watch,
    /// What runs is stopped, where a switch needs that.
    Stop,
    /// What users see changes.
    Switch,
    /// Started again.
    Start,
    /// Looked at: does it answer, is it what was captured?
    Health,
    /// What only helped is removed.
    Clean,
}
