//! `restore --resources`: databases, volumes, machines and applications, over what is there or as
//! new ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tintype_engine::Error;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::item::{Descriptor, Outcome};
use tintype_model::plan::{Stage, Verdict};
use tintype_model::resource::{Resource, Resources, check_name};
use tintype_runner::group::restore::{Broken, GroupPlan, Restore, Restored, Undone, Wanted};
use tintype_runner::group::{self, GroupOptions, Run};
use tintype_runner::progress::Progress;
use tintype_runner::restore;
use tintype_runner::snapshot::{Labels, SnapshotOptions};
use tintype_source::connector::Destination;

use super::{Args, When};
use crate::app::App;
use crate::exit::{Exit, TakenBack, usage};
use crate::progress::Watched;
use crate::report::Done;
use crate::{platform, show, terminal};

const HOOKS_LEFT: &str = "hooks were run before the restore, those after it were not: start again \
                          yourself what they stopped";

/// Nothing is frozen for longer while the undo point is taken.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(super) struct Options {
    /// Names of resources of the snapshot; applications stand for their parts; none: all
    #[arg(value_name = "NAME", requires = "resources")]
    names: Vec<String>,
    /// Restore resources (databases, volumes, machines, applications) and not single files
    #[arg(long, help_heading = "Resources")]
    pub(super) resources: bool,
    /// Restore a resource under another name, beside the one it was captured from
    #[arg(long, value_name = "NAME=NEW", requires = "resources", help_heading = "Resources")]
    as_new: Vec<String>,
    /// Where the new one is: a field of `at` as in `tintype discover --schema`
    #[arg(long, value_name = "NAME.FIELD=VALUE", requires = "as_new", help_heading = "Resources")]
    set: Vec<String>,
    /// What must differ in the new one, as its connector documents: ports, addresses, networks
    #[arg(long, value_name = "NAME.RULE=VALUE", requires = "as_new", help_heading = "Resources")]
    rule: Vec<String>,
    /// Take an interrupted restore back instead of going on
    #[arg(long, requires = "resources", help_heading = "Resources")]
    undo: bool,
    /// Replace what is there without taking a snapshot of it first
    #[arg(long, requires = "resources", help_heading = "Resources")]
    without_undo_point: bool,
}

impl Options {
    fn wanted(&self, args: &Args, descriptor: &Descriptor) -> anyhow::Result<Wanted> {
        let mut destinations = BTreeMap::new();
        for pair in &self.as_new {
            let (name, new) = pair
                .split_once('=')
                .ok_or_else(|| usage(format!("--as-new {pair}: write it NAME=NEW")))?;
            check_name(new).map_err(usage)?;
            let resource = descriptor.resources.iter().find(|r| r.name == name);
            let resource =
                resource.ok_or_else(|| usage(format!("--as-new: there is no {name}")))?;
            let mut at: Map<String, Value> = resource.at.clone();
            for (field, value) in fields(&self.set, name, "--set")? {
                let value = serde_norway::from_str(value)
                    .map_err(|error| usage(format!("--set {name}.{field}: {error}")))?;
                at.insert(field.to_owned(), value);
            }
            let rules = fields(&self.rule, name, "--rule")?;
            let rules =
                rules.into_iter().map(|(rule, value)| (rule.into(), value.into())).collect();
            let new = Destination::AsNew { name: new.to_owned(), at, rules };
            destinations.insert(name.to_owned(), new);
        }
        all_used(&self.set, &destinations, "--set")?;
        all_used(&self.rule, &destinations, "--rule")?;
        let mut names = self.names.clone();
        if names.is_empty() && !args.in_place {
            names = destinations.keys().cloned().collect();
        }
        Ok(Wanted { names, in_place: args.in_place, destinations })
    }
}

/// `NAME.FIELD=VALUE` of one name; names may have dots.
fn fields<'f>(
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

