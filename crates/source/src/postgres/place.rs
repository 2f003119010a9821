//! Where a cluster is restored to, and what is in the way.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::Check;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::At;
use super::cluster::ClusterFacts;
use super::included::Included;
use super::{programs, stopped, unpack};
use crate::connector::{Context, Destination};
use crate::host::account::{Account, acting};
use crate::host::moves::Moves;
use crate::host::replaced::{Replaced, remove_all};
use crate::host::{account, at, permissions, processes, rules, space};

/// In the data directory while it recovers: configuration, log and socket of that server.
pub(super) const RECOVERY_DIRECTORY: &str = "tintype-recovery";
/// It names the socket only; nothing listens on the network.
pub(super) const RECOVERY_PORT: u16 = 5432;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) data: PathBuf,
    label: String,
    pub(super) account: Account,
    pub(super) pg_ctl: PathBuf,
    /// Outside the data directory; none if it has its own.
    pub(super) configuration: Option<PathBuf>,
    /// Where it was, and what it included.
    pub(super) captured: PathBuf,
    pub(super) included: Vec<Included>,
    version_directory: String,
    pub(super) tablespaces: Vec<TablespacePlace>,
    pub(super) is_new: bool,
    pub(super) timeline: u32,
    pub(super) archives: bool,
    /// What it is started with beside its configuration.
    #[serde(default)]
    pub(super) command_line: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TablespacePlace {
    pub(super) oid: u32,
    pub(super) location: PathBuf,
    pub(super) staged: PathBuf,
    old: PathBuf,
}

/// How a server is started that only has to recover.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recovery {
    restore_point: String,
    settings: BTreeMap<String, String>,
    pub(super) user: String,
    /// Settings of a copy that must differ from the original's.
    pub(super) kept: BTreeMap<String, String>,
}

impl Recovery {
    pub(super) fn new(facts: &ClusterFacts, place: &Place) -> Self {
        let mut kept = BTreeMap::new();
        if place.is_new {
            kept.insert("port".to_owned(), place.at.port.to_string());
            // Two clusters of one identity must not write to one archive or take turns at one
            // publisher's slot.
            kept.insert("archive_mode".to_owned(), "off".to_owned());
            kept.insert("max_logical_replication_workers".to_owned(), "0".to_owned());
            if Path::new(&place.at.host).is_absolute() {
                kept.insert("unix_socket_directories".to_owned(), place.at.host.clone());
            }
        }
        Self {
            restore_point: facts.restore_point.clone(),
            settings: facts.settings.clone(),
            user: facts.user.clone(),
            kept,
        }
    }

    pub(super) fn text(&self) -> String {
        let kept: Vec<String> =
            self.kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if kept.is_empty() { String::new() } else { format!("; set {}", kept.join(", ")) }
    }

