//! Rows of any table as JSON, whatever version of the catalog they are of: for copies of it, and for
//! the manager's state in snapshots.

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_model::{Error, Result};

use super::{column, failed};

pub type Row = Map<String, Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Real,
}

/// A table as the database has it now.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    columns: Vec<(String, Kind)>,
}

pub(super) fn is_sqlite(on: &AnyConnection) -> bool {
    on.backend_name() == "SQLite"
}

impl Table {
    /// None where there is no such table.
    pub async fn of(on: &mut AnyConnection, name: &str) -> Result<Option<Self>> {
        let query = match is_sqlite(on) {
            true => "SELECT name, type FROM pragma_table_info($1)",
            false => {
                "SELECT column_name::text AS name, data_type::text AS type \
                 FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
            }
        };
        let rows = sqlx::query(query).bind(name).fetch_all(on).await;
        let rows = rows.map_err(|error| failed("looking at its tables", error))?;
        let columns: Result<Vec<_>> = rows.iter().map(described).collect();
        let columns = columns?;
        Ok((!columns.is_empty()).then(|| Self { name: name.to_owned(), columns }))
    }

    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| &name[..]).collect();
        names.join(", ")
    }

    /// Gives each row, always in the same order.
    pub async fn each(
        &self,
        on: &mut AnyConnection,
        take: &mut (dyn FnMut(Row) -> Result<()> + Send),
    ) -> Result<()> {
        let first: Vec<String> =
            (1..=self.columns.len().min(3)).map(|place| place.to_string()).collect();
        let query =
            format!("SELECT {} FROM {} ORDER BY {}", self.names(), self.name, first.join(", "));
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch(on);
        while let Some(row) =
            rows.try_next().await.map_err(|error| failed("reading all of it", error))?
        {
            take(self.values(&row)?)?;
        }
        Ok(())
    }

    fn values(&self, row: &AnyRow) -> Result<Row> {
        let value = |(name, kind): &(String, Kind)| {
            let value = match kind {
                Kind::Text => Value::from(column::<Option<String>>(row, name)?),
                Kind::Number => Value::from(column::<Option<i64>>(row, name)?),
                Kind::Real => Value::from(column::<Option<f64>>(row, name)?),
            };
            Ok((name.clone(), value))
        };
        self.columns.iter().map(value).collect()
    }

    pub async fn empty(&self, on: &mut AnyConnection) -> Result<()> {
        let query = sqlx::AssertSqlSafe(format!("DELETE FROM {}", self.name));
        let done = sqlx::query(query).execute(on).await;
        done.map(drop).map_err(|error| failed("emptying it", error))
    }

    pub async fn insert(&self, on: &mut AnyConnection, row: &Row) -> Result<()> {
        if let Some(unknown) = row.keys().find(|key| !self.has(key)) {
            return Err(Error::corrupt(format!("table {} has no column {unknown}", self.name)));
        }
        let places: Vec<String> = (1..=self.columns.len()).map(|n| format!("${n}")).collect();
        let query = sqlx::AssertSqlSafe(format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.name,
            self.names(),
            places.join(", ")
        ));
        let mut query = sqlx::query(query);
        for (name, kind) in &self.columns {
            let value = row.get(name).unwrap_or(&Value::Null);
            let wrong = || Error::corrupt(format!("its {name} is not what it should be"));
            let is_null = value.is_null();
            query = match kind {
                Kind::Text if is_null => query.bind(None::<String>),
                Kind::Text => query.bind(value.as_str().ok_or_else(wrong)?.to_owned()),
                Kind::Number if is_null => query.bind(None::<i64>),
                Kind::Number => query.bind(value.as_i64().ok_or_else(wrong)?),
                Kind::Real if is_null => query.bind(None::<f64>),
                Kind::Real => query.bind(value.as_f64().ok_or_else(wrong)?),
            };
        }
        query.execute(on).await.map(drop).map_err(|error| failed("writing a row", error))
    }
}

fn described(row: &AnyRow) -> Result<(String, Kind)> {
    let (name, kind): (String, String) = (column(row, "name")?, column(row, "type")?);
    let kind = match &kind.to_ascii_lowercase()[..] {
        "text" => Kind::Text,
        "double precision" => Kind::Real,
        _ => Kind::Number,
    };
    Ok((name, kind))
}
