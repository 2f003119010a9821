//! The manager that is here, before a recovery replaces it; it may run meanwhile.

use tintype_api::object::Object;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::{AccessKey, DataKey, Place};

use super::contents::Contents;
use super::lead::{self, Lead};
use crate::catalog::objects::Kind as _;
use crate::catalog::repositories;
use crate::catalog::secrets::{self, Of};
use crate::catalog::{Catalog, facts};
use crate::serve::{self, INSTALLATION, Options};
use crate::vaults::ACCESS_SECRET;

pub struct Here {
    pub contents: Contents,
    pub installation: Option<Id>,
    pub lead: Lead,
}

/// None where no manager has begun.
pub async fn look(catalog: &Catalog) -> Result<Option<Here>> {
    if catalog.version().await?.is_none() || serve::find_system(catalog).await?.is_none() {
        return Ok(None);
    }
    let mut on = catalog.read().await?;
    let installation = facts::get(&mut on, INSTALLATION).await?;
    let contents = Contents::of(&mut on).await?;
    let lead = lead::get(&mut on).await?;
    Ok(Some(Here { contents, installation: installation.and_then(|id| id.parse().ok()), lead }))
}

/// Whether a storage lies at that place.
pub fn is_at(spec: &StorageSpec, place: &Place, options: &Options) -> bool {
    match spec.kind {
        StorageKind::Internal => {
            place.directory().is_some_and(|found| found == options.data.join("repositories"))
        }
        _ => spec.url == place.url,
    }
}

/// Where the system's repository in that storage lies, and its key, if this manager knows them.
pub async fn key(
    catalog: &Catalog,
    options: &Options,
    place: &Place,
) -> Result<Option<(Place, DataKey)>> {
    let Some(system) = serve::find_system(catalog).await? else { return Ok(None) };
    let master = serve::master_key(options, false)?;
    let all: Vec<Object<StorageSpec>> = catalog.all(Some(&system)).await?;
    let Some(storage) = all.into_iter().find(|one| is_at(&one.spec, place, options)) else {
        return Ok(None);
    };
    let mut on = catalog.read().await?;
    let Some(repository) = repositories::of(&mut on, &storage.id, &system).await? else {
        return Ok(None);
    };
    let of = Of { kind: repositories::KIND, id: &repository.id, name: repositories::KEY };
    let key = secrets::need(&mut on, of, &master).await?;
    let key: [u8; 32] =
        key.as_slice().try_into().map_err(|_| Error::corrupt("a key of a repository"))?;
    let mut place = place.clone();
    if let Some(access) = &storage.spec.access_key {
        let of = Of { kind: StorageSpec::NAME, id: &storage.id, name: ACCESS_SECRET };
        let secret = secrets::need(&mut on, of, &master).await?;
        let secret = std::str::from_utf8(&secret).map_err(|_| Error::corrupt("an access key"))?;
        place.access = Some(AccessKey::new(&access.id, secret, None));
    }
    Ok(Some((place.below(&repository.place), DataKey::from_bytes(key))))
}
