//! Single databases by `pg_dump`, each from a snapshot that was exported at the freeze. Nothing is
//! held up but the cleaning of old rows, until all was read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::client::{Client, Purpose};
use super::physical::MAINTENANCE;
use super::programs::{self, command};
use super::properties::Properties;
use super::wire::literal;
use super::{At, Facts, tls};
use crate::connector::{CapturePlan, Context, Part, Released, Source, View, session_of};
use crate::host::program::{self, Running};
use crate::host::secret;

const MOST: Duration = Duration::from_mins(10);
/// Roles and the like of all databases.
pub(super) const GLOBALS: &str = "globals.sql";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogicalFacts {
    pub(super) version: String,
    pub(super) major: u32,
    pub(super) databases: Vec<DatabaseFacts>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DatabaseFacts {
    pub(super) name: String,
    /// Path of its dump.
    pub(super) at: String,
    pub(super) tables: u64,
    pub(super) bytes: u64,
    pub(super) owner: String,
    /// `ENCODING …` and what else `CREATE DATABASE` needs.
    pub(super) options: String,
    #[serde(default)]
    pub(super) properties: Properties,
}

pub(super) struct LogicalSource {
    name: String,
    at: At,
    excludes: Vec<String>,
    context: Context,
    pg_dump: PathBuf,
    version: (String, u32),
    open: Vec<Open>,
    globals: Vec<u8>,
    /// Why passwords of roles are missing, if they are.
    without: Option<String>,
}

struct Open {
    facts: DatabaseFacts,
    client: Client,
    snapshot: Option<String>,
}

impl LogicalSource {
    pub(super) fn new(resource: &Resource, at: At, context: &Context) -> Self {
        Self {
            name: resource.name.clone(),
            at,
            excludes: resource.excludes.clone(),
            context: context.clone(),
            pg_dump: PathBuf::new(),
            version: (String::new(), 0),
            open: Vec::new(),
            globals: Vec::new(),
            without: None,
        }
    }

    fn connect(&self, database: &str) -> Result<Client> {
        Client::connect(&self.name, &self.at, Purpose::Database(database), &self.context)
    }

    /// Version of the server, and a `pg_dump` that is not older.
    fn look(&self, sql: &mut Client) -> Result<(String, u32, PathBuf)> {
        let major = sql.version()? / 10_000;
        let program = programs::find("pg_dump", major, self.at.programs.as_deref())?;
        let found = programs::major(&program, &self.context)?;
        if found < major {
            return Err(Error::unsupported(format!(
                "{}: the server is PostgreSQL {major}, {} is {found}; install that of the server",
                self.name,
                program.display()
            )));
        }
        Ok((sql.value("SHOW server_version")?, major, program))
    }

    fn databases(&self, sql: &mut Client) -> Result<Vec<DatabaseFacts>> {
        let rows = sql.query(
            "SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), \
             pg_database_size(oid), to_jsonb(d) FROM pg_database d \
             WHERE datallowconn AND NOT datistemplate ORDER BY datname",
        )?;
        let mut found = Vec::new();
        for row in rows {
            let [Some(name), Some(owner), Some(encoding), Some(bytes), Some(json)] = &row[..]
            else {
                return Err(Error::corrupt(format!("{}: a database without a name", self.name)));
            };
            let wanted = self.at.databases.is_empty() || self.at.databases.contains(name);
            // What a restore has staged, or replaced, is no part of the server.
            let is_ours = session_of(name).is_some();
            if !wanted || is_ours || self.excludes.contains(name) {
                continue;
            }
            found.push(DatabaseFacts {
                name: name.clone(),
                at: format!("{}.dump", escaped(name)),
                tables: 0,
                bytes: bytes.parse().unwrap_or_default(),
                owner: owner.clone(),
                options: options(encoding, json),
                properties: Properties::default(),
            });
        }
        let is_found = |name: &&String| !found.iter().any(|database| &database.name == *name);
        let missing: Vec<&String> = self.at.databases.iter().filter(is_found).collect();
        if !missing.is_empty() {
            return Err(Error::not_found(format!(
                "{}: there is no database {missing:?}",
                self.name
            )));
        }
        Ok(found)
    }

    /// Roles, with their passwords if this user may see them.
    fn dump_globals(&mut self) -> Result<()> {
        let near = self.pg_dump.with_file_name("pg_dumpall");
        let run = |more: &[&str]| {
            let mut command = connected(&near, &self.at, MAINTENANCE, &self.name, &self.context)?;
            command.args(["--globals-only", "--no-tablespaces"]).args(more);
            program::run(&self.context, &mut command, MOST)
        };
        self.globals = if let Ok(all) = run(&[]) {
            all
        } else {
            self.without = Some("passwords of roles can be read by a superuser only".to_owned());
            run(&["--no-role-passwords"])?
        };
        Ok(())
    }
}

/// A program that connects: password from a file of our own, nothing of it in its arguments.
pub(super) fn connected(
    program: &Path,
    at: &At,
    database: &str,
    name: &str,
    context: &Context,
) -> Result<Command> {
    // With a password it need not be anybody else, and only we can read its file.
    let account = if at.password_file.is_some() { None } else { at.account() };
    let mut command = command(program, account);
    if let Some(file) = &at.password_file {
        let password = secret::read(file, &context.passwords)?;
        let escaped = password.replace('\\', r"\\").replace(':', r"\:");
        let passwords = context.scratch.join(format!("{}-{name}.pgpass", context.label()));
        secret::write(&passwords, &format!("*:*:*:*:{escaped}\n"))?;
        command.env("PGPASSFILE", passwords);
    }
    command.envs(tls::environment(at));
    let port = at.port.to_string();
    command.args(["-w", "-h", &at.host, "-p", &port, "-U", &at.user]);
    // In this form no name is taken for a connection string.
    let quoted = database.replace('\\', r"\\").replace('\'', r"\'");
    command.arg(format!("--dbname=dbname='{quoted}'"));
    Ok(command)
}

pub(super) fn remove_passwords(name: &str, context: &Context) -> Result<()> {
    let path = context.scratch.join(format!("{}-{name}.pgpass", context.label()));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(error, path.display()))
        }
        _ => Ok(()),
    }
}

