//! `storage`.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::{NewObject, Object};
use tintype_api::profile::ProfileSpec;
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec, StorageState};
use tintype_api::tenant::TenantSpec;
use tintype_model::bandwidth::Bandwidth;

use tintype_model::plan::Verdict;
use tintype_model::reading::plain;

use super::key;
use super::noun::{self, One, Said, Shown, Tenants, Usual, Verb, word};
use crate::document;
use crate::exit::{Ended, Exit, usage};
use crate::report::Report;
use crate::show;

/// A longer file is not one of ours.
const FILE_BYTES: u64 = 1 << 20;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype storage add vault --url /srv/tintype --default
  tintype storage add nas --url /mnt/nas/tintype --mounted-at /mnt/nas
  TINTYPE_ACCESS_SECRET=… tintype storage add cloud --default \\
      --url 's3://bucket/tintype?endpoint=https://s3.example.com' --access-key AK123
  TINTYPE_ACCESS_SECRET=\"$(cat key.json)\" tintype storage add google \\
      --url gs://bucket/tintype --access-key name@project.iam.gserviceaccount.com
  TINTYPE_ACCESS_SECRET=… tintype storage add azure \\
      --url azure://account/container/tintype --access-key account-key
  tintype storage check cloud
  tintype storage list
  tintype storage key list vault

A storage is tried out before it is accepted: reach, rights, whether it can tell writers apart, its
clock, space. It is looked at again every day.")]
#[command(mut_subcommand("delete", |it| it.about("Forget one that holds nothing")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Add one, after it was tried out
    Add {
        name: String,
        /// A whole path, s3://bucket/prefix?endpoint=https://host, gs://bucket/prefix or
        /// azure://account/container/prefix
        #[arg(long)]
        url: String,
        /// Something must be mounted there: an empty directory is not the storage
        #[arg(long, value_name = "DIR")]
        mounted_at: Option<String>,
        /// Id of the access key; its secret comes from TINTYPE_ACCESS_SECRET. For Google the service
        /// account's address, with its key file as secret; for Azure `account-key` or `sas`
        #[arg(long, value_name = "ID")]
        access_key: Option<String>,
        /// Id of the one that agents get, which need not be able to delete; its secret comes from
        /// TINTYPE_AGENT_ACCESS_SECRET
        #[arg(long, value_name = "ID")]
        agent_access_key: Option<String>,
        /// Snapshots go here unless another is named
        #[arg(long)]
        default: bool,
        /// Tenants without a storage of their own may use it
        #[arg(long)]
        shared: bool,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Change where snapshots go by default, and who may use it
    Change {
        #[command(flatten)]
        one: One,
        #[arg(long, value_name = "BOOL")]
        default: Option<bool>,
        #[arg(long, value_name = "BOOL")]
        shared: Option<bool>,
        /// Id of the access key that agents get; its secret comes from TINTYPE_AGENT_ACCESS_SECRET
        #[arg(long, value_name = "ID")]
        agent_access_key: Option<String>,
    },
    /// How much may go to and from it at which times of the week, as a file says (YAML); `-` is
    /// standard input
    Bandwidth {
        #[command(flatten)]
        one: One,
        #[arg(required_unless_present = "none")]
        file: Option<std::path::PathBuf>,
        /// Nothing is limited any more
        #[arg(long, conflicts_with = "file")]
        none: bool,
    },
    /// Look now whether it can be used
    Check(One),
    /// What opens a repository in it besides the manager
    Key(key::Args),
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<StorageSpec>(client, report),
            Self::Add {
                name,
                url,
                mounted_at,
                access_key,
                agent_access_key,
                default,
                shared,
                tenant,
            } => {
                let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
                let kind = match (StorageKind::of(&url), &mounted_at) {
                    (StorageKind::Directory, Some(_)) => StorageKind::Mounted,
                    (kind, _) => kind,
                };
                let access_key = access_key.map(secret).transpose()?;
                let agent_access_key = agent_access_key.map(secret_of_agents).transpose()?;
                let spec = StorageSpec {
                    kind,
                    url,
                    mount_point: mounted_at,
                    is_default: default,
                    is_shared: shared,
                    access_key,
                    agent_access_key,
                    bandwidth: None,
                };
                let made = client.create(&NewObject { name, tenant, spec })?;
                noun::told(report, "added", &made)?;
                if default {
                    goes_here(client, report, &made)?;
                }
                warned(client, report, &made)
            }
            Self::Change { one, default, shared, agent_access_key } => {
                let of_agents = agent_access_key.map(secret_of_agents).transpose()?;
                let is_tried = of_agents.is_some();
                one.change(client, report, None, |spec: &mut StorageSpec| {
                    spec.is_default = default.unwrap_or(spec.is_default);
                    spec.is_shared = shared.unwrap_or(spec.is_shared);
                    if of_agents.is_some() {
                        spec.agent_access_key = of_agents;
                    }
                })?;
                let after = one.find::<StorageSpec>(client)?;
                if default.is_some() || shared.is_some() {
                    goes_here(client, report, &after)?;
                }
                match is_tried {
                    true => warned(client, report, &after),
                    false => Ok(()),
                }
            }
            Self::Bandwidth { one, file, .. } => {
                let bandwidth = file.as_deref().map(windows).transpose()?;
                one.change(client, report, None, |spec: &mut StorageSpec| {
                    spec.bandwidth = bandwidth;
                })
            }
            Self::Check(one) => {
                let storage = one.find::<StorageSpec>(client)?;
                told(report, &client.check_storage(&storage.id)?)
            }
            Self::Key(args) => args.run(client, report),
        }
    }
}