/// Each of the options is for something that is restored as new.
fn all_used(
    all: &[String],
    names: &BTreeMap<String, Destination>,
    option: &str,
) -> anyhow::Result<()> {
    let is_used = |text: &&String| {
        names.keys().any(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    };
    match all.iter().find(|text| !is_used(text)) {
        Some(text) => Err(usage(format!(
            "{option} {text}: write it NAME.FIELD=VALUE, of a NAME that --as-new names"
        ))),
        None => Ok(()),
    }
}

/// Where unfinished restores are remembered.
fn journals() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/tintype/restores".into());
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Ok(state.context("neither XDG_STATE_HOME nor HOME is set")?.join("tintype/restores"))
}

pub(super) fn run(
    args: &Args,
    app: &App,
    repository: &Repository,
    snapshot: &Snapshot,
) -> anyhow::Result<Done> {
    let descriptor = described(repository, snapshot)?;
    if let Some(dir) = &args.to {
        return as_files(args, app, repository, snapshot, &descriptor, dir);
    }
    only_for_files(args)?;
    let wanted = args.of_resources.wanted(args, &descriptor)?;
    let own: Vec<_> = app.local_directory()?.into_iter().chain(app.cache_root()).collect();
    let options = platform::group_options(&own, None, DEADLINE, app.budget.ahead_bytes)?;
    let run = Run::begin(&app.env, &app.cancel, &options)?;
    let connectors = tintype_source::connectors();
    let progress = Progress::default();
    let name = format!("{}-{}.json", repository.id(), snapshot.id);
    let planned = Restore {
        repository,
        connectors: &connectors,
        snapshot,
        context: run.context(),
        cancel: &app.cancel,
        progress: &progress,
        workers: app.readers()?,
        journal: journals()?.join(name),
    };
    if args.of_resources.undo {
        return undone(app, &planned.undo()?);
    }
    let plan = match planned.interrupted(&wanted)? {
        Some(plan) => {
            app.report.note("going on with the restore that was interrupted");
            plan
        }
        None => planned.plan(&descriptor, &wanted)?,
    };
    tell(app, &plan)?;
    let figures = json!({ "snapshot": snapshot.id, "plan": plan });
    if plan.is_blocked() {
        if args.dry_run {
            return Ok(Done::of(Exit::Failed, figures));
        }
        return Err(Error::denied("a check blocks this restore: nothing was changed").into());
    }
    if args.dry_run {
        return Ok(Done::of(Exit::of_outcome(!plan.missing.is_empty(), false), figures));
    }
    agree(args, app, &plan)?;
    let take =
        |replaced: &[Resource]| undo_point(args, app, repository, &descriptor, replaced, &options);
    carry_out(app, &planned, plan, &take)
}

fn carry_out(
    app: &App,
    planned: &Restore<'_>,
    plan: GroupPlan,
    take: &(dyn Fn(&[Resource]) -> tintype_engine::Result<String> + Sync),
) -> anyhow::Result<Done> {
    let missing = plan.missing.len();
    let watched = Watched::new("restore", planned.progress, "the target");
    match app.watch(&watched, || planned.apply(plan, take)) {
        Ok(restored) => finish(app, &restored, missing),
        Err(broken) => {
            explain(app, &broken);
            let error = anyhow::Error::from(broken.error);
            Err(if broken.is_undone { error.context(TakenBack) } else { error })
        }
    }
}

fn described(repository: &Repository, snapshot: &Snapshot) -> anyhow::Result<Descriptor> {
    let descriptor = group::descriptor(repository, snapshot)?;
    descriptor.ok_or_else(|| {
        let id = snapshot.id.short();
        usage(format!("snapshot {id} holds files, no resources; leave --resources away"))
    })
}

/// What would do nothing is refused.
fn only_for_files(args: &Args) -> anyhow::Result<()> {
    let given = [
        ("--include", !args.include.is_empty()),
        ("--exclude", !args.exclude.is_empty()),
        ("--overwrite", args.overwrite != When::Never),
        ("--delete-extra", args.delete_extra),
        ("--verify", args.verify),
        ("--no-owner", args.no_owner),
        ("--owners-by-name", args.owners_by_name),
        ("--no-sync", args.no_sync),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(usage(format!(
            "{option} is for files: with --resources it works together with --to only"
        ))),
        None => Ok(()),
    }
}

