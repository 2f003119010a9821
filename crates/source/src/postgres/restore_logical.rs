//! Databases out of their dumps: each is filled under a name of ours and takes its own by rename;
//! one that stands there goes aside until the restore is done.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage};
use tintype_model::resource::Resource;
use tintype_model::{Error, ErrorKind, Result};

use super::client::{Client, Purpose};
use super::logical::{DatabaseFacts, GLOBALS, LogicalFacts, connected, remove_passwords};
use super::physical::MAINTENANCE;
use super::restore::{Action, step};
use super::wire::{identifier, literal};
use super::{At, programs};
use crate::connector::{Context, Destination, Stored, TargetPlan};
use crate::host::{at, program};

const MOST: Duration = Duration::from_hours(72);
const GLOBALS_BYTES: u64 = 64 << 20;

/// One server and one database on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    name: String,
    at: At,
    pg_restore: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Names {
    /// Filled under this name.
    staged: String,
    name: String,
    /// Where the one goes that is there.
    old: String,
    replaces: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogicalAction {
    Roles(Server),
    Fill { server: Server, database: DatabaseFacts, names: Names },
    Switch { server: Server, names: Names },
    Health { server: Server, names: Names, tables: u64 },
    Clean { server: Server, names: Names },
}

pub(super) fn plan(
    item: &Item,
    resource: &Resource,
    destination: &Destination,
    facts: &LogicalFacts,
    stored: &dyn Stored,
    context: &Context,
) -> Result<TargetPlan> {
    let (at, rules, in_place) = match destination {
        Destination::InPlace => (At::of(resource)?, None, true),
        Destination::AsNew { name, at, rules } => {
            (at::from_map::<At>(name, at)?, Some(rules), false)
        }
        Destination::Files(_) => return Err(Error::internal("not a server")),
    };
    let mut server = Server { name: item.name.clone(), at, pg_restore: PathBuf::new() };
    let mut sql = server.connect(MAINTENANCE, context)?;
    let mut checks = vec![server.check_version(facts, &mut sql, context)?];
    let roles = missing_roles(&mut sql, stored)?;
    checks.push(check_roles(&roles));
    let chosen = |database: &&DatabaseFacts| {
        server.at.databases.is_empty() || server.at.databases.contains(&database.name)
    };
    let databases: Vec<&DatabaseFacts> = facts.databases.iter().filter(chosen).collect();
    if databases.is_empty() {
        let reason = "none of the chosen databases is in this snapshot";
        checks.push(Check::block("name", reason, "choose among those that it holds"));
    }
    let (mut fill, mut after, mut replaces) = (Vec::new(), Vec::new(), false);
    for (index, database) in databases.into_iter().enumerate() {
        let rule = rules.and_then(|rules| rules.get(&format!("database.{}", database.name)));
        let name = rule.unwrap_or(&database.name).clone();
        let there = there(&mut sql, &name)?;
        checks.push(check_name(&name, there, in_place));
        let label = context.label();
        let (staged, old) = (format!("{label}-new-{index}"), format!("{label}-old-{index}"));
        let names = Names { staged, name: name.clone(), old, replaces: there.is_some() };
        replaces |= there.is_some();
        let (server, database) = (server.clone(), database.clone());
        let tables = database.tables;
        let logical = |stage, text, action| step(stage, text, Action::Logical(action));
        let text = format!("fill database {name} under the name {}", names.staged);
        let action = LogicalAction::Fill { server: server.clone(), database, names: names.clone() };
        fill.push(logical(Stage::Stage, text, action));
        let action = LogicalAction::Switch { server: server.clone(), names: names.clone() };
        after.push(logical(Stage::Switch, format!("give it its name {name}"), action));
        let action = LogicalAction::Health { server: server.clone(), names: names.clone(), tables };
        after.push(logical(Stage::Health, format!("count the tables of {name}"), action));
        if names.replaces {
            let action = LogicalAction::Clean { server, names };
            after.push(logical(Stage::Clean, format!("drop what was {name} before"), action));
        }
    }
    let mut steps = Vec::new();
    if !roles.is_empty() {
        let action = Action::Logical(LogicalAction::Roles(server));
        steps.push(step(Stage::Stage, "make the roles that are missing".to_owned(), action));
    }
    steps.extend(fill);
    steps.extend(after);
    steps.sort_by_key(|step| step.stage);
    Ok(TargetPlan { checks, steps, replaces, ..TargetPlan::default() })
}

fn check_roles(missing: &[Role]) -> Check {
    if missing.is_empty() {
        return Check::pass("roles", "all roles are there");
    }
    let names: Vec<&str> = missing.iter().map(|role| &role.name[..]).collect();
    let found = format!("will be made: {}", names.join(", "));
    Check::warn("roles", found, "make them before, if they shall differ")
}

/// How many are connected to it, if it is there.
fn there(sql: &mut Client, name: &str) -> Result<Option<u64>> {
    let query = format!(
        "SELECT (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid) \
         FROM pg_database d WHERE datname = {}",
        literal(name)
    );
    let rows = sql.query(&query)?;
    Ok(rows.into_iter().flatten().flatten().next().map(|count| count.parse().unwrap_or_default()))
}

fn check_name(name: &str, there: Option<u64>, in_place: bool) -> Check {
    match there {
        None => Check::pass("name", format!("there is no database {name}")),
        Some(_) if !in_place => {
            let cure = format!("choose another name with the rule database.{name}=NAME");
            Check::block("name", format!("there is a database {name}"), cure)
        }
        Some(0) => Check::pass("name", format!("database {name} will be replaced")),
        Some(users) => {
            let reason = format!("{users} are connected to database {name}");
            Check::block("running", reason, "stop what uses it")
        }
    }
}

struct Role {
    name: String,
    /// As it stands in SQL.
    statements: Vec<String>,
}

/// Roles of the snapshot that the server does not have, with their definitions.
fn missing_roles(sql: &mut Client, stored: &dyn Stored) -> Result<Vec<Role>> {
    let script = stored.object(GLOBALS.as_bytes(), GLOBALS_BYTES)?;
    let there = sql.query("SELECT rolname FROM pg_roles")?;
    let there: Vec<String> = there.into_iter().flatten().flatten().collect();
    let roles = roles(&String::from_utf8_lossy(&script));
    Ok(roles.into_iter().filter(|role| !there.contains(&role.name)).collect())
}

/// Of what `pg_dumpall --globals-only` writes: a line for each `CREATE ROLE` and `ALTER ROLE`, and
/// for each membership.
fn roles(script: &str) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for line in script.lines() {
        let created = line.strip_prefix("CREATE ROLE ").and_then(|rest| rest.strip_suffix(';'));
        if let Some(quoted) = created {
            roles.push(Role { name: unquoted(quoted), statements: vec![line.to_owned()] });
            continue;
        }
        let of = |role: &&mut Role| {
            let quoted =
                role.statements[0]["CREATE ROLE ".len()..].trim_end_matches(';').to_owned();
            line.starts_with(&format!("ALTER ROLE {quoted} "))
                || (line.starts_with("GRANT ") && line.contains(&format!(" TO {quoted} ")))
                || (line.starts_with("GRANT ") && line.ends_with(&format!(" TO {quoted};")))
        };
        if let Some(role) = roles.iter_mut().find(of) {
            role.statements.push(line.to_owned());
        }
    }
    roles
}

