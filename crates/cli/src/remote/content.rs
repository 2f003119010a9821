//! What snapshots hold: `snapshot ls`, `find`, `cat`, `get`, `versions`, `diff`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::TypedValueParser;
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::content::{
    AcrossQuery, Change, DiffQuery, Entry, EntryKind, EntryQuery, SearchQuery, VersionsQuery,
};
use tintype_api::resource::ResourceSpec;
use tintype_engine::id::{decode_hex, encode_hex};
use tintype_engine::tree::{Content, TreeEntry};
use tintype_model::entry::{Kind, Node, Owner, Problem, ProblemKind, Time, file_name};

use super::fetch::{self, Fetched};
use super::noun::{self, Tenants};
use super::snapshot::{find, short};
use crate::exit::{NotWhole, usage};
use crate::repo::browse;
use crate::repo::disk::inside::{self, Inside};
use crate::report::{self, Report};
use crate::show::{self, Table};

/// A snapshot, and perhaps a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) snapshot: String,
    pub(super) path: Vec<u8>,
}

pub(super) fn place() -> impl TypedValueParser<Value = Place> {
    clap::builder::OsStringValueParser::new().try_map(|text: OsString| parse(text.as_bytes()))
}

fn parse(text: &[u8]) -> Result<Place, tintype_engine::Error> {
    let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let (snapshot, path) = (&text[..colon], text.get(colon + 1..).unwrap_or_default());
    let snapshot = std::str::from_utf8(snapshot).ok().filter(|text| !text.is_empty());
    let snapshot = snapshot.ok_or_else(|| {
        tintype_engine::Error::invalid("write it like 3f2a:/path, or latest:/path")
    })?;
    Ok(Place { snapshot: snapshot.to_owned(), path: path.to_vec() })
}

/// As the API takes bytes: text, or hexadecimal digits.
fn path_fields(path: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(path) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(encode_hex(path))),
    }
}

/// What is meant: in the tree, or on the disk that lies there.
fn query(place: &Place, inside: Option<&Inside>) -> anyhow::Result<EntryQuery> {
    let Some(inside) = inside else {
        let (path, path_hex) = path_fields(&place.path);
        return Ok(EntryQuery { path, path_hex, ..EntryQuery::default() });
    };
    let disk = String::from_utf8(place.path.clone());
    let disk = disk.map_err(|_| usage("the path of the disk is not UTF-8"))?;
    let (path, path_hex) = path_fields(&inside.path);
    let partition = inside.partition;
    Ok(EntryQuery { path, path_hex, disk: Some(disk), partition, ..EntryQuery::default() })
}

#[derive(clap::Args)]
pub(crate) struct Ls {
    /// A snapshot and a path in it: 3f2a:/tenants/acme, latest
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = place(), default_value = "latest")]
    place: Place,
    /// The path is a disk: a directory on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Option<Inside>,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    long: bool,
}

