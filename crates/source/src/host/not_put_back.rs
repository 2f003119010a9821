//! The target of what no restore puts back where it was: the plan says so, and how it comes back.

use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use crate::connector::{Destination, Stored, Target, TargetPlan};

pub(crate) struct NotPutBack {
    /// Name of the check that blocks.
    pub check: &'static str,
    /// Why, of the resource of this name.
    pub why: fn(name: &str) -> String,
    pub cure: &'static str,
}

impl Target for NotPutBack {
    fn plan(
        &mut self,
        _: &Item,
        resource: &Resource,
        _: &Destination,
        _: &dyn Stored,
    ) -> Result<TargetPlan> {
        let check = Check::block(self.check, (self.why)(&resource.name), self.cure);
        Ok(TargetPlan { checks: vec![check], ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, _: &dyn Stored) -> Result<Value> {
        Err(self.not_ours(step))
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        Err(self.not_ours(step))
    }
}

impl NotPutBack {
    fn not_ours(&self, step: &Step) -> Error {
        Error::invalid(format!("a restore of kind {} has no steps: {}", self.check, step.text))
    }
}
