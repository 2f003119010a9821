//! `restore`: plan, check, apply.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_engine::tree::cursor::Cursor;
use tintype_model::ErrorKind;
use tintype_model::selector::Selector;
use tintype_runner::progress::Progress;
use tintype_runner::restore::{
    self, Action, ApplyOptions, Destination, Outcome, Overwrite, Plan, Report, Request,
};
use tintype_source::files::{Accounts, Excludes, ExcludesBuilder, Owners};

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::progress::Watched;
use crate::report::Done;
use crate::{pick, show, terminal};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo restore latest --to /tmp/look              beside the live data
  tintype repo restore latest:/files/etc --to /tmp/etc    one directory: its content into the target
  tintype repo restore latest:/files/etc/fstab --to /tmp  one file
  tintype repo restore latest --in-place --dry-run        what would happen to the live data?
  tintype repo restore latest --in-place --overwrite older --include '*.conf'

Files that exist stay as they are (--overwrite never) unless you say otherwise. What the
snapshot does not hold is never deleted without --delete-extra, and what the snapshot's own options
left out (--exclude and the like) not even then. An interrupted restore goes on
where it stopped when it is run again.")]
pub(crate) struct Args {
    /// A snapshot, and perhaps a path inside it: latest:/files/etc
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector())]
    place: Selector,
    /// Put each captured root below DIR by its last name, or the content of PATH into DIR; a DIR
    /// that does not exist is made for you alone (mode 0700)
    #[arg(long, value_name = "DIR", required_unless_present = "in_place")]
    to: Option<PathBuf>,
    /// Put everything where it was captured
    #[arg(long, conflicts_with = "to")]
    in_place: bool,
    /// Print the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Only what matches (as it was captured: /srv/ann/*.txt)
    #[arg(long, value_name = "PATTERN", help_heading = "Selection")]
    include: Vec<String>,
    /// Not what matches
    #[arg(long, value_name = "PATTERN", help_heading = "Selection")]
    exclude: Vec<String>,
    /// What happens to files that exist and differ
    #[arg(long, value_enum, default_value_t = When::Never, help_heading = "What exists")]
    overwrite: When,
    /// Delete what stands in restored directories and is not in the snapshot; it is listed first
    #[arg(long, help_heading = "What exists")]
    delete_extra: bool,
    /// Do not ask before something is deleted
    #[arg(long, short)]
    yes: bool,
    /// Read everything back and compare
    #[arg(long)]
    verify: bool,
    /// Leave all files with the user who restores, without set-user-id and set-group-id bits
    #[arg(long, help_heading = "Owners", conflicts_with = "owners_by_name")]
    no_owner: bool,
    /// Give files to the users that have the recorded names here; default: the recorded numbers
    #[arg(long, help_heading = "Owners")]
    owners_by_name: bool,
    /// Do not wait until everything is on the disk
    #[arg(long)]
    no_sync: bool,
    /// How many files are written at once; default: one per processor, more
    /// from a store that is far away
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    workers: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// They stay
    Never,
    /// Replaced where the snapshot has a newer one
    Older,
    /// Replaced
    Always,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let mut request = self.request()?;
        let repository = app.open()?;
        request.untouchable.extend(app.local_directory()?);
        request.untouchable.extend(repository.cache_dir().map(Path::to_path_buf));
        outside(&request)?;
        let snapshot = app.pick(&repository, &self.place)?;
        app.pinned(&repository, snapshot.id, |pin| {
            self.restore(app, &repository, &snapshot, &request, pin)
        })
    }

    fn request(&self) -> anyhow::Result<Request> {
        let destination = match &self.to {
            Some(dir) if dir.as_os_str().is_empty() => {
                return Err(usage("--to names no directory"));
            }
            Some(dir) => {
                let absolute = std::path::absolute(dir);
                Destination::Directory(absolute.context("the working directory is not known")?)
            }
            None => Destination::InPlace,
        };
        let include = if self.include.is_empty() {
            None
        } else {
            Some(patterns(&self.include, "--include")?)
        };
        Ok(Request {
            path: self.place.path.clone().unwrap_or_default(),
            destination,
            include,
            exclude: patterns(&self.exclude, "--exclude")?,
            overwrite: match self.overwrite {
                When::Never => Overwrite::Never,
                When::Older => Overwrite::Older,
                When::Always => Overwrite::Always,
            },
            delete_extra: self.delete_extra,
            owners: self.owners(),
            untouchable: Vec::new(),
        })
    }

    fn restore(
        &self,
        app: &App,
        repository: &Repository,
        snapshot: &Snapshot,
        request: &Request,
        pin: Option<&Session<'_>>,
    ) -> anyhow::Result<Done> {
        let reader = repository.reader()?;
        self.find(snapshot, &reader)?;
        let progress = Progress::default();
        let mut watched = Watched::new("plan", &progress, "the target");
        watched.pin = pin;
        let plan =
            app.watch(&watched, || restore::plan(&reader, snapshot, request, &app.cancel))?;
        self.selects_something(snapshot, &plan)?;
        let blocked = show_checks(app, &plan, self.dry_run)?;
        if self.delete_extra && plan.damaged > 0 {
            app.report.warn("nothing is deleted: parts of the snapshot are damaged, so nobody knows what it holds");
        }
        if self.dry_run {
            show_steps(app, &reader, &plan)?;
            let is_incomplete = plan.counts.refuse + plan.undeleted > 0 || !plan.missing.is_empty();
            // As the restore itself would end.
            let exit = match &blocked {
                Some(_) => Exit::Failed,
                None => Exit::of_outcome(is_incomplete, plan.damaged > 0),
            };
            return Ok(Done::of(exit, json!({ "snapshot": snapshot.id, "plan": plan.counts })));
        }
        if let Some(reason) = blocked {
            return Err(tintype_engine::Error::denied(reason).into());
        }
        self.confirm(app, &plan)?;
        Progress::add(&progress.total_bytes, plan.counts.bytes);
        let options = ApplyOptions {
            workers: self.workers.map_or_else(|| app.readers(), |n| Ok(n as usize))?,
            cancel: app.cancel.clone(),
            verify: self.verify,
            sync: !self.no_sync,
        };
        let watched = Watched { what: "restore", ..watched };
        let report = app.watch(&watched, || restore::apply(&reader, &plan, &options, &progress))?;
        finish(app, &plan, &report)
    }

    /// The path inside the snapshot is there.
    fn find(&self, snapshot: &Snapshot, reader: &ContentReader<'_>) -> anyhow::Result<()> {
        let Some(path) = self.place.path.as_ref().filter(|path| !path.is_empty()) else {
            return Ok(());
        };
        match Cursor::new(reader, Root::of(&snapshot.manifest))?.get(path) {
            Ok(None) => Err(pick::no_such_path(snapshot, path)),
            // What lies below may be whole; the plan names what is damaged.
            Ok(Some(_)) => Ok(()),
            Err(error) if error.is(ErrorKind::Corrupt) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn selects_something(&self, snapshot: &Snapshot, plan: &Plan) -> anyhow::Result<()> {
        if self.include.is_empty() || plan.selected > 0 || plan.damaged > 0 {
            return Ok(());
        }
        let id = snapshot.id.short();
        Err(tintype_engine::Error::not_found(format!(
            "nothing that is to be restored of snapshot {id} matches --include {}; patterns match \
             paths as they were captured (/srv/ann/*.txt) or names at every depth (*.txt)",
            self.include.join(" --include ")
        ))
        .into())
    }

    fn owners(&self) -> Owners {
        if self.no_owner {
            Owners::Keep
        } else if self.owners_by_name {
            Owners::Names(Accounts::of_host())
        } else {
            Owners::Numbers
        }
    }

    /// Nothing is deleted before it was listed and agreed to.
    fn confirm(&self, app: &App, plan: &Plan) -> anyhow::Result<()> {
        if plan.extra.is_empty() {
            return Ok(());
        }
        for path in &plan.extra {
            app.report.event(
                "step",
                json!({ "action": "delete", "path": crate::report::path_text(path) }),
            )?;
            app.report.note(format!("delete   {}", show::path(path)));
        }
        if self.yes {
            return Ok(());
        }
        let question = format!(
            "Delete these {} below {}?",
            show::counted(plan.extra.len() as u64, "entry", "entries"),
            plan.base.display()
        );
        if terminal::is_agreed(&question, app.report.is_json())? {
            Ok(())
        } else {
            Err(usage("nothing was changed; agree with --yes, or leave --delete-extra away"))
        }
    }
}

/// Nothing is restored into the repository or its cache.
fn outside(request: &Request) -> anyhow::Result<()> {
    let Destination::Directory(dir) = &request.destination else { return Ok(()) };
    let existing = dir.ancestors().find_map(|above| above.canonicalize().ok());
    for ours in request.untouchable.iter().filter_map(|ours| ours.canonicalize().ok()) {
        if existing.as_ref().is_some_and(|existing| existing.starts_with(&ours)) {
            return Err(usage(format!(
                "{} lies in {}, which belongs to the repository itself; choose another --to",
                dir.display(),
                ours.display()
            )));
        }
    }
    Ok(())
}

fn patterns(lines: &[String], from: &str) -> anyhow::Result<Excludes> {
    let mut builder = ExcludesBuilder::default();
    for line in lines {
        builder.pattern(line, from);
    }
    builder.build().map_err(usage)
}

/// Shows what the checks say; gives why the plan cannot be applied, if so.
fn show_checks(app: &App, plan: &Plan, all: bool) -> anyhow::Result<Option<String>> {
    let mut blocked = None;
    for check in restore::check(plan) {
        app.report.event("check", json!(check))?;
        let word = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Block => "block",
        };
        let line = format!("check {word:<5}  {}: {}", check.name, check.message);
        match check.outcome {
            Outcome::Pass if !all => app.report.detail(line),
            _ => app.report.note(line),
        }
        if check.outcome == Outcome::Block {
            blocked.get_or_insert(check.message);
        }
    }
    Ok(blocked)
}

