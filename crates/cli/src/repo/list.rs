//! `list`: snapshots as a table.

use serde_json::{Value, json};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_runner::snapshot::part::is_part;

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
    /// Also parts of runs that are not joined yet
    #[arg(long, short)]
    all: bool,
}

/// The column, where there is one.
const EXPIRY: usize = 6;

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        let now = app.env.clock.now();
        let taken: Vec<&Snapshot> =
            listing.snapshots.iter().filter(|s| self.filter.takes(s)).collect();
        let is_shown = |s: &&Snapshot| self.all || !is_part(&s.manifest);
        let (taken, parts): (Vec<_>, Vec<_>) = taken.into_iter().partition(is_shown);
        let shown = taken.len() as u64;
        let expires = taken.iter().any(|snapshot| snapshot.standing.expiry.is_some());
        let mut header = vec!["id", "time", "host", "files+dirs", "size", "state", "tags", "paths"];
        if expires {
            header.insert(EXPIRY, "expires");
        }
        let mut table = Table::new(header, &[3, 4]);
        for snapshot in taken {
            app.report.event("snapshot", snapshot_fields(snapshot))?;
            let manifest = &snapshot.manifest;
            let standing = &snapshot.standing;
            let id = if self.long { snapshot.id.to_string() } else { snapshot.id.short() };
            let mut row = vec![
                id,
                show::time(manifest.time),
                manifest.host.clone(),
                show::count(manifest.entries),
                show::bytes(manifest.bytes),
                state(snapshot, now),
                standing.tags.iter().cloned().collect::<Vec<_>>().join(","),
                some_of(&manifest.paths),
            ];
            if expires {
                row.insert(EXPIRY, standing.expiry.map(show::time).unwrap_or_default());
            }
            table.row(row);
        }
        if shown == 0 {
            app.report.note("no snapshots");
        } else {
            for line in table.lines() {
                app.report.text(line)?;
            }
            app.report.text(show::counted(shown, "snapshot", "snapshots"))?;
        }
        if !parts.is_empty() {
            app.report.note(format!(
                "{} of runs that have not ended, or were interrupted; --all lists them",
                show::counted(parts.len() as u64, "part", "parts")
            ));
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
    if is_part(&snapshot.manifest) {
        words.push("part");
    }
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
        // Their bytes are in `roots`.
        let roots: Vec<_> = roots.iter().map(|root| String::from_utf8_lossy(root)).collect();
        map.insert("root_paths".into(), json!(roots));
    }
    fields
}