impl Ls {
    pub(super) fn run(&self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let snapshot = find(client, &self.place.snapshot)?.id;
        let mut query =
            EntryQuery { limit: Some(1000), ..query(&self.place, self.inside.as_ref())? };
        loop {
            let page = client.tree(&snapshot, &query)?;
            match &page.itself {
                Some(entry) if entry.kind == EntryKind::Image => {
                    return disk(client, report, &snapshot, &self.place);
                }
                Some(entry) if entry.kind != EntryKind::Directory => {
                    return self.line(report, entry);
                }
                _ => {}
            }
            page.items.iter().try_for_each(|entry| self.line(report, entry))?;
            query.cursor = page.next;
            if query.cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn line(&self, report: &Report, entry: &Entry) -> anyhow::Result<()> {
        report.event("entry", json!(entry))?;
        if report.is_json() {
            return Ok(());
        }
        let tree = tree_entry(entry);
        let slash = if entry.kind == EntryKind::Directory { "/" } else { "" };
        let name = show::name(file_name(&tree.path)) + slash;
        report.text(if self.long { browse::long_line(&tree, &name) } else { name })
    }
}

/// Partitions of a disk.
fn disk(client: &Client, report: &Report, snapshot: &str, place: &Place) -> anyhow::Result<()> {
    let whole = Inside { partition: None, path: Vec::new() };
    let mut table = Table::new(["partition", "holds", "size", "files"], &[0, 2]);
    for part in client.partitions(snapshot, &query(place, Some(&whole))?)? {
        report.event("partition", json!(part))?;
        table.row([
            part.number.to_string(),
            part.kind.unwrap_or_else(|| "nothing that is known".to_owned()),
            show::bytes(part.size),
            if part.can_be_read { "are read here" } else { "restore the disk" }.to_owned(),
        ]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))
}

fn bytes(text: &str, hex: Option<&str>) -> Vec<u8> {
    let Some(hex) = hex else { return text.as_bytes().to_vec() };
    let mut bytes = vec![0; hex.len() / 2];
    match decode_hex(hex, &mut bytes) {
        Some(()) => bytes,
        None => text.as_bytes().to_vec(),
    }
}

/// As an entry of a repository, which is shown the same way.
fn tree_entry(entry: &Entry) -> TreeEntry {
    let kind = match entry.kind {
        EntryKind::File => Kind::File,
        EntryKind::Directory => Kind::Directory,
        EntryKind::Symlink => Kind::Symlink,
        EntryKind::Fifo => Kind::Fifo,
        EntryKind::CharDevice => Kind::CharDevice,
        EntryKind::BlockDevice => Kind::BlockDevice,
        EntryKind::Socket => Kind::Socket,
        EntryKind::Image => Kind::Image,
        EntryKind::Stream => Kind::Stream,
        EntryKind::Unknown => Kind::Unknown,
    };
    let mut node = Node::new(kind);
    node.mode = u16::from_str_radix(&entry.mode, 8).unwrap_or_default();
    node.owner = Arc::new(Owner {
        uid: entry.uid,
        gid: entry.gid,
        user: bytes(&entry.user, entry.user_hex.as_deref()),
        group: bytes(&entry.group, entry.group_hex.as_deref()),
    });
    node.mtime = Time { seconds: entry.mtime.seconds, nanoseconds: entry.mtime.nanoseconds };
    node.size = entry.size;
    node.links = entry.links;
    if let Some(target) = &entry.target {
        node.extras_mut().target = bytes(target, entry.target_hex.as_deref());
    }
    if let Some(message) = &entry.problem {
        let problem = Problem { kind: ProblemKind::Metadata, message: message.clone() };
        node.extras_mut().problem = Some(problem);
    }
    let path = bytes(&entry.path, entry.path_hex.as_deref());
    TreeEntry { path, node, content: Content::None, large_xattrs: Vec::new() }
}

#[derive(clap::Args)]
pub(crate) struct Find {
    /// By the start of its id, or `latest`
    snapshot: String,
    /// Like '*.conf'; with a slash it is matched with the whole path
    pattern: Option<String>,
    /// This text somewhere in the path
    #[arg(long, value_name = "TEXT", conflicts_with = "pattern")]
    contains: Option<String>,
    /// Only at or below this path
    #[arg(long, value_name = "PATH")]
    within: Option<String>,
    /// Only of at least this size
    #[arg(long, value_name = "SIZE", value_parser = crate::global::parse_size)]
    larger_than: Option<u64>,
    /// Only of at most this size
    #[arg(long, value_name = "SIZE", value_parser = crate::global::parse_size)]
    smaller_than: Option<u64>,
    /// Only what was modified since
    #[arg(long, value_name = "WHEN", value_parser = crate::when::parse)]
    newer: Option<jiff::Timestamp>,
    /// Only what was modified until then
    #[arg(long, value_name = "WHEN", value_parser = crate::when::parse)]
    older: Option<jiff::Timestamp>,
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    long: bool,
}

impl Find {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let snapshot = find(client, &self.snapshot)?.id;
        let query = SearchQuery {
            pattern: self.pattern,
            contains: self.contains,
            path: self.within,
            kind: None,
            larger_than: self.larger_than,
            smaller_than: self.smaller_than,
            newer: self.newer,
            older: self.older,
            limit: Some(self.limit),
        };
        let found = client.search(&snapshot, &query)?;
        for entry in &found.items {
            report.event("match", json!(entry))?;
            let tree = tree_entry(entry);
            let path = show::path(&tree.path);
            report.text(if self.long { browse::long_line(&tree, &path) } else { path })?;
        }
        if found.has_more {
            report.note("there are more: --within, or a pattern that says more");
        }
        match found.unread.first() {
            None => Ok(()),
            Some(first) => {
                let what = format!("cannot look into {first}: it is damaged; verify the storage");
                Err(tintype_engine::Error::corrupt(what).into())
            }
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Search {
    /// Like '*.conf'; with a slash it is matched with the whole path
    #[arg(required_unless_present = "contains")]
    pattern: Option<String>,
    /// This text somewhere in the path
    #[arg(long, value_name = "TEXT", conflicts_with = "pattern")]
    contains: Option<String>,
    /// Only at or below this path
    #[arg(long, value_name = "PATH")]
    within: Option<String>,
    /// In whose snapshots; default: one's own
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Search {
    /// Until all snapshots were looked into, or so much was found.
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let tenant = self.tenant.as_deref();
        let tenant = tenant.map(|name| anyhow::Ok(Tenants::of(client)?.id(name)?.to_string()));
        let mut query = AcrossQuery {
            pattern: self.pattern,
            contains: self.contains,
            path: self.within,
            tenant: tenant.transpose()?,
            limit: Some(self.limit),
            ..AcrossQuery::default()
        };
        // An answer begins with the snapshots behind those of the one before.
        let (mut seen, mut unread) = (BTreeSet::new(), None);
        loop {
            let found = client.search_all(&query)?;
            for sighting in found.items {
                let tree = tree_entry(&sighting.entry);
                if seen.len() < self.limit as usize && seen.insert(tree.path.clone()) {
                    report.event("sighting", json!(sighting))?;
                    let (id, path) = (&sighting.snapshot[..8], show::path(&tree.path));
                    report.text(format!("{}  {id}:{path}", show::time(sighting.time)))?;
                }
            }
            for id in found.has_more {
                report.note(format!("snapshot {} holds more: --within", &id[..8]));
            }
            unread = unread.or(found.unread.into_iter().next());
            let is_enough = seen.len() >= self.limit as usize;
            match found.next {
                Some(next) if !is_enough => query.cursor = Some(next),
                Some(_) => {
                    let until = found.until.map(show::time).unwrap_or_default();
                    report.note(format!("snapshots before {until} were not looked into: --limit"));
                    break;
                }
                None => break,
            }
        }
        let Some(unread) = unread else { return Ok(()) };
        let what = format!("snapshot {}: {}", unread.snapshot, unread.reason);
        Err(tintype_engine::Error::corrupt(what).into())
    }
}

#[derive(clap::Args)]
pub(crate) struct Cat {
    /// A snapshot and a file in it: 3f2a:/tenants/acme/volumes/web/index.html
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = place())]
    place: Place,
    /// The path is a disk: a file on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Option<Inside>,
    /// Also what is there of a file that was not captured whole
    #[arg(long)]
    incomplete: bool,
}

impl Cat {
    pub(super) fn run(&self, client: &Client, report: &Report) -> anyhow::Result<()> {
        if report.is_json() {
            return Err(usage("cat prints bytes, which are no JSON; leave --json away"));
        }
        let snapshot = find(client, &self.place.snapshot)?.id;
        let incomplete = self.incomplete;
        let query = EntryQuery { incomplete, ..query(&self.place, self.inside.as_ref())? };
        let mut incoming = client.file(&snapshot, &query, 0, None)?;
        let (mut at, mut piece) = (0, vec![0; 1 << 20]);
        while at < incoming.size_bytes {
            let length = incoming.body.read(&mut piece).unwrap_or(0);
            if length == 0 {
                let what = format!("the file broke off after {at} bytes: it may be damaged");
                return Err(tintype_engine::Error::unavailable(what).into());
            }
            report::raw(&piece[..length])?;
            at += length as u64;
        }
        problem(report, incoming.problem)
    }
}

fn problem(report: &Report, problem: Option<String>) -> anyhow::Result<()> {
    let Some(problem) = problem else { return Ok(()) };
    report.warn(&problem);
    let error = anyhow::Error::from(tintype_engine::Error::unavailable(problem));
    Err(error.context(NotWhole("the file is not as it was")))
}

#[derive(clap::Args)]
pub(crate) struct Get {
    /// A snapshot and a file in it
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = place())]
    place: Place,
    /// The path is a disk: a file on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Option<Inside>,
    /// The new file; default: its name, here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
    /// Also what is there of a file that was not captured whole
    #[arg(long)]
    incomplete: bool,
}

