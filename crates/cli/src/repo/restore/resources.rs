//! `restore --resources`: databases, volumes, machines and applications, over what is there or as
//! new ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::{Error, ErrorKind};
use tintype_model::item::{Descriptor, Outcome};
use tintype_model::plan::{Check, Stage, Step, Verdict};
use tintype_model::resource::{HookPlace, Resource, Resources};
use tintype_runner::group::restore::{
    Broken, GroupPlan, ItemPlan, PlannedCommand, Restore, Restored, UndoPoint, Wanted,
};
use tintype_runner::group::undo_point::{self, Replaced};
use tintype_runner::group::{self, GroupOptions, Run};
use tintype_runner::progress::Progress;
use tintype_runner::restore;
use tintype_runner::snapshot::{Labels, SnapshotOptions};
use tintype_runner::vault::check_described;
use tintype_source::connector::Destination;

use super::{Args, When, onward};
use crate::app::App;
use crate::exit::{Ended, Exit, NotWhole, TakenBack, usage};
use crate::progress::Watched;
use crate::report::Done;
use crate::{platform, show, terminal};

const HOOKS_LEFT: &str = "hooks were run before the restore, those after it were not: start again \
                          yourself what they stopped";

#[derive(clap::Args)]
pub(super) struct Options {
    /// Names of resources of the snapshot; applications stand for their parts; none: all
    #[arg(value_name = "NAME", requires = "resources")]
    pub(super) names: Vec<String>,
    /// Restore resources (databases, volumes, machines, applications) and not single files
    #[arg(long, help_heading = "Resources")]
    pub(super) resources: bool,
    #[command(flatten)]
    pub(super) of_new: crate::as_new::Beside,
    /// Take an interrupted restore back instead of going on
    #[arg(long, requires = "resources", help_heading = "Resources")]
    undo: bool,
    /// Replace what is there without taking a snapshot of it first
    #[arg(long, requires = "resources", help_heading = "Resources")]
    pub(super) without_undo_point: bool,
}

