//! `show`: all that is known of one snapshot.

use serde_json::{Value, json};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::selector::Selector;
use tintype_runner::group;

use super::list::{snapshot_fields, state};
use super::resources;
use crate::app::App;
use crate::pick::{self, SELECTOR_HELP};
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo show latest
  tintype repo show 3f2a --json")]
pub(crate) struct Args {
    #[arg(value_name = "SNAPSHOT", value_parser = pick::selector(), help = SELECTOR_HELP)]
    #[arg(default_value = "latest")]
    snapshot: Selector,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        pick::no_path(&self.snapshot)?;
        let repository = app.open()?;
        let snapshot = app.pick(&repository, &self.snapshot)?;
        app.report.event("snapshot", snapshot_fields(&snapshot))?;
        for (name, value) in lines(&snapshot, app.env.clock.now()) {
            if !value.is_empty() {
                app.report.text(format!("{name:<10}  {value}"))?;
            }
        }
        if let Some(descriptor) = group::descriptor(&repository, &snapshot)? {
            app.report.event("resources", json!(descriptor))?;
            for item in &descriptor.items {
                app.report.text(format!("{:<10}  {}", "resource", resources::line(item)))?;
            }
            for application in &descriptor.applications {
                app.report.text(resources::application_line(application))?;
            }
        }
        Ok(Done::of(crate::exit::Exit::Complete, json!({ "snapshot": snapshot.id })))
    }
}

fn lines(snapshot: &Snapshot, now: jiff::Timestamp) -> Vec<(&'static str, String)> {
    let (manifest, standing) = (&snapshot.manifest, &snapshot.standing);
    let stat = |name: &str| manifest.stats.get(name).and_then(Value::as_f64).unwrap_or_default();
    let optional = |value: Option<jiff::Timestamp>| value.map(show::time).unwrap_or_default();
    let joined = |values: &mut dyn Iterator<Item = &String>| {
        values.map(|v| show::name(v.as_bytes())).collect::<Vec<_>>().join(", ")
    };
    let verified = standing.verified.map(|(when, percent, damaged)| {
        format!("{}: metadata and {percent}% of the data, {damaged} damaged", show::time(when))
    });
    let problems = if manifest.problems == 0 {
        String::new()
    } else {
        show::counted(manifest.problems, "entry could not be read", "entries could not be read")
    };
    let seconds = stat("seconds");
    vec![
        ("id", snapshot.id.to_string()),
        ("time", show::time(manifest.time)),
        ("host", manifest.host.clone()),
        ("user", manifest.user.clone()),
        ("program", manifest.program.clone()),
        ("paths", joined(&mut manifest.paths.iter())),
        ("state", state(snapshot, now)),
        ("problems", problems),
        ("entries", show::count(manifest.entries)),
        ("size", show::bytes(manifest.bytes)),
        ("stored", format!("{} new", show::bytes(stat("pack_bytes") as u64))),
        ("took", show::seconds(seconds)),
        ("tags", joined(&mut standing.tags.iter())),
        ("note", show::name(standing.note.as_bytes())),
        ("parent", manifest.parent.map(|id| id.to_string()).unwrap_or_default()),
        ("expires", optional(standing.expiry)),
        ("holds", joined(&mut standing.holds.iter())),
        (
            "locked",
            standing.locked_until.map(|t| format!("until {}", show::time(t))).unwrap_or_default(),
        ),
        ("verified", verified.unwrap_or_default()),
        (
            "copy of",
            manifest
                .origin
                .as_ref()
                .map(|o| format!("{} in {}", o.snapshot, o.repository))
                .unwrap_or_default(),
        ),
    ]
}
