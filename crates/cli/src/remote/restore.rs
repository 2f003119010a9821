//! `restore`.

use std::collections::BTreeSet;

use serde_json::json;
use tintype_api::agent::AgentSpec;
use tintype_api::client::Client;
use tintype_api::restore::{NewRestore, Restore, RestoreFiles, RestorePlan, Standing};
use tintype_model::identifier::Id;

use super::noun::Tenants;
use super::view::{Newest, View, Watch};
use super::{Common, noun, run, snapshot};
use crate::exit::{Ended, Exit, usage};
use crate::report::Report;
use crate::show::{self, Table};
use crate::terminal;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype restore latest --app shop --dry-run          what would happen?
  tintype restore 3f2a --app shop                      over what is there, after an undo point
  tintype restore 3f2a --app shop --confirm shop       without a question
  tintype restore 3f2a --confirm 3f2a81d0              a full one: everything, of all tenants
  tintype restore 3f2a --tenant acme                   one tenant out of a full one
  tintype restore 3f2a --as-new db=db2 --set db.path=/srv/db2.sqlite
  tintype restore 3f2a --path /tenants/system/volumes/srv/notes --to /tmp/look
  tintype restore 3f2a --path …/srv/notes/a.txt --path …/srv/plans --to /tmp/look
  tintype restore list                                 which were interrupted
  tintype restore plan 01h…                            what was agreed to
  tintype restore resume 01h…                          go on with one of these
  tintype restore undo 01h…                            or take it back

The plan is shown, with what is replaced and the checks; nothing is done before you agree.")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The start of its id, or `latest`
    #[arg(required = true)]
    snapshot: Option<String>,
    /// This application or other resource (repeatable); none: all that the snapshot holds
    #[arg(long = "app", visible_alias = "resource", value_name = "NAME")]
    apps: Vec<String>,
    /// Of a full snapshot: the part of this tenant (repeatable); none: all that it holds
    #[arg(long = "tenant", value_name = "NAME", conflicts_with = "path")]
    tenants: Vec<String>,
    #[command(flatten)]
    of_new: crate::as_new::Beside,
    /// A file or directory of the snapshot instead (repeatable: then each goes into DIR by its name)
    #[arg(long, value_name = "PATH", requires = "to", conflicts_with_all = ["apps", "as_new"])]
    path: Vec<String>,
    /// The directory on the manager's host, or on the agent's, that it goes into
    #[arg(long, value_name = "DIR", requires = "path")]
    to: Option<String>,
    /// On the host of this agent
    #[arg(long, value_name = "NAME", requires = "path")]
    agent: Option<String>,
    /// Replace files that exist and differ
    #[arg(long, requires = "path")]
    overwrite: bool,
    /// Print the plan and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// The name that the plan asks for, so that nobody is asked
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Replace what is there without taking a snapshot of it first
    #[arg(long)]
    without_undo_point: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Those that were planned or done, and which of them were interrupted
    List(Newest),
    /// Where one stands, and what its hosts have of it in the middle
    Show {
        id: Id,
        #[command(flatten)]
        watch: Watch,
    },
    /// What one will do, does or did, as it was shown before it was agreed to
    Plan { id: Id },
    /// Go on with one that was interrupted, as it was agreed to
    Resume { id: Id },
    /// Take one back that was interrupted: everything is as it was before
    Undo { id: Id },
}

impl Verb {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List(newest) => newest.tell(client, report, |client| list(client, &newest)),
            Self::Show { id, watch } => watch.tell(client, report, |client| {
                let restore = client.restore(&id)?;
                View::default().with("restore", json!(restore)).document(&restore)
            }),
            Self::Plan { id } => told(report, &client.restore_plan(&id)?),
            Self::Resume { id } => {
                run::follow(client, report, &client.resume_restore(&id)?)?;
                report.text("restored")
            }
            Self::Undo { id } => {
                run::follow(client, report, &client.undo_restore(&id)?)?;
                report.text("everything is as it was before the restore")
            }
        }
    }
}

fn list(client: &Client, newest: &Newest) -> anyhow::Result<View> {
    let tenants = Tenants::of(client)?;
    let columns = ["restore", "standing", "begun", "tenant", "by", "snapshot", "what"];
    let (mut table, mut view) = (Table::new(columns, &[]), View::default());
    let mut interrupted = Vec::new();
    for restore in client.restores(newest.limit)?.items {
        view = view.with("restore", json!(restore));
        let Restore { run, snapshot, standing, .. } = restore;
        if standing == Standing::Interrupted {
            interrupted.push(run.id.clone());
        }
        table.row([
            run.id.to_string(),
            standing.name().to_owned(),
            run.started.map_or_else(|| "–".to_owned(), show::time),
            tenants.name(&run.tenant),
            run.by,
            snapshot::short(&snapshot).to_owned(),
            run.title,
        ]);
    }
    Ok(interrupted.into_iter().fold(view.table(&table), |view, id| {
        view.note(format!(
            "{id} was interrupted: `tintype restore resume {id}` goes on with it, `tintype restore \
             undo {id}` takes it back"
        ))
    }))
}

