//! What a manager holds that a recovery onto it would replace.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::AnyConnection;
use tintype_api::tenant::SYSTEM;
use tintype_model::Result;
use tintype_model::count::counted;

use crate::catalog::rows::Table;
use crate::catalog::{column, failed};

/// By kind, and how many snapshots and runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    pub objects: BTreeMap<String, Vec<String>>,
    pub snapshots: i64,
    /// Those that somebody or a profile asked for.
    pub runs: i64,
}

/// A manager that has none of these is clean.
const ITS_OWN: [&str; 3] = ["tenant", "resource", "profile"];

impl Contents {
    /// Of a catalog of any version.
    pub async fn of(on: &mut AnyConnection) -> Result<Self> {
        let rows = sqlx::query("SELECT kind, name FROM object ORDER BY kind, name");
        let rows = rows.fetch_all(&mut *on).await.map_err(|error| failed("reading", error))?;
        let mut contents = Self::default();
        for row in &rows {
            let (kind, name): (String, String) = (column(row, "kind")?, column(row, "name")?);
            contents.objects.entry(kind).or_default().push(name);
        }
        contents.snapshots = count(on, "snapshot", "1 = 1").await?;
        contents.runs = count(on, "run", "actor <> 'manager'").await?;
        Ok(contents)
    }

    /// No tenant but `system`, no resource, profile, snapshot or run.
    pub fn is_clean(&self) -> bool {
        let own = ITS_OWN.iter().filter_map(|kind| self.objects.get(*kind)).flatten();
        self.snapshots == 0 && self.runs == 0 && own.filter(|name| *name != SYSTEM).count() == 0
    }

    /// A line for each kind.
    pub fn lines(&self) -> Vec<String> {
        let objects = self.objects.iter();
        let mut lines: Vec<String> =
            objects.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect();
        let counts = [(self.snapshots, "snapshot", "snapshots"), (self.runs, "run", "runs")];
        let counts = counts.iter().filter(|(count, ..)| *count > 0);
        lines.extend(counts.map(|(count, one, many)| {
            let count = u64::try_from(*count).unwrap_or_default();
            format!("{} in its list", counted(count, one, many))
        }));
        lines
    }
}

async fn count(on: &mut AnyConnection, table: &str, which: &str) -> Result<i64> {
    if Table::of(on, table).await?.is_none() {
        return Ok(0);
    }
    let query = format!("SELECT COUNT(*) AS count FROM {table} WHERE {which}");
    let row = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(on).await;
    column(&row.map_err(|error| failed("reading", error))?, "count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clean() {
        let of = |objects: &[(&str, &str)]| {
            let mut contents = Contents::default();
            for (kind, name) in objects {
                let names = contents.objects.entry((*kind).to_owned()).or_default();
                names.push((*name).to_owned());
            }
            contents
        };
        let new = [("tenant", "system"), ("user", "admin"), ("storage", "internal")];
        assert!(of(&new).is_clean());
        for more in [("tenant", "acme"), ("resource", "shop"), ("profile", "nightly")] {
            assert!(!of(&[&new[..], &[more]].concat()).is_clean(), "{more:?}");
        }
        assert!(!Contents { snapshots: 1, ..of(&new) }.is_clean());
        let busy = Contents { runs: 2, ..of(&new) };
        assert!(!busy.is_clean());
        let lines = ["storage: internal", "tenant: system", "user: admin", "2 runs in its list"];
        assert_eq!(busy.lines(), lines);
    }
}
