//! Restores that were interrupted: what of them stands on each host, and taken back.

use serde_json::json;
use tintype_api::restore::{HostStanding, LeftOver};
use tintype_api::run::{LogLevel, RunState};
use tintype_model::identifier::Id;
use tintype_model::{ErrorKind, Result};
use tintype_runner::vault::work::{Done, Work, WorkOrder};

use super::dispatcher::{Ended, nothing};
use super::restore::{
    Applying, HostPlan, access_of, answered_something_else, place_of, sealed_plans,
};
use crate::agents::hands::{self, For};
use crate::agents::shown as shown_place;
use crate::catalog::snapshots;
use crate::state::State;

/// What of a restore stands on each of its hosts, as they say at this moment.
pub async fn standing(state: &State, run: &Id) -> Result<Vec<HostStanding>> {
    let mut all = Vec::new();
    for HostPlan { snapshot, agent, .. } in sealed_plans(state, run).await?.unwrap_or_default() {
        let asked = async {
            let known = &snapshots::get(&mut *state.catalog.read().await?, &snapshot).await?;
            let place = place_of(state, agent.as_ref(), &known.snapshot.tenant).await?;
            let access = access_of(state, known, &place).await?;
            let work = Work::LeftRestore { snapshot: known.snapshot.id.clone() };
            let order = WorkOrder::new(work, Some(access));
            match hands::perform(state, &place, For::Request, order).await? {
                Done::Left(left) => Ok(left),
                _ => Err(answered_something_else()),
            }
        };
        let (left, unknown) = match asked.await {
            Ok(left) => (left, None),
            Err(error) => (None, Some(error.to_string())),
        };
        all.push(HostStanding {
            agent,
            left: left.map(|left| LeftOver {
                names: left.names,
                begun: left.begun as u64,
                steps: left.steps as u64,
                is_running: left.is_running,
                is_going_back: left.is_going_back,
                is_beyond_return: left.is_beyond_return,
            }),
            unknown,
        });
    }
    Ok(all)
}

impl Applying<'_> {
    /// Takes back what of them was interrupted, the last host first.
    pub(super) async fn back(&self, plans: Vec<HostPlan>) -> Result<Ended> {
        self.handle.doing("taking back");
        let (mut left, mut taken_back) = (Vec::new(), Vec::new());
        for HostPlan { snapshot, agent, .. } in plans.into_iter().rev() {
            let known = &self.part(&snapshot)?.known;
            let host = agent.as_ref().map_or("manager", Id::as_str);
            let step = match snapshot == self.new.snapshot {
                true => format!("take back on {host}"),
                false => format!("take back {snapshot} on {host}"),
            };
            if self.handle.finished(&step).is_some() {
                continue;
            }
            let place = place_of(self.state, agent.as_ref(), &known.snapshot.tenant).await?;
            let access = access_of(self.state, known, &place).await?;
            let work = Work::UndoRestore { snapshot };
            let order = WorkOrder::new(work, Some(access));
            let of = For::Step(self.handle, &step);
            match hands::perform(self.state, &place, of, order).await {
                Ok(Done::Undone(undone)) => {
                    taken_back.push(shown_place(&place));
                    if undone.is_announced {
                        let line = "hooks before the restore were run, and are not taken back";
                        self.handle.log(self.state, LogLevel::Warning, line).await;
                    }
                    super::restore::told_written(self.state, self.handle, &undone.kept).await;
                    left.extend(undone.left);
                }
                Ok(_) => return Err(answered_something_else()),
                // Nothing was begun there, or all of it is done.
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
            if left.is_empty() {
                self.handle.finish(self.state, &step, json!({})).await?;
            }
        }
        for what in &left {
            let line = format!("could not be taken back: {what}");
            self.handle.log(self.state, LogLevel::Error, line).await;
        }
        let result = json!({ "is_undone": left.is_empty(), "left": left, "hosts": taken_back });
        let (state, cause) = match (left.is_empty(), taken_back.is_empty()) {
            (true, false) => (RunState::Succeeded, None),
            (true, true) => {
                let what = "no host has anything of this restore that could be taken back: what was \
                            replaced is in its undo point";
                (RunState::Failed, Some(what.to_owned()))
            }
            (false, _) => {
                let what = "it could not be taken back whole: mend what the log names, and take it \
                            back again";
                (RunState::Failed, Some(what.to_owned()))
            }
        };
        Ok(Ended { state, result, cause, write: nothing() })
    }
}
