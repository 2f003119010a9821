//! Databases out of their dumps. Where there is none of the name it is filled under that; one that is
//! there goes aside as a whole ([`relocate`](super::relocate)) until the restore is done, and the new
//! one is filled beside before. The comment of a database that is being made says whose it is and what
//! it held: only what bears our label is ever dropped, and only if nobody wrote to it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::accounts::Accounts;
use super::checks;
use super::programs::{identifier, literal};
use super::relocate::{
    Server, comment, define, definitions, drop_database, relocate, rows, set_comment,
};
use super::session::Session;
use super::{At, DatabaseFacts, Facts};
use crate::connector::{Context, Destination, KEPT, Stored, Target, TargetPlan, action, step};
use crate::host::{at, rules};

pub(super) struct MariaDbTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Accounts { server: Server, accounts: Accounts },
    Fill { server: Server, names: Names, database: DatabaseFacts },
    Watch { server: Server, names: Names },
    Switch { server: Server, names: Names },
    Health { server: Server, names: Names, tables: u64 },
    Clean { server: Server, names: Names },
    AccountsDone { server: Server, accounts: Accounts },
}

/// A database that is being made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Names {
    name: String,
    /// Filled under this name, if there is one that it replaces.
    staged: String,
    /// Where that goes.
    old: String,
    /// Where what was restored stays though it is taken back.
    undone: String,
    replaces: bool,
    label: String,
}

/// What stands in the comment of a database of ours, behind the label.
const RESTORED: &str = " restored=";
const BEFORE: &str = " before=";
const CHANGED: &str = "tintype: changed after the undo point of the restore that replaced it";
const WRITTEN: &str = "tintype: written to before the restore that made it was taken back";

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
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        let facts: Facts = serde_json::from_value(item.facts.clone())
            .map_err(|error| Error::corrupt(format!("{}: facts: {error}", item.name)))?;
        let (at, rules) = match destination {
            Destination::InPlace => (at::of::<At>(resource)?, None),
            Destination::AsNew { name, at, rules } => {
                rules::check(name, rules, &["accounts", "database."])?;
                (at::from_map::<At>(name, at)?, Some(rules))
            }
        };
        let in_place = rules.is_none();
        let rule = |name: &str| rules.and_then(|rules| rules.get(name));
        let mut session = Session::start(&item.name, &at, &self.context)?;
        let session = &mut session;
        let mut checks = vec![checks::version(&facts.version, &session.value("SELECT VERSION()")?)];
        let sandbox = checks::knows_sandbox(&item.name, &at, &self.context)?;
        checks.push(checks::sandbox(sandbox));
        let server = Server { name: item.name.clone(), at, sandbox };
        let label = self.context.label();
        let accounts = Accounts::plan(&server, stored, &self.context)?;
        let is_wanted = checks::wants_accounts(rule("accounts"), &mut checks);
        checks.push(checks::accounts(accounts.as_ref().map(|found| &found.names[..]), is_wanted));
        let accounts = accounts.filter(|found| is_wanted && !found.names.is_empty());
        let at = &server.at;
        let chosen = |database: &&DatabaseFacts| {
            at.databases.is_empty() || at.databases.contains(&database.name)
        };
        let databases: Vec<&DatabaseFacts> = facts.databases.iter().filter(chosen).collect();
        if databases.is_empty() {
            let reason = "none of the chosen databases is in this snapshot";
            checks.push(Check::block("name", reason, "choose among those that it holds"));
        }
        checks.push(checks::permissions(session, accounts.is_some())?);
        let bytes = databases.iter().map(|database| database.bytes).sum();
        checks.push(checks::free_space(session, at, bytes)?);
        let mut steps = Vec::new();
        let mut replaced = Vec::new();
        for (index, database) in databases.into_iter().enumerate() {
            let new = rule(&format!("database.{}", database.name)).unwrap_or(&database.name);
            let is_there = comment(session, new)?.is_some();
            checks.push(checks::name(session, new, is_there, in_place)?);
            if is_there {
                replaced.push(new.clone());
            }
            let named = |what: &str| format!("{label}-{what}-{index}");
            let names = Names {
                name: new.clone(),
                staged: named("new"),
                old: named("old"),
                undone: named("undone"),
                replaces: is_there,
                label: label.clone(),
            };
            steps.extend(steps_of(&server, database, &names));
        }
        steps.extend(accounts.iter().flat_map(|accounts| steps_of_accounts(&server, accounts)));
        steps.sort_by_key(|step| step.stage);
        let replaces = !replaced.is_empty();
        let undo_at = if replaces { exactly(&replaced) } else { Map::new() };
        Ok(TargetPlan { checks, steps, replaces, undo_at, ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        let context = &self.context;
        match action(step)? {
            Action::Accounts { server, accounts } => accounts.make(&server, stored, context)?,
            Action::AccountsDone { server, accounts } => accounts.done(&server, context)?,
            Action::Fill { server, names, database } => {
                names.fill(&server, &database, stored, context)?;
            }
            Action::Watch { server, names } => names.watch(&mut server.session(context)?)?,
            Action::Switch { server, names } => names.switch(&server, context)?,
            Action::Health { server, names, tables } => {
                names.health(&mut server.session(context)?, tables)?;
            }
            Action::Clean { server, names } => return names.clean(&server, context),
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        let context = &self.context;
        match action(step)? {
            Action::Accounts { server, accounts } => accounts.drop(&server, context)?,
            Action::Fill { server, names, .. } => return names.unfill(&server, context),
            Action::Switch { server, names } => return names.back(&server, context),
            Action::Watch { .. } | Action::Health { .. } | Action::AccountsDone { .. } => {}
            Action::Clean { server, names } => {
                let session = &mut server.session(context)?;
                let is_there = match names.replaces {
                    true => comment(session, &names.old)?.is_some(),
                    false => names.is_ours(session, &names.name)?,
                };
                if !is_there {
                    return Err(Error::not_found(format!(
                        "the restore of database {} is done and cannot be taken back; restore its \
                         undo point, or drop it if it is not wanted",
                        names.name
                    )));
                }
            }
        }
        Ok(Value::Null)
    }
}

/// The undo point holds what is replaced, and no more.
fn exactly(replaced: &[String]) -> Map<String, Value> {
    json!({ "databases": replaced }).as_object().cloned().unwrap_or_default()
}

fn steps_of(server: &Server, database: &DatabaseFacts, names: &Names) -> Vec<Step> {
    let Names { name, staged, replaces, .. } = names;
    let own = || (server.clone(), names.clone());
    let mut steps = Vec::new();
    let mut add = |stage, text: String, action| steps.push(step(stage, text, &action));
    let ((server, names), tables) = (own(), database.tables);
    let beside = if *replaces { format!(" under the name {staged}") } else { String::new() };
    let fill = Action::Fill { server, names, database: database.clone() };
    add(Stage::Stage, format!("make and fill database {name}{beside}"), fill);
    if *replaces {
        let (server, names) = own();
        let text = format!("sum up the rows of {name}: one that is changed from here on stays");
        add(Stage::Watch, text, Action::Watch { server, names });
        let (server, names) = own();
        let text = format!("rename the tables of {name} aside, and those of {staged} to {name}");
        add(Stage::Switch, text, Action::Switch { server, names });
    }
    let (server, names) = own();
    let health = Action::Health { server, names, tables };
    add(Stage::Health, format!("count the tables of {name}"), health);
    let (server, names) = own();
    let text = match replaces {
        true => format!("drop what was {name} before"),
        false => format!("{name} is done"),
    };
    add(Stage::Clean, text, Action::Clean { server, names });
    steps
}

fn steps_of_accounts(server: &Server, accounts: &Accounts) -> [Step; 2] {
    let named = accounts.names.join(", ");
    let own = || (server.clone(), accounts.clone());
    let (server, accounts) = own();
    let make = Action::Accounts { server, accounts };
    let (server, accounts) = own();
    let done = Action::AccountsDone { server, accounts };
    [
        step(Stage::Stage, format!("make the accounts {named}, with their rights"), &make),
        step(Stage::Clean, format!("the accounts {named} are done"), &done),
    ]
}

/// Of a comment of ours.
fn noted<'c>(comment: &'c str, what: &str) -> Option<&'c str> {
    let (_, rest) = comment.split_once(what)?;
    rest.split(' ').next()
}

