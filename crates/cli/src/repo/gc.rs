//! `gc`: frees what no snapshot needs.

use std::time::Duration;

use serde_json::json;
use tintype_engine::gc::{GcOptions, GcPlan, GcReport};
use tintype_engine::id::SnapshotId;
use tintype_model::{ErrorKind, duration};

use crate::app::App;
use crate::exit::Exit;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo gc --dry-run              what would be freed, and why
  tintype repo gc
  tintype repo gc --rewrite-damaged      and replace packs that `verify` found damaged
  tintype repo gc --give-up ID           go on without a snapshot whose fate is lost

Safe while others write and read; it waits for snapshots that are being written. Interrupted at
any point it loses nothing, and the next gc goes on.")]
pub(crate) struct Args {
    /// Only say what would be freed
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Leave packs alone of which more than this many percent are needed
    #[arg(long, value_name = "PERCENT", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    keep_above: u8,
    /// Replace packs that are damaged where nothing needed is touched, or at their ends, by new
    /// ones with what is needed of them
    #[arg(long)]
    rewrite_damaged: bool,
    /// Give up when snapshots are still being written after this time (s, m minutes, h)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse)]
    wait: Duration,
    /// Take a writer for dead that gave no sign of life for this long (s, m minutes, h)
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = duration::parse)]
    fence_after: Duration,
    /// Give up a snapshot whose fate is lost or damaged: whatever is left of it goes. Its whole
    /// id; repeatable
    #[arg(long, value_name = "ID")]
    give_up: Vec<SnapshotId>,
    /// Give up also a snapshot that is held
    #[arg(long, requires = "give_up")]
    despite_holds: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let options = GcOptions {
            keep_above_percent: self.keep_above,
            rewrite_damaged: self.rewrite_damaged,
            wait: self.wait,
            fence_after: self.fence_after,
            give_up: self.give_up.into_iter().collect(),
            despite_holds: self.despite_holds,
            cancel: app.cancel.clone(),
        };
        let repository = app.open()?;
        if self.dry_run {
            let plan = app.busy("gc plan", || repository.plan_gc(&options))?;
            show_plan(app, &plan)?;
            return Ok(Done::of(Exit::Complete, plan_figures(&plan)));
        }
        match repository.close_abandoned() {
            // Gc ends those it must wait for itself, and knows how to on a full store.
            Err(error) if error.is(ErrorKind::NoSpace) => {}
            closed => {
                closed?;
            }
        }
        let report = app.busy("gc", || repository.gc(&options))?;
        app.report.text(format!(
            "{} freed: {} deleted, {} copied into new packs",
            show::bytes(report.deleted_bytes.saturating_sub(report.copied_bytes)),
            show::counted(report.deleted_packs as u64, "pack", "packs"),
            show::bytes(report.copied_bytes)
        ))?;
        let exit = outcome(app, &report);
        let mut figures = json!(report);
        figures["plan"] = plan_figures(&report.plan);
        Ok(Done::of(exit, figures))
    }
}

/// Tells what was not as it should be.
pub(super) fn outcome(app: &App, report: &GcReport) -> Exit {
    if report.fenced > 0 {
        app.report.warn(format!(
            "{} that gave no sign of life: run their snapshots again",
            show::counted(report.fenced as u64, "writer was fenced", "writers were fenced")
        ));
    }
    for pack in &report.spared {
        app.report.warn(format!("{pack} was spared: something in it cannot be read"));
    }
    Exit::of_outcome(false, !report.spared.is_empty())
}

fn show_plan(app: &App, plan: &GcPlan) -> anyhow::Result<()> {
    for candidate in &plan.candidates {
        app.report.event("pack", json!(candidate))?;
    }
    let reasons = plan.reasons().into_iter().map(|(reason, count)| format!("{count} {reason}"));
    let reasons = match plan.candidates.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.collect::<Vec<_>>().join(", ")),
    };
    app.report.text(format!(
        "{}{reasons} of {} packs would go: {} freed of {}, {} copied",
        show::count(plan.candidates.len() as u64),
        show::count(plan.packs as u64),
        show::bytes(plan.freed_bytes()),
        show::bytes(plan.total_bytes),
        show::bytes(plan.copied_bytes())
    ))
}

fn plan_figures(plan: &GcPlan) -> serde_json::Value {
    json!({
        "packs": plan.packs, "total_bytes": plan.total_bytes,
        "candidates": plan.candidates.len(), "freed_bytes": plan.freed_bytes(),
        "copied_bytes": plan.copied_bytes(),
    })
}
