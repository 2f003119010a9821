//! Roles of a snapshot that a server does not have: all are made in one transaction. Until the
//! restore is done they bear its label as their comment: only what bears it is ever dropped.

use serde::{Deserialize, Serialize};
use tintype_model::{Error, ErrorKind, Result};

use super::client::Client;
use super::logical::GLOBALS;
use super::wire::{identifier, literal};
use crate::connector::Stored;

const GLOBALS_BYTES: u64 = 64 << 20;
/// In this order each finds what it names.
const ORDER: [&str; 3] = ["CREATE ROLE ", "ALTER ROLE ", "GRANT "];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Roles {
    pub(super) names: Vec<String>,
    label: String,
}

struct Role {
    name: String,
    /// As it stands in SQL.
    quoted: String,
    statements: Vec<String>,
    /// The statement that gives its comment.
    comment: Option<String>,
}

impl Roles {
    /// Those that are missing.
    pub(super) fn plan(sql: &mut Client, stored: &dyn Stored, label: &str) -> Result<Self> {
        let there = sql.query("SELECT rolname FROM pg_roles")?;
        let there: Vec<String> = there.into_iter().flatten().flatten().collect();
        let missing = of(stored)?.into_iter().filter(|role| !there.contains(&role.name));
        Ok(Self { names: missing.map(|role| role.name).collect(), label: label.to_owned() })
    }

    /// All or none: what fails, or ends with this connection, leaves none.
    pub(super) fn make(&self, sql: &mut Client, stored: &dyn Stored) -> Result<()> {
        let ours = self.ours(sql)?;
        if ours.len() == self.names.len() {
            return Ok(());
        }
        let list = self.names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
        let there =
            sql.query(&format!("SELECT rolname FROM pg_roles WHERE rolname IN ({list})"))?;
        if let Some(name) = there.into_iter().flatten().flatten().next() {
            return Err(Error::already_exists(format!(
                "role {name} was made by somebody else since this restore was planned; undo this \
                 restore and start it again"
            )));
        }
        let roles: Vec<Role> =
            of(stored)?.into_iter().filter(|role| self.names.contains(&role.name)).collect();
        sql.query("BEGIN")?;
        for word in ORDER {
            for role in &roles {
                for statement in role.statements.iter().filter(|text| text.starts_with(word)) {
                    let done = sql.query(statement);
                    done.map_err(|error| error.context(format_args!("role {}", role.name)))?;
                }
            }
        }
        let label = literal(&self.label);
        for role in &roles {
            sql.query(&format!("COMMENT ON ROLE {} IS {label}", role.quoted))?;
        }
        sql.query("COMMIT").map(drop)
    }

    /// They are no longer this restore's: each gets the comment that it had.
    pub(super) fn done(&self, sql: &mut Client, stored: &dyn Stored) -> Result<()> {
        let ours = self.ours(sql)?;
        for role in of(stored)?.into_iter().filter(|role| ours.contains(&role.name)) {
            let none = || format!("COMMENT ON ROLE {} IS NULL", role.quoted);
            sql.query(&role.comment.clone().unwrap_or_else(none))?;
        }
        Ok(())
    }

    /// Drops those that were made, but for what somebody uses meanwhile.
    pub(super) fn drop(&self, sql: &mut Client) -> Result<()> {
        let ours: Vec<String> = self.ours(sql)?.iter().map(|name| identifier(name)).collect();
        if ours.is_empty() {
            return Ok(());
        }
        // Together, since one may have given another its memberships.
        if sql.query(&format!("DROP ROLE {}", ours.join(", "))).is_ok() {
            return Ok(());
        }
        for name in ours {
            match sql.query(&format!("DROP ROLE IF EXISTS {name}")) {
                Err(error) if error.is(ErrorKind::Unavailable) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    fn ours(&self, sql: &mut Client) -> Result<Vec<String>> {
        let found = sql.query(&format!(
            "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = {}",
            literal(&self.label)
        ))?;
        let found = found.into_iter().flatten().flatten();
        Ok(found.filter(|name| self.names.contains(name)).collect())
    }
}

fn of(stored: &dyn Stored) -> Result<Vec<Role>> {
    let script = stored.object(GLOBALS.as_bytes(), GLOBALS_BYTES)?;
    Ok(roles(&String::from_utf8_lossy(&script)))
}

/// Of what `pg_dumpall --globals-only` writes.
fn roles(script: &str) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for statement in statements(script) {
        if let Some(quoted) = statement.strip_prefix(ORDER[0]) {
            let (name, quoted) = (unquoted(quoted), quoted.to_owned());
            roles.push(Role { name, quoted, statements: vec![statement], comment: None });
            continue;
        }
        for role in &mut roles {
            let quoted = &role.quoted;
            let is_grant = statement.starts_with(ORDER[2])
                && (statement.contains(&format!(" TO {quoted} "))
                    || statement.ends_with(&format!(" TO {quoted}")));
            if is_grant || statement.starts_with(&format!("ALTER ROLE {quoted} ")) {
                role.statements.push(statement);
                break;
            }
            if statement.starts_with(&format!("COMMENT ON ROLE {quoted} IS ")) {
                role.comment = Some(statement);
                break;
            }
        }
    }
    roles
}

/// Without their semicolons; commands of `psql` and remarks are left out.
fn statements(script: &str) -> Vec<String> {
    let (mut all, mut statement, mut quote) = (Vec::new(), String::new(), None);
    for line in script.split_inclusive('\n') {
        let is_none = line.trim().is_empty() || line.starts_with("--") || line.starts_with('\\');
        if statement.is_empty() && is_none {
            continue;
        }
        for c in line.chars().filter(|c| matches!(c, '\'' | '"')) {
            match quote {
                Some(open) if open == c => quote = None,
                Some(_) => {}
                None => quote = Some(c),
            }
        }
        statement.push_str(line);
        if let (None, Some(whole)) = (quote, statement.trim_end().strip_suffix(';')) {
            all.push(whole.to_owned());
            statement.clear();
        }
    }
    all
}

fn unquoted(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => identifier.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_in_a_script() {
        let script = "-- it's\n\\restrict x\nCREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'x';\n\
                      COMMENT ON ROLE app IS 'of \"us\n;\nALTER ROLE app WITH SUPERUSER;\n';\n\
                      CREATE ROLE \"a \"\"b\";\n\
                      ALTER ROLE \"a \"\"b\" WITH NOLOGIN;\nGRANT \"a \"\"b\" TO app GRANTED BY postgres;\n";
        let roles = roles(script);
        let names: Vec<&str> = roles.iter().map(|role| &role.name[..]).collect();
        assert_eq!(names, ["app", "a \"b"]);
        let of_app = [
            "CREATE ROLE app",
            "ALTER ROLE app WITH LOGIN PASSWORD 'x'",
            "GRANT \"a \"\"b\" TO app GRANTED BY postgres",
        ];
        assert_eq!(roles[0].statements, of_app);
        assert!(roles[0].comment.as_ref().unwrap().ends_with("SUPERUSER;\n'"));
        assert_eq!(roles[1].statements.len(), 2);
        assert_eq!(roles[1].comment, None);
    }
}
