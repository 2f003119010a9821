//! All databases at one moment: a short lock over all tables, under which each dump begins its own
//! transaction. Their rows are read afterwards; commits wait for the lock only.
//!
//! Each dump has a connection of its own and writes to scratch at its own speed, whatever else the
//! run does: the server ends a dump that waits for a reader (`net_write_timeout`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tintype_model::entry::{Kind, Node};
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::programs::{Login, literal};
use super::session::Session;
use super::{At, DatabaseFacts, Facts, USERS};
use crate::connector::{
    CapturePlan, Content, Context, EndOfStream, Guarded, Part, Released, Source, Turn, View,
};
use crate::host::program::{self, Beside};
use crate::host::{private, space};

const MOST: Duration = Duration::from_mins(10);
/// How long the lock waits for running statements, and how long all dumps may take to begin.
const LOCK_SECONDS: u32 = 4;
const BEGIN: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(2);
/// How long a dump may write nothing: others may hold a table that it wants.
const STILL: Duration = Duration::from_mins(30);
const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// For others, beside the dumps and the connection that holds the lock.
const SPARE_CONNECTIONS: u64 = 5;
const SHOWN_TABLES: usize = 5;

pub(super) struct MariaDbSource {
    name: String,
    at: At,
    excludes: Vec<String>,
    context: Context,
    session: Option<Session>,
    login: Option<Login>,
    look: Option<Look>,
    dumps: Vec<Beside>,
    users: Option<Vec<u8>>,
    /// Why the accounts are not in it.
    why_no_users: Option<String>,
    copies: Vec<PathBuf>,
}

struct Look {
    version: String,
    databases: Vec<DatabaseFacts>,
    /// Tables without transactions.
    live: Vec<String>,
}

impl Look {
    fn reaches(&self) -> (Consistency, Option<String>) {
        if self.live.is_empty() {
            return (Consistency::Application, None);
        }
        let shown = self.live[..self.live.len().min(SHOWN_TABLES)].join(", ");
        let why = format!(
            "{} tables without transactions are read while others write to them ({shown}); ALTER \
             TABLE … ENGINE=InnoDB, or exclude their database",
            self.live.len()
        );
        (Consistency::None, Some(why))
    }
}

impl MariaDbSource {
    pub(super) fn new(resource: &Resource, at: At, context: &Context) -> Self {
        Self {
            name: resource.name.clone(),
            at,
            excludes: resource.excludes.clone(),
            context: context.clone(),
            session: None,
            login: None,
            look: None,
            dumps: Vec::new(),
            users: None,
            why_no_users: None,
            copies: Vec::new(),
        }
    }

    fn look(&self, session: &mut Session) -> Result<Look> {
        let version = session.value("SELECT VERSION()")?;
        let rows = session.ask(
            "SELECT s.schema_name, s.default_character_set_name, s.default_collation_name, \
             COUNT(t.table_name), COALESCE(SUM(t.data_length), 0) \
             FROM information_schema.schemata s \
             LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name \
             WHERE s.schema_name NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema') GROUP BY 1, 2, 3 ORDER BY 1",
        )?;
        let mut databases = Vec::new();
        for row in rows {
            let [name, character_set, collation, tables, bytes] = &row[..] else {
                return Err(Error::corrupt(format!("{}: a database without a name", self.name)));
            };
            let wanted = self.at.databases.is_empty() || self.at.databases.contains(name);
            if !wanted || self.excludes.contains(name) {
                continue;
            }
            databases.push(DatabaseFacts {
                name: name.clone(),
                at: format!("databases/{}.sql", escaped(name)),
                tables: tables.parse().unwrap_or_default(),
                bytes: bytes.parse().unwrap_or_default(),
                character_set: character_set.clone(),
                collation: collation.clone(),
            });
        }
        databases.sort_by(|a, b| a.at.cmp(&b.at));
        let is_there = |name: &String| databases.iter().any(|database| &database.name == name);
        let missing: Vec<&String> =
            self.at.databases.iter().filter(|name| !is_there(name)).collect();
        if !missing.is_empty() {
            return Err(Error::not_found(format!(
                "{}: there is no database {missing:?}",
                self.name
            )));
        }
        let names: Vec<String> = databases.iter().map(|database| literal(&database.name)).collect();
        let live = if names.is_empty() {
            Vec::new()
        } else {
            session.ask(&format!(
                "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables \
                 WHERE table_type = 'BASE TABLE' AND engine IS NOT NULL AND engine <> 'InnoDB' \
                 AND table_schema IN ({})",
                names.join(", ")
            ))?
        };
        Ok(Look { version, databases, live: live.into_iter().flatten().collect() })
    }