    pub(super) fn settings(&self, sockets: &Path) -> Vec<(&str, String)> {
        let file = |name: &str| sockets.join(name).display().to_string();
        let mut settings = vec![
            ("config_file", file("postgresql.conf")),
            ("hba_file", file("pg_hba.conf")),
            ("ident_file", file("pg_ident.conf")),
            ("external_pid_file", String::new()),
            ("listen_addresses", String::new()),
            // Below the data directory, which is where the server works.
            ("unix_socket_directories", RECOVERY_DIRECTORY.to_owned()),
            ("port", RECOVERY_PORT.to_string()),
            ("ssl", "off".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_destination", "stderr".to_owned()),
            ("shared_preload_libraries", String::new()),
            ("shared_buffers", "128MB".to_owned()),
            ("huge_pages", "off".to_owned()),
            ("archive_mode", "off".to_owned()),
            ("max_logical_replication_workers", "0".to_owned()),
            ("autovacuum", "off".to_owned()),
            ("hot_standby", "off".to_owned()),
            // All of the log is in pg_wal already: an archive that has nothing.
            ("restore_command", "false".to_owned()),
            ("recovery_target_timeline", "current".to_owned()),
            // What an earlier restore left in its configuration: two goals are refused, and whoever
            // has none takes back the others' when it is read, so that ours comes last.
            ("recovery_target", String::new()),
            ("recovery_target_time", String::new()),
            ("recovery_target_xid", String::new()),
            ("recovery_target_lsn", String::new()),
            ("recovery_end_command", String::new()),
            ("archive_cleanup_command", String::new()),
            ("recovery_min_apply_delay", "0".to_owned()),
            ("primary_conninfo", String::new()),
            ("recovery_target_name", self.restore_point.clone()),
            ("recovery_target_action", "promote".to_owned()),
        ];
        settings.extend(self.settings.iter().map(|(name, value)| (&name[..], value.clone())));
        settings
    }
}

impl Place {
    pub(super) fn choose(
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        facts: &ClusterFacts,
        context: &Context,
    ) -> Result<(Self, Vec<Check>)> {
        let none = BTreeMap::new();
        let (at, rules, is_new) = match destination {
            Destination::InPlace => (At::of(resource)?, &none, false),
            Destination::AsNew { name, at, rules } => {
                rules::check(name, rules, &["owner", "identity", "tablespace."])?;
                (at::from_map::<At>(name, at)?, rules, true)
            }
        };
        let data = match (&at.data_directory, is_new) {
            (Some(directory), _) => directory.clone(),
            (None, false) => facts.data_directory.clone(),
            (None, true) => {
                return Err(Error::invalid(format!(
                    "{}: say with data_directory where it shall be",
                    item.name
                )));
            }
        };
        if !data.is_absolute() || data.file_name().is_none() {
            return Err(Error::invalid(format!(
                "{}: {} is no absolute path",
                item.name,
                data.display()
            )));
        }
        let mut checks = Vec::new();
        let account = account_for(&data, rules, &mut checks);
        let pg_ctl = programs(facts, &at, context, &mut checks);
        let configuration = facts.configuration.clone().filter(|file| !is_new && file.is_file());
        let label = context.label();
        let tablespaces = tablespaces(facts, &data, rules, is_new, &label);
        let captured = facts.configuration.clone();
        let place = Self {
            name: item.name.clone(),
            at,
            data,
            label,
            account,
            pg_ctl,
            configuration,
            captured: captured.unwrap_or_else(|| facts.data_directory.join("postgresql.conf")),
            included: facts.included.clone(),
            version_directory: facts.version_directory.clone(),
            tablespaces,
            is_new,
            timeline: facts.timeline,
            archives: facts.archives,
            command_line: if is_new { BTreeMap::new() } else { facts.command_line.clone() },
        };
        place.check(facts, &mut checks);
        checks.extend(place.check_command_line(facts));
        checks.extend(place.check_log());
        place.check_identity(facts, rules, &mut checks);
        checks.extend(place.check_configuration());
        checks.extend(place.check_archive());
        Ok((place, checks))
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.data.file_name().unwrap_or_default().to_string_lossy();
        self.data.with_file_name(format!("{}-{what}-{name}", self.label))
    }

    pub(super) fn staged(&self) -> PathBuf {
        self.beside("new")
    }

    pub(super) fn old(&self) -> PathBuf {
        self.beside("old")
    }

    /// See [`written`](super::written).
    pub(super) fn note(&self) -> PathBuf {
        self.beside("switched")
    }

    pub(super) fn note_beside(&self) -> PathBuf {
        self.beside("switched.new")
    }

    /// What stood there, as far as the snapshot has its like.
    pub(super) fn replaced(&self) -> Replaced {
        let spaces = self.tablespaces.iter().map(|space| {
            let kept = self.space(space, "kept").join(&self.version_directory);
            (space.old.clone(), kept)
        });
        let data = (self.old(), self.beside("kept"));
        let files = std::iter::once(data).chain(spaces).collect();
        Replaced { files, moment: self.beside("moment") }
    }

    /// Removes it, or keeps it so that it can be started where it is.
    pub(super) fn remove_replaced(&self) -> Result<Value> {
        let given = remove_all(&[self.replaced()])?;
        self.link_to("kept")?;
        Ok(given)
    }

