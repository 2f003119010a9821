//! Storages: checked before they are accepted.

use std::path::Path;

use jiff::tz;
use tintype_api::object::{ChangedObject, NewObject};
use tintype_api::page::DEFAULT_LIMIT;
use tintype_api::problem::Code;
use tintype_api::resource::ResourceSpec;
use tintype_api::storage::{AccessKey, INTERNAL, StorageKind, StorageSpec, StorageState};
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::plan::Verdict;
use tintype_model::resource::Kind;
use tintype_model::{Error, Result as ModelResult};

use crate::auth::caller::Caller;
use crate::catalog::objects::{self as stored, Filter};
use crate::catalog::secrets::{self, Of};
use crate::catalog::{facts, repositories};
use crate::http::failure::Failure;
use crate::http::input::{cursor_of, limit_of, page};
use crate::http::objects::{Context, Rules, candidate, entry, handlers_of_one, make, own, part_of};
use crate::spots::Spot;
use crate::vaults::{ACCESS_SECRET, AGENT_ACCESS_SECRET};

handlers_of_one!(StorageSpec, "storage", "/api/v1/storages/{id}");

impl Rules for StorageSpec {
    fn check(&self) -> ModelResult<()> {
        let wrong = |what: &str| Err(Error::invalid(what.to_owned()));
        let is_path = self.url.starts_with('/') || self.url.starts_with("file:///");
        let scheme = self.kind.scheme();
        let fits = scheme.is_none_or(|scheme| self.url.starts_with(scheme));
        match self.kind {
            StorageKind::Internal if !self.url.is_empty() => {
                return wrong("the internal storage has no `url`: it lies in the data directory");
            }
            StorageKind::Internal => {}
            StorageKind::Directory | StorageKind::Mounted if !is_path => {
                return wrong("`url` is the whole path of a directory, like /srv/tintype");
            }
            StorageKind::S3 if !fits => {
                return wrong("`url` is like s3://bucket/prefix?endpoint=https://host");
            }
            StorageKind::Google if !fits => return wrong("`url` is like gs://bucket/prefix"),
            StorageKind::Azure if !fits => {
                return wrong("`url` is like azure://account/container/prefix");
            }
            _ => {
                tintype_runner::vault::Place::parse(&self.url, None)?;
            }
        }
        match (self.kind, &self.mount_point) {
            (StorageKind::Mounted, None) => {
                return wrong("`mount_point` says where something must be mounted");
            }
            (StorageKind::Mounted, Some(point)) if !Path::new(point).is_absolute() => {
                return wrong("`mount_point` is a whole path");
            }
            (StorageKind::Mounted, Some(_)) | (_, None) => {}
            (_, Some(_)) => return wrong("only a storage of kind `mounted` has a `mount_point`"),
        }
        for (name, key) in
            [("access_key", &self.access_key), ("agent_access_key", &self.agent_access_key)]
        {
            if key.is_some() && scheme.is_none() {
                return wrong(&format!(
                    "only a storage of kind `s3`, `google` or `azure` has an `{name}`"
                ));
            }
        }
        match &self.bandwidth {
            Some(bandwidth) => {
                bandwidth.check(tz::db()).map_err(|error| error.context("bandwidth"))
            }
            None => Ok(()),
        }
    }

    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        let state = context.state;
        let was_internal = before.is_some_and(|b| b.spec.kind == StorageKind::Internal);
        if was_internal != (after.spec.kind == StorageKind::Internal) {
            let what = format!("there is one internal storage, and it is called `{INTERNAL}`");
            return Err(Failure::new(Code::Invalid, what));
        }
        if after.spec.is_shared && after.tenant != state.system {
            let what = "only a storage of the system can be shared with tenants";
            return Err(Failure::new(Code::Invalid, what));
        }
        // What reaches this host or its network is for those who run it.
        if !context.caller.actor.is_system && reaches(before) != reaches(Some(after)) {
            let what = "a storage is added or moved by an administrator of the system";
            return Err(Failure::new(Code::NotAllowed, what));
        }
        let all = stored::all::<Self>(context.on, None).await?;
        let replaced = |other: &Object<Self>| {
            let mut other = other.clone();
            other.spec.is_default &= !(after.spec.is_default && other.tenant == after.tenant);
            other
        };
        let others = all.iter().filter(|other| other.id != after.id).map(replaced);
        let later: Vec<_> = others.chain([after.clone()]).collect();
        none_is_cut_off(context, &all, &later).await?;
        seal_access(context, before, after).await?;
        if after.spec.is_default {
            no_other_default(context, after).await?;
        }
        // What goes on obeys it too.
        state.limit_of(after);
        Ok(())
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        if object.spec.kind == StorageKind::Internal {
            return Err(Failure::new(Code::Locked, "the internal storage cannot be deleted"));
        }
        let held = repositories::list(context.on, Some(&object.id)).await?;
        if held.is_empty() {
            let all = stored::all::<Self>(context.on, None).await?;
            let later: Vec<_> = all.iter().filter(|one| one.id != object.id).cloned().collect();
            return none_is_cut_off(context, &all, &later).await;
        }
        let what = format!("storage {} holds snapshots of {} tenants", object.name, held.len());
        Err(Failure::new(Code::Locked, what)
            .cure("choose another default storage; the snapshots there stay listed and restorable"))
    }
}