impl Get {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let path = self.inside.as_ref().map_or(&self.place.path, |inside| &inside.path);
        let name = PathBuf::from(OsString::from_vec(file_name(path).to_vec()));
        let to = self.output.unwrap_or(name);
        if to.as_os_str().is_empty() {
            return Err(usage("which file? write it like latest:/tenants/…"));
        }
        fetch::check(&to, self.overwrite)?;
        let snapshot = find(client, &self.place.snapshot)?.id;
        let incomplete = self.incomplete;
        let query = EntryQuery { incomplete, ..query(&self.place, self.inside.as_ref())? };
        let ask = |from, tag: Option<&str>| client.file(&snapshot, &query, from, tag);
        let fetched = fetch::into_file(&to, self.overwrite, report, &ask)?;
        told(report, &to, &fetched)?;
        problem(report, fetched.problem)
    }
}

pub(super) fn told(report: &Report, to: &std::path::Path, fetched: &Fetched) -> anyhow::Result<()> {
    let Fetched { bytes, resumed_bytes, .. } = *fetched;
    let file = to.display().to_string();
    report.event(
        "downloaded",
        json!({ "file": file, "bytes": bytes, "resumed_bytes": resumed_bytes }),
    )?;
    let resumed = match resumed_bytes {
        0 => String::new(),
        bytes => format!(", of which {} were here already", show::bytes(bytes)),
    };
    report.text(format!("{file}: {}{resumed}", show::bytes(bytes)))
}

