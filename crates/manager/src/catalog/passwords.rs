//! Hashes of passwords.

use jiff::Timestamp;
use sqlx::AnyConnection;
use tintype_model::Result;
use tintype_model::identifier::Id;

use super::{column, failed};

pub async fn get(on: &mut AnyConnection, user: &Id) -> Result<Option<String>> {
    let query = sqlx::query("SELECT hash FROM password WHERE owner = $1").bind(user.as_str());
    let row = query.fetch_optional(on).await.map_err(|error| failed("reading", error))?;
    row.as_ref().map(|row| column(row, "hash")).transpose()
}

pub async fn set(on: &mut AnyConnection, user: &Id, hash: &str, now: Timestamp) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO password (owner, hash, changed) VALUES ($1, $2, $3) \
         ON CONFLICT (owner) DO UPDATE SET hash = excluded.hash, changed = excluded.changed",
    );
    let done = query.bind(user.as_str()).bind(hash).bind(now.as_millisecond()).execute(on).await;
    done.map(drop).map_err(|error| failed("writing", error))
}

pub async fn delete(on: &mut AnyConnection, user: &Id) -> Result<()> {
    let query = sqlx::query("DELETE FROM password WHERE owner = $1").bind(user.as_str());
    query.execute(on).await.map(drop).map_err(|error| failed("deleting", error))
}
