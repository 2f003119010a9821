//! `snapshot`: files, devices, or a stream.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use tintype_engine::Error;
use tintype_engine::format::records::Manifest;
use tintype_engine::id::encode_hex;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_model::entry::{Problem, ProblemKind, is_valid_path};
use tintype_model::selector::Selector;
use tintype_runner::group::parent::newest_of;
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::{self, Labels, Noticed, Outcome, SnapshotOptions};
use tintype_source::files::{Excludes, Note, roots};

use super::{annotate, browse, inputs, resources};
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::global::parse_size;
use crate::progress::Watched;
use crate::report::Done;
use crate::{pick, show, when};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo snapshot /etc /home
  tintype repo snapshot / --one-file-system --exclude-caches --exclude '/var/tmp/*'
  tintype repo snapshot /srv --tag weekly --expires-in 90d
  tintype repo snapshot --block /dev/vg0/root
  tintype repo snapshot --from-command shop.sql -- pg_dump shop
  zcat dump.gz | tintype repo snapshot --stdin dump    # a failure of zcat is not seen here
  tintype repo snapshot --resources resources.yaml shop   # see `tintype discover`

Patterns are those of .gitignore: `*.o`, `target/`, `/var/cache`; `!` brings back. Temporary files
of a killed restore (.tintype-<16 digits>-<16 digits>) are left out. What cannot be read is listed
with its cause, the snapshot is marked incomplete, and the exit code is 3.")]
#[command(group = clap::ArgGroup::new("what")
    .args(["paths", "block", "stdin", "from_command", "resources"]).required(true).multiple(true))]
pub(crate) struct Args {
    /// Files and directories; with --resources names of resources, without one all
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<OsString>,
    /// The bytes of a block device or a disk image; once for each, and without paths
    #[arg(long, value_name = "DEVICE", help_heading = "Source")]
    #[arg(conflicts_with_all = ["paths", "stdin", "from_command"])]
    pub(super) block: Vec<PathBuf>,
    /// Standard input, kept as /files/NAME
    #[arg(long, value_name = "NAME", help_heading = "Source")]
    #[arg(conflicts_with_all = ["paths", "from_command"])]
    pub(super) stdin: Option<OsString>,
    /// What a command prints, kept as /files/NAME; give the command after `--`
    #[arg(long, value_name = "NAME", help_heading = "Source", requires = "paths")]
    pub(super) from_command: Option<OsString>,

