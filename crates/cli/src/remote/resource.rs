//! `resource`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_api::agent::AgentSpec;
use tintype_api::client::{Client, Noun};
use tintype_api::connector::ConnectorSpec;
use tintype_api::object::{NewObject, Object};
use tintype_api::resource::ResourceSpec;
use tintype_model::identifier::Id;
use tintype_model::resource::{Kind, Phase, Resources};

use super::agent;
use super::noun::{self, One, Said, Shown, Tenants, Usual, Verb, loud};
use crate::exit::{Ended, Exit, usage};
use crate::platform;
use crate::report::Report;
use crate::show;

/// Beyond the time of a hook.
const ANSWER: Duration = Duration::from_mins(1);

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype resource discover > resources.yaml        what there is on the manager's host
  tintype resource apply resources.yaml             tell the manager; again after a change
  tintype resource apply web1.yaml --agent web1     what lies on the host of an agent
  tintype resource apply orders.yaml --through orders    over the network: `tintype connector`
  tintype resource list
  tintype resource try-hook shop pre-quiesce
  tintype resource protect shop --off               no snapshots of it from now on
  tintype resource delete shop")]
#[command(mut_subcommand("show", |it| it.about("One, as a file that `apply` reads")))]
#[command(mut_subcommand("delete", |it| it.about("Forget one; its snapshots stay")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Show what runs on the manager's host and can be protected, as `tintype discover` does there
    Discover,
    /// Make or change all that a file describes; nothing is deleted
    Apply {
        /// As `tintype discover` writes it; `-` is standard input
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// They lie on the host of this agent; `-`: on the manager's own
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// They are reached through this connector; `-`: through none
        #[arg(long, value_name = "NAME")]
        through: Option<String>,
    },
    /// Run its hooks of a phase now, on its host or in its guest, and show what they do
    TryHook {
        #[command(flatten)]
        one: One,
        /// pre-quiesce, post-thaw, post-run, pre-restore, post-restore
        #[arg(value_parser = phase)]
        phase: Phase,
    },
    /// Say whether snapshots of it are taken
    Protect {
        #[command(flatten)]
        one: One,
        /// They are not
        #[arg(long)]
        off: bool,
    },
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<ResourceSpec>(client, report),
            Self::Discover => agent::discovered(report, client.discover_here()?),
            Self::Apply { file, tenant, agent, through } => {
                let places = Places { agent: agent.as_deref(), through: through.as_deref() };
                apply(client, report, &file, tenant.as_deref(), &places)
            }
            Self::TryHook { one, phase } => try_hooks(client, report, &one, phase),
            Self::Protect { one, off } => {
                one.change(client, report, None, |spec: &mut ResourceSpec| spec.is_protected = !off)
            }
        }
    }
}

fn phase(text: &str) -> Result<Phase, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// All of the phase, in their order; the first that fails ends it, as in a run.
fn try_hooks(client: &Client, report: &Report, one: &One, phase: Phase) -> anyhow::Result<()> {
    let resource = one.find::<ResourceSpec>(client)?;
    let hooks = resource.spec.hooks.iter().enumerate().filter(|(_, hook)| hook.phase == phase);
    let mut tried = 0;
    for (number, hook) in hooks {
        tried += 1;
        // It is ended there when its time is over; what it said comes afterwards.
        let within = Duration::from_secs(hook.timeout_seconds.into()) + ANSWER;
        let trial = client.with_patience(within).try_hook(&resource.id, number)?;
        report
            .event("trial", json!({ "hook": number, "command": hook.command, "trial": trial }))?;
        let (command, took) = (hook.command.join(" "), show::seconds(trial.seconds));
        report.text(format!("{command} ({took})"))?;
        trial.output.lines().try_for_each(|line| report.text(format!("  {line}")))?;
        if let Some(failure) = trial.failure {
            let what = format!("hook {command} of {phase}: {failure}");
            return Err(Ended { exit: Exit::Failed, what }.into());
        }
    }
    match tried {
        0 => Err(usage(format!("{} has no hook of {phase}", resource.name))),
        _ => Ok(()),
    }
}

impl Shown for ResourceSpec {
    const COLUMNS: &'static [&'static str] = &["kind", "connector", "protected", "tags"];

    fn cells(&self) -> Vec<String> {
        let Self { kind, connector, is_protected, tags, .. } = self;
        vec![kind.to_string(), connector.clone(), loud(*is_protected), tags.join(", ")]
    }

    fn document(resource: &Object<Self>) -> Value {
        json!(Resources::new(vec![resource.spec.named(&resource.name)]))
    }
}

/// What a file does not say: on which host, and through which connector. None: as it is; `-`: none.
#[derive(Default)]
pub(super) struct Places<'p> {
    pub(super) agent: Option<&'p str>,
    pub(super) through: Option<&'p str>,
}

#[expect(clippy::option_option, reason = "whether it is said, and whether it names one")]
fn chosen<S: Noun>(client: &Client, name: Option<&str>) -> anyhow::Result<Option<Option<Id>>> {
    match name {
        None => Ok(None),
        Some("-") => Ok(Some(None)),
        Some(name) => Ok(Some(Some(noun::find::<S>(client, name, None)?.id))),
    }
}

pub(super) fn apply(
    client: &Client,
    report: &Report,
    file: &std::path::Path,
    tenant: Option<&str>,
    places: &Places<'_>,
) -> anyhow::Result<()> {
    let mut resources = platform::load(file)?.resources;
    // An application names its components, which must be there before it.
    resources.sort_by_key(|resource| resource.kind == Kind::Application);
    let tenant = match tenant {
        Some(name) => Tenants::of(client)?.id(name)?,
        None => client.whoami()?.tenant,
    };
    let known: Vec<Object<ResourceSpec>> = client.list()?;
    let agent = chosen::<AgentSpec>(client, places.agent)?;
    let through = chosen::<ConnectorSpec>(client, places.through)?;
    for resource in resources {
        let name = resource.name.clone();
        let mut spec = ResourceSpec::from(resource);
        let has_host = spec.kind != Kind::Application;
        spec.agent = agent.clone().flatten().filter(|_| has_host);
        spec.through = through.clone().flatten().filter(|_| has_host);
        let there = known.iter().find(|known| known.tenant == tenant && known.name == name);
        if let Some(known) = there {
            spec.is_protected = known.spec.is_protected;
            if agent.is_none() {
                spec.agent.clone_from(&known.spec.agent);
            }
            if through.is_none() {
                spec.through.clone_from(&known.spec.through);
            }
        }
        noun::put(client, report, there, NewObject { name, tenant: Some(tenant.clone()), spec })?;
    }
    Ok(())
}
