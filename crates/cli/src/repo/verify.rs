//! `verify`: is everything there, and is it what was written?

mod advice;

use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tintype_engine::format::records::Change;
use tintype_engine::id::{RandomId, SnapshotId};
use tintype_engine::index::PackId;
use tintype_engine::repair::{LOST_CHANGES, RepairScope};
use tintype_engine::repo::Repository;
use tintype_engine::verify::{
    Affected, Depth, Finding, Severity, Stage, VerifyEvent, VerifyOptions, VerifyPlan, VerifyReport,
};
use tintype_model::selector::{Selector, Which};
use tintype_runner::progress::Progress;

use super::annotate::{annotate, by};
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick;
use crate::progress::Watched;
use crate::report::{Done, with_bytes};
use crate::show;

#[derive(clap::Args)]
#[command(
    visible_alias = "check",
    after_help = "\
Examples:
  tintype repo verify                      everything but the content of packs
  tintype repo verify --sample 5%          and every twentieth pack, others each time
  tintype repo verify --all --limit-download 50MiB/s
  tintype repo verify --all --resume       go on after an interruption
  tintype repo verify --repair-index       mend the index or the gc record, then look

Each damaged object is named, with every path of every snapshot that it touches, and what mends
it. Exit code 4: there is damage."
)]
pub(crate) struct Args {
    /// Read this share of the packs whole
    #[arg(long, value_name = "N%", value_parser = parse_percent, conflicts_with = "all")]
    sample: Option<f64>,
    /// Read every byte of the repository
    #[arg(long)]
    all: bool,
    /// Which packs the sample has; the same seed chooses the same packs
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
    /// Skip what an interrupted verification has read already
    #[arg(long)]
    resume: bool,
    /// Note the result at every snapshot
    #[arg(long)]
    record: bool,
    /// First make the index anew from the packs, without what is found damaged: the next
    /// `snapshot --read-all` stores that again
    #[arg(long)]
    repair_index: bool,
    /// Go on without changes of this snapshot (tags, holds, locks) that are lost for good: they
    /// are named, and the snapshot is held from now on. Of a deleted one: its whole id
    #[arg(long, value_name = "SNAPSHOT", value_parser = pick::selector())]
    accept_lost_changes: Option<Selector>,
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    let percent = number.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 100.0);
    percent.ok_or_else(|| "a share is more than 0 and at most 100 percent, like 5%".to_owned())
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        if let Some(selector) = &self.accept_lost_changes {
            accept_lost_changes(app, &repository, selector)?;
        }
        let mut journal = Journal::open(&repository, self.resume)?;
        let depth = self.depth(app, &journal);
        if self.repair_index {
            let suspects = Self::suspects(app, &repository, depth, &mut journal)?;
            repair(app, &repository, &RepairScope::Suspects(suspects))?;
        }
        let plan = repository.plan_verify(depth, &journal.verified)?;
        tell_plan(app, &plan);
        let report = Self::check(app, &repository, &plan, &journal)?;
        for finding in &report.findings {
            tell(app, finding)?;
        }
        if report.complete {
            journal.remove();
            if self.record {
                record(app, &repository, depth, &report)?;
            }
        } else if journal.path.is_some() && depth != Depth::Metadata {
            app.report.note("`--resume` goes on where this stopped");
        }
        summary(app, depth, &report)
    }

    fn depth(&self, app: &App, journal: &Journal) -> Depth {
        match self.sample {
            _ if self.all => Depth::All,
            None => Depth::Metadata,
            Some(percent) => {
                let fresh = || u64::from_le_bytes(app.env.bytes());
                let seed = self.seed.or(journal.seed).unwrap_or_else(fresh);
                journal.note_seed(seed);
                Depth::Sample { percent, seed }
            }
        }
    }

    /// Packs in which something is damaged. Those that are whole are not read again.
    fn suspects(
        app: &App,
        repository: &Repository,
        depth: Depth,
        journal: &mut Journal,
    ) -> anyhow::Result<HashSet<PackId>> {
        let plan = repository.plan_verify(depth, &journal.verified)?;
        let report = Self::check(app, repository, &plan, journal)?;
        app.cancel.check()?;
        let whole = std::mem::take(&mut *journal.whole.lock().expect("no panic while held"));
        journal.verified.extend(whole);
        let damaged = report.findings.iter().filter(|f| f.severity == Severity::Damage);
        Ok(damaged.filter_map(|finding| PackId::parse(&finding.object)).collect())
    }

    fn check(
        app: &App,
        repository: &Repository,
        plan: &VerifyPlan,
        journal: &Journal,
    ) -> anyhow::Result<VerifyReport> {
        let progress = Progress::default();
        let phase = Mutex::new("verify");
        let on_event = |event| follow(&progress, &phase, journal, event);
        let options = VerifyOptions {
            depth: plan.depth,
            verified: &journal.verified,
            secret: None,
            workers: app.readers()?,
            memory_bytes: app.global.memory.map_or(256 << 20, |memory| memory / 2),
            cancel: &app.cancel,
            on_event: &on_event,
        };
        let mut watched = Watched::new("verify", &progress, "the store");
        watched.phase = Some(&phase);
        watched.unit = ("object", "objects");
        Ok(app.watch(&watched, || repository.verify(plan, &options))?)
    }
}

