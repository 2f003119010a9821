//! `prune`: drops snapshots by retention. First a plan, then its execution.

use std::collections::BTreeSet;

use jiff::Span;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tintype_engine::gc::GcOptions;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::duration;
use tintype_model::retention::{
    self, Decision, Group, GroupBy, Policy, PrunePlan, Reason, parse_count,
};
use tintype_runner::snapshot::part::{is_part, rests};

use super::delete::{agree, delete};
use super::gc;
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick::Filter;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo prune --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run
  tintype repo prune --keep-last 10 --keep-tag release --min-count 3
  tintype repo prune --keep-within 1y --gc

A snapshot stays if any rule keeps it. Locks and holds win over everything; a snapshot with an
expiry of its own stays exactly until then. Where all that stay of a group are incomplete, the
newest complete one stays too. Each group (same host, same paths) is looked at alone.
Parts of runs of a manager take no part: what an interrupted run left of them goes after a week.
--dry-run shows each snapshot with the rule that keeps or drops it, and the bytes that gc would
free.")]
pub(crate) struct Args {
    /// The newest N
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_last: Option<u32>,
    /// The newest of each of N hours (`all`: of every hour)
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_hourly: Option<u32>,
    /// The newest of each of N days
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_daily: Option<u32>,
    /// The newest of each of N weeks
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_weekly: Option<u32>,
    /// The newest of each of N months
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_monthly: Option<u32>,
    /// The newest of each of N years
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Keep")]
    keep_yearly: Option<u32>,
    /// All that are at most this much older than the newest: 1y5m7d2h (m is months)
    #[arg(long, value_name = "TIME", value_parser = parse_within, help_heading = "Keep")]
    keep_within: Option<Within>,
    /// All with these tags (a,b: with both; repeated: any of the lists)
    #[arg(long, value_name = "TAGS", help_heading = "Keep")]
    keep_tag: Vec<String>,
    /// At least this many of each group stay, whatever the rules say
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Keep")]
    min_count: usize,
    /// Only snapshots whose expiry is over go; no rule is needed
    #[arg(long, help_heading = "Keep")]
    expired_only: bool,
    /// What makes snapshots generations of the same thing
    #[arg(long, value_name = "LIST", default_value = "host,paths", value_parser = GroupBy::parse)]
    group_by: GroupBy,
    #[command(flatten)]
    filter: Filter,
    /// Print the plan, and the bytes that gc would free; change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Free the bytes afterwards
    #[arg(long, conflicts_with = "dry_run")]
    gc: bool,
    /// Do not ask (where there is no terminal nobody is asked)
    #[arg(long, short)]
    yes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Within(Span);

fn parse_within(text: &str) -> Result<Within, tintype_model::Error> {
    duration::parse_span(text).map(Within)
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let policy = self.policy()?;
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        if !listing.damaged.is_empty() {
            // What cannot be read may be a hold.
            return Err(tintype_engine::Error::corrupt(
                "nothing is pruned while there is damage: a hold or a lock may be unreadable",
            )
            .into());
        }
        let chosen: Vec<&Snapshot> =
            listing.snapshots.iter().filter(|s| self.filter.takes(s)).collect();
        let whole = chosen.iter().filter(|s| !is_part(&s.manifest));
        let facts: Vec<retention::Snapshot> = whole.map(|s| facts(s)).collect();
        let plan = PrunePlan::new(&facts, &policy, app.env.clock.now(), &TimeZone::system());
        show_plan(app, &plan)?;
        let rests = rests(&listing.snapshots, app.env.clock.now());
        let rests: Vec<_> = rests.into_iter().filter(|s| self.filter.takes(s)).collect();
        show_rests(app, &rests)?;
        if !self.expired_only {
            refuse_to_keep_nothing(&plan)?;
        }
        let mut dropped: BTreeSet<String> = plan.dropped().map(|d| d.snapshot.id.clone()).collect();
        dropped.extend(rests.iter().map(|s| s.id.to_string()));
        let doomed: Vec<&Snapshot> =
            chosen.into_iter().filter(|s| dropped.contains(&s.id.to_string())).collect();
        let kept = plan.kept().count();
        let mut figures = json!({ "kept": kept, "dropped": doomed.len() });
        if self.dry_run {
            figures["freed_bytes"] = json!(would_free(app, &repository, &doomed)?);
            return Ok(Done::of(Exit::Complete, figures));
        }
        agree(app, self.yes, doomed.len())?;
        figures["deleted"] = json!(delete(app, &repository, &doomed, "pruned by retention")?);
        if self.gc {
            let options = GcOptions { cancel: app.cancel.clone(), ..GcOptions::default() };
            let report = app.busy("gc", || repository.gc(&options))?;
            let freed = report.deleted_bytes.saturating_sub(report.copied_bytes);
            app.report.text(format!("{} freed", show::bytes(freed)))?;
            figures["freed_bytes"] = json!(freed);
            return Ok(Done::of(gc::outcome(app, &report), figures));
        }
        Ok(Done::of(Exit::Complete, figures))
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        let list = |text: &String| -> BTreeSet<String> {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        };
        let policy = Policy {
            last: self.keep_last.unwrap_or(0),
            hourly: self.keep_hourly.unwrap_or(0),
            daily: self.keep_daily.unwrap_or(0),
            weekly: self.keep_weekly.unwrap_or(0),
            monthly: self.keep_monthly.unwrap_or(0),
            yearly: self.keep_yearly.unwrap_or(0),
            within: self.keep_within.map(|within| within.0),
            tags: self.keep_tag.iter().map(list).collect(),
            minimum: self.min_count,
            group_by: self.group_by,
        };
        match (self.expired_only, policy.is_empty()) {
            (true, true) => {}
            (true, false) => {
                return Err(usage("--expired-only leaves no room for other rules"));
            }
            (false, _) => policy.check().map_err(usage)?,
        }
        Ok(policy)
    }
}

