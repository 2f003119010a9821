//! From what a user wrote to snapshots.

use clap::Args;
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::Repository;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::{Listing, Snapshot};
use tintype_model::ErrorKind;
use tintype_model::selector::{Selector, Which};
use tintype_runner::snapshot::holds_nothing;
use tintype_runner::snapshot::part::is_part;

use crate::app::App;
use crate::exit::usage;

pub(crate) const SELECTOR_HELP: &str =
    "latest, latest~2, or the start of an id; undo points of restores by their id only";

/// For clap: a snapshot, and perhaps a path inside it. Bytes, because paths are bytes.
pub(crate) fn selector() -> impl clap::builder::TypedValueParser<Value = Selector> {
    use clap::builder::TypedValueParser as _;
    clap::builder::OsStringValueParser::new().try_map(|text| {
        use std::os::unix::ffi::OsStrExt as _;
        Selector::parse(text.as_bytes())
    })
}

/// Which snapshots, by what they say of themselves.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only those of this host
    #[arg(long = "host", value_name = "HOST", id = "filter_host")]
    pub(crate) host: Option<String>,
    /// Only those with this tag (repeated: with all of them)
    #[arg(long = "tag", value_name = "TAG", id = "filter_tag")]
    pub(crate) tags: Vec<String>,
    /// Only those that captured this path
    #[arg(long = "path", value_name = "PATH", id = "filter_path")]
    pub(crate) paths: Vec<String>,
}

impl Filter {
    pub(crate) fn takes(&self, snapshot: &Snapshot) -> bool {
        self.host.as_ref().is_none_or(|host| *host == snapshot.manifest.host)
            && self.tags.iter().all(|tag| snapshot.standing.tags.contains(tag))
            && self.paths.iter().all(|path| {
                let path = path.trim_end_matches('/');
                snapshot.manifest.paths.iter().any(|p| p.trim_end_matches('/') == path)
            })
    }
}

impl App {
    /// All visible snapshots; what could not be read is told.
    pub(crate) fn listing(&self, repository: &Repository) -> anyhow::Result<Listing> {
        let listing = repository.snapshots()?;
        for error in &listing.damaged {
            self.report.warn(format!("damaged: {error}"));
        }
        Ok(listing)
    }

    /// Works on a snapshot that gc must leave alone meanwhile. Where the store is read-only the
    /// work goes on without a pin: nobody can delete there either.
    pub(crate) fn pinned<T>(
        &self,
        repository: &Repository,
        snapshot: SnapshotId,
        work: impl FnOnce(Option<&Session<'_>>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let pin = match repository.pin(snapshot) {
            Ok(pin) => Some(pin),
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NoSpace) => {
                self.report.detail(format!("the snapshot is read without a pin: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let result = work(pin.as_ref());
        if let Some(Err(error)) = pin.map(Session::close) {
            // The next command on this host closes it.
            self.report.detail(format!("the pin could not be taken off: {error}"));
        }
        result
    }

    pub(crate) fn pick(
        &self,
        repository: &Repository,
        selector: &Selector,
    ) -> anyhow::Result<Snapshot> {
        let listing = self.listing(repository)?;
        pick(&listing, selector).cloned()
    }
}

pub(crate) fn pick<'s>(listing: &'s Listing, selector: &Selector) -> anyhow::Result<&'s Snapshot> {
    let snapshots = &listing.snapshots;
    if let (Which::Latest(_), Some(fate)) = (&selector.which, listing.unknown.first()) {
        // It may be that of the newest: an older one must not take its place unasked.
        return Err(tintype_engine::Error::corrupt(format!(
            "{selector}: nobody knows which snapshot that is, because {fate} cannot be read; \
             `tintype repo list` shows the others: choose one by its id"
        ))
        .into());
    }
    let is_meant = |snapshot: &&Snapshot| match selector.which {
        Which::Latest(_) => {
            let manifest = &snapshot.manifest;
            !is_undo_point(snapshot) && !is_part(manifest) && !holds_nothing(manifest)
        }
        Which::Prefix(_) => true,
    };
    let snapshots: Vec<&Snapshot> = snapshots.iter().filter(is_meant).collect();
    let named: Vec<_> = snapshots.iter().map(|s| (s.id.to_string(), s.manifest.time)).collect();
    let position = selector.resolve(&named).map_err(|error| {
        // More than one: the command line must say which.
        if error.is(ErrorKind::Invalid) {
            return usage(error);
        }
        let more = "`tintype repo list` shows which snapshots there are";
        if listing.snapshots.is_empty() { error.into() } else { with_more(&error, more).into() }
    })?;
    Ok(snapshots[position])
}

pub(crate) use tintype_runner::vault::{PRE_RESTORE, TRIGGER};

/// Whoever names the latest means the last good state, never what a restore has just replaced.
fn is_undo_point(snapshot: &Snapshot) -> bool {
    snapshot.manifest.options[TRIGGER] == PRE_RESTORE
}

fn with_more(error: &tintype_engine::Error, more: &str) -> tintype_engine::Error {
    tintype_engine::Error::new(error.kind(), format!("{error}; {more}"))
}

/// Several, in the order in which they were named, each once.
pub(crate) fn pick_all<'s>(
    listing: &'s Listing,
    selectors: &[Selector],
) -> anyhow::Result<Vec<&'s Snapshot>> {
    let mut picked: Vec<&Snapshot> = Vec::new();
    for selector in selectors {
        no_path(selector)?;
        let snapshot = pick(listing, selector)?;
        if !picked.iter().any(|p| p.id == snapshot.id) {
            picked.push(snapshot);
        }
    }
    Ok(picked)
}

/// For commands that take whole snapshots.
pub(crate) fn no_path(selector: &Selector) -> anyhow::Result<()> {
    match &selector.path {
        Some(path) if !path.is_empty() => {
            Err(usage(format!("{selector}: this command takes whole snapshots, without a path")))
        }
        _ => Ok(()),
    }
}

/// There is no such path in a snapshot; says where captured files lie.
pub(crate) fn no_such_path(snapshot: &Snapshot, path: &[u8]) -> anyhow::Error {
    let shown = crate::show::path(path);
    let id = snapshot.id.short();
    let hint = if path.starts_with(b"files") {
        format!("`tintype repo ls {id}` shows what it holds")
    } else {
        format!("captured files lie below /files: {id}:/files{shown}")
    };
    tintype_engine::Error::not_found(format!("snapshot {id} holds no {shown}; {hint}")).into()
}
