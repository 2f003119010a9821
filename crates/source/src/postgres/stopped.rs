//! The files of a cluster that does not run, with its tablespaces: what stands where a restore puts
//! its own. All that is needed to know of it stands in them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tintype_model::resource::Consistency;
use tintype_model::{Error, Result};

use super::cluster::{ClusterFacts, Tablespace};
use super::lsn::Lsn;
use super::{At, Facts, programs};
use crate::connector::{CapturePlan, Changed, Content, Context, Part, Released, Source, View};
use crate::files::ExcludesBuilder;

/// In the snapshot: the data directory, and below the other each tablespace by its number.
pub(super) const DATA: &str = "data";
pub(super) const SPACES: &str = "tablespaces";
/// In the data directory; a link, if the log lies on a disk of its own.
const LOG: &str = "pg_wal";

/// Of `global/pg_control`, `catalog/pg_control.h`: identifier, version of the file, version of the
/// catalog, state.
const HEAD_BYTES: usize = 20;
const SHUT_DOWN: [u32; 2] = [1, 2];

/// Fields of `at` by which [`StoppedSource`] captures a cluster.
pub(super) fn undo_at(data: &Path) -> Map<String, Value> {
    let fields = json!({ "mode": "files", "data_directory": data });
    fields.as_object().cloned().unwrap_or_default()
}

/// Whether there is a cluster that can be captured so.
pub(super) fn is_cluster(data: &Path) -> bool {
    data.join("PG_VERSION").is_file() && data.join(LOG).is_dir()
}

/// Where its log is, if that is elsewhere.
pub(super) fn log_elsewhere(data: &Path) -> Option<PathBuf> {
    let log = data.join(LOG);
    log.is_symlink().then(|| log.canonicalize().ok()).flatten()
}

pub(super) struct StoppedSource {
    name: String,
    at: At,
    data: PathBuf,
    context: Context,
}

impl StoppedSource {
    pub(super) fn new(name: &str, at: At, context: &Context) -> Result<Self> {
        let data = at
            .data_directory
            .clone()
            .ok_or_else(|| Error::invalid(format!("{name}: mode files needs a data_directory")))?;
        Ok(Self { name: name.to_owned(), at, data, context: context.clone() })
    }

    fn refuse(&self) -> Result<()> {
        let (name, data) = (&self.name, self.data.display());
        if !is_cluster(&self.data) {
            return Err(Error::unsupported(format!(
                "{name}: {data} holds no cluster of PostgreSQL with its log; say where it is with \
                 data_directory"
            )));
        }
        match programs::running(&self.data) {
            None => Ok(()),
            Some(pid) => Err(Error::locked(format!(
                "{name}: a server (pid {pid}) runs in {data}; stop it, or capture it with mode \
                 physical"
            ))),
        }
    }

    fn facts(&self) -> Result<(ClusterFacts, Consistency)> {
        let data = &self.data;
        let version = read(&data.join("PG_VERSION"))?.trim().to_owned();
        let major: u32 = version.parse().map_err(|_| {
            Error::unsupported(format!("{}: a cluster of version {version:?}", self.name))
        })?;
        let control = data.join("global/pg_control");
        let failed = |error| Error::io(error, control.display());
        let mut head = [0; HEAD_BYTES];
        let read_head = std::fs::File::open(&control).and_then(|mut f| f.read_exact(&mut head));
        read_head.map_err(failed)?;
        let number = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| head[at + byte]));
        let identifier = u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| head[byte]));
        let version_directory = format!("PG_{major}_{}", number(12));
        let is_whole = SHUT_DOWN.contains(&number(16));
        let tablespaces = tablespaces(data, &version_directory, &self.context)?;
        let of_spaces: u64 = tablespaces.iter().map(|tablespace| tablespace.bytes).sum();
        let log = log_elsewhere(data).map(|log| size_of(&log, &self.context)).transpose()?;
        let of_log = log.unwrap_or_default();
        let (configuration, command_line) = started_with(data);
        let facts = ClusterFacts {
            version,
            major,
            system_identifier: identifier.to_string(),
            version_directory,
            data_directory: data.clone(),
            configuration,
            included: Vec::new(),
            archives: false,
            port: self.at.port,
            user: self.at.user.clone(),
            encoding: String::new(),
            databases: Vec::new(),
            timeline: 1,
            start: Lsn(0),
            stop: Lsn(0),
            restore_point: String::new(),
            segment_bytes: 0,
            segments: 0,
            bytes: size_of(data, &self.context)? + of_spaces + of_log,
            tablespaces,
            settings: BTreeMap::new(),
            command_line,
            stopped: true,
        };
        let reached = if is_whole { Consistency::Application } else { Consistency::Crash };
        Ok((facts, reached))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::io(error, path.display()))
}

fn why_not_more(reached: Consistency) -> Option<String> {
    let why = "it was not shut down in order; it recovers by its log when it is started";
    (reached < Consistency::Application).then(|| why.to_owned())
}

