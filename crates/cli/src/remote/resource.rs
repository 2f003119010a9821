//! `resource`.

use std::path::PathBuf;

use tintype_api::agent::AgentSpec;
use tintype_api::client::Client;
use tintype_api::object::{ChangedObject, NewObject, Object};
use tintype_api::resource::ResourceSpec;
use tintype_model::resource::{Kind, Resources};

use super::noun::Tenants;
use super::{Common, noun};
use crate::exit::Exit;
use crate::platform;
use crate::report::Report;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype discover > resources.yaml                 on the manager's host: what there is
  tintype resource apply resources.yaml             tell the manager; again after a change
  tintype resource apply web1.yaml --agent web1     what lies on the host of an agent
  tintype resource list
  tintype resource protect shop --off               no snapshots of it from now on
  tintype resource delete shop")]
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
    /// One, as a file that `apply` reads
    Show {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Make or change all that a file describes; nothing is deleted
    Apply {
        /// As `tintype discover` writes it; `-` is standard input
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// They lie on the host of this agent; `-`: on the manager's own
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// Say whether snapshots of it are taken
    Protect {
        name: String,
        /// They are not
        #[arg(long)]
        off: bool,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Forget one; its snapshots stay
    Delete {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
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
                let columns = ["kind", "connector", "protected", "tags"];
                noun::list::<ResourceSpec>(client, report, &columns, |resource| {
                    let ResourceSpec { kind, connector, is_protected, tags, .. } = &resource.spec;
                    let word = if *is_protected { "yes" } else { "NO" };
                    vec![kind.to_string(), connector.clone(), word.to_owned(), tags.join(", ")]
                })
            }
            Self::Show { name, tenant } => {
                show(report, &noun::find(client, &name, tenant.as_deref())?)
            }
            Self::Apply { file, tenant, agent } => {
                apply(client, report, &file, tenant.as_deref(), agent.as_deref())
            }
            Self::Protect { name, off, tenant } => {
                let of = (&name[..], tenant.as_deref());
                noun::change(client, report, of, None, |spec: &mut ResourceSpec| {
                    spec.is_protected = !off;
                })
            }
            Self::Delete { name, tenant } => {
                noun::delete::<ResourceSpec>(client, report, &name, tenant.as_deref())
            }
        }
    }
}

fn show(report: &Report, resource: &Object<ResourceSpec>) -> anyhow::Result<()> {
    if report.is_json() {
        return noun::show(report, resource);
    }
    noun::document(report, &Resources::new(vec![resource.spec.named(&resource.name)]))
}

pub(super) fn apply(
    client: &Client,
    report: &Report,
    file: &std::path::Path,
    tenant: Option<&str>,
    agent: Option<&str>,
) -> anyhow::Result<()> {
    let mut resources = platform::load(file)?.resources;
    // An application names its components, which must be there before it.
    resources.sort_by_key(|resource| resource.kind == Kind::Application);
    let tenant = match tenant {
        Some(name) => Tenants::of(client)?.id(name)?,
        None => client.whoami()?.tenant,
    };
    let known: Vec<Object<ResourceSpec>> = client.list()?;
    let agent = match agent {
        None => None,
        Some("-") => Some(None),
        Some(name) => Some(Some(noun::find::<AgentSpec>(client, name, None)?.id)),
    };
    for resource in resources {
        let name = resource.name.clone();
        let mut spec = ResourceSpec::from(resource);
        let has_host = spec.kind != Kind::Application;
        spec.agent = agent.clone().flatten().filter(|_| has_host);
        let there = known.iter().find(|known| known.tenant == tenant && known.name == name);
        match there {
            None => {
                let tenant = Some(tenant.clone());
                noun::told(report, "made", &client.create(&NewObject { name, tenant, spec })?)?;
            }
            Some(known) => {
                spec.is_protected = known.spec.is_protected;
                if agent.is_none() {
                    spec.agent.clone_from(&known.spec.agent);
                }
                if known.spec == spec {
                    report.text(format!("resource {name} is as described"))?;
                    continue;
                }
                let changed = ChangedObject { name: None, spec: Some(spec) };
                let after = client.change(&known.id, Some(known.version), &changed)?;
                noun::told(report, "changed", &after)?;
            }
        }
    }
    Ok(())
}
