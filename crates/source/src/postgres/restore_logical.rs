//! Databases out of their dumps: each is filled under a name of ours and takes its own by rename;
//! one that stands there goes aside until the restore is done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::client::{Client, Purpose};
use super::logical::{DatabaseFacts, LogicalFacts, connected, remove_passwords};
use super::physical::MAINTENANCE;
use super::restore::Action;
use super::roles::Roles;
use super::wire::{identifier, literal};
use super::{At, programs, watch};
use crate::connector::{Context, Destination, Stored, TargetPlan, step};
use crate::host::{at, program, rules, space};

const MOST: Duration = Duration::from_hours(72);

/// One server and one database on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    name: String,
    at: At,
    pg_restore: PathBuf,
    /// Where what concerns the server is asked: a database that stays as it is.
    #[serde(default = "maintenance")]
    maintenance: String,
}

fn maintenance() -> String {
    MAINTENANCE.to_owned()
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
    Roles { server: Server, roles: Roles },
    Fill { server: Server, database: Box<DatabaseFacts>, names: Names },
    Watch { server: Server, names: Names },
    Switch { server: Server, names: Names },
    Health { server: Server, names: Names, tables: u64 },
    Clean { server: Server, names: Names },
    RolesDone { server: Server, roles: Roles },
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
            rules::check(name, rules, &["database."])?;
            (at::from_map::<At>(name, at)?, Some(rules), false)
        }
    };
    let chosen = |database: &&DatabaseFacts| {
        at.databases.is_empty() || at.databases.contains(&database.name)
    };
    let databases: Vec<&DatabaseFacts> = facts.databases.iter().filter(chosen).collect();
    let renamed = |database: &DatabaseFacts| {
        rules.and_then(|rules| rules.get(&format!("database.{}", database.name)))
    };
    let name_of = |database: &DatabaseFacts| renamed(database).unwrap_or(&database.name).clone();
    // Whoever is connected to a database cannot rename it; this one no snapshot holds.
    let is_restored = databases.iter().any(|database| name_of(database) == MAINTENANCE);
    let maintenance = if is_restored { "template1".to_owned() } else { maintenance() };
    let name = item.name.clone();
    let mut server = Server { name, at: at.clone(), pg_restore: PathBuf::new(), maintenance };
    let mut sql = server.ask(context)?;
    let mut checks = vec![server.check_version(facts, &mut sql, context)?];
    let roles = Roles::plan(&mut sql, stored, &context.label())?;
    checks.push(check_roles(&roles.names));
    if databases.is_empty() {
        let reason = "none of the chosen databases is in this snapshot";
        checks.push(Check::block("name", reason, "choose among those that it holds"));
    }
    checks.push(permissions(&mut sql, !roles.names.is_empty())?);
    checks.push(server.free_space(&mut sql, databases.iter().map(|d| d.bytes).sum()));
    let mut steps = Vec::new();
    let named = roles.names.join(", ");
    if !roles.names.is_empty() {
        let action = LogicalAction::Roles { server: server.clone(), roles: roles.clone() };
        steps.push(action.step(Stage::Stage, format!("make the roles {named}")));
    }
    let mut replaces = false;
    for (index, database) in databases.into_iter().enumerate() {
        let name = name_of(database);
        let there = there(&mut sql, &name)?;
        checks.push(check_name(&name, there, in_place));
        let label = context.label();
        let (staged, old) = (format!("{label}-new-{index}"), format!("{label}-old-{index}"));
        let names = Names { staged, name, old, replaces: there.is_some() };
        replaces |= there.is_some();
        let mut database = database.clone();
        checks.extend(keep_tablespace(&mut sql, &mut database)?);
        steps.extend(steps_of(&server, database, &names));
    }
    if !roles.names.is_empty() {
        let action = LogicalAction::RolesDone { server, roles };
        steps.push(action.step(Stage::Clean, format!("the roles {named} are done")));
    }
    steps.sort_by_key(|step| step.stage);
    Ok(TargetPlan { checks, steps, replaces, ..TargetPlan::default() })
}

