//! What the system set for a tenant counts also for what its users have done by itself.

use tintype_api::problem::Code;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::profile::Period;

use super::failure::{Failure, Outcome};
use super::objects::Context;
use crate::catalog::objects;

/// Whether whoever asks may set that for a tenant; gives whether it is the system that does.
pub(super) async fn check(
    context: &mut Context<'_>,
    tenant: &Id,
    periods: &[Period],
) -> Outcome<bool> {
    if context.caller.actor.is_system {
        return Ok(true);
    }
    let TenantSpec { may_snapshot, lock_days_at_most: days, .. } =
        objects::get::<TenantSpec>(context.on, tenant).await?.spec;
    let denied = |what: String| Err(Failure::new(Code::NotAllowed, what));
    if !may_snapshot {
        let what = "the system's administrator did not allow this tenant to take snapshots itself";
        return denied(what.to_owned());
    }
    let immutable = periods.iter().filter_map(|period| Some((&period.name, period.immutable?)));
    for (name, immutable) in immutable {
        if immutable.at_most(days) != Some(immutable) {
            return denied(format!(
                "period {name}: this tenant locks a snapshot for {days} days at most, and that is \
                 a day more than `unlock_delay_days`"
            ));
        }
    }
    Ok(false)
}
