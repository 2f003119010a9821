//! `list`: snapshots as a table.

use serde_json::{Value, json};
use tintype_engine::repo::snapshots::Snapshot;

use crate::app::App;
use crate::exit::Exit;
use crate::pick::Filter;
use crate::report::Done;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(
    visible_alias = "snapshots",
    after_help = "\
Examples:
  tintype repo list
  tintype repo list --host web1 --tag daily
  tintype repo list --json | jq -r 'select(.event==\"snapshot\").id'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Whole ids
    #[arg(long)]
    long: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        let now = app.env.clock.now();
        let mut table = Table::new(
            ["id", "time", "host", "files+dirs", "size", "state", "tags", "paths"],
            &[3, 4],
        );
        let mut shown = 0u64;
        for snapshot in listing.snapshots.iter().filter(|s| self.filter.takes(s)) {
            shown += 1;
            app.report.event("snapshot", snapshot_fields(snapshot))?;
            let manifest = &snapshot.manifest;
            let standing = &snapshot.standing;
            let id = if self.long { snapshot.id.to_string() } else { snapshot.id.short() };
            table.row([
                id,
                show::time(manifest.time),
                manifest.host.clone(),
                show::count(manifest.entries),
                show::bytes(manifest.bytes),
                state(snapshot, now),
                standing.tags.iter().cloned().collect::<Vec<_>>().join(","),
                some_of(&manifest.paths),
            ]);
        }
        if shown == 0 {
            app.report.note("no snapshots");
        } else {
            for line in table.lines() {
                app.report.text(line)?;
            }
            app.report.text(show::counted(shown, "snapshot", "snapshots"))?;
        }
        let damaged = listing.damaged.len();
        let exit = Exit::of_outcome(false, damaged > 0);
        Ok(Done::of(exit, json!({ "snapshots": shown, "damaged": damaged })))
    }
}

/// A few paths, and how many more there are.
fn some_of(paths: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = paths.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    match paths.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What is unusual about a snapshot, in a word or two.
pub(crate) fn state(snapshot: &Snapshot, now: jiff::Timestamp) -> String {
    let standing = &snapshot.standing;
    let mut words = Vec::new();
    if !snapshot.manifest.complete {
        words.push("incomplete");
    }
    if standing.is_locked(now) {
        words.push("locked");
    }
    if !standing.holds.is_empty() {
        words.push("held");
    }
    if standing.verified.is_some_and(|(_, _, damaged)| damaged > 0) {
        words.push("damaged");
    }
    if words.is_empty() { "complete".into() } else { words.join(",") }
}

pub(crate) fn snapshot_fields(snapshot: &Snapshot) -> Value {
    let mut fields = serde_json::to_value(&snapshot.manifest).unwrap_or_default();
    if let Value::Object(map) = &mut fields {
        map.insert("id".into(), json!(snapshot.id));
        map.insert("standing".into(), json!(snapshot.standing));
        let roots = snapshot.manifest.root_paths();
        let roots: Vec<String> = roots.iter().map(|r| crate::report::path_text(r)).collect();
        map.insert("root_paths".into(), json!(roots));
    }
    fields
}