    /// What FILE describes (`tintype discover` writes it): volumes, databases, machines,
    /// applications, frozen together; give names, or nothing for all
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    #[arg(conflicts_with_all = ["block", "stdin", "from_command", "exclude", "exclude_file",
        "exclude_caches", "exclude_if_present", "exclude_larger_than", "one_file_system"])]
    pub(super) resources: Option<PathBuf>,
    /// Where runs keep what changes while they read; default: /var/tmp
    #[arg(long, value_name = "DIR", help_heading = "Source", requires = "resources")]
    pub(super) scratch: Option<PathBuf>,
    /// Take none: only say which consistency each resource would reach, and what is held up
    #[arg(long, help_heading = "Source", requires = "resources")]
    pub(super) dry_run: bool,

    /// Leave out what matches
    #[arg(long, value_name = "PATTERN", help_heading = "Left out")]
    pub(super) exclude: Vec<String>,
    /// Leave out what matches a line of a file
    #[arg(long, value_name = "FILE", help_heading = "Left out")]
    pub(super) exclude_file: Vec<PathBuf>,
    /// Leave out directories that are marked as caches (CACHEDIR.TAG)
    #[arg(long, help_heading = "Left out")]
    pub(super) exclude_caches: bool,
    /// Leave out directories that hold something of this name
    #[arg(long, value_name = "NAME", help_heading = "Left out")]
    pub(super) exclude_if_present: Vec<OsString>,
    /// Leave out larger files
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Left out")]
    pub(super) exclude_larger_than: Option<u64>,
    /// Do not enter other file systems
    #[arg(long, short = 'x', help_heading = "Left out")]
    pub(super) one_file_system: bool,

    /// Attach a tag
    #[arg(long, value_name = "TAG", help_heading = "Labels")]
    tag: Vec<String>,
    /// Attach a note
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    #[arg(help_heading = "Labels")]
    note: String,
    /// Let `prune` drop it after this moment, and not before
    #[arg(long, value_name = "WHEN", value_parser = when::parse, help_heading = "Labels")]
    expiry: Option<Timestamp>,
    /// The same, counted from now: 30d, 1y6m (y years, m months, w, d, h)
    #[arg(long, value_name = "TIME", conflicts_with = "expiry", help_heading = "Labels")]
    expires_in: Option<String>,
    /// Name of the host, if not this one's
    #[arg(long, value_name = "NAME", help_heading = "Labels")]
    host: Option<String>,

    /// Compare with this snapshot; default: the latest of this host and these paths
    #[arg(long, value_name = "SNAPSHOT", value_parser = pick::selector(), help_heading = "Reading")]
    parent: Option<Selector>,
    /// Read every file, also those that seem unchanged
    #[arg(long, visible_alias = "force", help_heading = "Reading")]
    pub(super) read_all: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        if let Some(file) = &self.resources {
            return resources::take(&self, file, app);
        }
        // All that can be wrong with the request is found before anybody is asked for a key.
        let labels = self.labels(app)?;
        let source = inputs::Source::of(&self, app)?;
        let repository = self.open(app)?;
        let roots = source.roots();
        let own: Vec<String> = roots.iter().map(|root| encode_hex(root)).collect();
        let parent = self.parent(app, &repository, |known| usize::from(known.roots == own))?;
        let progress = Progress::default();
        expect(&progress, parent.as_ref());
        let counted = source.excludes();
        let labels = Labels {
            paths: source.paths(),
            roots,
            options: self.described(app, counted.as_deref())?,
            ..labels
        };
        let budget = app.writer_budget()?;
        let options = SnapshotOptions {
            labels,
            parent,
            workers: budget.workers,
            most_workers: budget.most_workers,
            cancel: app.cancel.clone(),
            read_all: self.read_all,
        };
        let input = source.into_input(app)?;
        let mut watched = Watched::new("snapshot", &progress, "the source");
        watched.is_estimate = options.parent.is_some();
        let outcome =
            app.watch(&watched, || snapshot::run(&repository, input, &options, &progress))?;
        for note in &outcome.notes {
            tell(app, note);
        }
        if outcome.lacking_packs > 0 {
            app.report.warn(format!(
                "{} of the repository missing: this snapshot read and stored everything again; \
                 `tintype repo verify` names what of earlier ones is lost",
                show::counted(outcome.lacking_packs as u64, "pack is", "packs are")
            ));
        }
        if let Some(excludes) = counted {
            let left_out = excludes.counted();
            app.report.detail(format!(
                "left out: {} by pattern, {} by size, {}, {}, {}",
                show::count(left_out.by_pattern),
                show::count(left_out.by_size),
                show::counted(left_out.caches, "cache", "caches"),
                show::counted(left_out.marked, "marked directory", "marked directories"),
                show::counted(left_out.leftovers, "leftover of a restore", "leftovers of restores")
            ));
        }
        finish(app, &repository, &outcome, &options, &progress)
    }

    /// Tags, note and expiry.
    pub(super) fn labels(&self, app: &App) -> anyhow::Result<Labels> {
        let expiry = match &self.expires_in {
            Some(text) => Some(when::from_now(text, &app.env).map_err(usage)?),
            None => self.expiry,
        };
        self.tag.iter().try_for_each(|tag| annotate::check_tag(tag))?;
        if expiry.is_some_and(|expiry| expiry <= app.env.clock.now()) {
            app.report.note("the expiry lies in the past: the next prune may drop this snapshot");
        }
        Ok(Labels { tags: self.tag.clone(), note: self.note.clone(), expiry, ..Labels::default() })
    }

    pub(super) fn open(&self, app: &App) -> anyhow::Result<Repository> {
        let repository = app.open_as(self.host.as_deref())?;
        let closed = repository.close_abandoned()?;
        if closed > 0 {
            app.report.note(format!(
                "{}: what they uploaded is reused",
                show::counted(closed as u64, "interrupted run found", "interrupted runs found")
            ));
        }
        Ok(repository)
    }

    /// The newest of this host of those that fit best, unless one is named; 0 does not fit.
    pub(super) fn parent(
        &self,
        app: &App,
        repository: &Repository,
        fits: impl Fn(&Manifest) -> usize,
    ) -> anyhow::Result<Option<Snapshot>> {
        if let Some(selector) = &self.parent {
            pick::no_path(selector)?;
            return app.pick(repository, selector).map(Some);
        }
        let known = app.listing(repository)?.snapshots;
        Ok(newest_of(known, &repository.identity().host, fits))
    }

    /// For the manifest: how it was taken.
    fn described(&self, app: &App, excludes: Option<&Excludes>) -> anyhow::Result<Value> {
        let text = |name: &OsString| name.to_string_lossy().into_owned();
        let mut lines = excludes.map_or(&[][..], Excludes::lines).to_vec();
        if excludes.is_some() {
            lines.extend(inputs::own_patterns(app)?);
        }
        let is_short = lines.iter().map(String::len).sum::<usize>() <= PATTERNS_BYTES;
        Ok(json!({
            "exclude": self.exclude,
            "exclude_patterns": is_short.then_some(lines),
            "exclude_files": self.exclude_file.iter().map(|f| f.display().to_string()).collect::<Vec<_>>(),
            "exclude_caches": self.exclude_caches,
            "exclude_if_present": self.exclude_if_present.iter().map(text).collect::<Vec<_>>(),
            "exclude_larger_than": self.exclude_larger_than,
            "one_file_system": self.one_file_system,
            "read_all": self.read_all,
            // Without arguments: there may be a password among them.
            "command": self.from_command.as_ref().and(self.paths.first()).map(text),
        }))
    }
}

