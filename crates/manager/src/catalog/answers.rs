//! Answers that are given again: to requests with an idempotency key.

use jiff::Timestamp;
use sqlx::AnyConnection;
use tintype_model::Result;

use super::{column, failed};

/// What is kept of a request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Hash of what was asked.
    pub request: String,
    /// 0: it is being answered.
    pub status: u16,
    /// Names and values, as JSON.
    pub headers: String,
    /// Sealed: it may hold secrets that are told once.
    pub body: String,
}

pub async fn get(on: &mut AnyConnection, name: &str) -> Result<Option<Answer>> {
    let query = sqlx::query("SELECT request, status, headers, body FROM answer WHERE name = $1");
    let row = query.bind(name).fetch_optional(on).await;
    let Some(row) = row.map_err(|error| failed("reading", error))? else { return Ok(None) };
    Ok(Some(Answer {
        request: column(&row, "request")?,
        status: column::<i64>(&row, "status")? as u16,
        headers: column(&row, "headers")?,
        body: column(&row, "body")?,
    }))
}

/// False where somebody asks the same at this moment, or has asked.
pub async fn begin(
    on: &mut AnyConnection,
    name: &str,
    request: &str,
    now: Timestamp,
) -> Result<bool> {
    let query = sqlx::query(
        "INSERT INTO answer (name, request, time, status, headers, body) \
         VALUES ($1, $2, $3, 0, '', '') ON CONFLICT (name) DO NOTHING",
    );
    let done = query.bind(name).bind(request).bind(now.as_millisecond()).execute(on).await;
    Ok(done.map_err(|error| failed("writing", error))?.rows_affected() > 0)
}

pub async fn put(on: &mut AnyConnection, name: &str, answer: &Answer) -> Result<()> {
    let query =
        sqlx::query("UPDATE answer SET status = $1, headers = $2, body = $3 WHERE name = $4");
    let query = query.bind(i64::from(answer.status)).bind(&answer.headers).bind(&answer.body);
    query.bind(name).execute(on).await.map(drop).map_err(|error| failed("writing", error))
}

pub async fn delete(on: &mut AnyConnection, name: &str) -> Result<()> {
    let done = sqlx::query("DELETE FROM answer WHERE name = $1").bind(name).execute(on).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

pub async fn forget(on: &mut AnyConnection, before: Timestamp) -> Result<()> {
    let query = sqlx::query("DELETE FROM answer WHERE time < $1").bind(before.as_millisecond());
    query.execute(on).await.map(drop).map_err(|error| failed("deleting", error))
}