impl Shown for StorageSpec {
    const COLUMNS: &'static [&'static str] = &["kind", "default", "shared", "place"];

    fn cells(&self) -> Vec<String> {
        let kind = json!(self.kind).as_str().unwrap_or_default().to_owned();
        vec![kind, word(self.is_default), word(self.is_shared), self.url.clone()]
    }
}

fn windows(file: &std::path::Path) -> anyhow::Result<Bandwidth> {
    let (name, text) = (file.display(), document::read(file, FILE_BYTES)?);
    serde_norway::from_str(&text).map_err(|error| {
        usage(format!("{name} describes no bandwidth: {}", plain(&error.to_string())))
    })
}

fn secret(id: String) -> anyhow::Result<AccessKey> {
    key(id, "--access-key", "TINTYPE_ACCESS_SECRET")
}

fn secret_of_agents(id: String) -> anyhow::Result<AccessKey> {
    key(id, "--agent-access-key", "TINTYPE_AGENT_ACCESS_SECRET")
}

/// Not an option: those are seen by everybody on the host.
fn key(id: String, option: &str, variable: &str) -> anyhow::Result<AccessKey> {
    let secret = std::env::var(variable).ok().filter(|secret| !secret.is_empty());
    let secret =
        secret.ok_or_else(|| usage(format!("{option}: its secret is missing; set {variable}")))?;
    Ok(AccessKey { id, secret: Some(secret) })
}

/// Whose snapshots go there from now on, and that all others stay where they are.
fn goes_here(
    client: &Client,
    report: &Report,
    storage: &Object<StorageSpec>,
) -> anyhow::Result<()> {
    let all = client.list::<StorageSpec>()?;
    let is_default = |of: &Object<StorageSpec>| of.spec.is_default;
    let tenants: Vec<Object<TenantSpec>> = client.list()?;
    let uses = |tenant: &&Object<TenantSpec>| {
        let mut own = all.iter().filter(|one| one.tenant == tenant.id && is_default(one));
        let is_lent = own.clone().next().is_none() && storage.spec.is_shared;
        own.any(|one| one.id == storage.id) || (is_default(storage) && is_lent)
    };
    let tenants: Vec<&Object<TenantSpec>> = tenants.iter().filter(uses).collect();
    let profiles: Vec<Object<ProfileSpec>> = client.list()?;
    let takes = |profile: &&Object<ProfileSpec>| {
        profile.spec.storage.is_none() && tenants.iter().any(|tenant| tenant.id == profile.tenant)
    };
    let profiles: Vec<&str> = profiles.iter().filter(takes).map(|one| &one.name[..]).collect();
    let (name, older) = (&storage.name, "snapshots that are there stay listed and restorable");
    let names: Vec<&str> = tenants.iter().map(|tenant| &tenant.name[..]).collect();
    if names.is_empty() {
        return report.text(format!("nobody's snapshots go to {name} by default; {older}"));
    }
    let by = match &profiles[..] {
        [] => String::new(),
        some => format!(", also by profile {}", some.join(", ")),
    };
    report.text(format!(
        "snapshots of {} go to {name} from now on{by}; in other storages, {older}",
        names.join(", ")
    ))
}

/// What is not as it should be, and does not keep it from being used.
fn warned(client: &Client, report: &Report, storage: &Object<StorageSpec>) -> anyhow::Result<()> {
    let state: StorageState = client.get(&format!("/storages/{}/state", storage.id))?;
    let warned = state.checks.iter().filter(|check| check.outcome == Verdict::Warn);
    for check in warned {
        report.warn(show::check(check));
    }
    Ok(())
}

fn told(report: &Report, state: &StorageState) -> anyhow::Result<()> {
    report.event("state", json!(state))?;
    for check in &state.checks {
        report.text(show::check(check))?;
    }
    if state.is_good {
        return report.text(format!("checked at {}: it can be used", show::time(state.checked)));
    }
    let what = "the storage cannot be used".to_owned();
    Err(Ended { exit: Exit::Failed, what }.into())
}