/// Longer lists of patterns are not recorded: every listing of snapshots would read them.
const PATTERNS_BYTES: usize = 64 << 10;

/// What the parent had is about what there will be.
fn expect(progress: &Progress, parent: Option<&Snapshot>) {
    if let Some(parent) = parent {
        Progress::add(&progress.total_entries, parent.manifest.entries);
        Progress::add(&progress.total_bytes, parent.manifest.bytes);
    }
}

fn tell(app: &App, note: &Note) {
    let line = match note {
        Note::OtherFileSystem(path) => {
            format!("another file system, not entered: {}", show::path(path))
        }
        Note::Pseudo(path, kind) => format!("{kind}, not entered: {}", show::path(path)),
        Note::NotEntered(path) => {
            format!("the repository or its cache, not entered: {}", show::path(path))
        }
        Note::OutsideBase(path) => format!("outside: {}", path.display()),
    };
    app.report.detail(line);
}

fn finish(
    app: &App,
    repository: &Repository,
    outcome: &Outcome,
    options: &SnapshotOptions,
    progress: &Progress,
) -> anyhow::Result<Done> {
    let manifest = &outcome.manifest;
    let load =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let stat = |name: &str| manifest.stats.get(name).and_then(Value::as_u64).unwrap_or_default();
    if load(&progress.problems) > 0 || manifest.problems > 0 {
        name_problems(app, repository, outcome)?;
    }
    name_noticed(app, &outcome.noticed)?;
    let state = if manifest.complete { "" } else { " (INCOMPLETE)" };
    app.report.text(format!("snapshot {}{state}", outcome.id.short()))?;
    let seconds = app.seconds();
    app.report.note(format!(
        "{}, {}; read {}, stored {} in {} ({}/s)",
        show::counted(load(&progress.files), "file", "files"),
        show::bytes(manifest.bytes),
        show::bytes(load(&progress.moved_bytes)),
        show::bytes(stat("pack_bytes")),
        show::seconds(seconds),
        show::bytes((manifest.bytes as f64 / seconds.max(0.001)) as u64),
    ));
    if manifest.problems > 0 {
        app.report.note(format!(
            "{} could not be read as a whole: the snapshot is incomplete",
            show::counted(manifest.problems, "entry", "entries")
        ));
    }
    let figures = json!({
        "snapshot": outcome.id,
        "parent": options.parent.as_ref().map(|p| p.id),
        "entries": manifest.entries,
        "files": load(&progress.files),
        "bytes": manifest.bytes,
        "read_bytes": load(&progress.moved_bytes),
        "new_bytes": stat("new_bytes"),
        "known_bytes": stat("known_bytes"),
        "stored_bytes": stat("pack_bytes"),
        "metadata_bytes": stat("metadata_bytes"),
        "problems": manifest.problems,
        "noticed": outcome.noticed.count,
        "complete": manifest.complete,
    });
    Ok(Done::of(Exit::of_outcome(!manifest.complete, false), figures))
}