/// Shows stages as they come; remembers packs that are good.
fn follow(progress: &Progress, phase: &Mutex<&'static str>, journal: &Journal, event: VerifyEvent) {
    match event {
        VerifyEvent::Stage { stage, count, bytes } => {
            *phase.lock().expect("no panic while held") = match stage {
                Stage::Objects => "verify: small objects",
                Stage::Index => "verify: index",
                Stage::Packs => "verify: ends of packs",
                Stage::Reading => "verify: whole packs",
                Stage::Trees => "verify: trees",
            };
            progress.bytes.store(0, Ordering::Relaxed);
            progress.files.store(0, Ordering::Relaxed);
            progress.entries.store(0, Ordering::Relaxed);
            progress.total_bytes.store(bytes, Ordering::Relaxed);
            progress.total_entries.store(count, Ordering::Relaxed);
        }
        VerifyEvent::Done { count, bytes } => {
            Progress::add(&progress.entries, count);
            Progress::add(&progress.files, count);
            Progress::add(&progress.bytes, bytes);
        }
        VerifyEvent::PackVerified(pack) => journal.note(pack),
    }
}

fn tell_plan(app: &App, plan: &VerifyPlan) {
    let skipped = plan.packs.saturating_sub(plan.whole_packs);
    let mut line = format!("{} to look at", show::counted(plan.objects, "object", "objects"));
    if plan.depth != Depth::Metadata {
        line.push_str(", ");
        line.push_str(&show::counted(plan.whole_packs, "pack", "packs"));
        line.push_str(" to read whole (");
        line.push_str(&show::bytes(plan.whole_bytes));
        line.push(')');
    }
    if let Depth::Sample { seed, .. } = plan.depth {
        line.push_str(&format_seed(seed, skipped));
    }
    app.report.note(line);
}

fn format_seed(seed: u64, skipped: u64) -> String {
    format!(", seed {seed}, {} not in the sample", show::counted(skipped, "pack", "packs"))
}

fn told(affected: &Affected) -> serde_json::Value {
    let fields = json!({ "snapshots": affected.snapshots, "until": null });
    let fields = with_bytes(fields, "path", &affected.path);
    match &affected.until {
        Some(until) => with_bytes(fields, "until", until),
        None => fields,
    }
}