fn steps_of(server: &Server, database: DatabaseFacts, names: &Names) -> Vec<Step> {
    let (name, staged, tables) = (&names.name, &names.staged, database.tables);
    let (server, names) = (|| server.clone(), || names.clone());
    let fill =
        LogicalAction::Fill { server: server(), database: Box::new(database), names: names() };
    let switch = LogicalAction::Switch { server: server(), names: names() };
    let health = LogicalAction::Health { server: server(), names: names(), tables };
    let mut steps = vec![
        fill.step(Stage::Stage, format!("fill database {name} under the name {staged}")),
        switch.step(Stage::Switch, format!("give it its name {name}")),
        health.step(Stage::Health, format!("count the tables of {name}")),
    ];
    if names().replaces {
        let watch = LogicalAction::Watch { server: server(), names: names() };
        let text = format!("count the changes of {name}: one that is changed from here on stays");
        steps.push(watch.step(Stage::Watch, text));
    }
    let clean = LogicalAction::Clean { server: server(), names: names() };
    let text = match names().replaces {
        true => format!("drop what was {name} before"),
        false => format!("{name} is done"),
    };
    steps.push(clean.step(Stage::Clean, text));
    steps
}

fn check_roles(missing: &[String]) -> Check {
    if missing.is_empty() {
        return Check::pass("roles", "all roles are there");
    }
    let found = format!("will be made: {}", missing.join(", "));
    Check::warn("roles", found, "make them before, if they shall differ")
}

/// Whether the user may make what is in the snapshot.
fn permissions(sql: &mut Client, makes_roles: bool) -> Result<Check> {
    let rights = "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles \
                  WHERE rolname = current_user";
    let row = sql.query(rights)?.into_iter().next().unwrap_or_default();
    let row: Vec<String> = row.into_iter().flatten().collect();
    let [user, is_super, makes_databases, may_make_roles] = &row[..] else {
        return Err(Error::corrupt("a server without its own user"));
    };
    let name = "permissions";
    Ok(if is_super == "t" {
        Check::pass(name, format!("{user} is a superuser"))
    } else if makes_databases != "t" {
        let cure = format!("ALTER ROLE {user} CREATEDB, or name another `user`");
        Check::block(name, format!("{user} may not make databases"), cure)
    } else if makes_roles && may_make_roles != "t" {
        let cure = format!("make the missing roles before, or ALTER ROLE {user} CREATEROLE");
        Check::block(name, format!("{user} may not make roles"), cure)
    } else {
        let reason = format!("{user} is no superuser: it can make only what is its own");
        Check::warn(name, reason, "name a superuser as `user`, if it fails")
    })
}

/// Its tablespace, if this server has one of that name.
fn keep_tablespace(sql: &mut Client, database: &mut DatabaseFacts) -> Result<Option<Check>> {
    let Some(name) = database.properties.tablespace.clone() else { return Ok(None) };
    let there = format!("SELECT 1 FROM pg_tablespace WHERE spcname = {}", literal(&name));
    if !sql.query(&there)?.is_empty() {
        return Ok(None);
    }
    database.properties.tablespace = None;
    let reason = format!("there is no tablespace {name}: {} goes into the default", database.name);
    Ok(Some(Check::warn("tablespace", reason, "make it before")))
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
            let cure = format!(
                "choose another name with the rule database.{name}=NAME, or restore this one over \
                 itself: `--in-place --set RESOURCE.databases=[{name}]`"
            );
            Check::block("name", format!("there is a database {name}"), cure)
        }
        Some(0) => Check::pass("name", format!("database {name} will be replaced")),
        Some(users) => {
            let reason = format!("{users} are connected to database {name}");
            Check::block("running", reason, "stop what uses it")
        }
    }
}

impl Server {
    fn connect(&self, database: &str, context: &Context) -> Result<Client> {
        Client::connect(&self.name, &self.at, Purpose::Database(database), context)
    }

    /// None: as [`Self::ask`].
    fn to(&self, database: Option<&str>, context: &Context) -> Result<Client> {
        database.map_or_else(|| self.ask(context), |name| self.connect(name, context))
    }

    /// To what stays as it is.
    fn ask(&self, context: &Context) -> Result<Client> {
        self.connect(&self.maintenance, context)
    }

