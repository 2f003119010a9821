//! `storage`.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec, StorageState};

use super::noun::Tenants;
use super::{Common, key, noun};
use crate::exit::{Ended, Exit, usage};
use crate::report::Report;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype storage add vault --url /srv/tintype --default
  tintype storage add nas --url /mnt/nas/tintype --mounted-at /mnt/nas
  TINTYPE_ACCESS_SECRET=… tintype storage add cloud --default \\
      --url 's3://bucket/tintype?endpoint=https://s3.example.com' --access-key AK123
  tintype storage check cloud
  tintype storage list
  tintype storage key list vault

A storage is tried out before it is accepted: reach, rights, whether it can tell writers apart,
space. It is looked at again every day.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All that you may see
    List,
    /// One, with everything that is set
    Show { name: String },
    /// Add one, after it was tried out
    Add {
        name: String,
        /// A whole path, or s3://bucket/prefix?endpoint=https://host
        #[arg(long)]
        url: String,
        /// Something must be mounted there: an empty directory is not the storage
        #[arg(long, value_name = "DIR")]
        mounted_at: Option<String>,
        /// Id of the access key; its secret comes from TINTYPE_ACCESS_SECRET
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
        name: String,
        #[arg(long, value_name = "BOOL")]
        default: Option<bool>,
        #[arg(long, value_name = "BOOL")]
        shared: Option<bool>,
        /// Id of the access key that agents get; its secret comes from TINTYPE_AGENT_ACCESS_SECRET
        #[arg(long, value_name = "ID")]
        agent_access_key: Option<String>,
    },
    /// Look now whether it can be used
    Check { name: String },
    /// Forget one that holds nothing
    Delete { name: String },
    /// What opens a repository in it besides the manager
    Key(key::Args),
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.command.run(client, report))
    }
}

impl Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let columns = ["kind", "default", "shared", "place"];
                noun::list::<StorageSpec>(client, report, &columns, |storage| {
                    let StorageSpec { kind, url, is_default, is_shared, .. } = &storage.spec;
                    let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
                    let kind = json!(kind).as_str().unwrap_or_default().to_owned();
                    vec![kind, word(*is_default), word(*is_shared), url.clone()]
                })
            }
            Self::Show { name } => {
                noun::show::<StorageSpec>(report, &noun::find(client, &name, None)?)
            }
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
                let kind = match (url.starts_with("s3://"), &mounted_at) {
                    (true, _) => StorageKind::S3,
                    (false, Some(_)) => StorageKind::Mounted,
                    (false, None) => StorageKind::Directory,
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
                };
                let made = client.create(&NewObject { name, tenant, spec })?;
                noun::told(report, "added", &made)
            }
            Self::Change { name, default, shared, agent_access_key } => {
                let of_agents = agent_access_key.map(secret_of_agents).transpose()?;
                noun::change(client, report, (&name, None), None, |spec: &mut StorageSpec| {
                    spec.is_default = default.unwrap_or(spec.is_default);
                    spec.is_shared = shared.unwrap_or(spec.is_shared);
                    if of_agents.is_some() {
                        spec.agent_access_key = of_agents;
                    }
                })
            }
            Self::Check { name } => {
                let storage = noun::find::<StorageSpec>(client, &name, None)?;
                told(report, &client.check_storage(&storage.id)?)
            }
            Self::Delete { name } => noun::delete::<StorageSpec>(client, report, &name, None),
            Self::Key(args) => args.run(client, report),
        }
    }
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