#[derive(clap::Args)]
pub(crate) struct Versions {
    /// Path in the snapshots: /tenants/acme/volumes/web/index.html
    path: OsString,
    /// Name of the tenant; default: one's own
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only snapshots that hold this resource
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
}

impl Versions {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let (path, path_hex) = path_fields(self.path.as_bytes());
        let tenant = self.tenant.as_deref();
        let id = tenant.map(|name| anyhow::Ok(Tenants::of(client)?.id(name)?.to_string()));
        let resource = self.resource.as_deref().map(|name| {
            anyhow::Ok(noun::find::<ResourceSpec>(client, name, tenant)?.id.to_string())
        });
        let (tenant, resource) = (id.transpose()?, resource.transpose()?);
        let query = VersionsQuery { path, path_hex, tenant, resource, limit: None };
        let found = client.versions(&query)?;
        let columns = ["snapshot", "time", "size", "modified", "differs"];
        let mut table = Table::new(columns, &[2]);
        for version in &found.items {
            report.event("version", json!(version))?;
            let entry = tree_entry(&version.entry);
            table.row([
                short(&version.snapshot).to_owned(),
                show::time(version.time),
                show::bytes(version.entry.size),
                show::entry_time(entry.node.mtime),
                version.change.map_or("–", word).to_owned(),
            ]);
        }
        if found.items.is_empty() {
            report.note("no snapshot holds this path");
        }
        if found.has_more {
            report.note("older snapshots were not looked into");
        }
        table.lines().into_iter().try_for_each(|line| report.text(line))
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "new",
        Change::Removed => "removed",
        Change::Content => "content",
        Change::Metadata => "metadata",
        Change::Type => "kind",
    }
}

#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The older one, and perhaps a path
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = place())]
    old: Place,
    /// The newer one
    #[arg(default_value = "latest")]
    new: String,
    /// Name also what differs in metadata alone
    #[arg(long, short)]
    metadata: bool,
    /// Only the figures
    #[arg(long)]
    summary: bool,
}

impl Diff {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let (path, path_hex) = path_fields(&self.old.path);
        let mut query = DiffQuery {
            from: find(client, &self.old.snapshot)?.id,
            to: find(client, &self.new)?.id,
            path,
            path_hex,
            limit: Some(1000),
            cursor: None,
            summary: self.summary,
        };
        loop {
            let page = client.diff(&query)?;
            for difference in &page.items {
                report.event("difference", json!(difference))?;
                let sign = match difference.change {
                    Change::Added => '+',
                    Change::Removed => '-',
                    Change::Content => 'M',
                    Change::Type => 'T',
                    Change::Metadata if self.metadata => 'm',
                    Change::Metadata => continue,
                };
                let path = bytes(&difference.path, difference.path_hex.as_deref());
                report.text(format!("{sign} {}", show::path(&path)))?;
            }
            if let Some(counts) = &page.counts {
                report.event("counts", json!(counts))?;
                report.text(show::differences(&json!(counts)))?;
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_snapshot_and_a_path() {
        let of = |text: &str| parse(text.as_bytes()).map(|p| (p.snapshot, p.path)).ok();
        let told = |snapshot: &str, path: &str| Some((snapshot.to_owned(), path.into()));
        assert_eq!(of("latest"), told("latest", ""));
        assert_eq!(of("3f2a:/a:b"), told("3f2a", "/a:b"));
        assert_eq!(of("3f2a:"), told("3f2a", ""));
        assert_eq!(of(":/a"), None);
    }
}