fn show_steps(app: &App, reader: &ContentReader<'_>, plan: &Plan) -> anyhow::Result<()> {
    app.report.text(format!("target {}", plan.base.display()))?;
    let mut failed = None;
    plan.for_each(reader, &mut |step| {
        app.cancel.check()?;
        let Some(word) = word(step.action) else { return Ok(()) };
        let shown = app
            .report
            .event(
                "step",
                json!({
                    "action": step.action, "path": crate::report::path_text(step.path),
                    "size": step.entry.node.size,
                }),
            )
            .and_then(|()| app.report.text(format!("{word:<8} {}", show::name(step.path))));
        shown.map_err(|error| {
            failed = Some(error);
            tintype_engine::Error::canceled("the plan cannot be shown")
        })
    })
    .map_err(|error| failed.unwrap_or_else(|| error.into()))?;
    for path in &plan.extra {
        app.report
            .event("step", json!({ "action": "delete", "path": crate::report::path_text(path) }))?;
        app.report.text(format!("delete   {}", show::name(path)))?;
    }
    show_obstacles(app, plan)?;
    let counts = plan.counts;
    app.report.text(format!(
        "{} to create, {} to replace, {} with other metadata, {} already there, {} kept, {} \
         refused, {} skipped, {} to delete; {} to write",
        counts.create,
        counts.replace,
        counts.metadata,
        counts.same,
        counts.keep,
        counts.refuse,
        counts.skip,
        counts.delete,
        show::bytes(counts.bytes)
    ))
}

