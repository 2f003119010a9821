//! `snapshot --resources`: what an administrator runs, frozen together.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde_json::{Value, json};
use tintype_engine::format::records::Manifest;
use tintype_engine::id::encode_hex;
use tintype_model::item::{ApplicationItem, Descriptor, HookRun, Item, Outcome};
use tintype_model::resource::Resources;
use tintype_runner::group::{self, BORROWS, Missing, Taken};
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::{Labels, SnapshotOptions, holds_nothing};
use tintype_source::connector::CapturePlan;

use super::snapshot::Args;
use crate::app::App;
use crate::exit::Exit;
use crate::progress::Watched;
use crate::report::Done;
use crate::{platform, show};

pub(super) fn take(args: &Args, file: &Path, app: &App) -> anyhow::Result<Done> {
    let resources = platform::load(file)?;
    let names: Vec<String> =
        args.paths.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if args.dry_run {
        return preview(args, app, &resources, &names);
    }
    let places = group::places(&resources, &names)?;
    let own: Vec<_> = app.local_directory()?.into_iter().chain(app.cache_root()).collect();
    let options = platform::group_options(&own, args.scratch.as_deref(), app.budget.ahead_bytes)?;
    let labels = args.labels(app)?;
    let repository = args.open(app)?;
    let own: HashSet<String> = places.iter().map(|place| encode_hex(place)).collect();
    // What was captured together with others, or without them, is known all the same.
    let common = |known: &Manifest| match known.options[BORROWS].as_bool() {
        Some(true) => 0,
        _ => known.roots.iter().filter(|root| own.contains(*root)).count(),
    };
    let parent = args.parent(app, &repository, common)?;
    let known = group::places(&resources, &[])?;
    let borrows = parent.as_ref().is_some_and(|p| group::borrows(p, &places, &names, &known));
    let budget = app.writer_budget()?;
    let shown = if names.is_empty() { vec!["all resources".to_owned()] } else { names.clone() };
    let snapshot = SnapshotOptions {
        labels: Labels {
            paths: shown,
            roots: places,
            options: json!({ "resources": names, BORROWS: borrows }),
            ..labels
        },
        parent,
        workers: budget.workers,
        most_workers: budget.most_workers,
        cancel: app.cancel.clone(),
        read_all: args.read_all,
    };
    let progress = Progress::default();
    let connectors = tintype_source::connectors();
    let watched = Watched::new("snapshot", &progress, "the source");
    let taken = app.watch(&watched, || {
        group::snapshot(
            &repository,
            &connectors,
            &resources,
            &names,
            &snapshot,
            &options,
            &progress,
        )
    })?;
    tell(app, &taken)?;
    finish(app, &taken)
}

/// What a snapshot would reach and hold up.
fn preview(
    args: &Args,
    app: &App,
    resources: &Resources,
    names: &[String],
) -> anyhow::Result<Done> {
    let run = platform::looking(&app.env, &app.cancel, args.scratch.as_deref())?;
    let connectors = tintype_source::connectors();
    let found = group::preview(&connectors, resources, names, run.context())?;
    let mut failed = BTreeSet::new();
    for (name, plan) in &found {
        match plan {
            Ok(CapturePlan { reaches, why_not_more, freezes }) => {
                app.report.event(
                    "planned",
                    json!({ "resource": name, "reaches": reaches, "why_not_more": why_not_more,
                            "holds_up": freezes }),
                )?;
                let why = why_not_more.as_ref().map(|why| format!(" ({why})"));
                let held = freezes.as_ref().map(|held| format!("; {held}"));
                let (why, held) = (why.unwrap_or_default(), held.unwrap_or_default());
                app.report.text(format!("{name}: consistency {reaches}{why}{held}"))?;
            }
            Err(error) => {
                failed.insert(&name[..]);
                let error = error.to_string();
                app.report.event("planned", json!({ "resource": name, "error": error }))?;
                app.report.warn(format!("{name}: would fail: {error}"));
            }
        }
    }
    let by_name = resources.by_name();
    for Missing { of, when, command, why, fails } in
        group::missing_commands(resources, names, &found)?
    {
        app.report.event(
            "hook",
            json!({ "resource": of, "when": when, "command": command, "error": why }),
        )?;
        let would = if fails { "would fail" } else { "would not run" };
        app.report.warn(format!("{of}: {when}: {would}: {why}"));
        let own = by_name.get(&of[..]).filter(|_| fails);
        let parts = own.into_iter().flat_map(|own| own.components.iter().map(|c| &c.resource[..]));
        let parts: Vec<&str> = parts.chain(own.map(|own| &own.name[..])).collect();
        failed.extend(found.iter().map(|(name, _)| &name[..]).filter(|name| parts.contains(name)));
    }
    let failed = failed.len();
    let captured = show::counted((found.len() - failed) as u64, "resource", "resources");
    app.report.text(match failed {
        0 => format!("no snapshot was taken; without --dry-run it would hold {captured}"),
        failed => format!(
            "no snapshot was taken; without --dry-run it would be incomplete: {captured} captured, \
             {failed} failed"
        ),
    })?;
    let figures = json!({ "resources": found.len(), "failed": failed });
    Ok(Done::of(Exit::of_outcome(failed > 0, false), figures))
}