/// Rules that match nothing, a mistyped tag for instance, must not empty a group.
fn refuse_to_keep_nothing(plan: &PrunePlan) -> anyhow::Result<()> {
    let is_emptied = |group: &&Group| {
        let unruled = |d: &Decision| matches!(d.reasons[..], [Reason::NoRule]);
        group.decisions.iter().all(|d| !d.keep) && group.decisions.iter().any(unruled)
    };
    let Some(group) = plan.groups.iter().find(is_emptied) else { return Ok(()) };
    let name = if group.name.is_empty() { "all snapshots" } else { &group.name };
    Err(usage(format!(
        "the rules keep nothing of {name}; add --min-count 1 or another rule, or use `tintype repo \
         delete`"
    )))
}

/// What retention needs to know.
fn facts(snapshot: &Snapshot) -> retention::Snapshot {
    let (manifest, standing) = (&snapshot.manifest, &snapshot.standing);
    retention::Snapshot {
        id: snapshot.id.to_string(),
        time: manifest.time,
        host: manifest.host.clone(),
        paths: manifest.paths.clone(),
        tags: standing.tags.clone(),
        expiry: standing.expiry,
        held: standing.holds.iter().cloned().collect(),
        locked_until: standing.locked_until,
        is_complete: manifest.complete,
    }
}

fn show_plan(app: &App, plan: &PrunePlan) -> anyhow::Result<()> {
    for group in &plan.groups {
        for decision in &group.decisions {
            let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
            let fields: Value = json!({
                "id": decision.snapshot.id, "time": decision.snapshot.time,
                "group": group.name, "keep": decision.keep, "reasons": reasons,
            });
            app.report.event("planned", fields)?;
        }
    }
    app.report.text(plan.to_string().trim_end())
}

fn show_rests(app: &App, rests: &[&Snapshot]) -> anyhow::Result<()> {
    for part in rests {
        let fields = json!({
            "id": part.id, "time": part.manifest.time, "group": "", "keep": false,
            "reasons": ["part of a run that was interrupted"],
        });
        app.report.event("planned", fields)?;
        let (id, time) = (part.id.short(), show::time(part.manifest.time));
        app.report.text(format!("drop {id} {time}: part of a run that was interrupted"))?;
    }
    Ok(())
}

fn would_free(app: &App, repository: &Repository, doomed: &[&Snapshot]) -> anyhow::Result<u64> {
    let without = doomed.iter().map(|s| s.id).collect();
    let options = GcOptions { cancel: app.cancel.clone(), ..GcOptions::default() };
    let plan = app.busy("gc plan", || repository.plan_gc_without(&without, &options))?;
    app.report.text(format!(
        "gc would then free {} of {} (and copy {})",
        show::bytes(plan.freed_bytes()),
        show::bytes(plan.total_bytes),
        show::bytes(plan.copied_bytes())
    ))?;
    Ok(plan.freed_bytes())
}
