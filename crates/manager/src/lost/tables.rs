//! Which rows a manager's state is made of. What is not here is made again from repositories, or ends
//! with the manager: sessions, runs that go on.

use std::collections::BTreeSet;

use serde_json::Value;
use tintype_api::snapshot::Excluded;

use crate::catalog::repositories;
use crate::catalog::rows::Row;

/// The table whose `sealed` is sealed anew on the way.
pub(super) const SECRET: &str = "secret";

/// In this order: what belongs to a row comes after it.
pub(super) const TABLES: [&str; 11] = [
    "fact",
    "object",
    SECRET,
    "password",
    "bearer",
    "repository",
    "due",
    "audit",
    "audit_head",
    "run",
    "run_log",
];

/// Of the facts: the certificate of the authority of agents, useless without its key.
const AUTHORITY: &str = "agents-authority";

/// Decides row by row.
pub(super) struct Choice<'e> {
    pub excluded: &'e BTreeSet<Excluded>,
    /// Runs that ended before are left out, in milliseconds since 1970.
    pub runs_since: i64,
    runs: BTreeSet<String>,
}

impl<'e> Choice<'e> {
    pub(super) fn new(excluded: &'e BTreeSet<Excluded>, runs_since: i64) -> Self {
        Self { excluded, runs_since, runs: BTreeSet::new() }
    }

    pub(super) fn takes(&mut self, table: &str, row: &Row) -> bool {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let without = |what| self.excluded.contains(&what);
        match table {
            "fact" => !(without(Excluded::Credentials) && text("name") == AUTHORITY),
            "object" => !(without(Excluded::Credentials) && text("kind") == "token"),
            // Plans of restores are of this host and this moment; without the keys of repositories
            // nothing could be restored.
            SECRET => match text("owner_kind") {
                "run" => false,
                kind => kind == repositories::KIND || !without(Excluded::Credentials),
            },
            "password" => !without(Excluded::Credentials),
            // Sessions end with the manager.
            "bearer" => text("owner_kind") == "token" && !without(Excluded::Credentials),
            "audit" | "audit_head" => !without(Excluded::Events),
            "run" => {
                let ended = row.get("ended").and_then(Value::as_i64);
                let goes = ended.is_some_and(|ended| ended >= self.runs_since);
                let goes = goes && !without(Excluded::Logs);
                if goes {
                    self.runs.insert(text("id").to_owned());
                }
                goes
            }
            "run_log" => self.runs.contains(text("run")),
            "repository" | "due" => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_with_the_state() {
        let none = BTreeSet::new();
        let all = BTreeSet::from([Excluded::Credentials, Excluded::Events, Excluded::Logs]);
        let rows = [
            ("fact", json!({ "name": "installation" }), true, true),
            ("fact", json!({ "name": AUTHORITY }), true, false),
            ("object", json!({ "kind": "tenant" }), true, true),
            ("object", json!({ "kind": "token" }), true, false),
            ("secret", json!({ "owner_kind": "run" }), false, false),
            ("secret", json!({ "owner_kind": "repository" }), true, true),
            ("secret", json!({ "owner_kind": "storage" }), true, false),
            ("password", json!({}), true, false),
            ("bearer", json!({ "owner_kind": "user" }), false, false),
            ("bearer", json!({ "owner_kind": "token" }), true, false),
            ("audit", json!({}), true, false),
            ("run", json!({ "id": "old", "ended": 9 }), false, false),
            ("run", json!({ "id": "going", "ended": null }), false, false),
            ("run", json!({ "id": "ended", "ended": 10 }), true, false),
            ("run_log", json!({ "run": "ended" }), true, false),
            ("run_log", json!({ "run": "old" }), false, false),
            ("snapshot", json!({}), false, false),
        ];
        let (mut usual, mut bare) = (Choice::new(&none, 10), Choice::new(&all, 10));
        for (table, row, goes, goes_bare) in rows {
            let row = row.as_object().unwrap();
            assert_eq!(usual.takes(table, row), goes, "{table} {row:?}");
            assert_eq!(bare.takes(table, row), goes_bare, "bare: {table} {row:?}");
        }
    }
}
