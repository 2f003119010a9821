//! The audit log: append-only, each entry with the hash of the one before.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::audit::{AuditCheck, AuditEntry};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::{Catalog, column, failed};

/// An entry to be made.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub time: Timestamp,
    pub tenant: &'a Id,
    pub actor: &'a str,
    pub action: &'a str,
    pub object: &'a str,
    pub outcome: &'a str,
    /// Without secrets.
    pub detail: Value,
}

/// Entries that are read at once when all are.
const PAGE: i64 = 1000;

pub(super) async fn append(on: &mut AnyConnection, new: &New<'_>) -> Result<()> {
    // Also keeps others from appending until this one is committed.
    let head = sqlx::query("UPDATE audit_head SET n = n + 1 WHERE one = 1 RETURNING n, hash");
    let head = head.fetch_one(&mut *on).await.map_err(|error| failed("appending", error))?;
    let (n, before): (i64, String) = (column(&head, "n")?, column(&head, "hash")?);
    let mut entry = AuditEntry {
        n,
        time: whole_milliseconds(new.time),
        tenant: new.tenant.clone(),
        actor: new.actor.to_owned(),
        action: new.action.to_owned(),
        object: new.object.to_owned(),
        outcome: new.outcome.to_owned(),
        detail: new.detail.clone(),
        hash: String::new(),
    };
    entry.hash = hash(&before, &entry);
    let insert = sqlx::query(
        "INSERT INTO audit (n, time, tenant, actor, action, object, outcome, detail, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let insert = insert.bind(n).bind(entry.time.as_millisecond()).bind(entry.tenant.as_str());
    let insert = insert.bind(&entry.actor).bind(&entry.action).bind(&entry.object);
    let insert = insert.bind(&entry.outcome).bind(entry.detail.to_string()).bind(&entry.hash);
    insert.execute(&mut *on).await.map_err(|error| failed("appending", error))?;
    let update = sqlx::query("UPDATE audit_head SET hash = $1 WHERE one = 1").bind(&entry.hash);
    update.execute(on).await.map_err(|error| failed("appending", error))?;
    Ok(())
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Over lengths and bytes of all fields, so that no two entries look the same to it.
fn hash(before: &str, entry: &AuditEntry) -> String {
    let mut hasher = blake3::Hasher::new();
    let (n, time) = (entry.n.to_string(), entry.time.as_millisecond().to_string());
    let detail = entry.detail.to_string();
    let fields = [
        before,
        &n,
        &time,
        entry.tenant.as_str(),
        &entry.actor,
        &entry.action,
        &entry.object,
        &entry.outcome,
        &detail,
    ];
    for field in fields {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn entry(row: &AnyRow) -> Result<AuditEntry> {
    let detail: String = column(row, "detail")?;
    let tenant: String = column(row, "tenant")?;
    let time: i64 = column(row, "time")?;
    let damaged = |what: &str| Error::corrupt(format!("the audit log: {what} of an entry"));
    Ok(AuditEntry {
        n: column(row, "n")?,
        time: Timestamp::from_millisecond(time).map_err(|_| damaged("the time"))?,
        tenant: tenant.parse().map_err(|_| damaged("the tenant"))?,
        actor: column(row, "actor")?,
        action: column(row, "action")?,
        object: column(row, "object")?,
        outcome: column(row, "outcome")?,
        detail: serde_json::from_str(&detail).map_err(|_| damaged("the detail"))?,
        hash: column(row, "hash")?,
    })
}

impl Catalog {
    /// At most `limit` entries, newest first, below `before`; of all tenants, or of one.
    pub async fn audit(
        &self,
        tenant: Option<&Id>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>> {
        let query = sqlx::query(
            "SELECT n, time, tenant, actor, action, object, outcome, detail, hash FROM audit \
             WHERE n < $1 AND ($2 = '' OR tenant = $3) ORDER BY n DESC LIMIT $4",
        );
        let tenant = tenant.map_or("", Id::as_str);
        let query = query.bind(before.unwrap_or(i64::MAX)).bind(tenant).bind(tenant).bind(limit);
        let mut on = self.read().await?;
        let rows = query.fetch_all(&mut *on).await.map_err(|error| failed("reading", error))?;
        rows.iter().map(entry).collect()
    }

    /// Reads the whole log and computes every hash again.
    pub async fn check_audit(&self) -> Result<AuditCheck> {
        let mut on = self.read().await?;
        let head = sqlx::query("SELECT n, hash FROM audit_head WHERE one = 1");
        let head = head.fetch_one(&mut *on).await.map_err(|error| failed("reading", error))?;
        // Entries may come meanwhile; what stood at the end must not have gone.
        let (end, end_hash): (i64, String) = (column(&head, "n")?, column(&head, "hash")?);
        let (mut last, mut before) = (0, String::new());
        let broken = |last, head| AuditCheck {
            entries: last,
            is_whole: false,
            broken_at: Some(last + 1),
            head,
        };
        loop {
            let query = sqlx::query(
                "SELECT n, time, tenant, actor, action, object, outcome, detail, hash FROM audit \
                 WHERE n > $1 ORDER BY n LIMIT $2",
            );
            let rows = query.bind(last).bind(PAGE).fetch_all(&mut *on).await;
            let rows = rows.map_err(|error| failed("reading", error))?;
            for row in &rows {
                let n: i64 = column(row, "n")?;
                let is_whole = entry(row)
                    .is_ok_and(|entry| n == last + 1 && entry.hash == hash(&before, &entry));
                let own: String = column(row, "hash")?;
                if !is_whole || (n == end && own != end_hash) {
                    return Ok(broken(last, before));
                }
                (last, before) = (n, own);
            }
            if rows.is_empty() {
                break;
            }
        }
        if last < end {
            return Ok(broken(last, before));
        }
        Ok(AuditCheck { entries: last, is_whole: true, broken_at: None, head: before })
    }
}
