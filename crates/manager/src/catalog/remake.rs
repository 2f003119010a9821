//! A catalog of any version that this program knows: what was written by an earlier one is put back
//! as it was, and brought up to date from there, as it would have been in place.

use std::borrow::Cow;

use sqlx::AnyConnection;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Row as _, SqlStr};
use tintype_model::{Error, Result};

use super::rows::Table;
use super::{MIGRATIONS, VERSION, failed};

/// Where the database remembers what was done.
const DONE: &str = "_sqlx_migrations";

pub(super) fn migrator(locking: bool) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(number, name, statements)| {
        let (name, statements) = (Cow::Borrowed(*name), SqlStr::from_static(statements));
        Migration::new(*number, name, MigrationType::Simple, statements, false)
    });
    Migrator { migrations: migrations.collect(), locking, ..Migrator::DEFAULT }
}

pub(super) fn not_migrated(error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => newer(),
        MigrateError::Execute(error) => failed("bringing it up to date", error),
        error => Error::corrupt(format!(
            "the catalog cannot be brought up to date: {error}; make it anew with `tintype manager \
             rebuild-catalog`"
        )),
    }
}

pub fn newer() -> Error {
    Error::unsupported(
        "the catalog was written by a newer version of Tintype: start that version, or one later",
    )
}

/// Of the catalog as it stands; none where nothing was made yet.
pub async fn version(on: &mut AnyConnection) -> Result<Option<i64>> {
    if Table::of(on, DONE).await?.is_none() {
        return Ok(None);
    }
    let query = sqlx::AssertSqlSafe(format!("SELECT MAX(version) AS version FROM {DONE}"));
    let row = sqlx::query(query).fetch_one(on).await;
    let row = row.map_err(|error| failed("reading its version", error))?;
    row.try_get("version").map_err(|error| failed("reading its version", error))
}

/// Of all versions, in the order in which they came.
pub fn tables() -> impl Iterator<Item = &'static str> {
    let lines = MIGRATIONS.iter().flat_map(|(_, _, statements)| statements.lines());
    lines.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next())
}

/// Takes everything away and makes an empty catalog of that version, in the transaction that it is
/// given.
pub async fn begin_anew(on: &mut AnyConnection, at: i64) -> Result<()> {
    if at > VERSION {
        return Err(newer());
    }
    for table in tables().chain([DONE]) {
        let query = sqlx::AssertSqlSafe(format!("DROP TABLE IF EXISTS {table}"));
        let done = sqlx::query(query).execute(&mut *on).await;
        done.map_err(|error| failed("taking it away", error))?;
    }
    up_to(on, at).await
}

/// Brings it up to that version.
pub async fn up_to(on: &mut AnyConnection, at: i64) -> Result<()> {
    migrator(false).run_to(at, on).await.map_err(not_migrated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_are_known() {
        let all: Vec<&str> = tables().collect();
        for table in ["fact", "object", "run_log", "answer"] {
            assert!(all.contains(&table), "{all:?}");
        }
    }
}