/// Into a directory of its name each, as files like any others.
fn as_files(
    args: &Args,
    app: &App,
    repository: &Repository,
    snapshot: &Snapshot,
    descriptor: &Descriptor,
    dir: &Path,
) -> anyhow::Result<Done> {
    let resources = Resources::new(descriptor.resources.clone());
    let chosen = group::selected(&resources, &args.of_resources.names)?;
    let (mut exit, mut figures) = (Exit::Complete, Vec::new());
    for resource in chosen {
        let item = descriptor.item(&resource.name);
        let Some(item) = item.filter(|item| item.outcome == Outcome::Captured) else {
            let reason = item.and_then(|item| item.reason.as_deref());
            app.report.warn(not_restored(&resource.name, reason.unwrap_or("it is not in it")));
            exit = exit.max(Exit::Incomplete);
            continue;
        };
        let mut request = args.request()?;
        request.path = item.place.clone().into_bytes();
        let into = std::path::absolute(dir.join(&item.name));
        let into = into.context("the working directory is not known")?;
        request.destination = restore::Destination::Directory(into);
        super::outside(&request.destination, &request.untouchable)?;
        let done = args.restore(app, repository, snapshot, &request, None)?;
        exit = exit.max(done.exit);
        figures.push(json!({ "resource": item.name, "done": done.figures }));
    }
    Ok(Done::of(exit, json!({ "snapshot": snapshot.id, "resources": figures })))
}

fn not_restored(name: &str, reason: &str) -> String {
    format!("{name} is not restored: {reason}")
}

fn tell(app: &App, plan: &GroupPlan) -> anyhow::Result<()> {
    let report = &app.report;
    for (name, reason) in &plan.missing {
        report.warn(not_restored(name, reason));
    }
    for change in &plan.applications {
        report.event("version", json!(change))?;
        let known = |version: &Option<String>| version.clone().unwrap_or("unknown".into());
        let (from, to) = (known(&change.from), known(&change.to));
        report.text(format!("application {}: version {from} → {to}", change.name))?;
    }
    for item in &plan.items {
        let version = item.item.version.as_ref().map(|v| format!(", version {v}"));
        let to = match &item.destination {
            Destination::InPlace => "in place".to_owned(),
            Destination::AsNew { name, .. } => format!("as {name}"),
            Destination::Files(dir) => format!("as files in {}", dir.display()),
        };
        let kind = item.item.kind;
        report.text(format!(
            "{kind} {}{}: {}, {to}",
            item.item.name,
            version.unwrap_or_default(),
            show::bytes(item.item.bytes)
        ))?;
        for check in &item.plan.checks {
            report.event("check", json!({ "resource": item.item.name, "check": check }))?;
            let word = match check.outcome {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Block => "block",
            };
            let cure = check.cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
            report.text(format!("  check {word:<5}  {}: {}{cure}", check.name, check.message))?;
        }
        for step in &item.plan.steps {
            report.event("step", json!({ "resource": item.item.name, "step": step }))?;
            let stage = match step.stage {
                Stage::Stage => "stage",
                Stage::Stop => "stop",
                Stage::Switch => "switch",
                Stage::Start => "start",
                Stage::Health => "look",
                Stage::Clean => "clean",
            };
            report.text(format!("  {stage:<6} {}", step.text))?;
        }
    }
    Ok(())
}

/// Nothing that runs is replaced before somebody agreed.
fn agree(args: &Args, app: &App, plan: &GroupPlan) -> anyhow::Result<()> {
    let replaced = plan.replaced();
    if replaced.is_empty() || args.yes {
        return Ok(());
    }
    let names: Vec<&str> = replaced.iter().map(|resource| &resource.name[..]).collect();
    let question = format!("Replace {}?", names.join(", "));
    match terminal::is_agreed(&question, app.report.is_json())? {
        true => Ok(()),
        false => Err(usage("nothing was changed; agree with --yes")),
    }
}

