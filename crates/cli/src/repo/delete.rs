//! `delete`: snapshots that were named, and what prune drops.

use serde_json::json;
use tintype_engine::format::records::Change;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::{Error, ErrorKind};
use tintype_model::selector::Selector;

use super::annotate::annotate;
use crate::app::App;
use crate::exit::{Exit, kind_of, usage};
use crate::pick::{self, SELECTOR_HELP};
use crate::report::Done;
use crate::show::{self, Table};
use crate::terminal;

#[derive(clap::Args)]
#[command(
    visible_alias = "forget",
    after_help = "\
Examples:
  tintype repo delete latest~3 --dry-run
  tintype repo delete 3f2a a1b2 --reason 'took the wrong disk'

The snapshots are gone from every list at once; `tintype repo gc` frees their bytes. What is locked
or held is refused, and then nothing at all is deleted (exit code 5)."
)]
pub(crate) struct Args {
    #[arg(value_name = "SNAPSHOT", required = true, value_parser = pick::selector())]
    #[arg(help = SELECTOR_HELP)]
    snapshots: Vec<Selector>,
    /// Why; kept until gc has run
    #[arg(long, value_name = "TEXT", default_value = "deleted by hand")]
    reason: String,
    /// Only say what would be deleted
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask (where there is no terminal nobody is asked)
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        let picked = pick::pick_all(&listing, &self.snapshots)?;
        let protected = show_plan(app, &picked)?;
        if self.dry_run {
            return Ok(Done::of(Exit::Complete, json!({ "would_delete": picked.len() })));
        }
        if let Some(why) = protected {
            return Err(Error::locked(format!("nothing was deleted: {why}")).into());
        }
        agree(app, self.yes, picked.len())?;
        let deleted = delete(app, &repository, &picked, &self.reason)?;
        Ok(Done::of(Exit::Complete, json!({ "deleted": deleted })))
    }
}

/// The table of what goes; gives why something in it cannot.
fn show_plan(app: &App, picked: &[&Snapshot]) -> anyhow::Result<Option<String>> {
    let now = app.env.clock.now();
    let mut protected = None;
    let mut table = Table::new(["", "id", "time", "host", "size", "paths"], &[4]);
    for snapshot in picked {
        let why = snapshot.standing.protection(now);
        let id = snapshot.id.short();
        app.report.event(
            "planned",
            json!({ "id": snapshot.id, "keep": why.is_some(), "reasons": why.iter().collect::<Vec<_>>() }),
        )?;
        let word = if why.is_some() { "REFUSED" } else { "delete" };
        let manifest = &snapshot.manifest;
        let paths = show::name(manifest.paths.join(" ").as_bytes());
        let note = why.as_ref().map_or(paths, Clone::clone);
        table.row([
            word.into(),
            id.clone(),
            show::time(manifest.time),
            manifest.host.clone(),
            show::bytes(manifest.bytes),
            note,
        ]);
        if let Some(why) = why {
            protected.get_or_insert(format!("snapshot {id} cannot be deleted: {why}"));
        }
    }
    for line in table.lines() {
        app.report.text(line)?;
    }
    Ok(protected)
}

/// A person at a terminal is asked; a script has said what it wants.
pub(super) fn agree(app: &App, yes: bool, count: usize) -> anyhow::Result<()> {
    if yes || count == 0 || app.report.is_json() || !terminal::is_interactive() {
        return Ok(());
    }
    let question = format!("Delete {}?", show::counted(count as u64, "snapshot", "snapshots"));
    if terminal::is_agreed(&question, false)? { Ok(()) } else { Err(usage("nothing was deleted")) }
}

/// One tombstone each; gives how many.
pub(super) fn delete(
    app: &App,
    repository: &Repository,
    picked: &[&Snapshot],
    reason: &str,
) -> anyhow::Result<u64> {
    let mut deleted = 0;
    for snapshot in picked {
        app.cancel.check()?;
        match annotate(repository, snapshot, Change::Deleted(reason.to_owned())) {
            // Somebody else was faster: it is gone, as was wanted.
            Err(error) if kind_of(&error) == Some(ErrorKind::NotFound) => {
                app.report.note(format!("snapshot {} was deleted meanwhile", snapshot.id.short()));
            }
            done => {
                done?;
                app.report.event("deleted", json!({ "id": snapshot.id }))?;
                deleted += 1;
            }
        }
    }
    app.report.text(format!("{} deleted", show::counted(deleted, "snapshot", "snapshots")))?;
    if deleted > 0 {
        app.report.note("`tintype repo gc` frees their bytes");
    }
    Ok(deleted)
}