fn reaches(storage: Option<&Object<StorageSpec>>) -> Option<(StorageKind, String, Option<String>)> {
    let spec = &storage?.spec;
    Some((spec.kind, spec.url.clone(), spec.mount_point.clone()))
}

/// It has nothing to do with another storage, with what is captured, or with what managers have.
async fn stands_apart(state: &State, storage: &Object<StorageSpec>) -> Outcome<()> {
    let (spec, spot) = (&storage.spec, Spot::of(&storage.spec, &state.data));
    let refused = |what: String, cure: &str| Err(Failure::new(Code::Invalid, what).cure(cure));
    if spec.kind == StorageKind::Internal {
        return Ok(());
    }
    if let Some(data) = spot.data_directory() {
        let is_own = state.data.canonicalize().is_ok_and(|own| own == data);
        let whose = match is_own {
            true => "the manager's own data directory".to_owned(),
            false => format!("{}, the data directory of a manager or an agent", data.display()),
        };
        let cure = "choose a directory elsewhere, best on another host: this one is lost with it";
        return refused(format!("{} lies in {whose}", spec.url), cure);
    }
    let others: Vec<Object<StorageSpec>> = state.catalog.all(None).await?;
    for other in others.iter().filter(|other| other.id != storage.id) {
        if let Some(how) = spot.beside(&Spot::of(&other.spec, &state.data)) {
            let what = format!("{}: storage {} {how}", spec.url, other.name);
            return refused(what, "use that one, or choose a place beside it");
        }
    }
    let resources: Vec<Object<ResourceSpec>> = state.catalog.all(None).await?;
    let is_here = |resource: &&Object<ResourceSpec>| {
        let spec = &resource.spec;
        spec.is_protected && spec.kind == Kind::Volume && spec.agent.is_none()
    };
    for volume in resources.iter().filter(is_here) {
        let path = volume.spec.at.get("path").and_then(|path| path.as_str());
        if let Some(path) = path.filter(|path| spot.is_in(Path::new(path))) {
            let what = format!(
                "{} lies in volume {} ({path}): its snapshots would hold themselves, and it could not \
                 be restored in place",
                spec.url, volume.name
            );
            return refused(what, "choose a directory outside of it, best on another host");
        }
    }
    Ok(())
}

/// Of all tenants that take snapshots: those that would have no storage any more. `after`: all that
/// there will be.
async fn none_is_cut_off(
    context: &mut Context<'_>,
    before: &[Object<StorageSpec>],
    after: &[Object<StorageSpec>],
) -> Outcome<()> {
    let system = &context.state.system;
    let has = |all: &[Object<StorageSpec>], tenant: &Id| {
        all.iter().any(|storage| {
            let is_own = storage.tenant == *tenant;
            let is_lent = storage.tenant == *system && storage.spec.is_shared;
            storage.spec.is_default && (is_own || is_lent)
        })
    };
    let tenants = stored::all::<TenantSpec>(context.on, None).await?;
    let lost = tenants.iter().filter(|tenant| {
        tenant.spec.is_entitled && has(before, &tenant.id) && !has(after, &tenant.id)
    });
    let mut cut_off = Vec::new();
    for tenant in lost {
        let resources = stored::all::<ResourceSpec>(context.on, Some(&tenant.id)).await?;
        if !resources.is_empty() {
            cut_off.push(&tenant.name[..]);
        }
    }
    if cut_off.is_empty() {
        return Ok(());
    }
    let what = format!(
        "snapshots of {} would have nowhere to go: they have no default storage of their own",
        cut_off.join(", ")
    );
    Err(Failure::new(Code::Invalid, what).cure(
        "make another one the default, which is shared (`tintype storage change NAME --default true \
         --shared true`), or give each its own first (`tintype storage add NAME --url URL --tenant \
         TENANT --default`)",
    ))
}

