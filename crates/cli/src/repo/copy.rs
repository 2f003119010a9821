//! `copy`: snapshots into another repository, with another key and store.

use std::path::PathBuf;

use serde_json::json;
use tintype_engine::copy::{CopyEvent, CopyOptions, CopyPlan, KNOWN_LIMIT};
use tintype_engine::id::SnapshotId;
use tintype_model::selector::Selector;
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::part;

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick::{self, Filter};
use crate::progress::Watched;
use crate::report::Done;
use crate::secret::Sources;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo copy latest --to s3://offsite/host1 --to-password-file /etc/.offsite
  tintype repo copy --all --to /mnt/usb/snapshots --dry-run

What is there already is neither read nor sent. Stopped at any point, the next run goes on.")]
pub(crate) struct Args {
    /// Which; or --all
    #[arg(value_name = "SNAPSHOT", value_parser = pick::selector(), required_unless_present = "all")]
    snapshots: Vec<Selector>,
    /// All snapshots (that --host, --tag and --path let through)
    #[arg(long, conflicts_with = "snapshots")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// The other repository
    #[arg(long, value_name = "URL")]
    to: String,
    /// Read its passphrase from a file
    #[arg(long, value_name = "FILE", conflicts_with = "to_password_command")]
    to_password_file: Option<PathBuf>,
    /// Read its passphrase from what a command prints
    #[arg(long, value_name = "COMMAND")]
    to_password_command: Option<String>,
    /// Open it with the recovery key in a file
    #[arg(long, value_name = "FILE")]
    to_recovery_key_file: Option<PathBuf>,
    /// Only say what would be copied
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let sources = Sources {
            file: self.to_password_file.as_deref(),
            command: self.to_password_command.as_deref(),
            recovery_file: self.to_recovery_key_file.as_deref(),
            variable: "TINTYPE_TO_PASSWORD",
            options: "--to-password-file, --to-password-command or TINTYPE_TO_PASSWORD",
            ..Sources::default()
        };
        let source = app.open_at(app.url()?, &app.sources(), None)?;
        let target = app.open_at(&self.to, &sources, None)?;
        app.catch_interrupts()?;
        let listing = app.listing(&source)?;
        let picked: Vec<_> = if self.all {
            listing.snapshots.iter().filter(|s| !part::is_part(&s.manifest)).collect()
        } else {
            pick::pick_all(&listing, &self.snapshots)?
        };
        picked.iter().try_for_each(|snapshot| part::refuse(snapshot))?;
        let ids: Vec<SnapshotId> =
            picked.iter().filter(|s| self.filter.takes(s)).map(|s| s.id).collect();
        if ids.is_empty() {
            return Err(usage("no snapshot was chosen"));
        }
        let plan = source.plan_copy(&target, &ids)?;
        show_plan(app, &plan)?;
        if self.dry_run {
            return Ok(Done::of(Exit::Complete, json!({ "snapshots": plan.snapshots.len() })));
        }
        let progress = Progress::default();
        for planned in plan.snapshots.iter().filter(|p| p.present.is_none()) {
            Progress::add(&progress.total_entries, planned.entries);
        }
        let on_event = |event| count(app, &progress, event);
        let options = CopyOptions {
            workers: app.readers()?,
            known_limit: KNOWN_LIMIT,
            cancel: &app.cancel,
            on_event: &on_event,
        };
        let watched = Watched::new("copy", &progress, "the source");
        let report = app.watch(&watched, || source.copy_to(&target, &plan, &options))?;
        for (id, why) in &report.failed {
            app.report.warn(format!("snapshot {} was not copied: {why}", id.short()));
        }
        for id in &report.gone {
            app.report.note(format!("snapshot {} was deleted meanwhile", id.short()));
        }
        app.report.text(format!(
            "{} copied, {} there already, {} stored",
            show::counted(report.copied.len() as u64, "snapshot", "snapshots"),
            show::count(report.skipped.len() as u64),
            show::bytes(report.stored_bytes)
        ))?;
        let unknown = if self.all { listing.unknown.len() } else { 0 };
        let is_damaged = unknown > 0 || !report.failed.is_empty();
        let exit = match report.complete {
            true => Exit::of_outcome(!report.gone.is_empty(), is_damaged),
            false => Exit::Interrupted,
        };
        Ok(Done::of(exit, json!(report)))
    }
}

fn count(app: &App, progress: &Progress, event: CopyEvent) {
    match event {
        CopyEvent::Read { bytes } => {
            Progress::add(&progress.bytes, bytes);
            Progress::add(&progress.moved_bytes, bytes);
        }
        CopyEvent::Entries { count } => {
            Progress::add(&progress.entries, count);
            Progress::add(&progress.files, count);
        }
        CopyEvent::Begins { source, .. } => progress.at(source.to_string().as_bytes()),
        CopyEvent::Copied { source, target } => {
            // A failure to tell is noticed at the summary.
            let _ = app.report.event("copied", json!({ "source": source, "target": target }));
        }
        CopyEvent::Pairing { .. } => {}
    }
}

fn show_plan(app: &App, plan: &CopyPlan) -> anyhow::Result<()> {
    let mut table = Table::new(["", "id", "time", "host", "size"], &[4]);
    for planned in &plan.snapshots {
        app.report.event("planned", json!(planned))?;
        let word = if planned.present.is_some() { "there" } else { "copy" };
        table.row([
            word.to_owned(),
            planned.source.short(),
            show::time(planned.time),
            planned.host.clone(),
            show::bytes(planned.bytes),
        ]);
    }
    for line in table.lines() {
        app.report.text(line)?;
    }
    Ok(())
}