fn tell(app: &App, finding: &Finding) -> anyhow::Result<()> {
    let mut fields = json!(finding);
    fields["affected"] = finding.affected.iter().map(told).collect();
    app.report.event("finding", fields)?;
    let word = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Damage => "DAMAGED",
    };
    if finding.severity == Severity::Info {
        app.report.detail(format!("{word}  {}: {}", finding.object, finding.found));
        return Ok(());
    }
    app.report.text(format!(
        "{word}  {}: {} (expected {})",
        show::name(finding.object.as_bytes()),
        show::name(finding.found.as_bytes()),
        finding.expected
    ))?;
    for affected in &finding.affected {
        let held: Vec<String> = affected.snapshots.iter().map(RandomId::short).collect();
        let range = match &affected.until {
            None => show::path(&affected.path),
            Some(until) if until.is_empty() => {
                format!("everything from {} on", show::path(&affected.path))
            }
            Some(until) => format!(
                "everything from {} up to {}",
                show::path(&affected.path),
                show::path(until)
            ),
        };
        app.report.text(format!("         {range}  [{}]", held.join(" ")))?;
    }
    let hidden = finding.affected_count.saturating_sub(finding.affected.len() as u64);
    if finding.affected.len() as u64 != finding.affected_count
        && hidden > 0
        && finding.affected.is_empty()
    {
        app.report.text(format!("         touches {} paths", show::count(hidden)))?;
    }
    Ok(())
}

fn summary(app: &App, depth: Depth, report: &VerifyReport) -> anyhow::Result<Done> {
    let damaged = report.damaged();
    let verdict = match (report.complete, damaged) {
        (true, 0) => "no damage found".to_owned(),
        (true, n) => format!("{} DAMAGED", show::counted(n as u64, "thing is", "things are")),
        (false, 0) => "stopped; no damage found so far".to_owned(),
        (false, n) => format!("stopped; {} DAMAGED so far", show::count(n as u64)),
    };
    let packs = show::counted(report.packs_read, "pack", "packs");
    let read = match depth {
        Depth::Metadata => "of content nothing was read (--all reads it)".to_owned(),
        _ => format!("{packs} read whole ({})", show::bytes(report.bytes_read)),
    };
    app.report.text(format!(
        "{verdict}: {}, {}, {}, {read}",
        show::counted(report.objects, "object", "objects"),
        show::counted(report.snapshots, "snapshot", "snapshots"),
        show::counted(report.entries, "entry", "entries"),
    ))?;
    let advice = advice::advice(&report.findings, depth);
    for line in &advice {
        app.report.text(line)?;
    }
    for spot in &report.blind_spots {
        app.report.detail(format!("cannot be seen: {spot}"));
    }
    let mut figures = json!(report);
    if let Value::Object(figures) = &mut figures {
        figures.insert("findings".into(), json!(report.findings.len()));
        figures.insert("damaged".into(), json!(damaged));
        figures.insert("advice".into(), json!(advice));
    }
    let exit = match (damaged > 0, report.complete) {
        (true, _) => Exit::Damaged,
        (false, false) => Exit::Interrupted,
        (false, true) => Exit::Complete,
    };
    Ok(Done::of(exit, figures))
}

fn repair(app: &App, repository: &Repository, scope: &RepairScope) -> anyhow::Result<()> {
    let workers = app.readers()?;
    let report =
        app.busy("repair index", || repository.repair_index(scope, workers, &app.cancel))?;
    app.report.event("repaired", json!(report))?;
    app.report.text(format!(
        "index: {} with {} named again, {} replaced, {} left out",
        show::counted(report.packs, "pack", "packs"),
        show::counted(report.frames, "frame", "frames"),
        show::counted(report.replaced.len() as u64, "segment", "segments"),
        show::counted(report.left_out.len() as u64, "pack", "packs")
    ))?;
    if let Some(record) = &report.record {
        app.report.text(format!("{record} made anew from packs and fates"))?;
    }
    for name in &report.configs {
        app.report.text(format!("{name} written again from the other copy"))?;
    }
    for name in &report.sessions {
        app.report.text(format!("{name} written again from its fate"))?;
    }
    for name in &report.restored {
        app.report.text(format!("{name} written again from the local cache"))?;
    }
    for (name, why) in &report.not_mended {
        app.report.warn(format!("{name} was not written again: {why}"));
    }
    for pack in &report.lost {
        app.report.warn(format!("{pack} is gone: the index no longer names it"));
    }
    for (pack, why) in &report.unreadable {
        app.report.warn(format!("nothing of {pack} can be read: {why}"));
    }
    Ok(())
}