    /// What was restored is staged again. If it was written to, it stays as a whole cluster.
    pub(super) fn take_back(&self, is_changed: bool) -> Result<Value> {
        let spaces = self.tablespaces.iter();
        let spaces = spaces.map(|space| (space.staged.clone(), self.space(space, "undone")));
        let data = (self.staged(), self.beside("undone"));
        let files = std::iter::once(data).chain(spaces).collect();
        let restored = Replaced { files, moment: self.note() };
        if !is_changed && restored.kept().next().is_none() {
            return Ok(Value::Null);
        }
        let given = restored.keep()?;
        self.link_to("undone")?;
        Ok(given)
    }

    /// A cluster that stays under another name finds its own tablespaces.
    fn link_to(&self, what: &str) -> Result<()> {
        let data = self.beside(what);
        if !data.exists() {
            return Ok(());
        }
        let spaces = self.tablespaces.iter();
        let places = spaces.map(|space| (space.oid, self.space(space, what))).collect();
        unpack::link(&data, &places, self.account)
    }

    fn space(&self, space: &TablespacePlace, what: &str) -> PathBuf {
        space.location.join(format!("{}-{what}", self.label))
    }

    /// What a capture of a stopped cluster has of a tablespace, and where that is staged.
    pub(super) fn spaces_of_stopped(&self) -> impl Iterator<Item = (u32, PathBuf, PathBuf)> {
        self.tablespaces.iter().map(|space| {
            (space.oid, space.staged.clone(), space.staged.join(&self.version_directory))
        })
    }

    /// The data directory as a whole; of a tablespace only what belongs to this version, since its
    /// directory may be a mount point and serve others too.
    pub(super) fn moves(&self) -> Moves {
        let mut moves = Moves {
            replaces: self.data.exists(),
            aside: vec![(self.data.clone(), self.old())],
            place: vec![(self.staged(), self.data.clone())],
            written: None,
        };
        for tablespace in &self.tablespaces {
            let there = tablespace.location.join(&self.version_directory);
            moves.aside.push((there.clone(), tablespace.old.clone()));
            moves.place.push((tablespace.staged.join(&self.version_directory), there));
        }
        moves
    }

    pub(super) fn staged_tablespaces(&self) -> BTreeMap<u32, PathBuf> {
        self.tablespaces
            .iter()
            .map(|tablespace| (tablespace.oid, tablespace.staged.clone()))
            .collect()
    }

    pub(super) fn final_tablespaces(&self) -> BTreeMap<u32, PathBuf> {
        self.tablespaces
            .iter()
            .map(|tablespace| (tablespace.oid, tablespace.location.clone()))
            .collect()
    }