/// A snapshot of exactly what will be replaced.
fn undo_point(
    args: &Args,
    app: &App,
    repository: &Repository,
    descriptor: &Descriptor,
    replaced: &[Resource],
    options: &GroupOptions,
) -> tintype_engine::Result<String> {
    if args.of_resources.without_undo_point {
        return Ok("none".into());
    }
    let names: Vec<String> = replaced.iter().map(|resource| resource.name.clone()).collect();
    let described = descriptor.resources.iter().map(|resource| {
        let now = replaced.iter().find(|replaced| replaced.name == resource.name);
        now.unwrap_or(resource).clone()
    });
    let resources = Resources::new(described.collect());
    let budget = app.writer_budget().map_err(|error| Error::internal(error.to_string()))?;
    let snapshot = SnapshotOptions {
        labels: Labels {
            paths: names.clone(),
            roots: group::places(&resources, &names)?,
            tags: vec!["pre-restore".into()],
            note: "what a restore replaced".into(),
            options: json!({ "resources": names, "trigger": "pre-restore" }),
            ..Labels::default()
        },
        parent: None,
        workers: budget.workers,
        most_workers: budget.most_workers,
        cancel: app.cancel.clone(),
        read_all: false,
    };
    let connectors = tintype_source::connectors();
    let progress = Progress::default();
    let taken =
        group::snapshot(repository, &connectors, &resources, &names, &snapshot, options, &progress)
            .map_err(|error| error.context("the undo point; --without-undo-point does without"))?;
    if !taken.outcome.manifest.complete {
        let failed = taken.descriptor.items.iter().find_map(|item| item.reason.clone());
        return Err(Error::unavailable(format!(
            "what will be replaced cannot be captured first: {}; --without-undo-point does without",
            failed.unwrap_or_default()
        )));
    }
    let id = taken.outcome.id.short();
    app.report.note(format!("undo point: snapshot {id}"));
    Ok(id)
}

fn explain(app: &App, broken: &Broken) {
    if broken.is_announced && !app.cancel.is_canceled() {
        app.report.warn(HOOKS_LEFT);
    }
    if broken.is_undone {
        app.report.note("everything is as it was before");
        return;
    }
    for left in &broken.left {
        app.report.warn(format!("could not be taken back: {left}"));
    }
    if app.cancel.is_canceled() {
        app.report.note("run the same command again to go on, or with --undo to go back");
    } else if let Some(point) = broken.undo_point.as_deref().filter(|point| *point != "none") {
        app.report.note(format!(
            "what was there is in snapshot {point}: tintype repo restore {point} --resources \
             --in-place"
        ));
    }
}

fn undone(app: &App, undone: &Undone) -> anyhow::Result<Done> {
    let left = &undone.left;
    for left in left {
        app.report.warn(format!("could not be taken back: {left}"));
    }
    if undone.is_announced {
        app.report.warn(HOOKS_LEFT);
    }
    if left.is_empty() {
        app.report.text("everything is as it was before the restore")?;
    }
    Ok(Done::of(Exit::of_outcome(!left.is_empty(), false), json!({ "left": left })))
}

fn finish(app: &App, restored: &Restored, missing: usize) -> anyhow::Result<Done> {
    for (name, run) in &restored.hooks {
        app.report.event("hook", json!({ "resource": name, "run": run }))?;
        if let Some(failure) = &run.failure {
            app.report.warn(format!("{name}: {}: {}: {failure}", run.phase, run.command.join(" ")));
        }
    }
    app.report.text("restored")?;
    let figures = json!({ "resumed_steps": restored.resumed_steps, "missing": missing });
    Ok(Done::of(Exit::of_outcome(missing > 0, false), figures))
}