fn tell(app: &App, taken: &Taken) -> anyhow::Result<()> {
    for what in &taken.cleaned {
        app.report.note(format!("left by a run that was killed, and removed: {what}"));
    }
    for item in &taken.descriptor.items {
        app.report.event("item", json!(item))?;
        app.report.text(line(item))?;
        warn_of_hooks(app, &item.name, &item.hooks);
    }
    for application in &taken.descriptor.applications {
        warn_of_hooks(app, &application.name, &application.hooks);
    }
    for window in &taken.descriptor.windows {
        app.report.event("window", json!(window))?;
        if window.members.len() > 1 {
            app.report.text(format!(
                "frozen together for {:.1} ms: {}",
                window.seconds * 1000.0,
                window.members.join(", ")
            ))?;
        }
    }
    for what in &taken.unreleased {
        app.report.warn(what);
    }
    Ok(())
}

fn warn_of_hooks(app: &App, name: &str, hooks: &[HookRun]) {
    for hook in hooks {
        if let Some(failure) = &hook.failure {
            let command = hook.command.join(" ");
            app.report.warn(format!("{name}: {}: {command}: {failure}", hook.phase));
        }
    }
}

pub(super) fn application_line(application: &ApplicationItem) -> String {
    let version = application.version.as_ref().map(|version| format!(", version {version}"));
    let level = application.consistency.map(|level| format!("consistency {level}"));
    let level = level.unwrap_or_else(|| "not whole".to_owned());
    format!("application {}: {level}{}", application.name, version.unwrap_or_default())
}

pub(super) fn line(item: &Item) -> String {
    let head = format!("{} {}", item.kind, item.name);
    let reason = item.reason.as_deref().unwrap_or_default();
    match item.outcome {
        Outcome::Failed => format!("{head}: FAILED: {reason}"),
        Outcome::Skipped => format!("{head}: skipped: {reason}"),
        Outcome::Captured => {
            let level = item.consistency.map(|level| format!(", consistency {level}"));
            let frozen = item.frozen_seconds.map(|s| format!(", frozen {:.1} ms", s * 1000.0));
            let version = item.version.as_ref().map(|version| format!(", version {version}"));
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            let bytes = show::bytes(item.bytes);
            let parts = [version, level, frozen].into_iter().flatten().collect::<String>();
            let problems = match item.problems {
                0 => String::new(),
                n => format!(", {} could not be read", show::counted(n, "entry", "entries")),
            };
            format!("{head}: {bytes}{parts}{problems}{why}")
        }
    }
}

fn finish(app: &App, taken: &Taken) -> anyhow::Result<Done> {
    let Descriptor { items, windows, .. } = &taken.descriptor;
    let manifest = &taken.outcome.manifest;
    let state = if manifest.complete { "" } else { " (INCOMPLETE)" };
    for application in &taken.descriptor.applications {
        app.report.event("application", json!(application))?;
        app.report.text(application_line(application))?;
    }
    app.report.text(format!("snapshot {}{state}", taken.outcome.id.short()))?;
    let failed = items.iter().filter(|item| item.outcome == Outcome::Failed).count();
    if failed > 0 {
        app.report.note(format!(
            "{} failed: the snapshot is incomplete{}",
            show::counted(failed as u64, "resource", "resources"),
            if holds_nothing(manifest) {
                "; it holds nothing, and is not what `latest` means"
            } else {
                ""
            }
        ));
    }
    let stat = |name: &str| manifest.stats.get(name).and_then(Value::as_u64).unwrap_or_default();
    let figures = json!({
        "snapshot": taken.outcome.id,
        "parent": manifest.parent,
        "entries": manifest.entries,
        "bytes": manifest.bytes,
        "stored_bytes": stat("pack_bytes"),
        "problems": manifest.problems,
        "items": items.len(),
        "failed_items": failed,
        "windows": windows.len(),
        "complete": manifest.complete,
    });
    Ok(Done::of(Exit::of_outcome(!manifest.complete, false), figures))
}