/// The secrets are written and never shown.
async fn seal_access(
    context: &mut Context<'_>,
    before: Option<&Object<StorageSpec>>,
    after: &mut Object<StorageSpec>,
) -> Outcome<()> {
    let before = before.map(|before| &before.spec);
    let (id, spec) = (&after.id, &mut after.spec);
    let own = (ACCESS_SECRET, before.and_then(|b| b.access_key.as_ref()), &mut spec.access_key);
    let kept = before.and_then(|b| b.agent_access_key.as_ref());
    let of_agents = (AGENT_ACCESS_SECRET, kept, &mut spec.agent_access_key);
    for (name, kept, access) in [own, of_agents] {
        let state = context.state;
        let of = Of { kind: "storage", id, name };
        let Some(access) = access else {
            secrets::delete(context.on, of).await?;
            continue;
        };
        match access.secret.take() {
            Some(secret) => {
                let (key, random) = (&state.key, &*state.random);
                secrets::put(context.on, of, secret.as_bytes(), key, random).await?;
            }
            None if kept.is_some_and(|kept| kept.id == access.id) => {}
            None => return Err(Failure::new(Code::Invalid, "the secret of a key is missing")),
        }
    }
    Ok(())
}

async fn no_other_default(context: &mut Context<'_>, chosen: &Object<StorageSpec>) -> Outcome<()> {
    for mut other in stored::all::<StorageSpec>(context.on, Some(&chosen.tenant)).await? {
        if other.id != chosen.id && other.spec.is_default {
            other.spec.is_default = false;
            other.version += 1;
            other.changed = context.state.now();
            stored::update(context.on, &other).await?;
        }
    }
    Ok(())
}

/// Tries it out; a storage that cannot be used is refused, with what helps.
async fn tried(state: &State, storage: &Object<StorageSpec>) -> Outcome<StorageState> {
    let secret = |key: &Option<AccessKey>| key.as_ref().and_then(|key| key.secret.clone());
    let own = secret(&storage.spec.access_key);
    let of_agents = secret(&storage.spec.agent_access_key);
    let found = state.look_at_storage(storage, own.as_deref(), of_agents.as_deref(), true).await?;
    match found.checks.iter().find(|check| check.outcome == Verdict::Block) {
        None => Ok(found),
        Some(check) => {
            let what = format!("{}: {}", check.name, check.message);
            let failure = Failure::new(Code::Unsupported, what);
            Err(match &check.cure {
                Some(cure) => failure.cure(cure.clone()),
                None => failure,
            })
        }
    }
}

