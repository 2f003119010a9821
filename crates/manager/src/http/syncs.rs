//! Sync rules.

use jiff::tz;
use tintype_api::problem::Code;
use tintype_api::run::Run;
use tintype_api::storage::StorageSpec;
use tintype_api::sync::SyncSpec;
use tintype_model::resource::check_name;
use tintype_model::{Error, Result as ModelResult};

use crate::catalog::objects as stored;
use crate::catalog::runs as stored_runs;
use crate::http::bounds;
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, create_handler, entry, handlers, own};
use crate::runs::begin::{self, BY_HAND};
use crate::runs::sync;

handlers!(SyncSpec, "sync", "/api/v1/syncs", "/api/v1/syncs/{id}");
create_handler!(SyncSpec, "sync", "/api/v1/syncs");

impl Rules for SyncSpec {
    fn check(&self) -> ModelResult<()> {
        let profile = self.as_profile("rule");
        profile
            .check(tz::db())
            .map_err(|error| Error::invalid(error.message().replace("profile \"rule\": ", "")))?;
        if !self.period.quiesce {
            return Err(Error::invalid("quiesce: a copy stops nothing; leave it out"));
        }
        if self.from.as_ref() == Some(&self.to) {
            return Err(Error::invalid("`from` and `to` are the same storage; name another"));
        }
        Ok(())
    }

    async fn may_become(
        context: &mut Context<'_>,
        _before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        check_name(&after.name)?;
        let periods = std::slice::from_ref(&after.spec.period);
        after.spec.of_system = Some(bounds::check(context, &after.tenant, periods).await?);
        let is_of_system = after.tenant == context.state.system;
        if is_of_system && !context.caller.actor.is_system {
            let what = "copies of what is the system's are for its administrators";
            return Err(Failure::new(Code::NotAllowed, what));
        }
        for name in after.spec.from.iter().chain([&after.spec.to]) {
            let own = stored::named::<StorageSpec>(context.on, &after.tenant, name).await?;
            let system = &context.state.system;
            let shared = stored::named::<StorageSpec>(context.on, system, name).await?;
            if own.or(shared.filter(|s| s.spec.is_shared || is_of_system)).is_none() {
                let what = format!("there is no storage {name}");
                return Err(Failure::new(Code::Invalid, what)
                    .cure("add it first (`tintype storage add`), or let the system's be shared"));
            }
        }
        Ok(())
    }
}

/// Copies what is missing, now; the run says how far it is.
#[utoipa::path(
    post, path = "/api/v1/syncs/{id}/run", operation_id = "run-sync", tag = "sync",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn run(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<(StatusCode, Json<Run>)> {
    let rule = own::<SyncSpec>(&state, &caller, &id).await?;
    let storage = state.named_storage(&rule.tenant, &rule.spec.to).await?;
    let storage = storage.ok_or_else(|| {
        Failure::new(Code::Invalid, format!("there is no storage {}", rule.spec.to))
            .cure("change the rule (`tintype sync apply`)")
    })?;
    let wanted = sync::wanted(&rule, Some(storage.id), caller.name.clone(), BY_HAND, "");
    let mut change = state.catalog.change().await?;
    let id = begin::queue(&state, change.on(), wanted).await?;
    let run = stored_runs::get(change.on(), &id).await?.run;
    let what = sync::what(&rule);
    change.commit(&entry(&state, &caller, &rule.tenant, "sync.run", &what)).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(run)))
}