impl Args {
    pub(crate) fn run(mut self) -> Exit {
        let common = self.common.clone();
        match self.verb.take() {
            Some(verb) => common.ask(|client, report| verb.run(client, report)),
            None => common.ask(|client, report| self.restore(client, report)),
        }
    }

    fn restore(&self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let wanted = self.snapshot.as_deref().ok_or_else(|| usage("which snapshot?"))?;
        let snapshot = snapshot::find(client, wanted)?;
        let agent = self.agent.as_ref();
        let agent = agent.map(|name| noun::find::<AgentSpec>(client, name, None));
        let agent = agent.transpose()?.map(|agent| agent.id);
        let (path, paths) = match &self.path[..] {
            [one] => (Some(one.clone()), Vec::new()),
            several => (None, several.to_vec()),
        };
        let files = self.to.as_ref().map(|to| RestoreFiles {
            path,
            paths,
            to: to.clone(),
            agent: agent.clone(),
            overwrite: self.overwrite,
        });
        let new = NewRestore {
            snapshot: snapshot.id.clone(),
            resources: self.apps.clone(),
            tenants: self.tenants(client)?,
            as_new: self.of_new.parse()?.into_iter().collect(),
            files,
            without_undo_point: self.without_undo_point,
        };
        let plan = client.plan_restore(&new)?;
        told(report, &plan)?;
        if plan.is_blocked && plan.items.is_empty() && plan.manager_command.is_some() {
            client.cancel_run(&plan.run.id)?;
            return Err(Ended::blocked("the manager is restored with the command above"));
        }
        if plan.is_blocked {
            client.cancel_run(&plan.run.id)?;
            return Err(Ended::blocked("a check blocks this restore"));
        }
        if plan.items.is_empty() {
            client.cancel_run(&plan.run.id)?;
            return Err(Ended::blocked("nothing of this can be restored"));
        }
        if self.dry_run {
            client.cancel_run(&plan.run.id)?;
            return match plan.missing.len() {
                0 => Ok(()),
                n => {
                    let what = format!("{n} of what was asked for cannot be restored");
                    Err(Ended { exit: Exit::Incomplete, what }.into())
                }
            };
        }
        let confirm = self.agreed(report, &plan)?;
        let begun = client.apply_restore(&plan.run.id, confirm.as_deref())?;
        let run = run::follow(client, report, &begun)?;
        if let Some(point) = run.result["undo_point"].as_str() {
            let point = snapshot::short(point);
            report.note(format!("what was there is in snapshot {point}"));
        }
        match run.result["kept"].as_u64() {
            None | Some(0) => report.text("restored"),
            Some(kept) => {
                let what = format!(
                    "{kept} of what was asked for differ and stay as they are: --overwrite replaces \
                     them, or restore to another directory"
                );
                Err(Ended { exit: Exit::Incomplete, what }.into())
            }
        }
    }

    fn tenants(&self, client: &Client) -> anyhow::Result<BTreeSet<Id>> {
        if self.tenants.is_empty() {
            return Ok(BTreeSet::new());
        }
        let known = Tenants::of(client)?;
        self.tenants.iter().map(|name| known.id(name)).collect()
    }

    fn agreed(&self, report: &Report, plan: &RestorePlan) -> anyhow::Result<Option<String>> {
        let Some(name) = &plan.confirm else { return self.agreed_beside(report) };
        match &self.confirm {
            Some(given) if given == name => return Ok(self.confirm.clone()),
            Some(given) => {
                return Err(usage(format!("--confirm {given}: this plan asks for {name}")));
            }
            None => {}
        }
        let question = format!("Replace {name}?");
        match terminal::is_agreed(&question, report.is_json())? {
            true => Ok(Some(name.clone())),
            false => Err(usage(format!("nothing was changed; agree with --confirm {name}"))),
        }
    }
}

impl Args {
    /// Nothing is replaced: a person is asked nevertheless, a program goes on.
    fn agreed_beside(&self, report: &Report) -> anyhow::Result<Option<String>> {
        let is_asked = !self.of_new.as_new.is_empty() && self.confirm.is_none();
        if !is_asked || report.is_json() || !terminal::is_interactive() {
            return Ok(None);
        }
        match terminal::is_agreed("Restore it beside what is there?", false)? {
            true => Ok(None),
            false => Err(usage("nothing was changed")),
        }
    }
}

fn told(report: &Report, plan: &RestorePlan) -> anyhow::Result<()> {
    report.event("plan", json!(plan))?;
    for missing in &plan.missing {
        report.warn(format!("{} is not restored: {}", missing.name, missing.reason));
    }
    if let Some(command) = &plan.manager_command {
        report.note(format!(
            "the manager itself is not restored by this; on its host, together with everything: \
             {command}"
        ));
    }
    for command in &plan.commands {
        report.text(format!("runs {command}"))?;
    }
    for item in &plan.items {
        let replaces = if item.replaces { ", replaces what is there" } else { "" };
        let bytes = show::bytes(item.bytes);
        report.text(format!("{}: {bytes}, {}{replaces}", item.name, item.to))?;
        for check in &item.checks {
            report.text(format!("  check {}", show::check(check)))?;
        }
        for step in &item.steps {
            report.text(format!("  {step}"))?;
        }
    }
    Ok(())
}
