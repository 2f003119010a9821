//! Gives a database another name. MariaDB has no statement for that: tables are renamed into another
//! database, all by one statement; views, triggers, routines and events are made anew there, from
//! texts that wait in a table meanwhile, so that it can be done a second time from wherever the first
//! ended, and be turned back.

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use super::programs::{Login, identifier, literal};
use super::session::Session;
use super::{At, MOST};
use crate::connector::Context;
use crate::host::program;

/// The table with the texts; complete under this name.
const TEXTS: &str = "tintype-definitions";
const UNFINISHED: &str = "tintype-definitions-unfinished";
/// How long a rename waits for statements that run.
const LOCK_SECONDS: u32 = 60;

/// A server, and how its client is told what to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) at: At,
    /// Whether the client can be kept from commands of its own.
    pub(super) sandbox: bool,
}

impl Server {
    pub(super) fn session(&self, context: &Context) -> Result<Session> {
        Session::start(&self.name, &self.at, context)
    }

    /// Has a text carried out in a database.
    pub(super) fn feed(
        &self,
        database: &str,
        read: &mut dyn std::io::Read,
        context: &Context,
    ) -> Result<()> {
        let login = Login::new(&self.name, &self.at, context)?;
        let mut command = login.command("mariadb", "mysql")?;
        command.args(["--batch", "--default-character-set=utf8mb4", "--local-infile=0"]);
        command.args(self.sandbox.then_some("--sandbox"));
        // Even then it would start an editor, which reads commands from the text.
        command.env("EDITOR", "false").env("VISUAL", "false");
        command.arg(format!("--database={database}"));
        program::feed(context, &mut command, read, MOST).map(drop)
    }

    fn dump(&self, arguments: &[&str], context: &Context) -> Result<Vec<u8>> {
        let login = Login::new(&format!("{}-texts", self.name), &self.at, context)?;
        let mut command = login.command("mariadb-dump", "mysqldump")?;
        command.args(["--no-data", "--skip-dump-date", "--default-character-set=utf8mb4"]);
        program::run(context, command.args(arguments), MOST)
    }
}

/// The comment of a database, if it is there.
pub(super) fn comment(session: &mut Session, database: &str) -> Result<Option<String>> {
    let rows = session.ask(&format!(
        "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = {}",
        literal(database)
    ))?;
    Ok(rows.into_iter().next().map(|row| row.into_iter().next().unwrap_or_default()))
}

pub(super) fn set_comment(session: &mut Session, database: &str, text: &str) -> Result<()> {
    let (database, text) = (identifier(database), literal(text));
    session.ask(&format!("ALTER DATABASE {database} COMMENT = {text}")).map(drop)
}

pub(super) fn drop_database(session: &mut Session, database: &str) -> Result<()> {
    let drop_it = format!("DROP DATABASE IF EXISTS {}", identifier(database));
    session.ask_patiently(&drop_it).map(drop)
}

fn tables(session: &mut Session, database: &str, kind: &str) -> Result<Vec<String>> {
    let rows = session.ask(&format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} \
         AND table_type {kind} 'VIEW' ORDER BY 1",
        literal(database)
    ))?;
    Ok(rows.into_iter().flatten().collect())
}

fn data_tables(session: &mut Session, database: &str) -> Result<Vec<String>> {
    let mut found = tables(session, database, "<>")?;
    found.retain(|table| ![TEXTS, UNFINISHED].contains(&&table[..]));
    Ok(found)
}

fn has(session: &mut Session, database: &str, table: &str) -> Result<bool> {
    Ok(tables(session, database, "<>")?.iter().any(|found| found == table))
}

fn within(database: &str, name: &str) -> String {
    format!("{}.{}", identifier(database), identifier(name))
}

/// All of `from` becomes `to`, which has nothing, or what an interrupted attempt left there. With
/// `whole` it can be used there; else its definitions only wait, for the way back.
pub(super) fn relocate(
    server: &Server,
    from: &str,
    to: &str,
    whole: bool,
    context: &Context,
) -> Result<()> {
    let session = &mut server.session(context)?;
    session.ask(&format!(
        "SET SESSION lock_wait_timeout = {LOCK_SECONDS}, SESSION foreign_key_checks = 0"
    ))?;
    if let Some(text) = comment(session, from)? {
        make(session, from, to, &text)?;
        move_texts(server, session, from, to, context)?;
        let triggers = session.ask(&format!(
            "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = {}",
            literal(from)
        ))?;
        for trigger in triggers.into_iter().flatten() {
            session.ask(&format!("DROP TRIGGER IF EXISTS {}", within(from, &trigger)))?;
        }
        let renames: Vec<String> = data_tables(session, from)?
            .iter()
            .map(|table| format!("{} TO {}", within(from, table), within(to, table)))
            .collect();
        if !renames.is_empty() {
            session.ask_patiently(&format!("RENAME TABLE {}", renames.join(", ")))?;
        }
        drop_database(session, from)?;
    }
    if whole { define(server, session, to, context) } else { Ok(()) }
}

