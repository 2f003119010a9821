//! What whoever presents it may act with: sessions of users and secrets of tokens, kept as hashes.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::{column, failed};

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    User,
    Token,
}

impl Owner {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Bearer {
    pub id: Id,
    pub owner_kind: Owner,
    pub owner: Id,
    pub begun: Timestamp,
    pub used: Timestamp,
    pub expires: Option<Timestamp>,
    pub address: String,
}

fn bearer(row: &AnyRow) -> Result<Bearer> {
    let text = |name| column::<String>(row, name);
    let damaged = |_| Error::corrupt("the catalog: a time of a session");
    let time = |at| Timestamp::from_millisecond(at).map_err(damaged);
    Ok(Bearer {
        id: text("id")?.parse()?,
        owner_kind: if text("owner_kind")? == "user" { Owner::User } else { Owner::Token },
        owner: text("owner")?.parse()?,
        begun: time(column(row, "begun")?)?,
        used: time(column(row, "used")?)?,
        expires: column::<Option<i64>>(row, "expires")?.map(time).transpose()?,
        address: text("address")?,
    })
}

pub async fn insert(on: &mut AnyConnection, hash: &str, bearer: &Bearer) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO bearer (hash, id, owner_kind, owner, begun, used, expires, address) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );
    let query = query.bind(hash).bind(bearer.id.as_str()).bind(bearer.owner_kind.name());
    let query = query.bind(bearer.owner.as_str()).bind(bearer.begun.as_millisecond());
    let query = query.bind(bearer.used.as_millisecond());
    let query = query.bind(bearer.expires.map(Timestamp::as_millisecond)).bind(&bearer.address);
    query.execute(on).await.map(drop).map_err(|error| failed("writing", error))
}

pub async fn find(on: &mut AnyConnection, hash: &str) -> Result<Option<Bearer>> {
    let query = sqlx::query(
        "SELECT id, owner_kind, owner, begun, used, expires, address FROM bearer WHERE hash = $1",
    );
    let row = query.bind(hash).fetch_optional(on).await;
    row.map_err(|error| failed("reading", error))?.as_ref().map(bearer).transpose()
}

/// Sessions of users, of one or of all; newest first.
pub async fn sessions(on: &mut AnyConnection, user: Option<&Id>) -> Result<Vec<Bearer>> {
    let query = sqlx::query(
        "SELECT id, owner_kind, owner, begun, used, expires, address FROM bearer \
         WHERE owner_kind = 'user' AND ($1 = '' OR owner = $2) ORDER BY id DESC",
    );
    let user = user.map_or("", Id::as_str);
    let rows = query.bind(user).bind(user).fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(bearer).collect()
}

pub async fn used(on: &mut AnyConnection, id: &Id, now: Timestamp) -> Result<()> {
    let query = sqlx::query("UPDATE bearer SET used = $1 WHERE id = $2");
    let done = query.bind(now.as_millisecond()).bind(id.as_str()).execute(on).await;
    done.map(drop).map_err(|error| failed("writing", error))
}

/// Whether there was one.
pub async fn delete(on: &mut AnyConnection, id: &Id) -> Result<bool> {
    let query = sqlx::query("DELETE FROM bearer WHERE id = $1").bind(id.as_str());
    let done = query.execute(on).await.map_err(|error| failed("deleting", error))?;
    Ok(done.rows_affected() > 0)
}

/// All of an owner but one.
pub async fn delete_of(on: &mut AnyConnection, owner: &Id, but: Option<&Id>) -> Result<()> {
    let query = sqlx::query("DELETE FROM bearer WHERE owner = $1 AND id <> $2");
    let done = query.bind(owner.as_str()).bind(but.map_or("", Id::as_str)).execute(on).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

/// Those that are over.
pub async fn delete_expired(on: &mut AnyConnection, now: Timestamp) -> Result<()> {
    let query = sqlx::query("DELETE FROM bearer WHERE expires <= $1").bind(now.as_millisecond());
    query.execute(on).await.map(drop).map_err(|error| failed("deleting", error))
}
