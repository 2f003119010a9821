//! A manager's state out of a snapshot, into a catalog that holds nothing.

use serde_json::{Map, Value};
use sqlx::AnyConnection;
use tintype_model::env::Random;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::DataKey;

use super::export::bound;
use super::tables::{Column, SECRET, TABLES, Table};
use super::{FORMAT, seal_of};
use crate::catalog::{VERSION, failed};
use crate::seal::MasterKey;

/// What the first line says.
#[derive(Clone, Debug)]
pub struct Head {
    pub installation: Id,
    pub system: Id,
    pub time: String,
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
    if version > VERSION {
        return Err(Error::unsupported(format!(
            "the manager's state was written by a newer version of Tintype ({}): recover with that \
             version, or one later",
            value["program"].as_str().unwrap_or("unknown")
        )));
    }
    let text = |name: &str| value[name].as_str().ok_or_else(|| damaged(name));
    Ok(Head {
        installation: text("installation")?.parse()?,
        system: text("system")?.parse()?,
        time: text("time")?.to_owned(),
    })
}

/// Writes all rows. `text` is the whole file, `repository` the key of the repository that it lay in.
pub async fn import(
    on: &mut AnyConnection,
    text: &str,
    repository: &DataKey,
    key: &MasterKey,
    random: &dyn Random,
) -> Result<Head> {
    let mut lines = text.lines();
    let head = head(lines.next().unwrap_or_default())?;
    for table in TABLES {
        let query = sqlx::AssertSqlSafe(format!("DELETE FROM {}", table.name));
        let done = sqlx::query(query).execute(&mut *on).await;
        done.map_err(|error| failed("emptying it", error))?;
    }
    let seal = seal_of(repository);
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
        let table = TABLES.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| damaged("it is of no table that is known"))?;
        let Value::Object(mut row) = value["row"].take() else {
            return Err(damaged("it has no row"));
        };
        if table.name == SECRET {
            let bound = bound(&row);
            let sealed = row.get("sealed").and_then(Value::as_str).unwrap_or_default();
            let secret = seal.open(&bound, sealed)?;
            row.insert("sealed".into(), key.seal(&bound, &secret, random).into());
        }
        insert(on, table, &row).await.map_err(|error| damaged(&error.to_string()))?;
    }
    Ok(head)
}

async fn insert(on: &mut AnyConnection, table: &Table, row: &Map<String, Value>) -> Result<()> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name()).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    let query = sqlx::AssertSqlSafe(format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        names.join(", "),
        places.join(", ")
    ));
    let mut query = sqlx::query(query);
    for column in table.columns {
        let value = row.get(column.name()).unwrap_or(&Value::Null);
        let wrong = || Error::corrupt(format!("its {} is not what it should be", column.name()));
        query = match column {
            Column::Text(_) => query.bind(value.as_str().ok_or_else(wrong)?.to_owned()),
            Column::Number(_) => query.bind(value.as_i64().ok_or_else(wrong)?),
            Column::MaybeNumber(_) => query.bind(value.as_i64()),
        };
    }
    query.execute(on).await.map(drop).map_err(|error| failed("writing a row", error))
}
