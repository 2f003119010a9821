//! What a tenant's snapshots may take.

use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_model::{Error, Result, size};

use crate::catalog::objects;
use crate::catalog::repositories;
use crate::state::State;
use crate::vaults::blocking;

/// `NoSpace` where the tenant has used up what it may. A snapshot that goes beyond it is still whole:
/// it is the next one that is refused.
pub(super) async fn check(state: &State, tenant: &Object<TenantSpec>) -> Result<()> {
    let Some(quota) = tenant.spec.quota_bytes else { return Ok(()) };
    let used = used_bytes(state, tenant).await?;
    if used < quota {
        return Ok(());
    }
    Err(Error::new(
        tintype_model::ErrorKind::NoSpace,
        format!(
            "tenant {}: its snapshots take {} of a quota of {}; delete some and let gc run, or let an \
             administrator of the system raise it (`tintype tenant change {} --quota`)",
            tenant.name,
            size::format(used),
            size::format(quota),
            tenant.name
        ),
    ))
}

/// Of all its repositories, wherever they lie.
async fn used_bytes(state: &State, tenant: &Object<TenantSpec>) -> Result<u64> {
    let mut on = state.catalog.read().await?;
    let all = repositories::list(&mut on, None).await?;
    let mut places = Vec::new();
    for repository in all.iter().filter(|repository| repository.tenant == tenant.id) {
        let storage = objects::get::<StorageSpec>(&mut on, &repository.storage).await?;
        places.push((storage, repository.place.clone()));
    }
    drop(on);
    let mut used = 0;
    for (storage, below) in places {
        let (place, env) =
            (state.place(&storage, None).await?.below(&below), state.host.env.clone());
        used += blocking(move || place.room(&env)).await?.used_bytes;
    }
    Ok(used)
}