/// As one component of a path.
fn escaped(name: &str) -> String {
    let bytes = name.bytes().map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    bytes.collect()
}

/// A snapshot of PostgreSQL is of one database.
fn moments(databases: usize) -> Option<String> {
    (databases > 1).then(|| {
        format!(
            "each of the {databases} databases is of a moment of its own in the window, a few \
             milliseconds apart; what is written to several of them belongs together only with \
             `mode: physical`"
        )
    })
}

/// What makes a database sort and compare as this one does.
fn options(encoding: &str, json: &str) -> String {
    let row: Value = serde_json::from_str(json).unwrap_or_default();
    let text = |key: &str| row[key].as_str().map(literal);
    let mut options = vec![format!("TEMPLATE template0 ENCODING {}", literal(encoding))];
    options.extend(text("datcollate").map(|value| format!("LC_COLLATE {value}")));
    options.extend(text("datctype").map(|value| format!("LC_CTYPE {value}")));
    let locale = text("daticulocale").or_else(|| text("datlocale"));
    match (row["datlocprovider"].as_str(), locale) {
        (Some("i"), Some(locale)) => {
            options.push(format!("LOCALE_PROVIDER icu ICU_LOCALE {locale}"));
            options.extend(text("daticurules").map(|rules| format!("ICU_RULES {rules}")));
        }
        (Some("b"), Some(locale)) => {
            options.push(format!("LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale}"));
        }
        // Else it would be that of the other server's template.
        (Some("c"), _) => options.push("LOCALE_PROVIDER libc".to_owned()),
        _ => {}
    }
    options.join(" ")
}

impl Source for LogicalSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        let mut sql = self.connect(MAINTENANCE)?;
        self.look(&mut sql)?;
        let databases = self.databases(&mut sql)?.len();
        let why_not_more = moments(databases);
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let mut sql = self.connect(MAINTENANCE)?;
        let (version, major, program) = self.look(&mut sql)?;
        self.version = (version, major);
        self.pg_dump = program;
        for facts in self.databases(&mut sql)? {
            let client = self.connect(&facts.name)?;
            self.open.push(Open { facts, client, snapshot: None });
        }
        self.dump_globals()
    }

    fn freeze(&mut self) -> Result<()> {
        for database in &mut self.open {
            let export =
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()";
            database.snapshot = Some(database.client.value(export)?);
        }
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let mut parts = vec![Part::object(GLOBALS, std::mem::take(&mut self.globals))];
        let mut databases = Vec::new();
        for Open { mut facts, mut client, snapshot } in std::mem::take(&mut self.open) {
            let count =
                "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384";
            facts.tables = client.value(count)?.parse().unwrap_or_default();
            facts.properties = Properties::ask(&mut client)?;
            let snapshot = snapshot.ok_or_else(|| {
                Error::internal(format!("{}: shown before it was frozen", self.name))
            })?;
            let mut command =
                connected(&self.pg_dump, &self.at, &facts.name, &self.name, &self.context)?;
            // Uncompressed: what is stored is compressed, and found again when it did not change.
            command.args(["--format=custom", "--compress=0"]).arg(format!("--snapshot={snapshot}"));
            let context = self.context.clone();
            // The transaction that exported the snapshot ends with the dump, so that old rows can
            // be cleaned again.
            let content = program::stream(client, move || Running::start(&context, &mut command));
            parts.push(Part { at: facts.at.clone().into(), content });
            databases.push(facts);
        }
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        let (version, major) = self.version.clone();
        let why: Vec<String> =
            moments(databases.len()).into_iter().chain(self.without.clone()).collect();
        let facts = Facts::Logical(LogicalFacts { version: version.clone(), major, databases });
        Ok(View {
            parts,
            consistency: Consistency::Application,
            why_not_more: (!why.is_empty()).then(|| why.join("; ")),
            mark: None,
            facts: serde_json::to_value(facts).expect("it has texts and numbers only"),
            version: Some(version),
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.open.clear();
        remove_passwords(&self.name, &self.context)
    }
}
