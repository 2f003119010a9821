//! What a restore says of its plan and of what was done. Paths are shown as they are on this host;
//! programs get them as they are below the target.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use tintype_engine::reader::ContentReader;
use tintype_model::plan::Verdict;
use tintype_runner::restore::{self, Action, Overwrite, Plan, Report};

use crate::app::App;
use crate::exit::Exit;
use crate::report::{Done, with_bytes};
use crate::show;

/// So many of a kind are named, unless more is asked for.
const NAMED: usize = 20;

pub(super) struct Told<'t> {
    pub(super) app: &'t App,
    pub(super) plan: &'t Plan,
}

impl Told<'_> {
    /// Where something in the target is on this host.
    fn place(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() {
            return self.plan.base.clone();
        }
        self.plan.base.join(OsStr::from_bytes(path))
    }

    fn shown(&self, path: &[u8]) -> String {
        show::path(self.place(path).as_os_str().as_bytes())
    }

    /// A path with what is wrong with it, which may begin with the path.
    fn problem(&self, kind: &str, path: &[u8], why: &str) -> anyhow::Result<()> {
        let named = format!("{}: ", self.place(path).display());
        let why = why.strip_prefix(&named).unwrap_or(why);
        self.app.report.problem_at(kind, path, &self.shown(path), why)
    }

    fn step(&self, action: impl Serialize, path: &[u8], more: Value) -> anyhow::Result<()> {
        let mut fields = with_bytes(json!({ "action": action }), "path", path);
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        self.app.report.event("step", fields)
    }

    /// Shows what the checks say; gives why the plan cannot be applied, if so.
    pub(super) fn checks(
        &self,
        reader: &ContentReader<'_>,
        all: bool,
    ) -> anyhow::Result<Option<String>> {
        let report = &self.app.report;
        let mut blocks: Vec<(String, String)> = Vec::new();
        for check in restore::check(self.plan, reader) {
            report.event("check", json!(check))?;
            let line = format!("check {}", show::check(&check));
            match check.outcome {
                Verdict::Pass if !all => report.detail(line),
                _ => report.note(line),
            }
            if check.outcome == Verdict::Block {
                blocks.push((check.name, check.message));
            }
        }
        let names: Vec<&str> = blocks.iter().map(|(name, _)| &name[..]).collect();
        Ok(match &blocks[..] {
            [] => None,
            [(name, message)] => Some(format!("blocked by {name}: {message}")),
            _ => Some(format!("blocked by {}, see above", names.join(", "))),
        })
    }

    /// The whole plan.
    pub(super) fn steps(&self, reader: &ContentReader<'_>) -> anyhow::Result<()> {
        let Self { app, plan } = self;
        app.report.text(format!("target {}", plan.base.display()))?;
        for path in &plan.leftovers {
            self.step("leftover", path, json!({}))?;
            app.report.text(format!("leftover {}", self.shown(path)))?;
        }
        let mut failed = None;
        plan.for_each(reader, &mut |step| {
            app.cancel.check()?;
            let Some(word) = word(step.action) else { return Ok(()) };
            let (size, why) = (step.entry.node.size, step.why);
            let mut line = format!("{word:<8} {}", self.shown(step.path));
            let mut more = json!({ "size": size });
            if let Some(why) = why {
                line = format!("{line}  ({why})");
                more["why"] = why.into();
            }
            let shown =
                self.step(step.action, step.path, more).and_then(|()| app.report.text(line));
            shown.map_err(|error| {
                failed = Some(error);
                tintype_engine::Error::canceled("the plan cannot be shown")
            })
        })
        .map_err(|error| failed.unwrap_or_else(|| error.into()))?;
        for path in &plan.extra {
            self.step("delete", path, json!({}))?;
            app.report.text(format!("delete   {}", self.shown(path)))?;
        }
        self.obstacles()?;
        let counts = plan.counts;
        app.report.text(format!(
            "{} to create, {} to replace, {} to get other metadata, {} already there, {} differ and \
             are kept, {} with other metadata are kept, {} refused, {} skipped (of these {}), {} to \
             delete, {}; {} to write",
            show::count(counts.create),
            show::count(counts.replace),
            show::count(counts.metadata),
            show::count(counts.same),
            show::count(counts.keep),
            show::count(counts.keep_metadata),
            show::count(counts.refuse),
            show::count(counts.skip),
            show::counted(counts.sockets, "socket", "sockets"),
            show::count(counts.delete),
            show::counted(counts.leftovers, "leftover to remove", "leftovers to remove"),
            show::bytes(counts.bytes)
        ))
    }

    /// Whoever thinks of a new directory learns that it is none.
    pub(super) fn merges(&self) {
        let Self { app, plan } = self;
        if plan.counts.merge > 0 {
            app.report.note(format!(
                "{} is in use: what is there and the snapshot does not hold stays there",
                plan.base.display()
            ));
        }
    }

    /// What goes without being asked, before it goes.
    pub(super) fn leftovers(&self) -> anyhow::Result<()> {
        let leftovers = &self.plan.leftovers;
        for path in leftovers {
            self.step("leftover", path, json!({}))?;
        }
        self.some(
            leftovers.len() as u64,
            leftovers
                .iter()
                .map(|path| format!("leftover of a killed restore, removed: {}", self.shown(path))),
        );
        Ok(())
    }

    pub(super) fn deletions(&self) -> anyhow::Result<()> {
        for path in &self.plan.extra {
            self.step("delete", path, json!({}))?;
            self.app.report.note(format!("delete   {}", self.shown(path)));
        }
        Ok(())
    }

    /// The first of many lines, and how many more there are.
    fn some(&self, count: u64, lines: impl Iterator<Item = String>) {
        let report = &self.app.report;
        let most = if report.is_verbose() { usize::MAX } else { NAMED };
        let mut shown = 0;
        for line in lines.take(most) {
            report.note(line);
            shown += 1;
        }
        if count > shown {
            report.note(format!("… and {} more (--dry-run names all)", show::count(count - shown)));
        }
    }

    /// What a plan does not do, and why.
    fn obstacles(&self) -> anyhow::Result<()> {
        let Self { app, plan } = self;
        for (path, why) in &plan.refused {
            self.problem("refused", path, why)?;
        }
        for (path, why) in &plan.missing {
            self.problem("missing", path, &format!("not whole in the snapshot: {why}"))?;
        }
        for (path, why) in &plan.spared {
            self.problem("spared", path, why)?;
        }
        for (from, to) in plan.renamed() {
            let (from, to) = (show::path(from), self.shown(to));
            app.report.note(format!("{from} goes to {to}: another root has that name too"));
        }
        for (path, device) in plan.devices.iter().filter(|(path, device)| path != device) {
            let (path, device) = (self.shown(path), self.shown(device));
            app.report.note(format!("{path} goes onto the device {device}"));
        }
        Ok(())
    }

    /// What was left as it is, or not made, though nothing is wrong.
    fn untouched(&self) -> anyhow::Result<()> {
        let Self { app, plan } = self;
        for untouched in &plan.untouched {
            self.step(untouched.action, &untouched.path, json!({ "why": untouched.why }))?;
        }
        let counts = plan.counts;
        for (action, count, word) in [
            (Action::Keep, counts.keep, "kept"),
            (Action::KeepMetadata, counts.keep_metadata, "kept"),
            (Action::Skip, counts.sockets, "not restored"),
        ] {
            let found = plan.untouched.iter().filter(|untouched| untouched.action == action);
            self.some(
                count,
                found.map(|untouched| {
                    format!("{word}: {}: {}", self.shown(&untouched.path), untouched.why)
                }),
            );
        }
        if counts.sockets > 0 {
            let sockets = show::counted(counts.sockets, "socket is", "sockets are");
            app.report.note(format!("{sockets} not restored: programs that listen make them"));
        }
        if counts.keep > 0 {
            let entries = show::counted(counts.keep, "entry that differs", "entries that differ");
            let way_on = match plan.overwrite {
                Overwrite::Never => {
                    "; --overwrite always brings them back, older those that are older here"
                }
                Overwrite::Older => ", not older here; --overwrite always brings them back",
                Overwrite::Always => "",
            };
            app.report.note(format!("kept {entries} from the snapshot{way_on}"));
        }
        if counts.keep_metadata > 0 {
            let entries = show::counted(counts.keep_metadata, "entry", "entries");
            let way_on = match plan.overwrite {
                Overwrite::Never => "; --overwrite older or always sets them",
                Overwrite::Older => {
                    ", shared with names that the snapshot does not hold; --overwrite always makes \
                     files of their own"
                }
                Overwrite::Always => "",
            };
            app.report.note(format!(
                "kept {entries} with the content of the snapshot and another owner, mode or \
                 attributes{way_on}"
            ));
        }
        Ok(())
    }

    pub(super) fn finish(&self, report: &Report) -> anyhow::Result<Done> {
        let Self { app, plan } = self;
        self.obstacles()?;
        for (path, why) in &report.failed {
            self.problem("failed", path, why)?;
        }
        for (path, why) in &report.imperfect {
            self.problem("imperfect", path, why)?;
        }
        self.untouched()?;
        let seconds = app.seconds();
        let snapshot = &plan.snapshot;
        let (id, time) = (snapshot.id.short(), show::time(snapshot.manifest.time));
        let lacks = !report.failed.is_empty() || plan.counts.refuse > 0 || plan.damaged > 0;
        let what = match (report.entries, lacks) {
            (0, true) => "nothing restored of",
            (_, true) => "restored a part of",
            (_, false) => "restored",
        };
        let base = plan.base.display();
        app.report.text(format!("{what} snapshot {id} of {time} to {base}"))?;
        app.report.note(format!(
            "{} and {} in all, {} written in {} ({}/s)",
            show::counted(report.files, "file", "files"),
            show::counted(report.entries, "entry", "entries"),
            show::bytes(report.bytes),
            show::seconds(seconds),
            show::bytes((report.bytes as f64 / seconds.max(0.001)) as u64),
        ));
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
            app.report
                .note(format!("{} not restored", show::counted(not_done, "entry", "entries")));
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
}

fn word(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::Create => "create",
        Action::Replace => "replace",
        Action::Same => "same",
        Action::Metadata => "metadata",
        Action::Keep | Action::KeepMetadata => "keep",
        Action::Merge => "merge",
        Action::Refuse => "refuse",
        Action::Skip => "skip",
        Action::Leave => return None,
    })
}
