//! Whether a database that is replaced was written to after the undo point: then it is in no
//! snapshot, and must not be dropped. Right before the undo point its changes are counted; until the
//! restore is done the count stands in the comment of the database that was filled, behind its own.
//! The server itself refuses to rename one to which somebody is connected, and whoever disconnects
//! leaves his count before he is gone. What the server notes of its own tables for its planner (ANALYZE,
//! which autovacuum does at any time) does not count.

use serde_json::{Value, json};
use tintype_model::Result;

use super::client::Client;
use super::physical::MAINTENANCE;
use super::wire::{identifier, literal};
use crate::connector::KEPT;

/// Connects to a database of the server.
pub(super) type Connect<'c> = dyn Fn(&str) -> Result<Client> + 'c;

const COUNTED: &str = "\ntintype: changes before: ";
const STAYS: &str = "\ntintype: changed after the undo point of the restore that replaced it";

/// Done a second time it counts again: the undo point comes after it.
pub(super) fn count(connect: &Connect<'_>, name: &str, staged: &str) -> Result<()> {
    let changes = changes(&mut connect(name)?)?;
    let mut sql = connect(MAINTENANCE)?;
    let (own, _) = parts(comment_of(&mut sql, staged)?);
    comment(&mut sql, staged, &format!("{own}{COUNTED}{changes}"))
}

/// Drops what was replaced, unless it was changed; gives its name then, as [`KEPT`].
pub(super) fn drop_unchanged(connect: &Connect<'_>, name: &str, old: &str) -> Result<Value> {
    let sql = &mut connect(MAINTENANCE)?;
    let (own, counted) = parts(comment_of(sql, name)?);
    let of_old = comment_of(sql, old)?;
    let is_changed = match &counted {
        _ if of_old.ends_with(STAYS) => true,
        Some(counted) if is_there(sql, old)? => *counted != changes(&mut connect(old)?)?,
        _ => false,
    };
    if is_changed && !of_old.ends_with(STAYS) {
        comment(sql, old, &format!("{of_old}{STAYS}"))?;
    }
    if !is_changed {
        sql.query(&format!("DROP DATABASE IF EXISTS {}", identifier(old)))?;
    }
    if counted.is_some() {
        comment(sql, name, &own)?;
    }
    Ok(if is_changed { json!({ KEPT: format!("database {old}") }) } else { Value::Null })
}

/// A comment's own text, and the count behind it.
fn parts(comment: String) -> (String, Option<String>) {
    match comment.rsplit_once(COUNTED) {
        Some((own, counted)) => (own.to_owned(), Some(counted.to_owned())),
        None => (comment, None),
    }
}

/// How many rows of the database that one is connected to were ever made, changed and deleted, those
/// of catalogs too (so a table without rows counts), but for what ANALYZE writes, and its overlong
/// values.
fn changes(sql: &mut Client) -> Result<String> {
    // Whoever owns it could have put functions of his own before the server's.
    sql.query("SET search_path TO pg_catalog")?;
    sql.value(
        "SELECT tup_inserted + tup_updated + tup_deleted - ( \
           SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_all_tables \
           WHERE relid IN (SELECT unnest(ARRAY[oid, reltoastrelid]) FROM pg_class \
             WHERE relnamespace = 'pg_catalog'::regnamespace \
             AND relname IN ('pg_statistic', 'pg_statistic_ext_data'))) \
         FROM pg_stat_database WHERE datname = current_database()",
    )
}

fn is_there(sql: &mut Client, name: &str) -> Result<bool> {
    let name = literal(name);
    Ok(!sql.query(&format!("SELECT 1 FROM pg_database WHERE datname = {name}"))?.is_empty())
}

/// An empty one is none.
fn comment(sql: &mut Client, name: &str, text: &str) -> Result<()> {
    let (name, text) = (identifier(name), literal(text));
    sql.query(&format!("COMMENT ON DATABASE {name} IS {text}")).map(drop)
}

fn comment_of(sql: &mut Client, name: &str) -> Result<String> {
    let name = literal(name);
    let rows = sql.query(&format!(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {name}"
    ))?;
    Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
}