fn make(session: &mut Session, from: &str, to: &str, text: &str) -> Result<()> {
    let like = session.ask(&format!(
        "SELECT default_character_set_name, default_collation_name \
         FROM information_schema.schemata WHERE schema_name = {}",
        literal(from)
    ))?;
    let like: Vec<String> = like.into_iter().flatten().collect();
    let [characters, collation] = &like[..] else {
        return Err(Error::not_found(format!("database {from} is gone; somebody drops it")));
    };
    session.ask(&format!(
        "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {} COLLATE {} COMMENT = {}",
        identifier(to),
        literal(characters),
        literal(collation),
        literal(text)
    ))?;
    Ok(())
}

/// The texts of what cannot be renamed are complete in `to`.
fn move_texts(
    server: &Server,
    session: &mut Session,
    from: &str,
    to: &str,
    context: &Context,
) -> Result<()> {
    if has(session, to, TEXTS)? {
        return Ok(());
    }
    if has(session, from, TEXTS)? {
        let rename = format!("RENAME TABLE {} TO {}", within(from, TEXTS), within(to, TEXTS));
        return session.ask(&rename).map(drop);
    }
    let views = tables(session, from, "=")?;
    let mut texts = Vec::new();
    if !views.is_empty() {
        let mut arguments = vec!["--skip-triggers", "--", from];
        arguments.extend(views.iter().map(|view| &view[..]));
        texts.push(server.dump(&arguments, context)?);
    }
    let others = ["--no-create-info", "--add-drop-trigger", "--triggers", "--routines", "--events"];
    texts.push(server.dump(&[&others[..], &["--", from]].concat(), context)?);
    let unfinished = within(to, UNFINISHED);
    session.ask(&format!("DROP TABLE IF EXISTS {unfinished}"))?;
    session.ask(&format!("CREATE TABLE {unfinished} (number INT, text LONGBLOB) ENGINE=InnoDB"))?;
    for (number, text) in texts.iter().enumerate() {
        session.ask(&format!("INSERT INTO {unfinished} VALUES ({number}, 0x{})", hex(text)))?;
    }
    session.ask(&format!("RENAME TABLE {unfinished} TO {}", within(to, TEXTS))).map(drop)
}

/// Makes the definitions that wait in a database, if some do.
pub(super) fn define(
    server: &Server,
    session: &mut Session,
    database: &str,
    context: &Context,
) -> Result<()> {
    if !has(session, database, TEXTS)? {
        return Ok(());
    }
    let texts = within(database, TEXTS);
    let rows = session.ask(&format!("SELECT HEX(text) FROM {texts} ORDER BY number"))?;
    for text in rows.into_iter().flatten() {
        server.feed(database, &mut &bytes(&text)?[..], context)?;
    }
    session.ask(&format!("DROP TABLE {texts}")).map(drop)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes = pairs.map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    bytes.collect::<Option<_>>().ok_or_else(|| Error::corrupt("definitions that are no text"))
}

/// What changes when somebody writes to a database: all rows are read for it.
pub(super) fn rows(session: &mut Session, database: &str) -> Result<String> {
    let found = data_tables(session, database)?;
    let mut all = session.ask(&format!(
        "SELECT table_name, column_name, column_type FROM information_schema.columns \
         WHERE table_schema = {} AND table_name IN ({}) ORDER BY 1, ordinal_position",
        literal(database),
        found
            .iter()
            .map(|table| literal(table))
            .chain(["''".into()])
            .collect::<Vec<_>>()
            .join(", ")
    ))?;
    if !found.is_empty() {
        let places: Vec<String> = found.iter().map(|table| within(database, table)).collect();
        let sums = session.ask_patiently(&format!("CHECKSUM TABLE {}", places.join(", ")))?;
        // The first is the name, with that of the database.
        let sums = found.iter().zip(sums).map(|(table, mut row)| {
            row[0].clone_from(table);
            row
        });
        all.extend(sums);
    }
    Ok(short(&all))
}

/// And what changes when somebody changes its definitions.
pub(super) fn definitions(session: &mut Session, database: &str) -> Result<String> {
    let name = literal(database);
    let all = session.ask(&format!(
        "SELECT 'v', table_name, '' FROM information_schema.views WHERE table_schema = {name} \
         UNION ALL SELECT 't', trigger_name, MD5(action_statement) \
         FROM information_schema.triggers WHERE trigger_schema = {name} \
         UNION ALL SELECT routine_type, routine_name, MD5(routine_definition) \
         FROM information_schema.routines WHERE routine_schema = {name} \
         UNION ALL SELECT 'e', event_name, MD5(event_definition) \
         FROM information_schema.events WHERE event_schema = {name} ORDER BY 1, 2"
    ))?;
    Ok(short(&all))
}

fn short(rows: &[Vec<String>]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_hexadecimal() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&hex(&all)).unwrap(), all);
        assert!(bytes("0g").is_err());
    }
}