/// All that somebody may write.
fn content(session: &mut Session, database: &str) -> Result<String> {
    Ok(format!("{}-{}", rows(session, database)?, definitions(session, database)?))
}

impl Names {
    /// Where it is filled.
    fn filled(&self) -> &str {
        if self.replaces { &self.staged } else { &self.name }
    }

    fn is_ours(&self, session: &mut Session, database: &str) -> Result<bool> {
        Ok(comment(session, database)?.is_some_and(|text| text.starts_with(&self.label)))
    }

    fn fill(
        &self,
        server: &Server,
        database: &DatabaseFacts,
        stored: &dyn Stored,
        context: &Context,
    ) -> Result<()> {
        let mut session = server.session(context)?;
        let filled = self.filled();
        // What an interrupted attempt made.
        if self.is_ours(&mut session, filled)? {
            drop_database(&mut session, filled)?;
        }
        session.ask(&format!(
            "CREATE DATABASE {} CHARACTER SET {} COLLATE {} COMMENT = {}",
            identifier(filled),
            literal(&database.character_set),
            literal(&database.collation),
            literal(&self.label)
        ))?;
        let dump = database.at.as_bytes();
        stored.read(dump, &mut |read| server.feed(filled, read, context))?;
        let restored = content(&mut session, filled)?;
        set_comment(&mut session, filled, &format!("{}{RESTORED}{restored}", self.label))
    }

