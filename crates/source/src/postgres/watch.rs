//! Whether a database that is replaced was written to after the undo point: then it is in no
//! snapshot, and must not be dropped. Right before the undo point its changes are counted; until the
//! restore is done the count stands in the comment of the database that was filled, behind its own.
//! The server itself refuses to rename one to which somebody is connected, and whoever disconnects
//! leaves his count before he is gone. What the server cleans up by itself may add to it: then more
//! stays than must.

use serde_json::{Value, json};
use tintype_model::Result;

use super::client::Client;
use super::wire::{identifier, literal};
use crate::connector::KEPT;

const COUNTED: &str = "\ntintype: changes before: ";
const STAYS: &str = "\ntintype: changed after the undo point of the restore that replaced it";

/// Done a second time it counts again: the undo point comes after it.
pub(super) fn count(sql: &mut Client, name: &str, staged: &str) -> Result<()> {
    let changes = changes(sql, name)?.unwrap_or_default();
    let (own, _) = parts(comment_of(sql, staged)?);
    comment(sql, staged, &format!("{own}{COUNTED}{changes}"))
}

/// Drops what was replaced, unless it was changed; gives its name then, as [`KEPT`].
pub(super) fn drop_unchanged(sql: &mut Client, name: &str, old: &str) -> Result<Value> {
    let (own, counted) = parts(comment_of(sql, name)?);
    let of_old = comment_of(sql, old)?;
    let is_changed = match (&counted, changes(sql, old)?) {
        _ if of_old.ends_with(STAYS) => true,
        (Some(counted), Some(now)) => *counted != now,
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

/// How many rows of a database were ever made, changed and deleted.
fn changes(sql: &mut Client, name: &str) -> Result<Option<String>> {
    let name = literal(name);
    let rows = sql.query(&format!(
        "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = {name}"
    ))?;
    Ok(rows.into_iter().flatten().flatten().next())
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