    /// Under the lock: each dump begins its transaction before the lock goes.
    fn begin_dumps(&mut self) -> Result<()> {
        let (Some(login), Some(look)) = (&self.login, &self.look) else {
            return Err(Error::internal(format!("{}: frozen before it was prepared", self.name)));
        };
        for database in &look.databases {
            let mut command = login.command("mariadb-dump", "mysqldump")?;
            command.args(["--single-transaction", "--routines", "--events", "--triggers"]);
            command.args(["--hex-blob", "--skip-dump-date", "--verbose"]);
            command.args(["--default-character-set=utf8mb4", "--", &database.name]);
            let (path, file) = copy(&self.context, &self.name, self.copies.len())?;
            self.copies.push(path);
            self.dumps.push(Beside::start_into(&self.context, &mut command, file)?);
        }
        let begun = self.context.clock.elapsed();
        let mut dumps = std::mem::take(&mut self.dumps);
        for dump in &mut dumps {
            // What it says first after its transaction has begun; one without tables is done.
            let mut said = || dump.said().map_err(|error| self.explained(&error));
            while said()?.is_some_and(|said| !said.contains("-- Retrieving")) {
                self.context.cancel.check()?;
                if self.context.clock.elapsed().saturating_sub(begun) > BEGIN {
                    let seconds = BEGIN.as_secs();
                    return Err(Error::unavailable(format!(
                        "{}: its dumps did not begin within {seconds} s",
                        self.name
                    )));
                }
                self.context.clock.sleep(TICK);
            }
        }
        self.dumps = dumps;
        Ok(())
    }

    /// Until all dumps have ended; they go on side by side.
    fn await_dumps(&mut self) -> Result<()> {
        for (mut dump, path) in std::mem::take(&mut self.dumps).into_iter().zip(&self.copies) {
            let (mut written, mut since) = (0, self.context.clock.elapsed());
            while dump.said().map_err(|error| self.explained(&error))?.is_some() {
                self.context.cancel.check()?;
                let (now, length) =
                    (self.context.clock.elapsed(), path.metadata().map_or(0, |meta| meta.len()));
                if length > written {
                    (written, since) = (length, now);
                } else if now.saturating_sub(since) > STILL {
                    return Err(Error::unavailable(format!(
                        "{}: a dump has stood still for {} minutes; does somebody hold its tables?",
                        self.name,
                        STILL.as_secs() / 60
                    )));
                }
                self.context.clock.sleep(LOOKS_EVERY);
            }
        }
        Ok(())
    }

    fn explained(&self, error: &Error) -> Error {
        let (name, said) = (&self.name, error.message());
        // As the programs say that nothing could be written.
        if said.contains("errno 28") || said.contains("No space left") {
            let place = self.context.scratch.display();
            return Error::no_space(format!(
                "{name}: {place} is full, the dumps need more room; make room or choose another \
                 directory ({said})"
            ));
        }
        Error::new(error.kind(), format!("{name}: its dump: {said}"))
    }

    /// Each dump takes a connection, all at once and under the lock.
    fn check_connections(&self, session: &mut Session, dumps: usize) -> Result<()> {
        let limits = "SELECT @@max_connections, @@max_user_connections";
        let limits = session.ask(limits)?.into_iter().flatten();
        let used = session.ask("SHOW GLOBAL STATUS LIKE 'Threads_connected'")?;
        let numbers = limits.chain(used.into_iter().flatten().skip(1));
        let numbers: Vec<u64> = numbers.map(|text| text.parse().unwrap_or_default()).collect();
        let [most, own, used] = numbers[..] else {
            return Err(Error::corrupt(format!("{}: it does not say its limits", self.name)));
        };
        let needed = dumps as u64 + SPARE_CONNECTIONS;
        let has_room = needed + used <= most && (own == 0 || needed <= own);
        if has_room {
            return Ok(());
        }
        let limit = if needed + used > most { "max_connections" } else { "max_user_connections" };
        Err(Error::unsupported(format!(
            "{}: {dumps} databases are dumped at one moment, over a connection each; {used} of {most} \
             are in use: raise {limit}, or name the databases in several resources (`databases`)",
            self.name
        )))
    }
}

