//! `restore`.

use std::collections::BTreeMap;

use serde_json::{Map, json};
use tintype_api::client::Client;
use tintype_api::restore::{AsNew, NewRestore, RestoreFiles, RestorePlan};
use tintype_model::plan::Verdict;

use super::{Common, run, snapshot};
use crate::exit::{Exit, usage};
use crate::report::Report;
use crate::{show, terminal};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype restore latest --app shop --dry-run          what would happen?
  tintype restore 3f2a --app shop                      over what is there, after an undo point
  tintype restore 3f2a --app shop --confirm shop       without a question
  tintype restore 3f2a --as-new db=db2 --set db.path=/srv/db2.sqlite
  tintype restore 3f2a --path /tenants/system/volumes/srv/notes --to /tmp/look

The plan is shown, with what is replaced and the checks; nothing is done before you agree.")]
pub(crate) struct Args {
    /// The start of its id, or `latest`
    snapshot: String,
    /// This application or other resource (repeatable); none: all that the snapshot holds
    #[arg(long = "app", visible_alias = "resource", value_name = "NAME")]
    apps: Vec<String>,
    /// Under another name, beside what there is
    #[arg(long, value_name = "NAME=NEW")]
    as_new: Vec<String>,
    /// Where the new one is: a field of `at`
    #[arg(long, value_name = "NAME.FIELD=VALUE", requires = "as_new")]
    set: Vec<String>,
    /// What must differ in the new one: ports, addresses, networks
    #[arg(long, value_name = "NAME.RULE=VALUE", requires = "as_new")]
    rule: Vec<String>,
    /// A file or directory of the snapshot instead
    #[arg(long, value_name = "PATH", requires = "to", conflicts_with_all = ["apps", "as_new"])]
    path: Option<String>,
    /// The directory on the manager's host that it goes into
    #[arg(long, value_name = "DIR", requires = "path")]
    to: Option<String>,
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

impl Args {
    pub(crate) fn run(self) -> Exit {
        let common = self.common.clone();
        common.ask(|client, report| self.restore(client, report))
    }

    fn restore(&self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let snapshot = snapshot::find(client, &self.snapshot)?;
        let files = self.path.as_ref().zip(self.to.as_ref()).map(|(path, to)| RestoreFiles {
            path: path.clone(),
            to: to.clone(),
            overwrite: self.overwrite,
        });
        let new = NewRestore {
            snapshot: snapshot.id.clone(),
            resources: self.apps.clone(),
            as_new: self.as_new()?,
            files,
            without_undo_point: self.without_undo_point,
        };
        let plan = client.plan_restore(&new)?;
        told(report, &plan)?;
        if plan.is_blocked {
            client.cancel_run(&plan.run.id)?;
            let what = "a check blocks this restore: nothing was changed";
            return Err(tintype_engine::Error::denied(what).into());
        }
        if self.dry_run {
            client.cancel_run(&plan.run.id)?;
            return Ok(());
        }
        let confirm = self.agreed(report, &plan)?;
        let begun = client.apply_restore(&plan.run.id, confirm.as_deref())?;
        let run = run::follow(client, report, &begun)?;
        if let Some(point) = run.result["undo_point"].as_str() {
            let point = snapshot::short(point);
            report.note(format!("what was there is in snapshot {point}"));
        }
        report.text("restored")
    }

    fn agreed(&self, report: &Report, plan: &RestorePlan) -> anyhow::Result<Option<String>> {
        let Some(name) = &plan.confirm else { return Ok(None) };
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

    fn as_new(&self) -> anyhow::Result<BTreeMap<String, AsNew>> {
        let mut all = BTreeMap::new();
        for pair in &self.as_new {
            let (name, new) = pair
                .split_once('=')
                .ok_or_else(|| usage(format!("--as-new {pair}: write it NAME=NEW")))?;
            let mut at = Map::new();
            for (field, value) in fields(&self.set, name, "--set")? {
                let value = serde_norway::from_str(value)
                    .map_err(|error| usage(format!("--set {name}.{field}: {error}")))?;
                at.insert(field.to_owned(), value);
            }
            let rules = fields(&self.rule, name, "--rule")?;
            let rules = rules.into_iter().map(|(r, v)| (r.to_owned(), v.to_owned())).collect();
            all.insert(name.to_owned(), AsNew { name: new.to_owned(), at, rules });
        }
        Ok(all)
    }
}

/// `NAME.FIELD=VALUE` of one name; names may have dots.
pub(crate) fn fields<'f>(
    all: &'f [String],
    name: &str,
    option: &str,
) -> anyhow::Result<Vec<(&'f str, &'f str)>> {
    let own = |text: &'f String| text.strip_prefix(name)?.strip_prefix('.');
    let pair = |text: &'f str| {
        text.split_once('=')
            .ok_or_else(|| usage(format!("{option} {name}.{text}: write it NAME.FIELD=VALUE")))
    };
    all.iter().filter_map(own).map(pair).collect()
}

fn told(report: &Report, plan: &RestorePlan) -> anyhow::Result<()> {
    report.event("plan", json!(plan))?;
    for missing in &plan.missing {
        report.warn(format!("{} is not restored: {}", missing.name, missing.reason));
    }
    for command in &plan.commands {
        report.text(format!("runs {command}"))?;
    }
    for item in &plan.items {
        let replaces = if item.replaces { ", replaces what is there" } else { "" };
        let bytes = show::bytes(item.bytes);
        report.text(format!("{}: {bytes}, {}{replaces}", item.name, item.to))?;
        for check in &item.checks {
            let word = match check.outcome {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Block => "block",
            };
            let cure = check.cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
            report.text(format!("  check {word:<5}  {}: {}{cure}", check.name, check.message))?;
        }
        for step in &item.steps {
            report.text(format!("  {step}"))?;
        }
    }
    Ok(())
}
