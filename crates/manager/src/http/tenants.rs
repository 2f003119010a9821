//! Tenants.

use tintype_api::problem::Code;
use tintype_api::tenant::{SYSTEM, TenantSpec};
use tintype_model::{Error, Result as ModelResult};

use crate::catalog::{objects as stored, repositories, snapshots};
use crate::http::failure::Failure;
use crate::http::objects::{Context, Rules, create_handler, handlers};

handlers!(TenantSpec, "tenant", "/api/v1/tenants", "/api/v1/tenants/{id}");
create_handler!(TenantSpec, "tenant", "/api/v1/tenants");

const DESCRIPTION_BYTES: usize = 1000;
const MOST_RUNS: u32 = 100;
/// As many as are counted.
const MOST_SNAPSHOTS: i64 = 10_000;

impl Rules for TenantSpec {
    fn check(&self) -> ModelResult<()> {
        if self.description.len() > DESCRIPTION_BYTES {
            return Err(Error::invalid(format!(
                "`description` has more than {DESCRIPTION_BYTES} bytes"
            )));
        }
        if !(1..=MOST_RUNS).contains(&self.runs_at_once) {
            return Err(Error::invalid(format!("`runs_at_once` is from 1 to {MOST_RUNS}")));
        }
        Ok(())
    }

    /// All tenants are children of the root, and belong to themselves.
    async fn may_become(
        context: &mut Context<'_>,
        before: Option<&Object<Self>>,
        after: &mut Object<Self>,
    ) -> Outcome<()> {
        let Some(before) = before else {
            after.tenant = after.id.clone();
            let same = stored::named_anywhere::<Self>(context.on, &after.name).await?;
            return match same {
                None => Ok(()),
                Some(_) => Err(taken(&after.name)),
            };
        };
        if before.name == after.name {
            return Ok(());
        }
        if before.id == context.state.system {
            let what = format!("the tenant `{SYSTEM}` keeps its name");
            return Err(Failure::new(Code::Invalid, what));
        }
        match stored::named_anywhere::<Self>(context.on, &after.name).await? {
            None => Ok(()),
            Some(_) => Err(taken(&after.name)),
        }
    }

    async fn may_go(context: &mut Context<'_>, object: &Object<Self>) -> Outcome<()> {
        if object.id == context.state.system {
            let what = format!("the tenant `{SYSTEM}` cannot be deleted");
            return Err(Failure::new(Code::Invalid, what));
        }
        let count = stored::count_of_tenant(context.on, &object.id).await?;
        if count > 0 {
            let what = format!("tenant {} has {count} objects still", object.name);
            return Err(Failure::new(Code::Locked, what)
                .cure("delete its users, tokens, resources, profiles and storages first"));
        }
        let filter = snapshots::Filter {
            tenant: Some(object.id.clone()),
            with_private: true,
            limit: MOST_SNAPSHOTS,
            ..snapshots::Filter::default()
        };
        let count = snapshots::list(context.on, &filter).await?.len();
        if count > 0 {
            let what = format!("tenant {} has {count} snapshots still", object.name);
            return Err(Failure::new(Code::Locked, what).cure(
                "delete them first, with the full snapshots that they are part of (`tintype \
                 snapshot delete`), or keep the tenant and delete its users and tokens",
            ));
        }
        // What is left of them holds nothing, and the system's key opens it.
        Ok(repositories::forget(context.on, &object.id).await?)
    }
}

fn taken(name: &str) -> Failure {
    Failure::new(Code::AlreadyExists, format!("there is a tenant `{name}` already"))
}