fn unquoted(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => identifier.to_owned(),
    }
}

impl Server {
    fn connect(&self, database: &str, context: &Context) -> Result<Client> {
        Client::connect(&self.name, &self.at, Purpose::Database(database), context)
    }

    fn check_version(
        &mut self,
        facts: &LogicalFacts,
        sql: &mut Client,
        context: &Context,
    ) -> Result<Check> {
        let major = sql.version()? / 10_000;
        if major < facts.major {
            let reason =
                format!("the dump is of PostgreSQL {}, the server is {major}", facts.major);
            return Ok(Check::block("version", reason, "restore into a server that is not older"));
        }
        let wanted = major.max(facts.major);
        let found = programs::find("pg_restore", wanted, self.at.programs.as_deref())
            .and_then(|found| Ok((programs::major(&found, context)?, found)));
        Ok(match found {
            Ok((of, program)) if of >= facts.major => {
                self.pg_restore = program;
                Check::pass("version", format!("PostgreSQL {major}, dump of {}", facts.major))
            }
            Ok((of, _)) => {
                let reason = format!("pg_restore is {of}, the dump of {}", facts.major);
                Check::block("version", reason, "install a newer one")
            }
            Err(error) => Check::block("version", error.to_string(), "install it"),
        })
    }

    fn fill(
        &self,
        database: &DatabaseFacts,
        names: &Names,
        stored: &dyn Stored,
        context: &Context,
    ) -> Result<()> {
        let mut sql = self.connect(MAINTENANCE, context)?;
        let staged = identifier(&names.staged);
        sql.query(&format!("DROP DATABASE IF EXISTS {staged}"))?;
        let owner = identifier(&database.owner);
        sql.query(&format!("CREATE DATABASE {staged} OWNER {owner} {}", database.options))?;
        let filled = stored.read(database.at.as_bytes(), &mut |read| {
            let (program, name) = (&self.pg_restore, &self.name);
            let mut command = connected(program, &self.at, &names.staged, name, context)?;
            command.args(["--exit-on-error", "--format=custom"]);
            program::feed(context, &mut command, read, MOST).map(drop)
        });
        filled.and(remove_passwords(&self.name, context))
    }
}

impl Names {
    fn exists(sql: &mut Client, name: &str) -> Result<bool> {
        Ok(there(sql, name)?.is_some())
    }

