//! Resources.

use std::collections::BTreeSet;

use tintype_api::agent::AgentSpec;
use tintype_api::connector::ConnectorSpec;
use tintype_api::problem::Code;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_model::identifier::Id;
use tintype_model::profile::Scope;
use tintype_model::resource::{Kind, Resource, Resources};
use tintype_model::{Error, ErrorKind, Result as ModelResult};
use tintype_runner::vault;

use crate::catalog::objects as stored;
use crate::connectors::{Connectors, bare};
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, create_handler, handlers};
use crate::runs::snapshot::MANAGER_NAME;

handlers!(ResourceSpec, "resource", "/api/v1/resources", "/api/v1/resources/{id}");
create_handler!(ResourceSpec, "resource", "/api/v1/resources");

impl Rules for ResourceSpec {
    fn check(&self) -> ModelResult<()> {
        if self.kind == Kind::Application && self.agent.is_some() {
            return Err(Error::invalid("an application lies where its components do"));
        }
        if matches!(self.kind, Kind::Manager | Kind::Tenant) {
            return Err(Error::invalid(
                "managers and tenants are no resources: every full snapshot holds them by itself",
            ));
        }
        Ok(())
    }

    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        if after.name == MANAGER_NAME {
            let what = format!("`{MANAGER_NAME}` is the manager itself");
            return Err(Failure::new(Code::Invalid, what));
        }
        if let Some(through) = &after.spec.through {
            fits(context, after, through).await?;
        }
        let place = |o: &Object<Self>| (o.spec.at.clone(), o.spec.through.clone());
        if before.map(place) != Some(place(after)) {
            vault::check_described(&Connectors::load(context.on).await?.described(after))?;
        }
        // What reaches a host is for those who run it: paths, addresses and commands there.
        let reaches = |o: &Object<Self>| {
            (reach(&o.spec.named("")), o.spec.agent.clone(), o.spec.through.clone())
        };
        let of_before = before.map(reaches);
        if !context.caller.actor.is_system && of_before != Some(reaches(after)) {
            let is_harmless = before.is_none()
                && after.spec.kind == Kind::Application
                && reaches(after) == (reach(&bare(Kind::Application)), None, None);
            if !is_harmless {
                let what = "connector, place, hooks and commands of a resource are set by an \
                            administrator of the system";
                return Err(Failure::new(Code::NotAllowed, what));
            }
        }
        let agent_before = before.and_then(|before| before.spec.agent.as_ref());
        if let Some(agent) = after.spec.agent.as_ref().filter(|agent| agent_before != Some(*agent))
        {
            exists(context, agent, &after.tenant).await?;
        }
        let all = stored::all::<Self>(context.on, Some(&after.tenant)).await?;
        let others = all.iter().filter(|other| other.id != after.id);
        let mut described: Vec<Resource> = others.map(|o| o.spec.named(&o.name)).collect();
        if let Some(before) = before.filter(|before| before.name != after.name) {
            used_by(&described, &before.name)?;
        }
        described.push(after.spec.named(&after.name));
        Resources::new(described).check()?;
        match before.filter(|before| before.name != after.name) {
            Some(before) => rename_in_profiles(context, before, &after.name).await,
            None => Ok(()),
        }
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        let all = stored::all::<Self>(context.on, Some(&object.tenant)).await?;
        let described: Vec<Resource> = all.iter().map(|o| o.spec.named(&o.name)).collect();
        used_by(&described, &object.name)?;
        match profiles_with(context, object).await?.first() {
            None => Ok(()),
            Some((profile, _)) => {
                let what = format!("profile {} takes {}", profile.name, object.name);
                Err(Failure::new(Code::Locked, what)
                    .cure("take it out of the profile first (`tintype profile apply`)"))
            }
        }
    }
}

/// Profiles that name a resource, and what else they name.
async fn profiles_with(
    context: &mut Context<'_>,
    resource: &Object<ResourceSpec>,
) -> Outcome<Vec<(Object<ProfileSpec>, BTreeSet<String>)>> {
    let all = stored::all::<ProfileSpec>(context.on, Some(&resource.tenant)).await?;
    let named = all.into_iter().filter_map(|profile| match &profile.spec.scope {
        Scope::Partial { resources, .. } if resources.contains(&resource.name) => {
            let others = resources.iter().filter(|name| **name != resource.name);
            let others = others.cloned().collect();
            Some((profile, others))
        }
        _ => None,
    });
    Ok(named.collect())
}

/// They go on taking it.
async fn rename_in_profiles(
    context: &mut Context<'_>,
    before: &Object<ResourceSpec>,
    name: &str,
) -> Outcome<()> {
    for (mut profile, mut names) in profiles_with(context, before).await? {
        names.insert(name.to_owned());
        if let Scope::Partial { resources, .. } = &mut profile.spec.scope {
            *resources = names;
        }
        profile.version += 1;
        profile.changed = context.state.now();
        stored::update(context.on, &profile).await?;
    }
    Ok(())
}

/// One's own connector or one of the system, which speaks to that kind of server from that host.
async fn fits(
    context: &mut Context<'_>,
    resource: &Object<ResourceSpec>,
    through: &Id,
) -> Outcome<()> {
    let connector = match stored::get::<ConnectorSpec>(context.on, through).await {
        Ok(it) if it.tenant == resource.tenant || it.tenant == context.state.system => it,
        Err(error) if !error.is(ErrorKind::NotFound) => return Err(error.into()),
        _ => {
            let what = format!("there is no connector {through}");
            return Err(Failure::new(Code::Invalid, what)
                .cure("a connector is for its own tenant, and one of the system for all"));
        }
    };
    let name = &connector.name;
    if connector.spec.connector != resource.spec.connector {
        let (its, own) = (&connector.spec.connector, &resource.spec.connector);
        let what = format!("connector {name} speaks {its}, and the resource {own}");
        return Err(Failure::new(Code::Invalid, what));
    }
    if connector.spec.agent != resource.spec.agent {
        let what = format!("connector {name} leads from another host than that of the resource");
        return Err(Failure::new(Code::Invalid, what).cure("give both the same agent"));
    }
    Ok(())
}

/// One's own agent, or one of the system.
pub(super) async fn exists(context: &mut Context<'_>, agent: &Id, tenant: &Id) -> Outcome<()> {
    match stored::get::<AgentSpec>(context.on, agent).await {
        Ok(found) if found.tenant == *tenant || found.tenant == context.state.system => Ok(()),
        Err(error) if !error.is(ErrorKind::NotFound) => Err(error.into()),
        _ => Err(Failure::new(Code::Invalid, format!("there is no agent {agent}"))
            .cure("an agent works for its own tenant, and one of the system for all")),
    }
}

fn used_by(all: &[Resource], name: &str) -> Outcome<()> {
    let uses = |resource: &&Resource| resource.components.iter().any(|c| c.resource == name);
    match all.iter().find(uses) {
        None => Ok(()),
        Some(application) => {
            let what = format!("{name} is part of application {}", application.name);
            Err(Failure::new(Code::Locked, what).cure("take it out of the application first"))
        }
    }
}

/// What of it acts on a host.
fn reach(resource: &Resource) -> Resource {
    Resource {
        connector: resource.connector.clone(),
        at: resource.at.clone(),
        version: resource.version.clone().filter(|version| version.command().is_some()),
        hooks: resource.hooks.clone(),
        ..bare(resource.kind)
    }
}
