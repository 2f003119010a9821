//! Whether a database that is replaced was written to after the undo point, and one that was restored
//! before it is taken back: then it is in no snapshot, and must not be dropped. Right before the undo
//! point, and before the switch, its changes are counted; until the restore is done both counts stand
//! in the comment of the database that was filled, behind its own.
//! The server itself refuses to rename one to which somebody is connected, and whoever disconnects
//! leaves his count before he is gone. What the server notes of its own tables for its planner (ANALYZE,
//! which autovacuum does at any time) does not count.

use serde_json::{Value, json};
use tintype_model::Result;

use super::client::Client;
use super::wire::{identifier, literal};
use crate::connector::KEPT;

/// Connects to a database of the server; none: to one that stays as it is.
pub(super) type Connect<'c> = dyn Fn(Option<&str>) -> Result<Client> + 'c;

/// The server counts nothing: then nobody knows.
const UNKNOWN: &str = "unknown";
const COUNTED: &str = "\ntintype: changes before: ";
const RESTORED: &str = "\ntintype: changes when it was restored: ";
const UNDONE: &str = "\ntintype: written to before the restore that made it was taken back";
const STAYS: &str = "\ntintype: changed after the undo point of the restore that replaced it";

/// Done a second time it counts again: the undo point comes after it.
pub(super) fn count(connect: &Connect<'_>, name: &str, staged: &str) -> Result<()> {
    let changes = changes(&mut connect(Some(name))?)?;
    let mut sql = connect(None)?;
    let Parts { own, .. } = parts(comment_of(&mut sql, staged)?);
    comment(&mut sql, staged, &format!("{own}{COUNTED}{changes}"))
}

/// Right before it gets its name; done a second time the first count stays.
pub(super) fn count_restored(connect: &Connect<'_>, staged: &str) -> Result<()> {
    let mut sql = connect(None)?;
    let text = comment_of(&mut sql, staged)?;
    if parts(text.clone()).restored.is_some() {
        return Ok(());
    }
    let changes = changes(&mut connect(Some(staged))?)?;
    comment(&mut sql, staged, &format!("{text}{RESTORED}{changes}"))
}

/// What was restored bears the name again under which it was filled: if it was written to, it gets
/// another, which is given as [`KEPT`].
pub(super) fn keep_written(connect: &Connect<'_>, staged: &str, undone: &str) -> Result<Value> {
    let sql = &mut connect(None)?;
    if is_there(sql, staged)? {
        let Parts { own, restored, .. } = parts(comment_of(sql, staged)?);
        let Some(restored) = restored else { return Ok(Value::Null) };
        if is_same(&restored, &changes(&mut connect(Some(staged))?)?) {
            return Ok(Value::Null);
        }
        let (from, to) = (identifier(staged), identifier(undone));
        sql.query(&format!("ALTER DATABASE {from} RENAME TO {to}"))?;
        comment(sql, undone, &format!("{own}{UNDONE}"))?;
    }
    let kept = is_there(sql, undone)?;
    Ok(if kept { json!({ KEPT: format!("database {undone}") }) } else { Value::Null })
}

/// One that replaced nothing is done.
pub(super) fn forget(connect: &Connect<'_>, name: &str) -> Result<()> {
    let sql = &mut connect(None)?;
    let text = comment_of(sql, name)?;
    match parts(text) {
        Parts { own, restored: Some(_), .. } => comment(sql, name, &own),
        _ => Ok(()),
    }
}

/// Drops what was replaced, unless it was changed; gives its name then, as [`KEPT`].
pub(super) fn drop_unchanged(connect: &Connect<'_>, name: &str, old: &str) -> Result<Value> {
    let sql = &mut connect(None)?;
    let Parts { own, counted, restored } = parts(comment_of(sql, name)?);
    let of_old = comment_of(sql, old)?;
    let is_changed = match &counted {
        _ if of_old.ends_with(STAYS) => true,
        Some(counted) if is_there(sql, old)? => {
            !is_same(counted, &changes(&mut connect(Some(old))?)?)
        }
        _ => false,
    };
    if is_changed && !of_old.ends_with(STAYS) {
        comment(sql, old, &format!("{of_old}{STAYS}"))?;
    }
    if !is_changed {
        sql.query(&format!("DROP DATABASE IF EXISTS {}", identifier(old)))?;
    }
    if counted.is_some() || restored.is_some() {
        comment(sql, name, &own)?;
    }
    Ok(if is_changed { json!({ KEPT: format!("database {old}") }) } else { Value::Null })
}

fn is_same(before: &str, now: &str) -> bool {
    before == now && now != UNKNOWN
}

/// A comment's own text, and the counts behind it.
struct Parts {
    own: String,
    counted: Option<String>,
    restored: Option<String>,
}

fn parts(comment: String) -> Parts {
    let split = |text: String, mark: &str| match text.rsplit_once(mark) {
        Some((own, count)) => (own.to_owned(), Some(count.to_owned())),
        None => (text, None),
    };
    let (rest, restored) = split(comment, RESTORED);
    let (own, counted) = split(rest, COUNTED);
    Parts { own, counted, restored }
}

/// How many rows of the database that one is connected to were ever made, changed and deleted, those
/// of catalogs too (so a table without rows counts), but for what ANALYZE writes, and its overlong
/// values.
fn changes(sql: &mut Client) -> Result<String> {
    // Whoever owns it could have put functions of his own before the server's.
    sql.query("SET search_path TO pg_catalog")?;
    if sql.value("SHOW track_counts")? != "on" {
        return Ok(UNKNOWN.to_owned());
    }
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