fn tablespaces(data: &Path, version: &str, context: &Context) -> Result<Vec<Tablespace>> {
    let links = data.join("pg_tblspc");
    let failed = |error| Error::io(error, links.display());
    let mut found = Vec::new();
    for entry in links.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let oid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (Some(oid), Ok(location)) = (oid, std::fs::read_link(entry.path())) else { continue };
        let bytes = size_of(&location.join(version), context)?;
        found.push(Tablespace { oid, location, bytes });
    }
    found.sort_by_key(|tablespace| tablespace.oid.to_string());
    Ok(found)
}

fn size_of(directory: &Path, context: &Context) -> Result<u64> {
    let (mut bytes, mut left) = (0, vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        context.cancel.check()?;
        let failed = |error| Error::io(error, directory.display());
        for entry in directory.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let found = entry.metadata().map_err(failed)?;
            if found.is_dir() {
                left.push(entry.path());
            } else {
                bytes += found.len();
            }
        }
    }
    Ok(bytes)
}

/// The configuration outside of it and the other settings with which it was started last, as its
/// `postmaster.opts` has them: each word in quotes.
fn started_with(data: &Path) -> (Option<PathBuf>, BTreeMap<String, String>) {
    let line = std::fs::read_to_string(data.join("postmaster.opts")).unwrap_or_default();
    let words: Vec<&str> = line.trim_end().split(" \"").skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| word.trim_end_matches('"')).collect();
    let mut settings = BTreeMap::new();
    for (number, word) in words.iter().enumerate() {
        let next = words.get(number + 1);
        let setting = match *word {
            "-c" => next.and_then(|next| next.split_once('=')),
            "-p" => next.map(|next| ("port", *next)),
            "-k" => next.map(|next| ("unix_socket_directories", *next)),
            "-h" => next.map(|next| ("listen_addresses", *next)),
            word => word.strip_prefix("--").and_then(|word| word.split_once('=')),
        };
        settings.extend(setting.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    settings.remove("data_directory");
    let configuration = settings.remove("config_file").map(PathBuf::from);
    (configuration.filter(|file| !file.starts_with(data)), settings)
}

fn part(at: String, root: PathBuf, log: Option<PathBuf>) -> Result<Part> {
    let mut excludes = ExcludesBuilder::default();
    // Of a server that is gone.
    excludes.pattern("/postmaster.pid", "files");
    let content = Content::Files {
        root,
        excludes: Arc::new(excludes.build()?),
        one_file_system: true,
        never_enter: Vec::new(),
        grafts: log.into_iter().map(|log| (LOG.into(), log)).collect(),
        changed: Changed::Unknown,
    };
    Ok(Part { at: at.into(), content })
}

impl Source for StoppedSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        self.refuse()?;
        let (_, reaches) = self.facts()?;
        Ok(CapturePlan { reaches, why_not_more: why_not_more(reaches), freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        self.refuse()
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        self.refuse()?;
        let (facts, consistency) = self.facts()?;
        let mut parts = vec![part(DATA.to_owned(), self.data.clone(), log_elsewhere(&self.data))?];
        for tablespace in &facts.tablespaces {
            let there = tablespace.location.join(&facts.version_directory);
            parts.push(part(format!("{SPACES}/{}", tablespace.oid), there, None)?);
        }
        let version = Some(facts.version.clone());
        let facts = serde_json::to_value(Facts::Physical(Box::new(facts)));
        Ok(View {
            parts,
            consistency,
            why_not_more: why_not_more(consistency),
            mark: None,
            version,
            facts: facts.expect("it has texts and numbers only"),
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_that_is_gone_left_is_left_out() {
        let part = part(DATA.to_owned(), "/srv/[1] data".into(), Some("/log".into())).unwrap();
        let Content::Files { excludes, grafts, .. } = part.content else { unreachable!() };
        assert!(excludes.by_pattern(b"postmaster.pid", false));
        assert!(!excludes.by_pattern(b"base/postmaster.pid", false));
        assert_eq!(grafts, [(b"pg_wal".to_vec(), PathBuf::from("/log"))]);
    }

    #[test]
    fn how_it_was_started_stands_beside_it() {
        let data = tempfile::tempdir().unwrap();
        let line = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/data\" \"-c\" \
                    \"config_file=/etc/a b/postgresql.conf\" \"-p\" \"5433\" \"--x=y z\"\n";
        std::fs::write(data.path().join("postmaster.opts"), line).unwrap();
        let (configuration, settings) = started_with(data.path());
        assert_eq!(configuration, Some("/etc/a b/postgresql.conf".into()));
        let pairs = [("port", "5433"), ("x", "y z")];
        let expected = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings, BTreeMap::from(expected));
        assert_eq!(started_with(Path::new("/nowhere")), (None, BTreeMap::new()));
    }
}
