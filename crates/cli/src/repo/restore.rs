//! `restore`: plan, check, apply.

mod onward;
mod resources;
mod told;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_engine::tree::cursor::Cursor;
use tintype_model::ErrorKind;
use tintype_model::selector::Selector;
use tintype_runner::progress::Progress;
use tintype_runner::restore::{self, ApplyOptions, Destination, Overwrite, Plan, Request};
use tintype_source::files::{Accounts, Excludes, ExcludesBuilder, Owners};

use self::told::Told;
use crate::app::App;
use crate::exit::{Ended, Exit, usage};
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
  tintype repo restore latest --resources --in-place shop     # see `repo snapshot --resources`
  tintype repo restore latest --resources --as-new db=db2 --set db.path=/srv/db2.sqlite

Files that exist stay as they are (--overwrite never) unless you say otherwise; those that differ
are named, and that is no failure. Sockets are not restored. What the snapshot does not hold is
never deleted without --delete-extra, and what the snapshot's own options left out (--exclude and
the like) not even then. An interrupted restore goes on where it stopped when it is run again. Of
two restores into one place the second ends with exit code 5 before it changes anything.")]
#[command(group = clap::ArgGroup::new("destination")
    .args(["to", "in_place", "as_new", "undo"]).required(true).multiple(true))]
pub(crate) struct Args {
    /// A snapshot, and perhaps a path inside it: latest:/files/etc
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector())]
    place: Selector,
    /// Put each captured root below DIR by its last name, or the content of PATH into DIR; a DIR
    /// that does not exist is made for you alone (mode 0700)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["in_place", "as_new", "undo"])]
    to: Option<PathBuf>,
    /// Put everything where it was captured
    #[arg(long)]
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
    /// Do not ask before something is deleted, or a resource is replaced
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
    #[command(flatten)]
    of_resources: resources::Options,
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
        if self.of_resources.resources {
            pick::no_path(&self.place)?;
            let repository = app.open()?;
            let snapshot = app.pick(&repository, &self.place)?;
            return app.pinned(&repository, snapshot.id, |_| {
                resources::run(&self, app, &repository, &snapshot)
            });
        }
        if !self.of_resources.of_new.as_new.is_empty() {
            return Err(usage("--as-new is for resources: say --resources, too"));
        }
        let mut request = self.request()?;
        let repository = app.open()?;
        request.untouchable.extend(app.local_directory()?);
        request.untouchable.extend(repository.cache_dir().map(Path::to_path_buf));
        outside(&request.destination, &request.untouchable)?;
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
            Some(dir) if dir.metadata().is_ok_and(|found| !found.is_dir()) => {
                return Err(usage(format!(
                    "--to {} is no directory; name a directory, the file goes into it by its name",
                    dir.display()
                )));
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
            also: Vec::new(),
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
            claim: !self.dry_run,
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
        let told = Told { app, plan: &plan };
        let blocked = told.checks(&reader, self.dry_run)?;
        if self.delete_extra && plan.damaged > 0 {
            app.report.warn("nothing is deleted: parts of the snapshot are damaged, so nobody knows what it holds");
        }
        if self.dry_run {
            told.steps(&reader)?;
            let is_incomplete = plan.counts.refuse + plan.undeleted > 0 || !plan.missing.is_empty();
            // As the restore itself would end.
            let exit = match &blocked {
                Some(_) => Exit::Failed,
                None => Exit::of_outcome(is_incomplete, plan.damaged > 0),
            };
            return Ok(Done::of(exit, json!({ "snapshot": snapshot.id, "plan": plan.counts })));
        }
        if let Some(reason) = blocked {
            return Err(Ended::blocked(reason));
        }
        if self.to.is_some() && !self.delete_extra {
            told.merges();
        }
        told.leftovers()?;
        self.confirm(&told)?;
        Progress::add(&progress.total_bytes, plan.counts.bytes);
        let options = ApplyOptions {
            workers: self.workers.map_or_else(|| app.readers(), |n| Ok(n as usize))?,
            cancel: app.cancel.clone(),
            verify: self.verify,
            sync: !self.no_sync,
        };
        let watched = Watched { what: "restore", below: &plan.base, ..watched };
        let report = app.watch(&watched, || restore::apply(&reader, &plan, &options, &progress))?;
        told.finish(&report)
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
        let chooses = !self.include.is_empty() || !self.exclude.is_empty();
        if !chooses || plan.selected > 0 || plan.damaged > 0 {
            return Ok(());
        }
        let id = snapshot.id.short();
        if self.include.is_empty() {
            return Err(tintype_engine::Error::not_found(format!(
                "nothing is left of snapshot {id} that --exclude {} does not match",
                self.exclude.join(" --exclude ")
            ))
            .into());
        }
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
    fn confirm(&self, told: &Told<'_>) -> anyhow::Result<()> {
        let Told { app, plan } = told;
        if plan.extra.is_empty() {
            return Ok(());
        }
        told.deletions()?;
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
pub(super) fn outside(destination: &Destination, untouchable: &[PathBuf]) -> anyhow::Result<()> {
    let Destination::Directory(dir) = destination else { return Ok(()) };
    let existing = dir.ancestors().find_map(|above| above.canonicalize().ok());
    for ours in untouchable.iter().filter_map(|ours| ours.canonicalize().ok()) {
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