    fn rename(sql: &mut Client, from: &str, to: &str) -> Result<()> {
        let (from, to) = (identifier(from), identifier(to));
        sql.query(&format!("ALTER DATABASE {from} RENAME TO {to}")).map(drop)
    }

    /// Whether what was filled has its name: see `host::moves`, which does the same with files.
    fn is_placed(&self, sql: &mut Client) -> Result<bool> {
        Ok(!Self::exists(sql, &self.staged)?
            && Self::exists(sql, &self.name)?
            && (!self.replaces || Self::exists(sql, &self.old)?))
    }

    fn apply(&self, sql: &mut Client) -> Result<()> {
        if self.is_placed(sql)? {
            return Ok(());
        }
        if !Self::exists(sql, &self.staged)? {
            return Err(Error::not_found(format!(
                "database {} is gone; undo this restore and start it again",
                self.staged
            )));
        }
        if self.replaces && !Self::exists(sql, &self.old)? {
            Self::rename(sql, &self.name, &self.old)?;
        }
        Self::rename(sql, &self.staged, &self.name)
    }

    fn undo(&self, sql: &mut Client) -> Result<()> {
        if self.is_placed(sql)? {
            Self::rename(sql, &self.name, &self.staged)?;
        }
        if Self::exists(sql, &self.old)? {
            Self::rename(sql, &self.old, &self.name)?;
        }
        Ok(())
    }
}

impl LogicalAction {
    pub(super) fn apply(&self, stored: &dyn Stored, context: &Context) -> Result<Value> {
        match self {
            Self::Roles(server) => {
                let mut sql = server.connect(MAINTENANCE, context)?;
                let mut made = Vec::new();
                let roles = missing_roles(&mut sql, stored)?;
                for (index, word) in ["CREATE ", "ALTER ", "GRANT "].iter().enumerate() {
                    for role in &roles {
                        for statement in role.statements.iter().filter(|s| s.starts_with(word)) {
                            sql.query(statement)?;
                        }
                        if index == 0 {
                            made.push(role.name.clone());
                        }
                    }
                }
                Ok(json!({ "roles": made }))
            }
            Self::Fill { server, database, names } => {
                server.fill(database, names, stored, context).map(|()| Value::Null)
            }
            Self::Switch { server, names } => {
                names.apply(&mut server.connect(MAINTENANCE, context)?).map(|()| Value::Null)
            }
            Self::Health { server, names, tables } => {
                let mut sql = server.connect(&names.name, context)?;
                let count =
                    "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384";
                let found: u64 = sql.value(count)?.parse().unwrap_or_default();
                if found < *tables {
                    let name = &names.name;
                    return Err(Error::corrupt(format!(
                        "{name}: {tables} tables expected, {found} found"
                    )));
                }
                Ok(Value::Null)
            }
            Self::Clean { server, names } => {
                let mut sql = server.connect(MAINTENANCE, context)?;
                sql.query(&format!("DROP DATABASE IF EXISTS {}", identifier(&names.old)))?;
                Ok(Value::Null)
            }
        }
    }

    pub(super) fn undo(&self, done: &Value, context: &Context) -> Result<()> {
        match self {
            Self::Roles(server) => {
                let mut sql = server.connect(MAINTENANCE, context)?;
                for role in done["roles"].as_array().into_iter().flatten().filter_map(Value::as_str)
                {
                    match sql.query(&format!("DROP ROLE IF EXISTS {}", identifier(role))) {
                        // Somebody uses it meanwhile.
                        Err(error) if error.is(ErrorKind::Unavailable) => {}
                        other => drop(other?),
                    }
                }
                Ok(())
            }
            Self::Fill { server, names, .. } => {
                let mut sql = server.connect(MAINTENANCE, context)?;
                sql.query(&format!("DROP DATABASE IF EXISTS {}", identifier(&names.staged)))
                    .map(drop)
            }
            Self::Switch { server, names } => {
                names.undo(&mut server.connect(MAINTENANCE, context)?)
            }
            Self::Health { .. } => Ok(()),
            Self::Clean { server, names } => {
                let mut sql = server.connect(MAINTENANCE, context)?;
                if Names::exists(&mut sql, &names.old)? {
                    return Ok(());
                }
                Err(Error::not_found(format!(
                    "database {} is dropped: the restore of {} is done and cannot be taken back",
                    names.old, names.name
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_in_a_script() {
        let script = "CREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'x';\nCREATE ROLE \"a \"\"b\";\n\
                      ALTER ROLE \"a \"\"b\" WITH NOLOGIN;\nGRANT \"a \"\"b\" TO app GRANTED BY postgres;\n";
        let roles = roles(script);
        let names: Vec<&str> = roles.iter().map(|role| &role.name[..]).collect();
        assert_eq!(names, ["app", "a \"b"]);
        assert_eq!(roles[0].statements.len(), 3);
        assert_eq!(roles[1].statements.len(), 2);
    }
}