/// Adds a storage, after it was tried out.
#[utoipa::path(
    post, path = "/api/v1/storages", operation_id = "create-storage", tag = "storage",
    request_body = NewObject<StorageSpec>,
    responses(
        (status = 201, body = Kept<StorageSpec>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewObject<StorageSpec>>,
) -> Outcome<Response> {
    let candidate = candidate(&state, &caller, new.clone())?;
    if !caller.actor.is_system {
        let what = "a storage is added by an administrator of the system";
        return Err(Failure::new(Code::NotAllowed, what));
    }
    stands_apart(&state, &candidate).await?;
    let found = tried(&state, &candidate).await?;
    let now = found.checked;
    let made = make(&state, &caller, new, async |on, made: &Object<StorageSpec>| {
        Ok(facts::set_state(on, "storage", &made.id, now, &found).await?)
    });
    Ok(crate::http::objects::answer(StatusCode::CREATED, made.await?))
}

/// Changes a storage; where it lies elsewhere from now on it is tried out first.
#[utoipa::path(
    patch, path = "/api/v1/storages/{id}", operation_id = "change-storage", tag = "storage",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = ChangedObject<StorageSpec>,
    responses(
        (status = 200, body = Kept<StorageSpec>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn change(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    headers: HeaderMap,
    Body(changed): Body<ChangedObject<StorageSpec>>,
) -> Outcome<Response> {
    let before = own::<StorageSpec>(&state, &caller, &id).await?;
    let mut found = None;
    if let Some(spec) = &changed.spec {
        spec.check()?;
        let mut candidate = before.clone();
        candidate.spec = spec.clone();
        // The internal one was never added: it is accepted when snapshots are to go there.
        let is_chosen = spec.kind == StorageKind::Internal
            && (spec.is_default && !before.spec.is_default
                || spec.is_shared && !before.spec.is_shared);
        let is_moved = reaches(Some(&before)) != reaches(Some(&candidate));
        let is_elsewhere = is_moved
            || spec.access_key != before.spec.access_key
            || spec.agent_access_key != before.spec.agent_access_key
            || is_chosen;
        // Where others may not move it, nothing is tried out for them either.
        let may_try = caller.actor.is_system || !is_moved;
        if is_elsewhere && may_try && spec.kind == before.spec.kind {
            if is_moved {
                stands_apart(&state, &candidate).await?;
            }
            found = Some(tried(&state, &candidate).await?);
        }
    }
    let after =
        crate::http::objects::change::<StorageSpec>(&state, &caller, &id, &headers, changed);
    let after = after.await?;
    if let Some(found) = found {
        let mut change = state.catalog.change().await?;
        facts::set_state(change.on(), "storage", &id, found.checked, &found).await?;
        change.commit_own_books().await?;
    }
    Ok(after)
}

/// Of a tenant's user also those of the system that are shared, by name and use: where they lie, and
/// with which key, is the system's.
#[utoipa::path(
    get, path = "/api/v1/storages", operation_id = "list-storages", tag = "storage",
    params(ListQuery),
    responses(
        (status = 200, body = Page<Kept<StorageSpec>>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<ListQuery>,
) -> Outcome<Json<Page<Object<StorageSpec>>>> {
    if caller.actor.is_system {
        return crate::http::objects::list::<StorageSpec>(&state, &caller, &query).await;
    }
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let (name, part) = (query.name.clone(), part_of(query.q.as_deref())?);
    let of = |tenant| {
        let (name, part) = (name.clone(), part.clone());
        Filter { tenant, name, part, after: None, limit: i64::MAX }
    };
    let mut all = state.catalog.list::<StorageSpec>(&of(caller.scope(wanted.clone()))).await?;
    if wanted.is_none() {
        let shared = state.catalog.list::<StorageSpec>(&of(Some(state.system.clone()))).await?;
        all.extend(shared.into_iter().filter(|one| one.spec.is_shared).map(without_place));
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let after: Option<Id> = cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?;
    all.retain(|one| after.as_ref().is_none_or(|after| one.id > *after));
    Ok(page(all, limit, |last: &Object<StorageSpec>| last.id.to_string()))
}

/// Whether somebody may know of it: those who keep snapshots in it.
pub(in crate::http) fn is_seen(caller: &Caller, storage: &Object<StorageSpec>) -> bool {
    let is_own = caller.actor.is_system || storage.tenant == caller.actor.tenant;
    is_own || storage.spec.is_shared
}

fn without_place(mut storage: Object<StorageSpec>) -> Object<StorageSpec> {
    let spec = &mut storage.spec;
    spec.url.clear();
    (spec.mount_point, spec.access_key, spec.agent_access_key) = (None, None, None);
    storage
}

/// What was last seen of a storage.
#[utoipa::path(
    get, path = "/api/v1/storages/{id}/state", operation_id = "get-storage-state", tag = "storage",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = StorageState),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn state(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<StorageState>> {
    let storage = own::<StorageSpec>(&state, &caller, &id).await?;
    let mut on = state.catalog.read().await?;
    let found = facts::state(&mut on, "storage", &id).await?;
    found.map(Json).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("storage {} was not looked at yet", storage.name))
            .cure("check it now: POST /api/v1/storages/{id}/check")
    })
}

/// Looks now whether it can be used.
#[utoipa::path(
    post, path = "/api/v1/storages/{id}/check", operation_id = "check-storage", tag = "storage",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = StorageState),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn check(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<StorageState>> {
    let storage = own::<StorageSpec>(&state, &caller, &id).await?;
    let found = state.look_at_storage(&storage, None, None, false).await?;
    let mut change = state.catalog.change().await?;
    facts::set_state(change.on(), "storage", &id, found.checked, &found).await?;
    let what = format!("storage {}", storage.name);
    change.commit(&entry(&state, &caller, &storage.tenant, "storage.check", &what)).await?;
    Ok(Json(found))
}