    /// Where its data directory is, as far as its user may know.
    fn free_space(&self, sql: &mut Client, bytes: u64) -> Check {
        let shown = sql.value("SHOW data_directory").unwrap_or_default();
        let directory = Path::new(&shown);
        let is_here = directory.is_absolute() && at::is_this_host(&self.at.host);
        let own = Some(directory.join("PG_VERSION")).filter(|_| is_here);
        space::check_of_server(directory, own, bytes)
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
        let mut sql = self.ask(context)?;
        let staged = identifier(&names.staged);
        sql.query(&format!("DROP DATABASE IF EXISTS {staged}"))?;
        let owner = identifier(&database.owner);
        let place = database.properties.tablespace.as_deref();
        let place = place.map(|name| format!(" TABLESPACE {}", identifier(name)));
        let options = format!("{}{}", database.options, place.unwrap_or_default());
        sql.query(&format!("CREATE DATABASE {staged} OWNER {owner} {options}"))?;
        let filled = stored.read(database.at.as_bytes(), &mut |read| {
            let (program, name) = (&self.pg_restore, &self.name);
            let mut command = connected(program, &self.at, &names.staged, name, context)?;
            command.args(["--exit-on-error", "--format=custom"]);
            program::feed(context, &mut command, read, MOST).map(drop)
        });
        filled.and(remove_passwords(&self.name, context))?;
        for statement in database.properties.statements(&names.staged, &database.owner)? {
            let done = sql.query(&statement);
            done.map_err(|error| error.context(format_args!("database {}", names.name)))?;
        }
        Ok(())
    }
}

impl Names {
    /// What was restored, where it stays though it was taken back.
    fn undone(&self) -> String {
        self.staged.replacen("-new-", "-undone-", 1)
    }

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
    fn step(self, stage: Stage, text: String) -> Step {
        step(stage, text, &Action::Logical(self))
    }

    pub(super) fn apply(&self, stored: &dyn Stored, context: &Context) -> Result<Value> {
        match self {
            Self::Roles { server, roles } => {
                let mut sql = server.ask(context)?;
                roles.make(&mut sql, stored).map(|()| Value::Null)
            }
            Self::RolesDone { server, roles } => {
                let mut sql = server.ask(context)?;
                roles.done(&mut sql, stored).map(|()| Value::Null)
            }
            Self::Fill { server, database, names } => {
                server.fill(database, names, stored, context).map(|()| Value::Null)
            }
            Self::Watch { server, names } => {
                let connect = |name: Option<&str>| server.to(name, context);
                watch::count(&connect, &names.name, &names.staged).map(|()| Value::Null)
            }
            Self::Switch { server, names } => {
                let connect = |name: Option<&str>| server.to(name, context);
                let mut sql = server.ask(context)?;
                if Names::exists(&mut sql, &names.staged)? {
                    watch::count_restored(&connect, &names.staged)?;
                }
                names.apply(&mut sql).map(|()| Value::Null)
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
                let connect = |name: Option<&str>| server.to(name, context);
                if names.replaces {
                    return watch::drop_unchanged(&connect, &names.name, &names.old);
                }
                watch::forget(&connect, &names.name).map(|()| Value::Null)
            }
        }
    }

    pub(super) fn undo(&self, context: &Context) -> Result<Value> {
        match self {
            Self::Roles { server, roles } => {
                roles.drop(&mut server.ask(context)?)?;
            }
            Self::Fill { server, names, .. } => {
                let mut sql = server.ask(context)?;
                sql.query(&format!("DROP DATABASE IF EXISTS {}", identifier(&names.staged)))?;
            }
            Self::Switch { server, names } => {
                let connect = |name: Option<&str>| server.to(name, context);
                names.undo(&mut server.ask(context)?)?;
                return watch::keep_written(&connect, &names.staged, &names.undone());
            }
            Self::Watch { .. } | Self::Health { .. } | Self::RolesDone { .. } => {}
            Self::Clean { server, names } => {
                let mut sql = server.ask(context)?;
                if names.replaces && !Names::exists(&mut sql, &names.old)? {
                    return Err(Error::not_found(format!(
                        "database {} is dropped: the restore of {} is done and cannot be taken back",
                        names.old, names.name
                    )));
                }
            }
        }
        Ok(Value::Null)
    }
}