/// Gc deletes nothing, and nobody changes the snapshot, while a change of it is lost.
fn accept_lost_changes(
    app: &App,
    repository: &Repository,
    selector: &Selector,
) -> anyhow::Result<()> {
    pick::no_path(selector)?;
    // A deleted one is in no list, and gc reads its changes all the same.
    let whole_id = |which: &Which| match which {
        Which::Prefix(id) => id.parse::<SnapshotId>().ok(),
        Which::Latest(_) => None,
    };
    let id = match whole_id(&selector.which) {
        Some(id) => id,
        None => pick::pick(&repository.snapshots()?, selector)?.id,
    };
    let lost = repository.accept_lost_changes(id, &by(repository))?;
    app.report.event("accepted", json!({ "id": id, "lost": lost }))?;
    let id = id.short();
    if lost.is_empty() {
        app.report.text(format!("{id}  no change is lost"))?;
        return Ok(());
    }
    for (names, how) in [(&lost.missing, "missing"), (&lost.damaged, "damaged")] {
        for name in names {
            app.report.text(format!(
                "{id}  {name} is {how}: a tag, note, expiry, hold, release, lock, verification or \
                 deletion is lost"
            ))?;
        }
    }
    app.report.text(format!(
        "{id}  is held now; set again what it had, then `tintype repo hold {id} --reason \
         '{LOST_CHANGES}' --release`"
    ))?;
    Ok(())
}

/// Notes at every snapshot how much was read, and how much of it is damaged.
fn record(
    app: &App,
    repository: &Repository,
    depth: Depth,
    report: &VerifyReport,
) -> anyhow::Result<()> {
    let data_percent = match depth {
        Depth::Metadata => 0,
        Depth::Sample { percent, .. } => percent as u8,
        Depth::All => 100,
    };
    for snapshot in &app.listing(repository)?.snapshots {
        let touches = |finding: &&Finding| {
            finding.severity == Severity::Damage
                && finding.affected.iter().any(|a| a.snapshots.contains(&snapshot.id))
        };
        let damaged = report.findings.iter().filter(touches).count() as u64;
        annotate(repository, snapshot, Change::Verified { data_percent, damaged })?;
    }
    Ok(())
}

/// Packs that were read and are good, so that an interrupted verification can go on. Lies in
/// the local cache: one line each, the seed of the sample first.
struct Journal {
    path: Option<PathBuf>,
    verified: HashSet<PackId>,
    /// Found whole by this process.
    whole: Mutex<HashSet<PackId>>,
    seed: Option<u64>,
    out: Mutex<Option<std::fs::File>>,
}

impl Journal {
    fn open(repository: &Repository, resume: bool) -> anyhow::Result<Self> {
        let path = repository.cache_dir().map(|dir| dir.join("verified"));
        let Some(path) = path else {
            if resume {
                return Err(usage("without a cache there is nothing to resume from"));
            }
            return Ok(Self {
                path: None,
                verified: HashSet::new(),
                whole: Mutex::default(),
                seed: None,
                out: Mutex::default(),
            });
        };
        let text =
            if resume { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(resume).write(true).truncate(!resume);
        Ok(Self {
            verified: text.lines().filter_map(PackId::parse).collect(),
            whole: Mutex::default(),
            seed: text.lines().find_map(|line| line.strip_prefix("seed ")?.parse().ok()),
            out: Mutex::new(options.open(&path).ok()),
            path: Some(path),
        })
    }

    fn line(&self, text: &str) {
        if let Some(out) = &mut *self.out.lock().expect("no panic while held") {
            // Without it less can be skipped, nothing more.
            let _ = writeln!(out, "{text}");
        }
    }

    fn note(&self, pack: PackId) {
        self.whole.lock().expect("no panic while held").insert(pack);
        self.line(&pack.object_name());
    }

    fn note_seed(&self, seed: u64) {
        if self.seed != Some(seed) {
            self.line(&format!("seed {seed}"));
        }
    }

    fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}