fn name_problems(app: &App, repository: &Repository, outcome: &Outcome) -> anyhow::Result<()> {
    let reader = repository.reader()?;
    let manifest = &outcome.manifest;
    let root = Root::of(manifest);
    browse::problems(&reader, root, &mut |entry| match entry.node.problem() {
        Some(problem) if problem.kind.makes_incomplete() => {
            app.report.problem(kind_of(problem), &entry.path, &problem.message)
        }
        _ => Ok(()),
    })
}

/// What changed or vanished while it was read: on a busy machine that may be a lot.
fn name_noticed(app: &App, noticed: &Noticed) -> anyhow::Result<()> {
    const SHOWN: usize = 20;
    let all = app.report.is_json() || app.report.is_verbose();
    let shown = if all { noticed.first.len() } else { SHOWN.min(noticed.first.len()) };
    for (path, problem) in &noticed.first[..shown] {
        app.report.problem(kind_of(problem), path, &problem.message)?;
    }
    let more = noticed.count - shown as u64;
    if more > 0 {
        let entries = show::counted(more, "entry", "entries");
        app.report.note(format!("{entries} more changed or vanished (`ls -l` marks them)"));
    }
    Ok(())
}

fn kind_of(problem: &Problem) -> &'static str {
    match problem.kind {
        ProblemKind::Unreadable => "unreadable",
        ProblemKind::Changed => "changed",
        ProblemKind::Vanished => "vanished",
        ProblemKind::Metadata => "metadata",
    }
}

/// Absolute paths of what the user typed, and that at least one is there.
pub(super) fn resolve_roots(paths: &[OsString]) -> anyhow::Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(usage("an empty path names nothing"));
    }
    let working =
        std::env::current_dir().map_err(|e| Error::io(e, "the working directory is not known"))?;
    let roots = roots::resolve(&paths, &working);
    if !roots.iter().any(|root| root.symlink_metadata().is_ok()) {
        let first = roots.first().map(|root| root.display().to_string()).unwrap_or_default();
        return Err(
            Error::not_found(format!("{first}: there is nothing to take a snapshot of")).into()
        );
    }
    Ok(roots)
}

/// Where a name from the command line goes in the tree.
pub(super) fn stream_path(name: &OsString) -> anyhow::Result<Vec<u8>> {
    let bytes = name.as_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let path = [b"files/", bytes].concat();
    if !is_valid_path(&path, 65_535) {
        return Err(usage(format!("{} is no name for a stream", name.display())));
    }
    Ok(path)
}
