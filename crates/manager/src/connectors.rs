//! Connectors: what resources that go through one are captured as, and whose password a host is told
//! for what it does.

use std::collections::BTreeMap;

use tintype_api::connector::{ConnectorSpec, PASSWORD_FILE, Tried};
use tintype_api::object::Object;
use tintype_api::resource::ResourceSpec;
use tintype_model::identifier::Id;
use tintype_model::resource::{Kind, Resource};
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::Passwords;
use tintype_runner::vault::discover::Reached;
use tintype_runner::vault::work::{Done, Work, WorkOrder};
use zeroize::Zeroizing;

use crate::agents::hands::{self, For};
use crate::agents::named;
use crate::catalog::objects;
use crate::catalog::secrets::{self, Of};
use crate::state::{Shared, State};

/// Name of a connector's secret.
pub const PASSWORD: &str = "password";

pub fn secret_of(id: &Id) -> Of<'_> {
    Of { kind: "connector", id, name: PASSWORD }
}

/// All, by id.
#[derive(Default)]
pub struct Connectors(BTreeMap<Id, ConnectorSpec>);

impl Connectors {
    pub async fn load(on: &mut sqlx::AnyConnection) -> Result<Self> {
        let all = objects::all::<ConnectorSpec>(on, None).await?;
        Ok(Self(all.into_iter().map(|one| (one.id, one.spec)).collect()))
    }

    /// A resource as it is captured: with what its connector says.
    pub fn described(&self, resource: &Object<ResourceSpec>) -> Resource {
        let described = resource.spec.named(&resource.name);
        let through = resource.spec.through.as_ref();
        match through.and_then(|id| Some((id, self.0.get(id)?))) {
            Some((id, connector)) => connector.completes(described, &Passwords::named(id.as_str())),
            None => described,
        }
    }
}

impl Shared {
    /// The passwords that these resources of a tenant name, each for the place of its connector alone.
    pub async fn passwords_for<'r>(
        &self,
        tenant: &Id,
        resources: impl IntoIterator<Item = &'r Resource>,
    ) -> Result<Passwords> {
        let mut passwords = Passwords::default();
        let named: Vec<(Id, &Resource)> = resources.into_iter().filter_map(of_connector).collect();
        if named.is_empty() {
            return Ok(passwords);
        }
        let mut wanted = BTreeMap::<Id, Vec<&Resource>>::new();
        for (id, resource) in named {
            wanted.entry(id).or_default().push(resource);
        }
        let mut on = self.catalog.read().await?;
        for (id, resources) in wanted {
            let connector = match objects::get::<ConnectorSpec>(&mut on, &id).await {
                Err(error) if error.is(ErrorKind::NotFound) => continue,
                connector => connector?,
            };
            let is_theirs = connector.tenant == *tenant || connector.tenant == self.system;
            // One that leads elsewhere would get what is told for the others.
            let are_its = resources.iter().all(|resource| connector.spec.is_for(resource));
            if is_theirs && are_its && connector.spec.has_password {
                let secret = secrets::need(&mut on, secret_of(&id), &self.key).await?;
                passwords.insert(id.as_str(), text(&secret)?);
            }
        }
        Ok(passwords)
    }
}

/// Speaks to the server as a capture would; one that does not let it in is refused.
pub async fn tried(
    state: &State,
    candidate: &Object<ConnectorSpec>,
    password: Option<String>,
) -> Result<Tried> {
    let spec = &candidate.spec;
    let place = match &spec.agent {
        None => None,
        Some(id) => Some(named(state, id, &candidate.tenant).await?),
    };
    let own = Passwords::named(candidate.id.as_str());
    let whole = Resource {
        name: candidate.name.clone(),
        connector: spec.connector.clone(),
        ..bare(Kind::Database)
    };
    let with_password =
        ConnectorSpec { has_password: spec.has_password || password.is_some(), ..spec.clone() };
    let resource = with_password.completes(whole, &own);
    let mut passwords = state.passwords_for(&candidate.tenant, [&resource]).await?;
    if let Some(password) = password {
        passwords.insert(candidate.id.as_str(), password);
    }
    let work = Work::Reach { resource: Box::new(resource) };
    let order = WorkOrder { passwords, ..WorkOrder::new(work, None) };
    match hands::perform(state, &place, For::Request, order).await? {
        Done::Reached(Reached { reaches, why_not_more }) => {
            Ok(Tried { reaches: reaches.to_string(), why_not_more })
        }
        _ => Err(Error::unsupported("a connector was tried, and something else answered")),
    }
}

/// The connector whose password it names.
fn of_connector(resource: &Resource) -> Option<(Id, &Resource)> {
    let file = resource.at.get(PASSWORD_FILE)?.as_str()?;
    Some((Passwords::connector_of(file)?.parse().ok()?, resource))
}

fn text(secret: &Zeroizing<Vec<u8>>) -> Result<String> {
    let text = std::str::from_utf8(secret).map(str::to_owned);
    text.map_err(|_| Error::corrupt("the password of a connector"))
}

pub fn bare(kind: Kind) -> Resource {
    Resource {
        kind,
        name: String::new(),
        connector: String::new(),
        at: serde_json::Map::new(),
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}
