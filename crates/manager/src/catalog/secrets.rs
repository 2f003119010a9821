//! Sealed values, each of one object; deleted together with it.

use sqlx::AnyConnection;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use super::{column, failed};
use crate::seal::MasterKey;
use tintype_model::env::Random;

/// Whose, and which.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    pub kind: &'a str,
    pub id: &'a Id,
    pub name: &'a str,
}

impl Of<'_> {
    /// What the seal binds it to.
    fn bound(self) -> String {
        format!("{} {} {}", self.kind, self.id, self.name)
    }
}

pub async fn put(
    on: &mut AnyConnection,
    of: Of<'_>,
    secret: &[u8],
    key: &MasterKey,
    random: &dyn Random,
) -> Result<()> {
    let sealed = key.seal(&of.bound(), secret, random);
    let query = sqlx::query(
        "INSERT INTO secret (owner_kind, owner, name, sealed) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner_kind, owner, name) DO UPDATE SET sealed = excluded.sealed",
    );
    let query = query.bind(of.kind).bind(of.id.as_str()).bind(of.name).bind(sealed);
    query.execute(on).await.map(drop).map_err(|error| failed("writing a secret", error))
}

/// `None` where there is none of that name.
pub async fn get(
    on: &mut AnyConnection,
    of: Of<'_>,
    key: &MasterKey,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let query =
        sqlx::query("SELECT sealed FROM secret WHERE owner_kind = $1 AND owner = $2 AND name = $3");
    let query = query.bind(of.kind).bind(of.id.as_str()).bind(of.name);
    let row = query.fetch_optional(on).await.map_err(|error| failed("reading a secret", error))?;
    row.map(|row| key.open(&of.bound(), &column::<String>(&row, "sealed")?)).transpose()
}

pub async fn delete(on: &mut AnyConnection, of: Of<'_>) -> Result<()> {
    let query =
        sqlx::query("DELETE FROM secret WHERE owner_kind = $1 AND owner = $2 AND name = $3");
    let query = query.bind(of.kind).bind(of.id.as_str()).bind(of.name);
    query.execute(on).await.map(drop).map_err(|error| failed("deleting a secret", error))
}

/// One that must be there.
pub async fn need(
    on: &mut AnyConnection,
    of: Of<'_>,
    key: &MasterKey,
) -> Result<Zeroizing<Vec<u8>>> {
    let missing = || Error::corrupt(format!("the catalog has lost the secret of {}", of.bound()));
    get(on, of, key).await?.ok_or_else(missing)
}
