//! A manager's state out of a snapshot, in place of whatever the catalog holds.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::AnyConnection;
use tintype_api::snapshot::Excluded;
use tintype_model::env::Random;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::FORMAT;
use super::export::bound;
use super::tables::{SECRET, TABLES};
use crate::catalog::rows::Table;
use crate::catalog::{VERSION, remake};
use crate::seal::MasterKey;

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub installation: Id,
    pub system: Id,
    /// Of the catalog that it was written from.
    pub version: i64,
    pub program: String,
    pub time: String,
    /// What was left out on purpose.
    pub excluded: BTreeSet<Excluded>,
}

/// Longest line: a document of an object.
const LINE_BYTES: usize = 64 << 20;

/// Reads the first line; a state of a newer program is refused.
pub fn head(line: &str) -> Result<Head> {
    let damaged = |what: &str| Error::corrupt(format!("the manager's state: {what}"));
    let value: Value = serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
    if value["tintype"] != FORMAT {
        return Err(damaged("its first line does not say that it is one"));
    }
    let version = value["version"].as_i64().ok_or_else(|| damaged("it has no version"))?;
    let program = value["program"].as_str().unwrap_or("unknown").to_owned();
    if version > VERSION {
        return Err(Error::unsupported(format!(
            "the manager's state was written by a newer version of Tintype ({program}): recover \
             with that version, or one later"
        )));
    }
    let text = |name: &str| value[name].as_str().ok_or_else(|| damaged(name));
    let excluded = value.get("excluded").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    Ok(Head {
        installation: text("installation")?.parse()?,
        system: text("system")?.parse()?,
        version,
        program,
        time: text("time")?.to_owned(),
        excluded: serde_json::from_value(excluded).map_err(|error| damaged(&error.to_string()))?,
    })
}

/// Writes all rows into a catalog of the version that they are of, and brings that up to date.
/// `text` is the whole file, `seal` opens the secrets in it.
pub async fn import(
    on: &mut AnyConnection,
    text: &str,
    seal: &MasterKey,
    key: &MasterKey,
    random: &dyn Random,
) -> Result<Head> {
    let mut lines = text.lines();
    let head = head(lines.next().unwrap_or_default())?;
    remake::begin_anew(on, head.version).await?;
    let mut current: Option<(String, Table)> = None;
    for (number, line) in lines.enumerate() {
        let damaged = |what: &str| {
            Error::corrupt(format!("the manager's state, line {}: {what}", number + 2))
        };
        if line.len() > LINE_BYTES {
            return Err(damaged("it is too long"));
        }
        let mut value: Value =
            serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
        let name = value["table"].as_str().unwrap_or_default().to_owned();
        if current.as_ref().is_none_or(|(known, _)| *known != name) {
            let known = TABLES.contains(&&name[..]);
            let table = if known { Table::of(on, &name).await? } else { None };
            let table = table.ok_or_else(|| damaged("it is of no table that is known"))?;
            // What a new catalog begins with.
            table.empty(on).await?;
            current = Some((name.clone(), table));
        }
        let (Value::Object(mut row), Some((_, table))) = (value["row"].take(), &current) else {
            return Err(damaged("it has no row"));
        };
        if name == SECRET {
            let bound = bound(&row);
            let sealed = row.get("sealed").and_then(Value::as_str).unwrap_or_default();
            let secret = seal.open(&bound, sealed)?;
            row.insert("sealed".into(), key.seal(&bound, &secret, random).into());
        }
        table.insert(on, &row).await.map_err(|error| damaged(&error.to_string()))?;
    }
    remake::up_to(on, VERSION).await?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tintype_model::ErrorKind;

    use super::*;

    #[test]
    fn a_state_of_a_newer_program_is_refused() {
        let id = "0".repeat(26);
        let line = |version: i64| {
            json!({
                "tintype": FORMAT, "version": version, "program": "9.9.9", "installation": id,
                "system": id, "time": "2026-01-01T00:00:00Z", "excluded": ["logs"],
            })
            .to_string()
        };
        let read = head(&line(VERSION)).unwrap();
        assert_eq!((read.version, read.excluded), (VERSION, [Excluded::Logs].into()));
        let refused = head(&line(VERSION + 1)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.message().contains("9.9.9"), "{refused}");
        for damaged in ["", "{}", "no JSON"] {
            assert_eq!(head(damaged).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