impl Options {
    /// Names of what is to be restored; none: all, or what is taken back is known without.
    pub(super) fn asked(&self) -> Vec<String> {
        let mut names = self.names.clone();
        if names.is_empty() {
            let new = self.of_new.as_new.iter();
            names.extend(new.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
        }
        if self.undo { Vec::new() } else { names }
    }

    fn wanted(&self, args: &Args, descriptor: &Descriptor) -> anyhow::Result<Wanted> {
        let (mut destinations, mut now_at) = (BTreeMap::new(), BTreeMap::new());
        let all = descriptor.resources.iter().filter(|_| args.in_place);
        let (in_place, of_new) = self.of_new.in_place(all.map(|resource| &resource.name[..]))?;
        for resource in &descriptor.resources {
            if let Some(now) = in_place.get(&resource.name[..]) {
                let mut at = resource.at.clone();
                at.extend(now.clone());
                check_at(resource, &at)?;
                now_at.insert(resource.name.clone(), at);
            }
        }
        for (name, new) in of_new.parse()? {
            let resource = descriptor.resources.iter().find(|r| r.name == name);
            let resource =
                resource.ok_or_else(|| usage(format!("--as-new: there is no {name}")))?;
            let mut at: Map<String, Value> = resource.at.clone();
            at.extend(new.at);
            check_at(resource, &at)?;
            destinations.insert(name, Destination::AsNew { name: new.name, at, rules: new.rules });
        }
        let mut names = self.names.clone();
        if names.is_empty() && !args.in_place {
            names = destinations.keys().cloned().collect();
        }
        Ok(Wanted { names, in_place: args.in_place, destinations, now_at })
    }
}

/// What was set is looked at as in a description: a typo is told before anything is planned.
fn check_at(resource: &Resource, at: &Map<String, Value>) -> anyhow::Result<()> {
    if *at == resource.at {
        return Ok(());
    }
    let (hooks, version) = (Vec::new(), None);
    let set = Resource { at: at.clone(), hooks, version, ..resource.clone() };
    check_described(&set).map_err(|error| usage(format!("--set: {error}")))
}

/// Where unfinished restores are remembered.
fn journals() -> anyhow::Result<PathBuf> {
    Ok(platform::state_dir()?.join("restores"))
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
    let of_new = &args.of_resources.of_new;
    if !of_new.set.is_empty() && !args.in_place && of_new.as_new.is_empty() {
        return Err(usage("--set is for --in-place and --as-new"));
    }
    let wanted = args.of_resources.wanted(args, &descriptor)?;
    let own: Vec<_> = app.local_directory()?.into_iter().chain(app.cache_root()).collect();
    let options = platform::group_options(&own, None, app.budget.ahead_bytes)?;
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
        return undone(app, &planned, repository);
    }
    let interrupted = planned.interrupted(&wanted)?;
    let is_new = interrupted.is_none();
    let plan = match interrupted {
        Some(plan) => {
            app.report.note("going on with the restore that was interrupted");
            plan
        }
        None => planned.plan(&descriptor, &wanted)?,
    };
    tell_snapshot(app, repository, snapshot)?;
    tell(args, app, &plan)?;
    if let Some(done) = ends_with(args, app, snapshot, &plan)? {
        return Ok(done);
    }
    agree(args, app, &plan)?;
    // What went on before had asked, and its plan must not change.
    let plan = if is_new { planned.with_versions(plan) } else { plan };
    tell_versions(app, &plan, true)?;
    let take = |replaced: &[Resource]| undo_point(app, repository, &descriptor, replaced, &options);
    let undo_point = (!args.of_resources.without_undo_point).then_some(&take as &UndoPoint<'_>);
    carry_out(args, app, &planned, plan, undo_point)
}

/// What ends with the plan says so in its last line.
fn ends_with(
    args: &Args,
    app: &App,
    snapshot: &Snapshot,
    plan: &GroupPlan,
) -> anyhow::Result<Option<Done>> {
    let figures = || json!({ "snapshot": snapshot.id, "plan": shown(plan) });
    if let Some(what) = blocked(plan) {
        if args.dry_run {
            app.report.text(&what)?;
            return Ok(Some(Done::of(Exit::Failed, figures())));
        }
        return Err(Ended { exit: Exit::Failed, what }.into());
    }
    if plan.items.is_empty() {
        return Err(Ended::blocked("nothing of this can be restored"));
    }
    if !args.dry_run {
        return Ok(None);
    }
    app.report.text(format!(
        "nothing was changed; without --dry-run this restores {}{}",
        names(plan),
        match plan.missing.len() {
            0 => String::new(),
            missing => format!(", and not {missing} that the snapshot does not hold"),
        }
    ))?;
    let exit = Exit::of_outcome(!plan.missing.is_empty(), false);
    Ok(Some(Done::of(exit, figures())))
}

/// Which checks block it, in one line, and how to go on.
fn blocked(plan: &GroupPlan) -> Option<String> {
    let is_block = |check: &Check| check.outcome == Verdict::Block;
    let blocks = plan.checks().filter(|(_, check)| is_block(check));
    let mut blocks: Vec<_> =
        blocks.map(|(item, check)| format!("{} of {}", check.name, item.item.name)).collect();
    blocks.dedup();
    if blocks.is_empty() {
        return None;
    }
    let is_free = |item: &&ItemPlan| !item.plan.checks.iter().any(is_block);
    let free: Vec<&str> =
        plan.items.iter().filter(is_free).map(|item| &item.item.name[..]).collect();
    let or = match free.is_empty() {
        true => String::new(),
        false => format!(", or name only {}", free.join(" ")),
    };
    Some(format!(
        "blocked by {}: nothing was changed; do what each of these checks says and run it again{or}",
        blocks.join(", ")
    ))
}

fn names(plan: &GroupPlan) -> String {
    let names: Vec<&str> = plan.items.iter().map(|item| &item.item.name[..]).collect();
    names.join(", ")
}

fn carry_out(
    args: &Args,
    app: &App,
    planned: &Restore<'_>,
    plan: GroupPlan,
    undo_point: Option<&UndoPoint<'_>>,
) -> anyhow::Result<Done> {
    let (what, missing) = (names(&plan), plan.missing.len());
    let watched = Watched::new("restore", planned.progress, "the target");
    match app.watch(&watched, || planned.apply(plan, undo_point)) {
        Ok(restored) => finish(app, &restored, &what, missing),
        Err(broken) => {
            explain(args, app, planned, &broken);
            let error = anyhow::Error::from(broken.error);
            Err(match (broken.is_undone, app.cancel.is_canceled()) {
                (true, _) => error.context(TakenBack),
                (false, true) => error,
                (false, false) if broken.is_restored => {
                    error.context(NotWhole("it is restored, but not cleaned up"))
                }
                (false, false) => error.context(NotWhole("it could not be taken back whole")),
            })
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

/// Without what the steps hold for themselves.
fn shown(plan: &GroupPlan) -> GroupPlan {
    let mut plan = plan.clone();
    for step in plan.items.iter_mut().flat_map(|item| &mut item.plan.steps) {
        *step = step.shown();
    }
    plan
}

fn tell(args: &Args, app: &App, plan: &GroupPlan) -> anyhow::Result<()> {
    let report = &app.report;
    for (name, reason) in &plan.missing {
        report.warn(not_restored(name, reason));
    }
    tell_versions(app, plan, false)?;
    for planned in commands(args, plan) {
        report.event("command", json!(planned))?;
        let PlannedCommand { of, when, place, command } = planned;
        let place = if place == HookPlace::Guest { " in its guest" } else { "" };
        let command = show::name(command.join(" ").as_bytes());
        report.text(format!("runs{place}, for {of}: {when}: {command}"))?;
    }
    for item in &plan.items {
        let version = item.item.version.as_ref().map(|v| format!(", version {v}"));
        let to = match &item.destination {
            Destination::InPlace => "in place".to_owned(),
            Destination::AsNew { name, .. } => format!("as {name}"),
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
            report.text(format!("  check {}", show::check(check)))?;
        }
        let without = args.of_resources.without_undo_point;
        let is_done = |step: &&Step| step.stage != Stage::Watch || !without;
        for step in item.plan.steps.iter().filter(is_done) {
            report.event("step", json!({ "resource": item.item.name, "step": step.shown() }))?;
            let stage = match step.stage {
                Stage::Stage => "stage",
                Stage::Watch => "watch",
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

/// `latest` may be of another host.
fn tell_snapshot(app: &App, repository: &Repository, snapshot: &Snapshot) -> anyhow::Result<()> {
    let (id, manifest) = (snapshot.id.short(), &snapshot.manifest);
    let (time, host) = (show::time(manifest.time), show::name(manifest.host.as_bytes()));
    app.report.text(format!("snapshot {id} of {time}, taken on {host}"))?;
    let here = &repository.identity().host;
    if manifest.host != *here {
        app.report.warn(format!("snapshot {id} was taken on {host}, and this is {here}"));
    }
    Ok(())
}

/// Those that are known only by asking are told once they were asked.
fn tell_versions(app: &App, plan: &GroupPlan, is_asked: bool) -> anyhow::Result<()> {
    for change in &plan.applications {
        if is_asked && change.command.is_none() {
            continue;
        }
        app.report.event("version", json!(change))?;
        let known = |version: &Option<String>| version.clone().unwrap_or("unknown".into());
        let asks = if !is_asked && change.command.is_some() && change.from.is_none() {
            " (what it is now is asked when the restore begins)"
        } else {
            ""
        };
        let (from, to) = (known(&change.from), known(&change.to));
        app.report.text(format!("application {}: version {from} → {to}{asks}", change.name))?;
    }
    Ok(())
}

fn commands(args: &Args, plan: &GroupPlan) -> Vec<PlannedCommand> {
    plan.commands(!args.of_resources.without_undo_point)
}

/// Nothing that is there is replaced, and nothing runs that a snapshot names, before somebody agreed.
fn agree(args: &Args, app: &App, plan: &GroupPlan) -> anyhow::Result<()> {
    let in_place = plan.items.iter().filter(|item| item.destination == Destination::InPlace);
    let names: Vec<&str> = in_place.map(|item| &item.item.name[..]).collect();
    let commands = commands(args, plan).len();
    if args.yes || (names.is_empty() && commands == 0) {
        return Ok(());
    }
    let run = show::counted(commands as u64, "command", "commands");
    let question = match (names.join(", "), commands) {
        (names, 0) => format!("Replace {names}?"),
        (names, _) if names.is_empty() => format!("Run {run} out of the snapshot?"),
        (names, _) => format!("Replace {names}, and run {run} out of the snapshot?"),
    };
    match terminal::is_agreed(&question, app.report.is_json())? {
        true => Ok(()),
        false => Err(usage("nothing was changed; agree with --yes")),
    }
}

fn undo_point(
    app: &App,
    repository: &Repository,
    descriptor: &Descriptor,
    replaced: &[Resource],
    options: &GroupOptions,
) -> tintype_engine::Result<String> {
    let budget = app.writer_budget().map_err(|error| Error::internal(error.to_string()))?;
    let read = |labels, parent| SnapshotOptions {
        labels,
        parent,
        workers: budget.workers,
        most_workers: budget.most_workers,
        cancel: app.cancel.clone(),
        read_all: false,
    };
    let (connectors, described) = (tintype_source::connectors(), &descriptor.resources);
    let mut known = repository.snapshots()?.snapshots;
    known.retain(|snapshot| snapshot.manifest.host == repository.identity().host);
    let of = Replaced { described, replaced, known };
    let taken = undo_point::take(repository, &connectors, of, Labels::default(), read, options);
    let taken = taken.map_err(|error| {
        let what = format!("{}; --without-undo-point does without", error.message());
        Error::new(error.kind(), what)
    })?;
    for what in &taken.unreleased {
        app.report.warn(what);
    }
    let id = taken.outcome.id.short();
    let told = app.report.event("undo-point", json!({ "snapshot": taken.outcome.id }));
    let told = told.and_then(|()| app.report.text(format!("undo point: snapshot {id}")));
    if let Err(error) = told {
        app.report.warn(error.to_string());
    }
    Ok(id)
}

/// What the user does next; of commands their snapshot is named by its id.
fn explain(args: &Args, app: &App, planned: &Restore<'_>, broken: &Broken) {
    if broken.is_announced && !app.cancel.is_canceled() {
        app.report.warn(HOOKS_LEFT);
    }
    tell_written(app, &broken.kept);
    if broken.is_undone {
        app.report.note("everything is as it was before");
        return;
    }
    let (again, back) = (onward::again(args, planned.snapshot), onward::back(planned.snapshot));
    for left in &broken.left {
        app.report.warn(format!("could not be taken back: {left}"));
    }
    if broken.is_restored {
        app.report.note(format!("everything is restored; to remove what only helped: {again}"));
        return;
    }
    if app.cancel.is_canceled() {
        app.report.note(format!("to go on: {again}"));
        app.report.note(format!("to go back: {back}"));
        return;
    }
    if !broken.left.is_empty() {
        app.report.note(format!("to take back the rest, once its cause is gone: {back}"));
    }
    if let Some(point) = &broken.undo_point {
        app.report.note(format!("what was there is in snapshot {point}, too"));
    }
}

fn undone(app: &App, planned: &Restore<'_>, repository: &Repository) -> anyhow::Result<Done> {
    let undone = match planned.undo() {
        Err(error) if error.is(ErrorKind::NotFound) => {
            return Err(error.context(unfinished(repository)?).into());
        }
        undone => undone?,
    };
    let left = &undone.left;
    for left in left {
        app.report.warn(format!("could not be taken back: {left}"));
    }
    if undone.is_announced {
        app.report.warn(HOOKS_LEFT);
    }
    tell_written(app, &undone.kept);
    if left.is_empty() {
        app.report.text("everything is as it was before the restore")?;
    } else {
        let back = onward::back(planned.snapshot);
        app.report.note(format!("to take back the rest, once its cause is gone: {back}"));
    }
    let figures = json!({ "left": left, "kept": undone.kept.len() });
    Ok(Done::of(Exit::of_outcome(!left.is_empty(), false), figures))
}

/// What others wrote to what had been restored.
fn tell_written(app: &App, kept: &[(String, String)]) {
    for (name, place) in kept {
        let event = app.report.event("kept", json!({ "resource": name, "place": place }));
        app.report.warn(format!(
            "{name}: what was restored was written to before it was taken back, so it stays: {place}; \
             {}",
            onward::remove(place)
        ));
        if let Err(error) = event {
            app.report.warn(error.to_string());
        }
    }
}

/// Of which snapshots there are interrupted restores.
fn unfinished(repository: &Repository) -> anyhow::Result<String> {
    let listing = std::fs::read_dir(journals()?).into_iter().flatten().flatten();
    let begins = format!("{}-", repository.id());
    let ids: Vec<String> = listing
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix(&begins)?.strip_suffix(".json")?.to_owned())
        })
        .collect();
    Ok(match ids.is_empty() {
        true => "of this repository none was interrupted here".to_owned(),
        false => format!("interrupted are those of {}", ids.join(", ")),
    })
}

fn finish(app: &App, restored: &Restored, what: &str, missing: usize) -> anyhow::Result<Done> {
    for (name, run) in &restored.hooks {
        app.report.event("hook", json!({ "resource": name, "run": run }))?;
        if let Some(failure) = &run.failure {
            app.report.warn(format!("{name}: {}: {}: {failure}", run.phase, run.command.join(" ")));
        }
    }
    for (name, place) in &restored.kept {
        app.report.event("kept", json!({ "resource": name, "place": place }))?;
        app.report.warn(format!(
            "{name}: what was replaced changed after the undo point, or is still written to, so it \
             stays: {place}; {}",
            onward::remove(place)
        ));
    }
    app.report.text(match missing {
        0 => format!("restored {what}"),
        missing => format!("restored {what}; {missing} could not be restored"),
    })?;
    let figures = json!({
        "resumed_steps": restored.resumed_steps, "missing": missing, "kept": restored.kept.len(),
    });
    Ok(Done::of(Exit::of_outcome(missing > 0, false), figures))
}