/// A file in scratch for one dump.
fn copy(context: &Context, name: &str, number: usize) -> Result<(PathBuf, File)> {
    let path = context.scratch.join(format!("{}-{name}-{number}.sql", context.label()));
    let file = private::create(&path)?;
    Ok((path, file))
}

fn part(at: &str, path: &Path) -> Result<Part> {
    let failed = |error| Error::io(error, path.display());
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let node = Node { size: bytes, ..Node::new(Kind::Stream) };
    let end: EndOfStream = Box::new(|| Ok(()));
    Ok(Part { at: at.into(), content: Content::Stream { node, read: Box::new(file), end } })
}

/// As one component of a path.
fn escaped(name: &str) -> String {
    let bytes = name.bytes().map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    bytes.collect()
}

impl Source for MariaDbSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        let mut session = Session::start(&self.name, &self.at, &self.context)?;
        let look = self.look(&mut session)?;
        self.check_connections(&mut session, look.databases.len())?;
        let (reaches, why_not_more) = look.reaches();
        let freezes = Some("commits wait while each dump begins its transaction".to_owned());
        Ok(CapturePlan { reaches, why_not_more, freezes })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let mut session = Session::start(&self.name, &self.at, &self.context)?;
        let look = self.look(&mut session)?;
        let bytes: u64 = look.databases.iter().map(|database| database.bytes).sum();
        space::require(&self.name, &self.context.scratch, bytes + bytes / 4)?;
        self.check_connections(&mut session, look.databases.len())?;
        let login = Login::new(&self.name, &self.at, &self.context)?;
        let mut users = login.command("mariadb-dump", "mysqldump")?;
        users.args(["--system=users", "--skip-dump-date"]);
        // Not every user may read them, and not every program can.
        match program::run(&self.context, &mut users, MOST) {
            Ok(read) => self.users = Some(read),
            Err(error) => {
                self.why_no_users = Some(format!("its accounts are not in it ({error})"));
            }
        }
        session.ask(&format!("SET SESSION lock_wait_timeout = {LOCK_SECONDS}"))?;
        (self.session, self.login, self.look) = (Some(session), Some(login), Some(look));
        Ok(())
    }

    /// The lock goes with its connection, and that with the run: the guard keeps the run going.
    fn guarded(&self) -> Option<Guarded> {
        let (connector, name) = ("mariadb".to_owned(), self.name.clone());
        Some(Guarded { connector, name, what: Value::Null })
    }

    fn turn(&self) -> Turn {
        Turn::Waits
    }

    fn freeze(&mut self) -> Result<()> {
        let name = &self.name;
        let session = self.session.as_mut();
        let session =
            session.ok_or_else(|| Error::internal(format!("{name}: was not prepared")))?;
        // It dies with its connection, and that with this process.
        session.ask("FLUSH TABLES WITH READ LOCK").map_err(|error| {
            let message =
                format!("{}; a statement that runs for long holds the tables", error.message());
            Error::new(error.kind(), message)
        })?;
        self.begin_dumps()
    }

    fn thaw(&mut self) -> Result<()> {
        let Some(mut session) = self.session.take() else { return Ok(()) };
        session.ask("UNLOCK TABLES").map(drop)
    }

    fn view(&mut self) -> Result<View> {
        self.await_dumps()?;
        let look = self.look.as_ref();
        let look =
            look.ok_or_else(|| Error::internal(format!("{}: was not prepared", self.name)))?;
        let dumps = look.databases.iter().zip(&self.copies);
        let mut parts =
            dumps.map(|(database, path)| part(&database.at, path)).collect::<Result<Vec<_>>>()?;
        parts.extend(self.users.clone().map(|users| Part::object(USERS, users)));
        let (consistency, why_not_more) = look.reaches();
        let reasons = why_not_more.into_iter().chain(self.why_no_users.clone());
        let reasons: Vec<String> = reasons.collect();
        let why_not_more = (!reasons.is_empty()).then(|| reasons.join("; "));
        let facts = Facts { version: look.version.clone(), databases: look.databases.clone() };
        Ok(View {
            parts,
            consistency,
            why_not_more,
            mark: None,
            version: Some(look.version.clone()),
            facts: serde_json::to_value(facts).expect("it has texts and numbers only"),
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.dumps.clear();
        self.session = None;
        self.login = None;
        for path in self.copies.drain(..) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(error, path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
