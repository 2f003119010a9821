//! Profiles.

use jiff::tz;
use tintype_api::problem::Code;
use tintype_api::profile::{PeriodReading, ProfileReading, ProfileSpec, ReadyMadeQuery};
use tintype_api::resource::ResourceSpec;
use tintype_api::storage::StorageSpec;
use tintype_model::profile::{self, Scope};
use tintype_model::resource::check_name;
use tintype_model::{Error, Result as ModelResult};

use crate::catalog::objects as stored;
use crate::http::bounds;
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, create_handler, handlers};

handlers!(ProfileSpec, "profile", "/api/v1/profiles", "/api/v1/profiles/{id}");
create_handler!(ProfileSpec, "profile", "/api/v1/profiles");

/// So many of the next runs are told.
const UPCOMING: usize = 10;

impl Rules for ProfileSpec {
    fn check(&self) -> ModelResult<()> {
        let profile = self.named("profile");
        profile.check(tz::db()).map_err(|error| {
            Error::invalid(error.message().replace("profile \"profile\": ", ""))
        })?;
        profile.check_often()
    }

    async fn may_become(
        context: &mut Context<'_>,
        _before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        check_name(&after.name)?;
        after.spec.of_system =
            Some(bounds::check(context, &after.tenant, &after.spec.periods).await?);
        let is_of_system = after.tenant == context.state.system;
        let holds_manager = match &after.spec.scope {
            Scope::Full => is_of_system,
            Scope::Manager if is_of_system => true,
            Scope::Manager => {
                let what = "the manager's state is of the system; of one tenant: scope `full`";
                return Err(Failure::new(Code::Invalid, what));
            }
            Scope::Partial { .. } => false,
        };
        if holds_manager && !context.caller.actor.is_system {
            let what = "full and manager snapshots are for administrators of the system";
            return Err(Failure::new(Code::NotAllowed, what));
        }
        if !holds_manager && !after.spec.exclude.is_empty() {
            let what = "`exclude` is of the manager's state, which this profile does not take";
            return Err(Failure::new(Code::Invalid, what));
        }
        if let Scope::Partial { resources, .. } = &after.spec.scope {
            for name in resources {
                let known = stored::named::<ResourceSpec>(context.on, &after.tenant, name).await?;
                if known.is_none() {
                    let what = format!("there is no resource {name} in this tenant");
                    return Err(Failure::new(Code::Invalid, what)
                        .cure("tell the manager of it first (`tintype resource apply`)"));
                }
            }
        }
        let Some(name) = &after.spec.storage else { return Ok(()) };
        let own = stored::named::<StorageSpec>(context.on, &after.tenant, name).await?;
        let shared = stored::named::<StorageSpec>(context.on, &context.state.system, name).await?;
        let found = own.or(shared.filter(|s| s.spec.is_shared || is_of_system));
        match found {
            Some(_) => Ok(()),
            None => Err(Failure::new(Code::Invalid, format!("there is no storage {name}"))),
        }
    }
}

fn read(profile: &ProfileSpec, now: jiff::Timestamp) -> ModelResult<ProfileReading> {
    let reading = |period: &tintype_model::profile::Period| {
        Ok(PeriodReading {
            name: period.name.clone(),
            words: period.words()?,
            next: period.next(now, UPCOMING, tz::db())?.into_iter().map(|u| u.moment).collect(),
        })
    };
    let periods: ModelResult<Vec<PeriodReading>> = profile.periods.iter().map(reading).collect();
    Ok(ProfileReading { periods: periods? })
}

/// Reads a profile back in plain words, with its next runs; nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/profiles/read", operation_id = "read-profile", tag = "profile",
    request_body = ProfileSpec,
    responses(
        (status = 200, body = ProfileReading),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn read_back(
    AxumState(state): AxumState<State>,
    _caller: Asking,
    Body(spec): Body<ProfileSpec>,
) -> Outcome<Json<ProfileReading>> {
    spec.check()?;
    Ok(Json(read(&spec, state.now())?))
}

/// Profiles to begin with, as they could be made; the manager does not have them yet.
#[utoipa::path(
    get, path = "/api/v1/profiles/ready-made", operation_id = "list-ready-made-profiles",
    tag = "profile", params(ReadyMadeQuery),
    responses(
        (status = 200, body = Page<NewObject<ProfileSpec>>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn ready_made(
    _caller: Asking,
    Asked(query): Asked<ReadyMadeQuery>,
) -> Outcome<Json<Page<NewObject<ProfileSpec>>>> {
    let zone = query.time_zone.as_deref().unwrap_or("UTC");
    tz::db().get(zone).map_err(|_| {
        Failure::new(Code::Invalid, format!("there is no time zone {zone}"))
            .cure("name one like Europe/Berlin")
    })?;
    let made = profile::ready_made(zone).into_iter().map(|profile| {
        let name = profile.name.clone();
        NewObject { name, tenant: None, spec: ProfileSpec::from(profile) }
    });
    Ok(Json(Page { items: made.collect(), next: None }))
}