fn word(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::Create => "create",
        Action::Replace => "replace",
        Action::Same => "same",
        Action::Metadata => "metadata",
        Action::Keep => "keep",
        Action::Merge => "merge",
        Action::Refuse => "refuse",
        Action::Skip => "skip",
        Action::Leave => return None,
    })
}

/// What a plan does not do, and why.
fn show_obstacles(app: &App, plan: &Plan) -> anyhow::Result<()> {
    for (path, why) in &plan.refused {
        app.report.problem("refused", path, why)?;
    }
    for (path, why) in &plan.missing {
        app.report.problem("missing", path, &format!("not whole in the snapshot: {why}"))?;
    }
    for (path, why) in &plan.spared {
        app.report.problem("spared", path, why)?;
    }
    for (from, to) in plan.renamed() {
        let (from, to) = (show::path(from), show::name(to));
        app.report.note(format!("{from} goes to {to}: another root has that name too"));
    }
    for (path, device) in plan.devices.iter().filter(|(path, device)| path != device) {
        let (path, device) = (show::path(path), show::path(device));
        app.report.note(format!("{path} goes onto the device {device}"));
    }
    Ok(())
}

fn finish(app: &App, plan: &Plan, report: &Report) -> anyhow::Result<Done> {
    show_obstacles(app, plan)?;
    for (path, why) in &report.failed {
        app.report.problem("failed", path, why)?;
    }
    for (path, why) in &report.imperfect {
        app.report.problem("imperfect", path, why)?;
    }
    let seconds = app.seconds();
    let snapshot = &plan.snapshot;
    let (id, time) = (snapshot.id.short(), show::time(snapshot.manifest.time));
    app.report.text(format!("restored snapshot {id} of {time} to {}", plan.base.display()))?;
    app.report.note(format!(
        "{} and {} in all, {} written in {} ({}/s)",
        show::counted(report.files, "file", "files"),
        show::counted(report.entries, "entry", "entries"),
        show::bytes(report.bytes),
        show::seconds(seconds),
        show::bytes((report.bytes as f64 / seconds.max(0.001)) as u64),
    ));
    if plan.counts.keep > 0 {
        app.report.note(format!(
            "{} existed, differ and were kept; --overwrite older or always replaces them",
            show::counted(plan.counts.keep, "entry", "entries")
        ));
    }
    if report.deleted < plan.counts.delete && !report.failed.is_empty() {
        let count = if report.deleted == 0 {
            "nothing was deleted".to_owned()
        } else {
            let entries = show::counted(plan.counts.delete, "entry", "entries");
            format!("{} of {entries} were deleted", report.deleted)
        };
        app.report.note(format!("{count}: see what failed above"));
    }
    if report.verified_bytes > 0 {
        app.report.note(format!("{} read back and equal", show::bytes(report.verified_bytes)));
    }
    let not_done = report.failed.len() as u64 - report.undeleted + plan.counts.refuse;
    if not_done > 0 {
        app.report.note(format!("{} not restored", show::counted(not_done, "entry", "entries")));
    }
    let not_whole = plan.missing.len() + report.imperfect.len();
    if not_whole > 0 {
        let counted = show::counted(not_whole as u64, "entry is", "entries are");
        app.report.note(format!("{counted} not as captured: see above"));
    }
    let undeleted = report.undeleted + plan.undeleted;
    let is_incomplete = not_done + undeleted > 0 || not_whole > 0;
    let figures: Value = json!({
        "snapshot": plan.snapshot.id,
        "target": plan.base.display().to_string(),
        "plan": plan.counts,
        "files": report.files,
        "entries": report.entries,
        "bytes": report.bytes,
        "deleted": report.deleted,
        "failed": report.failed.len(),
        "refused": plan.refused.len(),
        "missing": plan.missing.len(),
        "imperfect": report.imperfect.len(),
        "verified_bytes": report.verified_bytes,
    });
    Ok(Done::of(Exit::of_outcome(is_incomplete, report.damaged + plan.damaged > 0), figures))
}