    /// One that was written to stays.
    fn unfill(&self, server: &Server, context: &Context) -> Result<Value> {
        let session = &mut server.session(context)?;
        let filled = self.filled();
        if self.is_ours(session, filled)? {
            if is_written(session, filled)? {
                relocate(server, filled, &self.undone, true, context)?;
                set_comment(session, &self.undone, WRITTEN)?;
            } else {
                drop_database(session, filled)?;
            }
        }
        // Of one that was switched it is told already.
        if self.replaces { Ok(Value::Null) } else { kept(session, &self.undone) }
    }

    /// Done a second time it sums up again: the undo point comes after it.
    fn watch(&self, session: &mut Session) -> Result<()> {
        let before = content(session, &self.name)?;
        let text = comment(session, &self.staged)?.unwrap_or_default();
        let own = text.split_once(BEFORE).map_or(&text[..], |(own, _)| own);
        set_comment(session, &self.staged, &format!("{own}{BEFORE}{before}"))
    }

    fn switch(&self, server: &Server, context: &Context) -> Result<()> {
        let session = &mut server.session(context)?;
        if !self.is_ours(session, &self.name)? {
            unused(session, &self.name)?;
            let noted_before = comment(session, &self.staged)?;
            let Some(text) = noted_before else {
                return Err(Error::not_found(format!(
                    "database {} is gone; undo this restore and start it again",
                    self.staged
                )));
            };
            // Definitions only wait as texts afterwards.
            let before = noted(&text, BEFORE).and_then(|before| before.split_once('-'));
            if let Some((_, before)) = before
                && comment(session, &self.name)?.is_some()
                && comment(session, &self.old)?.is_none()
                && definitions(session, &self.name)? != before
            {
                return Err(Error::locked(format!(
                    "{}: its views, triggers or routines were changed after the undo point; run the \
                     restore again",
                    self.name
                )));
            }
            relocate(server, &self.name, &self.old, false, context)?;
        }
        relocate(server, &self.staged, &self.name, true, context)
    }

    /// What was restored goes back to where it was filled, or to a place of its own.
    fn back(&self, server: &Server, context: &Context) -> Result<Value> {
        let session = &mut server.session(context)?;
        if self.is_ours(session, &self.name)? {
            unused(session, &self.name)?;
            let is_whole = comment(session, &self.staged)?.is_none();
            if is_whole && is_written(session, &self.name)? {
                relocate(server, &self.name, &self.undone, true, context)?;
                set_comment(session, &self.undone, WRITTEN)?;
            } else {
                relocate(server, &self.name, &self.staged, true, context)?;
            }
        }
        relocate(server, &self.old, &self.name, true, context)?;
        kept(session, &self.undone)
    }

    fn health(&self, session: &mut Session, tables: u64) -> Result<()> {
        let name = literal(&self.name);
        let count =
            format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {name}");
        let found: u64 = session.value(&count)?.parse().unwrap_or_default();
        if found < tables {
            let name = &self.name;
            return Err(Error::corrupt(format!("{name}: {tables} tables expected, {found} found")));
        }
        Ok(())
    }

    /// Drops what was replaced, unless it was changed after the undo point.
    fn clean(&self, server: &Server, context: &Context) -> Result<Value> {
        let session = &mut server.session(context)?;
        let old = comment(session, &self.old)?;
        if old.is_some_and(|old| old != CHANGED) {
            let text = comment(session, &self.name)?.unwrap_or_default();
            let before = noted(&text, BEFORE).and_then(|before| before.split_once('-'));
            // Its definitions wait as texts: those were compared before.
            let is_changed = match before {
                Some((before, _)) => rows(session, &self.old)? != before,
                None => false,
            };
            if is_changed {
                set_comment(session, &self.old, CHANGED)?;
            } else {
                drop_database(session, &self.old)?;
            }
        }
        if comment(session, &self.old)?.is_some() {
            define(server, session, &self.old, context)?;
        }
        if self.is_ours(session, &self.name)? {
            set_comment(session, &self.name, "")?;
        }
        kept(session, &self.old)
    }
}

/// Whoever is connected would go on in what is moved.
fn unused(session: &mut Session, database: &str) -> Result<()> {
    match checks::users(session, database)? {
        0 => Ok(()),
        count => Err(Error::locked(format!(
            "{count} are connected to database {database}; stop what uses it, then go on, or back"
        ))),
    }
}

/// Whether somebody wrote to it since it was filled. An attempt that did not end shows nobody anything.
fn is_written(session: &mut Session, database: &str) -> Result<bool> {
    let text = comment(session, database)?.unwrap_or_default();
    let Some(restored) = noted(&text, RESTORED) else { return Ok(false) };
    Ok(content(session, database)? != restored)
}

fn kept(session: &mut Session, database: &str) -> Result<Value> {
    let is_kept = comment(session, database)?.is_some();
    Ok(if is_kept { json!({ KEPT: format!("database {database}") }) } else { Value::Null })
}