    pub(super) fn remove_staged(&self) -> Result<()> {
        let staged = self.tablespaces.iter().map(|tablespace| tablespace.staged.clone());
        for path in staged.chain([self.staged()]) {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(error, path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// When all was switched: where tablespaces were unpacked there is nothing any more.
    pub(super) fn remove_empty(&self) -> Result<()> {
        self.each_space(|staged| match std::fs::remove_dir(staged) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// And what is switched back goes there again.
    pub(super) fn make_empty(&self) -> Result<()> {
        use io::ErrorKind::{AlreadyExists, NotFound};
        self.each_space(|staged| match acting(self.account, || std::fs::create_dir(staged)) {
            Err(error) if matches!(error.kind(), AlreadyExists | NotFound) => Ok(()),
            other => other,
        })
    }

    fn each_space(&self, change: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
        for TablespacePlace { staged, .. } in &self.tablespaces {
            change(staged).map_err(|error| Error::io(error, staged.display()))?;
        }
        Ok(())
    }

    /// Nobody sees what stands in no file, so whoever starts it next starts it without.
    fn check_command_line(&self, facts: &ClusterFacts) -> Option<Check> {
        let names: Vec<&str> = facts.command_line.keys().map(String::as_str).collect();
        let names = Some(names.join(", ")).filter(|names| !names.is_empty())?;
        let reason = format!("the server was started with {names} on its command line");
        let (what, cure) = if self.is_new {
            ("the copy is not", "put into the copy's configuration what of it the copy needs")
        } else {
            ("is again", "put it into the configuration, so that whoever starts it next has it")
        };
        Some(Check::warn("options", format!("{reason}, {what}"), cure))
    }

    /// What is restored has its log in it, like every base backup.
    fn check_log(&self) -> Option<Check> {
        let log = stopped::log_elsewhere(&self.data)?;
        let reason = format!(
            "the log of the cluster that is there lies in {}; the restored one keeps its own in its \
             data directory",
            log.display()
        );
        let cure = "to have it there again, stop the server when all is done, move pg_wal there and \
                    link to it; what lies there until then is not touched";
        Some(Check::warn("log", reason, cure))
    }

    fn check_identity(
        &self,
        facts: &ClusterFacts,
        rules: &BTreeMap<String, String>,
        checks: &mut Vec<Check>,
    ) {
        let Some(other) = self.living_twin(facts) else { return };
        let reason = format!("the server of {} lives, with the same identifier", other.display());
        let is_meant = rules.get("identity").is_some_and(|rule| rule == "keep");
        checks.push(if self.is_new && !is_meant {
            let cure = "stop it; or say with the rule identity=keep that both shall live: the copy \
                        then neither archives its log nor subscribes";
            Check::block("identity", reason, cure)
        } else {
            let cure = "do not make one a primary of the other's replicas";
            Check::warn("identity", reason, cure)
        });
    }

    /// Directory of another server of this host that has the captured one's identifier, which
    /// PostgreSQL cannot change: it stands first in its control file.
    fn living_twin(&self, facts: &ClusterFacts) -> Option<PathBuf> {
        let identifier: u64 = facts.system_identifier.parse().ok()?;
        let servers = processes::all().into_iter().filter(|process| process.name == "postgres");
        let twin = servers.filter(|process| {
            let mut found = [0; 8];
            // Through the process: in a container its directory has another name here.
            let control = format!("/proc/{}/cwd/global/pg_control", process.pid);
            // And whoever calls a program so shall not make us wait.
            let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
            let opened = OpenOptions::new().read(true).custom_flags(flags).open(control);
            let read = opened.and_then(|mut file| file.read_exact(&mut found));
            read.is_ok() && u64::from_ne_bytes(found) == identifier
        });
        twin.filter_map(|process| process.directory()).find(|directory| *directory != self.data)
    }

    fn check(&self, facts: &ClusterFacts, checks: &mut Vec<Check>) {
        let shown = self.data.display();
        let parent = self.data.parent().unwrap_or(Path::new("/"));
        let occupied = self.data.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        let is_mount = match (self.data.metadata(), parent.metadata()) {
            (Ok(here), Ok(above)) => here.dev() != above.dev(),
            _ => false,
        };
        checks.push(if !parent.is_dir() {
            Check::block("place", format!("{} is no directory", parent.display()), "make it first")
        } else if is_mount {
            let cure = "restore as new into a directory below it, or mount it elsewhere";
            Check::block("place", format!("{shown} is a mount point and cannot be renamed"), cure)
        } else if self.is_new && occupied {
            Check::block("place", format!("{shown} is not empty"), "choose another directory")
        } else {
            Check::pass("place", format!("{shown} can be used"))
        });
        let there = std::fs::read_to_string(self.data.join("PG_VERSION")).unwrap_or_default();
        if !there.is_empty() && there.trim() != facts.major.to_string() {
            let (there, major) = (there.trim(), facts.major);
            let reason =
                format!("{shown} holds data of PostgreSQL {there}, the snapshot is of {major}");
            let cure = "whoever starts it there would use the other programs: restore as new";
            checks.push(Check::block("version", reason, cure));
        }
        checks.push(match programs::running(&self.data) {
            Some(pid) => {
                Check::block("running", format!("a server (pid {pid}) runs on {shown}"), "stop it")
            }
            None => Check::pass("running", format!("no server runs on {shown}")),
        });
        let port = self.at.port;
        checks.push(if self.is_answering() {
            let reason = format!("a server answers on port {port} at {}", self.at.host);
            Check::block("port", reason, "stop it, or choose another port")
        } else {
            Check::pass("port", format!("port {port} at {} is free", self.at.host))
        });
        let spaces: u64 = facts.tablespaces.iter().map(|tablespace| tablespace.bytes).sum();
        let log = facts.segments * facts.segment_bytes;
        checks.push(space::check(parent, facts.bytes.saturating_sub(spaces) + log));
        // Beside it all is made by us, and given to the account; in it, and in tablespaces, by that.
        checks.push(permissions::check(parent, None));
        if facts.stopped && self.is_new {
            let reason = "it was captured as the files of a stopped cluster";
            let cure = "restore it in place, or its files with --to";
            checks.push(Check::block("place", reason, cure));
        }
        for (place, tablespace) in self.tablespaces.iter().zip(&facts.tablespaces) {
            checks.push(permissions::check(&place.location, self.account));
            checks.push(space::check(&place.location, tablespace.bytes));
            if self.is_new && place.location.join(&self.version_directory).exists() {
                let reason = format!("{} holds a tablespace", place.location.display());
                let cure =
                    format!("choose another with the rule tablespace.{}=DIRECTORY", place.oid);
                checks.push(Check::block("place", reason, cure));
            }
        }
    }

    fn is_answering(&self) -> bool {
        match self.at.socket() {
            Some(socket) => UnixStream::connect(socket).is_ok(),
            None => std::net::TcpStream::connect((&self.at.host[..], self.at.port)).is_ok(),
        }
    }
}

/// Whose the data will be: as it is, by the rule `owner`, or `postgres`.
fn account_for(data: &Path, rules: &BTreeMap<String, String>, checks: &mut Vec<Check>) -> Account {
    if !rustix::process::geteuid().is_root() {
        if data.metadata().is_ok_and(|meta| meta.uid() != rustix::process::geteuid().as_raw()) {
            let reason = format!("{} belongs to another user", data.display());
            checks.push(Check::block("owner", reason, "restore as that user, or as root"));
        }
        return None;
    }
    let there = data.metadata().ok().filter(|meta| meta.uid() != 0 && !rules.contains_key("owner"));
    if let Some(meta) = there {
        return Some((meta.uid(), meta.gid()));
    }
    let owner = rules.get("owner").map_or("postgres", String::as_str);
    let found = account::find(owner).and_then(|(uid, gid)| programs::account_of(uid, gid));
    if found.is_none() {
        let reason = format!("this host has no user {owner}");
        checks.push(Check::block(
            "owner",
            reason,
            "make it, or name another with the rule owner=USER",
        ));
    }
    found
}

fn programs(facts: &ClusterFacts, at: &At, context: &Context, checks: &mut Vec<Check>) -> PathBuf {
    let found = programs::find("pg_ctl", facts.major, at.programs.as_deref())
        .and_then(|program| Ok((programs::major(&program, context)?, program)));
    match found {
        Ok((major, program)) if major == facts.major => {
            checks.push(Check::pass("version", format!("PostgreSQL {major} is here")));
            program
        }
        Ok((major, _)) => {
            let reason = format!("the snapshot is of PostgreSQL {}, here is {major}", facts.major);
            checks.push(Check::block("version", reason, "install that version beside it"));
            PathBuf::new()
        }
        Err(error) => {
            checks.push(Check::block("version", error.to_string(), "install that version"));
            PathBuf::new()
        }
    }
}

fn tablespaces(
    facts: &ClusterFacts,
    data: &Path,
    rules: &BTreeMap<String, String>,
    is_new: bool,
    label: &str,
) -> Vec<TablespacePlace> {
    let of = |oid: u32, location: &Path| -> PathBuf {
        match rules.get(&format!("tablespace.{oid}")) {
            Some(rule) => rule.into(),
            None if is_new => {
                let mut beside = data.as_os_str().to_owned();
                beside.push(format!("-tablespaces/{oid}"));
                beside.into()
            }
            None => location.to_owned(),
        }
    };
    let places = facts.tablespaces.iter().map(|tablespace| {
        let location = of(tablespace.oid, &tablespace.location);
        let staged = location.join(format!("{label}-new"));
        let old = location.join(format!("{label}-old"));
        TablespacePlace { oid: tablespace.oid, location, staged, old }
    });
    places.collect()
}
