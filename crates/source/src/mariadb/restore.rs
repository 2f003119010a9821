//! Databases out of their dumps, each into one that does not exist. MariaDB cannot rename a
//! database with its views, routines and triggers; so none is ever replaced.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::programs::{Login, identifier, literal};
use super::session::Session;
use super::{At, DatabaseFacts, Facts};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan};
use crate::host::{at, program};

const MOST: Duration = Duration::from_hours(72);
const HELP: Duration = Duration::from_mins(1);

pub(super) struct MariaDbTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Fill {
        place: Place,
        database: DatabaseFacts,
        /// Whether the client can be kept from commands of its own in a dump.
        sandbox: bool,
    },
    Health {
        place: Place,
        tables: u64,
    },
    Clean(Place),
}

/// A database that is being made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    name: String,
    at: At,
    database: String,
    /// Its comment until it is done: only what bears it is ever dropped.
    label: String,
}

impl MariaDbTarget {
    pub(super) fn new(context: &Context) -> Self {
        Self { context: context.clone() }
    }
}

impl Target for MariaDbTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        _: &dyn Stored,
    ) -> Result<TargetPlan> {
        let facts: Facts = serde_json::from_value(item.facts.clone())
            .map_err(|error| Error::corrupt(format!("{}: facts: {error}", item.name)))?;
        let (at, rules) = match destination {
            Destination::InPlace => (at::of::<At>(resource)?, None),
            Destination::AsNew { name, at, rules } => (at::from_map::<At>(name, at)?, Some(rules)),
        };
        let mut session = Session::start(&item.name, &at, &self.context)?;
        let there = session.value("SELECT VERSION()")?;
        let mut checks = vec![version(&facts.version, &there)];
        checks.push(Check::warn(
            "users",
            "accounts and rights are not restored",
            format!("look into {} of this item and apply what is missing", super::USERS),
        ));
        let sandbox = knows_sandbox(&item.name, &at, &self.context)?;
        checks.push(check_sandbox(sandbox));
        let chosen = |database: &&DatabaseFacts| {
            at.databases.is_empty() || at.databases.contains(&database.name)
        };
        let databases: Vec<&DatabaseFacts> = facts.databases.iter().filter(chosen).collect();
        if databases.is_empty() {
            let reason = "none of the chosen databases is in this snapshot";
            checks.push(Check::block("name", reason, "choose among those that it holds"));
        }
        let mut steps = Vec::new();
        for database in databases {
            let rule = rules.and_then(|rules| rules.get(&format!("database.{}", database.name)));
            let new = rule.unwrap_or(&database.name).clone();
            checks.push(if comment(&mut session, &new)?.is_some() {
                let cure = format!(
                    "drop it, or choose another name with the rule database.{}=NAME",
                    database.name
                );
                Check::block("name", format!("there is a database {new}"), cure)
            } else {
                Check::pass("name", format!("there is no database {new}"))
            });
            let label = self.context.label();
            let place =
                Place { name: item.name.clone(), at: at.clone(), database: new.clone(), label };
            let tables = database.tables;
            let (of, database) = (place.clone(), database.clone());
            let fill = Action::Fill { place: of, database, sandbox };
            steps.push(step(Stage::Stage, format!("make and fill database {new}"), fill));
            let health = Action::Health { place: place.clone(), tables };
            steps.push(step(Stage::Health, format!("count the tables of {new}"), health));
            steps.push(step(Stage::Clean, format!("{new} is done"), Action::Clean(place)));
        }
        steps.sort_by_key(|step| step.stage);
        Ok(TargetPlan { checks, steps, replaces: false, ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action(step)? {
            Action::Fill { place, database, sandbox } => {
                place.fill(&database, sandbox, stored, &self.context)?;
            }
            Action::Health { place, tables } => place.health(tables, &self.context)?,
            Action::Clean(place) => {
                let name = identifier(&place.database);
                place
                    .session(&self.context)?
                    .ask(&format!("ALTER DATABASE {name} COMMENT = ''"))?;
            }
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<()> {
        match action(step)? {
            Action::Fill { place, .. } => place.drop_own(&mut place.session(&self.context)?),
            Action::Health { .. } => Ok(()),
            Action::Clean(place) => {
                let there = comment(&mut place.session(&self.context)?, &place.database)?;
                if there.as_ref() == Some(&place.label) {
                    return Ok(());
                }
                Err(Error::not_found(format!(
                    "the restore of database {} is done and cannot be taken back; drop it if it is \
                     not wanted",
                    place.database
                )))
            }
        }
    }
}

fn step(stage: Stage, text: String, action: Action) -> Step {
    let action = serde_json::to_value(action).expect("it has texts and numbers only");
    Step { stage, text, action }
}

fn action(step: &Step) -> Result<Action> {
    serde_json::from_value(step.action.clone())
        .map_err(|error| Error::invalid(format!("a step that is not of this connector: {error}")))
}

/// Dumps are read by servers that are not older; others are warned of, since most still work.
fn version(of: &str, there: &str) -> Check {
    let number = |version: &str| -> Vec<u32> {
        let digits = version.split(|c: char| !c.is_ascii_digit());
        digits.take(2).filter_map(|part| part.parse().ok()).collect()
    };
    let same = of.contains("MariaDB") == there.contains("MariaDB");
    if same && number(there) >= number(of) {
        Check::pass("version", format!("dump of {of}, server {there}"))
    } else {
        let reason = format!("the dump is of {of}, the server is {there}");
        Check::warn(
            "version",
            reason,
            "use a server of the same kind that is not older, if it fails",
        )
    }
}

/// A text that is fed to the client may tell it to run programs and to read and write files, as
/// the user that runs it; newer ones can be told not to (MariaDB 10.5.25, 10.6.18, 10.11.8 and
/// later).
fn knows_sandbox(name: &str, at: &At, context: &Context) -> Result<bool> {
    let login = Login::new(&format!("{name}-help"), at, context)?;
    let help = program::run(context, login.command("mariadb", "mysql")?.arg("--help"), HELP)?;
    Ok(String::from_utf8_lossy(&help).contains("--sandbox"))
}

fn check_sandbox(known: bool) -> Check {
    if known {
        return Check::pass("client", "commands of the client in a dump are refused");
    }
    let reason = "this host's client would run programs that a dump names (`\\!`)";
    let cure = "install a newer mariadb-client, or be sure that nobody but you wrote the dump";
    Check::warn("client", reason, cure)
}

/// The comment of a database, if it is there.
fn comment(session: &mut Session, database: &str) -> Result<Option<String>> {
    let rows = session.ask(&format!(
        "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = {}",
        literal(database)
    ))?;
    Ok(rows.into_iter().next().map(|row| row.into_iter().next().unwrap_or_default()))
}

impl Place {
    fn session(&self, context: &Context) -> Result<Session> {
        Session::start(&self.name, &self.at, context)
    }

    fn drop_own(&self, session: &mut Session) -> Result<()> {
        if comment(session, &self.database)?.as_ref() == Some(&self.label) {
            session.ask(&format!("DROP DATABASE {}", identifier(&self.database)))?;
        }
        Ok(())
    }

    fn fill(
        &self,
        database: &DatabaseFacts,
        sandbox: bool,
        stored: &dyn Stored,
        context: &Context,
    ) -> Result<()> {
        let mut session = self.session(context)?;
        // What an interrupted attempt made.
        self.drop_own(&mut session)?;
        session.ask(&format!(
            "CREATE DATABASE {} CHARACTER SET {} COLLATE {} COMMENT = {}",
            identifier(&self.database),
            literal(&database.character_set),
            literal(&database.collation),
            literal(&self.label)
        ))?;
        let login = Login::new(&self.name, &self.at, context)?;
        stored.read(database.at.as_bytes(), &mut |read| {
            let mut command = login.command("mariadb", "mysql")?;
            command.args(["--batch", "--default-character-set=utf8mb4", "--local-infile=0"]);
            command.args(sandbox.then_some("--sandbox"));
            // Even then it would start an editor, which reads commands from the dump.
            command.env("EDITOR", "false").env("VISUAL", "false");
            command.arg(format!("--database={}", self.database));
            program::feed(context, &mut command, read, MOST).map(drop)
        })
    }

    fn health(&self, tables: u64, context: &Context) -> Result<()> {
        let name = literal(&self.database);
        let count =
            format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {name}");
        let found: u64 = self.session(context)?.value(&count)?.parse().unwrap_or_default();
        if found < tables {
            let name = &self.database;
            return Err(Error::corrupt(format!("{name}: {tables} tables expected, {found} found")));
        }
        Ok(())
    }
}
