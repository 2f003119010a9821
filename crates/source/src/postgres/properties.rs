//! What belongs to a database and not to what it holds, so that `pg_dump` leaves it out of what
//! goes into a database of another name: rights, settings, limit, comment and tablespace.

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use super::client::Client;
use super::wire::{identifier, literal};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Properties {
    /// None: as many as the server takes.
    pub(super) connection_limit: Option<i64>,
    pub(super) comment: Option<String>,
    /// None: the one that databases are made in.
    pub(super) tablespace: Option<String>,
    /// None: those that every new database has.
    pub(super) rights: Option<Vec<Right>>,
    pub(super) settings: Vec<Settings>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Right {
    /// A role; none means everybody.
    to: Option<String>,
    what: String,
    may_grant: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Of sessions of one role; none means all.
    role: Option<String>,
    /// Each `name=value`.
    values: Vec<String>,
}

/// Those whose value is a list of quoted names
/// (`variable_is_guc_list_quote` of `src/bin/pg_dump/dumputils.c`).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

impl Properties {
    /// Of the database of this connection, at the moment of its transaction.
    pub(super) fn ask(sql: &mut Client) -> Result<Self> {
        let json = sql.value(
            "SELECT jsonb_build_object( \
             'connection_limit', nullif(datconnlimit, -1), \
             'comment', shobj_description(d.oid, 'pg_database'), \
             'tablespace', (SELECT spcname FROM pg_tablespace t \
               WHERE t.oid = dattablespace AND spcname <> 'pg_default'), \
             'rights', CASE WHEN datacl IS NOT NULL THEN (SELECT coalesce(jsonb_agg( \
               jsonb_build_object('to', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, \
               'what', privilege_type, 'may_grant', is_grantable)), '[]') \
               FROM aclexplode(datacl)) END, \
             'settings', (SELECT coalesce(jsonb_agg(jsonb_build_object( \
               'role', CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END, \
               'values', setconfig) ORDER BY setrole), '[]') \
               FROM pg_db_role_setting WHERE setdatabase = d.oid)) \
             FROM pg_database d WHERE datname = current_database()",
        )?;
        serde_json::from_str(&json)
            .map_err(|error| Error::corrupt(format!("properties of a database: {error}")))
    }

    /// What gives them to a database that has those of a new one, once it is filled: settings may
    /// make it read-only, and a limit keep others out.
    pub(super) fn statements(&self, database: &str, owner: &str) -> Result<Vec<String>> {
        let (database, owner) = (identifier(database), identifier(owner));
        let mut all = Vec::new();
        if let Some(comment) = &self.comment {
            all.push(format!("COMMENT ON DATABASE {database} IS {}", literal(comment)));
        }
        for Settings { role, values } in &self.settings {
            let of = match role {
                Some(role) => format!("ROLE {} IN DATABASE {database}", identifier(role)),
                None => format!("DATABASE {database}"),
            };
            for value in values {
                all.push(format!("ALTER {of} SET {}", setting(value)?));
            }
        }
        if let Some(rights) = &self.rights {
            all.push(format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC, {owner}"));
            for right in rights {
                all.push(right.statement(&database)?);
            }
        }
        if let Some(limit) = self.connection_limit {
            all.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {limit}"));
        }
        Ok(all)
    }
}

impl Right {
    /// Who gave it is not kept: it is given by the owner, or by whoever restores.
    fn statement(&self, database: &str) -> Result<String> {
        let is_word = |c: char| c.is_ascii_uppercase() || c == ' ';
        if self.what.is_empty() || !self.what.chars().all(is_word) {
            return Err(Error::corrupt(format!("{:?} is no right to a database", self.what)));
        }
        let to = self.to.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
        let option = if self.may_grant { " WITH GRANT OPTION" } else { "" };
        Ok(format!("GRANT {} ON DATABASE {database} TO {to}{option}", self.what))
    }
}

/// `name=value` as the catalog has it, for `SET`.
fn setting(text: &str) -> Result<String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Error::corrupt(format!("a setting without a value: {text:?}")))?;
    let value = if LISTS.contains(&&name.to_ascii_lowercase()[..]) {
        let names: Vec<String> = names(value).iter().map(|name| literal(name)).collect();
        if names.is_empty() { literal("") } else { names.join(", ") }
    } else {
        literal(value)
    };
    Ok(format!("{} TO {value}", identifier(name)))
}

/// A list of names, some of them in double quotes.
fn names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut quoted) = (String::new(), false);
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => name.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            c if c.is_whitespace() && !quoted => {}
            c => name.push(c),
        }
    }
    if !name.is_empty() || list.trim_end().ends_with('"') {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_taken_apart() {
        assert_eq!(names("\"$user\", public"), ["$user", "public"]);
        assert_eq!(names("\"a \"\"b, c\",d"), ["a \"b, c", "d"]);
        assert_eq!(names("\"\""), [""]);
        assert!(names("").is_empty());
    }

    #[test]
    fn what_a_database_has_is_said_in_sql() {
        let right = |to: Option<&str>, what: &str, may_grant| Right {
            to: to.map(str::to_owned),
            what: what.to_owned(),
            may_grant,
        };
        let properties = Properties {
            connection_limit: Some(7),
            comment: Some("it's".to_owned()),
            tablespace: None,
            rights: Some(vec![right(Some("a \"b"), "CONNECT", true), right(None, "CREATE", false)]),
            settings: vec![
                Settings { role: None, values: vec!["search_path=\"$user\", app".to_owned()] },
                Settings { role: Some("app".to_owned()), values: vec!["my.x=a'b=c".to_owned()] },
            ],
        };
        assert_eq!(
            properties.statements("d", "o").unwrap(),
            [
                "COMMENT ON DATABASE \"d\" IS 'it''s'",
                "ALTER DATABASE \"d\" SET \"search_path\" TO '$user', 'app'",
                "ALTER ROLE \"app\" IN DATABASE \"d\" SET \"my.x\" TO 'a''b=c'",
                "REVOKE ALL ON DATABASE \"d\" FROM PUBLIC, \"o\"",
                "GRANT CONNECT ON DATABASE \"d\" TO \"a \"\"b\" WITH GRANT OPTION",
                "GRANT CREATE ON DATABASE \"d\" TO PUBLIC",
                "ALTER DATABASE \"d\" CONNECTION LIMIT 7",
            ]
        );
        assert!(Properties::default().statements("d", "o").unwrap().is_empty());
        let bad = Properties { rights: Some(vec![right(None, "X; DROP", false)]), ..properties };
        assert!(bad.statements("d", "o").is_err());
    }
}
