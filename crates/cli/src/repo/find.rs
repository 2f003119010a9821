//! `find`: entries by name and metadata, over one or all snapshots, without reading contents.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt as _;

use jiff::Timestamp;
use serde_json::json;
use tintype_engine::id::SnapshotId;
use tintype_engine::tree::find::{Pattern, Query, Search};
use tintype_engine::tree::{Root, TreeEntry};
use tintype_model::entry::{Kind, Time};
use tintype_model::selector::Selector;
use tintype_runner::snapshot::part::is_part;

use super::browse;
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::global::parse_size;
use crate::pick::{self, Filter};
use crate::report::Done;
use crate::{show, when};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo find '*.conf'                            by name, in all snapshots
  tintype repo find '/files/home/*/report*' --newer 2031-01-01
  tintype repo find '*.iso' --larger-than 1GiB --snapshot latest
  tintype repo find --name fstab -l

A pattern without a slash is matched with the last part of a path, any other with the whole path.
Each version of a file is shown once, with the first and the last snapshot that hold it.")]
pub(crate) struct Args {
    /// Glob patterns; without any, everything
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Exactly this name
    #[arg(long, value_name = "NAME")]
    name: Vec<std::ffi::OsString>,
    /// This text somewhere in the path
    #[arg(long, value_name = "TEXT")]
    contains: Vec<std::ffi::OsString>,
    /// Only in these snapshots; default: all
    #[arg(long, short, value_name = "SNAPSHOT", value_parser = pick::selector())]
    snapshot: Vec<Selector>,
    #[command(flatten)]
    filter: Filter,
    /// Only this kind
    #[arg(long = "type", value_name = "KIND", value_enum)]
    kinds: Vec<KindName>,
    /// Only of at least this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    larger_than: Option<u64>,
    /// Only of at most this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    smaller_than: Option<u64>,
    /// Only what was modified since
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    newer: Option<Timestamp>,
    /// Only what was modified until then
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    older: Option<Timestamp>,
    /// Only at or below this path
    #[arg(long, value_name = "PATH", default_value = "")]
    within: std::ffi::OsString,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    long: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindName {
    File,
    Directory,
    Symlink,
    Fifo,
    Device,
    Socket,
    Image,
    Stream,
}

impl KindName {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::File => &[Kind::File],
            Self::Directory => &[Kind::Directory],
            Self::Symlink => &[Kind::Symlink],
            Self::Fifo => &[Kind::Fifo],
            Self::Device => &[Kind::CharDevice, Kind::BlockDevice],
            Self::Socket => &[Kind::Socket],
            Self::Image => &[Kind::Image],
            Self::Stream => &[Kind::Stream],
        }
    }
}

/// Versions of entries that were found, by path; each with the snapshots that hold it.
type Found = BTreeMap<Vec<u8>, Vec<(TreeEntry, Vec<SnapshotId>)>>;

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let query = self.query()?;
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        let unknown = if self.snapshot.is_empty() { listing.unknown.len() } else { 0 };
        let picked: Vec<_> = if self.snapshot.is_empty() {
            listing.snapshots.iter().filter(|s| !is_part(&s.manifest)).collect()
        } else {
            pick::pick_all(&listing, &self.snapshot)?
        };
        let roots: Vec<_> = picked
            .into_iter()
            .filter(|s| self.filter.takes(s))
            .map(|s| (s.id, Root::of(&s.manifest)))
            .collect();
        let reader = repository.reader()?;
        let search = Search {
            reader: &reader,
            snapshots: &roots,
            workers: app.readers()?,
            cancel: &app.cancel,
        };
        let (found, unread) = app.busy("find", || gather(&search, &query))?;
        for (first, error) in &unread {
            app.report.warn(format!("cannot look into {}: {error}", show::path(first)));
        }
        let mut versions = 0u64;
        for (entry, snapshots) in found.values().flatten() {
            versions += 1;
            self.tell(app, entry, snapshots)?;
        }
        let figures = json!({
            "paths": found.len(), "versions": versions, "snapshots": roots.len(),
            "damaged": unread.len(),
        });
        let is_damaged = !unread.is_empty() || unknown > 0;
        Ok(Done::of(Exit::of_outcome(false, is_damaged), figures))
    }

    fn query(&self) -> anyhow::Result<Query> {
        let mut patterns = Vec::new();
        for text in &self.patterns {
            patterns.push(Pattern::glob(text).map_err(usage)?);
        }
        patterns.extend(self.name.iter().cloned().map(|n| Pattern::Name(n.into_vec())));
        patterns.extend(self.contains.iter().cloned().map(|c| Pattern::Substring(c.into_vec())));
        let moment = |time: Timestamp| Time { seconds: time.as_second(), nanoseconds: 0 };
        let within = self.within.clone().into_vec();
        let within = within.strip_prefix(b"/").unwrap_or(&within);
        let within = within.strip_suffix(b"/").unwrap_or(within);
        Ok(Query {
            patterns,
            kinds: self.kinds.iter().flat_map(|kind| kind.kinds()).copied().collect(),
            least_bytes: self.larger_than,
            most_bytes: self.smaller_than,
            modified_from: self.newer.map(moment),
            modified_until: self.older.map(moment),
            within: within.to_vec(),
        })
    }

    fn tell(&self, app: &App, entry: &TreeEntry, snapshots: &[SnapshotId]) -> anyhow::Result<()> {
        let mut fields = browse::fields(entry);
        fields["snapshots"] = json!(snapshots);
        app.report.event("match", fields)?;
        let path = show::path(&entry.path);
        let line = if self.long { browse::long_line(entry, &path) } else { path };
        let held = match snapshots {
            [] => String::new(),
            [one] => one.short(),
            [first, .., last] => {
                format!("{} … {} ({})", first.short(), last.short(), snapshots.len())
            }
        };
        app.report.text(format!("{line}  [{held}]"))
    }
}

type Unread = Vec<(Vec<u8>, tintype_engine::Error)>;

fn gather(search: &Search<'_, '_>, query: &Query) -> tintype_engine::Result<(Found, Unread)> {
    let mut found = Found::new();
    let mut unread = Vec::new();
    search.find(
        query,
        &mut |entry, snapshots| {
            let versions = found.entry(entry.path.clone()).or_default();
            let known = versions
                .iter_mut()
                .find(|(known, _)| tintype_engine::tree::diff::compare(known, &entry).is_none());
            match known {
                Some((_, held)) => held.extend_from_slice(snapshots),
                None => versions.push((entry, snapshots.to_vec())),
            }
            Ok(())
        },
        &mut |part| {
            unread.push((part.first, part.error));
            Ok(())
        },
    )?;
    // Oldest first, as the search was given them.
    let number = |id: &SnapshotId| search.snapshots.iter().position(|(other, _)| other == id);
    for versions in found.values_mut() {
        for (_, held) in versions.iter_mut() {
            held.sort_by_key(number);
        }
        versions.sort_by_key(|(_, held)| held.first().and_then(number));
    }
    Ok((found, unread))
}
