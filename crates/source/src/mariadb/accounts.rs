//! Accounts of a snapshot that a server does not have: they are made with their passwords and rights.
//! One that is there stays as it is. Until the restore is done a table of a database of ours says
//! which were made: only these are ever dropped.

use serde::{Deserialize, Serialize};
use tintype_model::{Error, ErrorKind, Result};

use super::USERS;
use super::programs::{identifier, literal};
use super::relocate::{Server, drop_database};
use super::session::Session;
use crate::connector::{Context, Stored};

const USERS_BYTES: u64 = 64 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Accounts {
    /// As SQL has them: `'app'@'%'`, `'a role'`.
    pub(super) names: Vec<String>,
    /// The database of ours.
    made: String,
}

impl Accounts {
    /// Those that are missing; `None` if the snapshot has none, or those of the server may not be
    /// read.
    pub(super) fn plan(
        server: &Server,
        stored: &dyn Stored,
        context: &Context,
    ) -> Result<Option<Self>> {
        let Some(statements) = of(stored)? else { return Ok(None) };
        // Of its own: an error ends a session.
        let there = match there(&mut server.session(context)?) {
            Err(error) if error.is(ErrorKind::Denied) => return Ok(None),
            there => there?,
        };
        let label = context.label();
        let names = statements.iter().filter_map(|statement| match statement {
            Statement::Create { account, .. } if !there.contains(account) => Some(account.clone()),
            _ => None,
        });
        Ok(Some(Self { names: names.collect(), made: format!("{label}-accounts") }))
    }

    pub(super) fn make(
        &self,
        server: &Server,
        stored: &dyn Stored,
        context: &Context,
    ) -> Result<()> {
        let session = &mut server.session(context)?;
        let made = identifier(&self.made);
        session.ask(&format!("CREATE DATABASE IF NOT EXISTS {made}"))?;
        session
            .ask(&format!("CREATE TABLE IF NOT EXISTS {made}.made (name TEXT) ENGINE=InnoDB"))?;
        let (ours, there) = (self.ours(session)?, there(session)?);
        let is_foreign = |name: &&String| there.contains(*name) && !ours.contains(*name);
        if let Some(name) = self.names.iter().find(is_foreign) {
            return Err(Error::already_exists(format!(
                "account {name} was made by somebody else since this restore was planned; undo this \
                 restore and start it again"
            )));
        }
        let mut text = String::new();
        for statement in of(stored)?.unwrap_or_default() {
            let account = statement.account();
            if !self.names.contains(account) {
                continue;
            }
            if let Statement::Create { .. } = &statement {
                if there.contains(account) {
                    continue;
                }
                let name = literal(account);
                text.extend(["INSERT INTO ", &made, ".made VALUES (", &name, ");\n"]);
            }
            text.push_str(statement.sql());
            text.push_str(";\n");
        }
        server.feed(&self.made, &mut text.as_bytes(), context)
    }

    /// They are no longer this restore's.
    pub(super) fn done(&self, server: &Server, context: &Context) -> Result<()> {
        drop_database(&mut server.session(context)?, &self.made)
    }

    /// Drops those that were made.
    pub(super) fn drop(&self, server: &Server, context: &Context) -> Result<()> {
        let session = &mut server.session(context)?;
        for name in self.ours(session)? {
            // A role has no host.
            let kind = if name.contains("'@'") { "USER" } else { "ROLE" };
            session.ask(&format!("DROP {kind} IF EXISTS {name}"))?;
        }
        drop_database(session, &self.made)
    }

    fn ours(&self, session: &mut Session) -> Result<Vec<String>> {
        let there = session.ask(&format!(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = 'made'",
            literal(&self.made)
        ))?;
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let found = session.ask(&format!("SELECT name FROM {}.made", identifier(&self.made)))?;
        Ok(found.into_iter().flatten().filter(|name| self.names.contains(name)).collect())
    }
}

fn there(session: &mut Session) -> Result<Vec<String>> {
    let rows = session.ask("SELECT user, host FROM mysql.user")?;
    let named = rows.into_iter().filter_map(|row| {
        let [user, host] = <[String; 2]>::try_from(row).ok()?;
        Some(account(&user, Some(&host).filter(|host| !host.is_empty())))
    });
    Ok(named.collect())
}

fn account(user: &str, host: Option<&String>) -> String {
    let user = literal(user);
    host.map_or_else(|| user.clone(), |host| format!("{user}@{}", literal(host)))
}

#[derive(Debug, PartialEq)]
enum Statement {
    Create {
        account: String,
        sql: String,
    },
    /// Rights, memberships, what is its default role.
    Give {
        account: String,
        sql: String,
    },
}

impl Statement {
    fn account(&self) -> &String {
        let (Self::Create { account, .. } | Self::Give { account, .. }) = self;
        account
    }

    fn sql(&self) -> &str {
        let (Self::Create { sql, .. } | Self::Give { sql, .. }) = self;
        sql
    }
}

/// Those of accounts, in their order; none is in a snapshot whose user might not read them.
fn of(stored: &dyn Stored) -> Result<Option<Vec<Statement>>> {
    match stored.object(USERS.as_bytes(), USERS_BYTES) {
        Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
        script => Ok(Some(statements(&String::from_utf8_lossy(&script?)))),
    }
}

/// Of what `mariadb-dump --system=users` writes; its own session, and what is for other servers, is
/// left out.
fn statements(script: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    for text in split(script) {
        let text = match text.strip_prefix("/*M!100005 ").and_then(|t| t.strip_suffix("*/")) {
            Some(inner) => inner.trim(),
            None => &text[..],
        };
        found.extend(statement(text));
    }
    found
}

fn statement(text: &str) -> Option<Statement> {
    // Outside of quotes the client would take it for a command of its own.
    if plain(text).contains('\\') {
        return None;
    }
    if let Some(rest) = text.strip_prefix("CREATE USER ") {
        let account = named(rest)?;
        let sql = text.to_owned();
        // Every server has its own.
        return (account != "'mariadb.sys'@'localhost'")
            .then_some(Statement::Create { account, sql });
    }
    if let Some(rest) = text.strip_prefix("CREATE ROLE ") {
        // Whoever restores administers it, not the role that the dump makes for itself.
        let account = named(rest)?;
        let sql = format!("CREATE ROLE {account}");
        return Some(Statement::Create { account, sql });
    }
    let word = match text {
        _ if text.starts_with("GRANT ") => " TO ",
        _ if text.starts_with("SET DEFAULT ROLE ") => " FOR ",
        _ => return None,
    };
    let at = plain(text).find(word)? + word.len();
    let account = named(text.get(at..)?)?;
    Some(Statement::Give { account, sql: text.to_owned() })
}

/// The same length, with what stands in quotes blanked.
fn plain(text: &str) -> String {
    let (mut quote, mut escaped) = (None, false);
    let blank = |byte: u8| match quote {
        None if b"'\"`".contains(&byte) => {
            quote = Some(byte);
            '"'
        }
        None => {
            if byte.is_ascii() {
                char::from(byte)
            } else {
                '"'
            }
        }
        Some(_) if escaped => {
            escaped = false;
            '"'
        }
        Some(open) if byte == b'\\' && open != b'`' => {
            escaped = true;
            '"'
        }
        Some(open) => {
            if byte == open {
                quote = None;
            }
            '"'
        }
    };
    text.bytes().map(blank).collect()
}

/// The account at the beginning of a text, whatever quotes it has.
fn named(text: &str) -> Option<String> {
    let (user, rest) = quoted(text)?;
    let host = rest.strip_prefix('@').and_then(quoted).map(|(host, _)| host);
    Some(account(&user, host.as_ref()))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let open = text.chars().next().filter(|c| "'`\"".contains(*c))?;
    let (mut name, mut chars) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if open != '`' => name.extend(chars.next().map(|(_, c)| c)),
            c if c == open => {
                if chars.next_if(|(_, next)| *next == open).is_none() {
                    return Some((name, &text[at + 1..]));
                }
                name.push(c);
            }
            c => name.push(c),
        }
    }
    None
}

/// Statements without their semicolons and remarks.
fn split(script: &str) -> Vec<String> {
    let (mut all, mut statement) = (Vec::new(), String::new());
    for line in script.split_inclusive('\n') {
        let is_none = line.trim().is_empty() || line.starts_with("--");
        if statement.is_empty() && is_none {
            continue;
        }
        statement.push_str(line);
        if plain(&statement).trim_end().ends_with(';') {
            let whole = statement.trim_end().trim_end_matches(';').trim();
            all.push(whole.to_owned());
            statement.clear();
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_in_a_script() {
        let script = "/*M!999999\\- enable the sandbox mode */ \n-- Host\n\
            /*!40101 SET NAMES utf8mb4 */;\n\
            CREATE USER `mariadb.sys`@`localhost` ACCOUNT LOCK PASSWORD EXPIRE;\n\
            CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*4; TO `x`';\n\
            SELECT COALESCE(CURRENT_ROLE(),'NONE') into @current_role;\n\
            GRANT mariadb_dump_import_role TO CURRENT_USER();\n\
            /*!80001 CREATE ROLE 'reader' */;\n\
            /*M!100005 CREATE ROLE 'reader' WITH ADMIN mariadb_dump_import_role */;\n\
            GRANT SELECT ON `a TO b`.* TO `app`@`%`;\n\
            GRANT `reader` TO `o``clock`@`h\nost` WITH ADMIN OPTION;\n\
            /*M!100005 SET DEFAULT ROLE 'reader' FOR 'app'@'%' */;\n\
            GRANT SELECT ON *.* TO 'a' \\! touch x;\n";
        let give = |account: &str, sql: &str| Statement::Give {
            account: account.to_owned(),
            sql: sql.to_owned(),
        };
        let create = |account: &str, sql: &str| Statement::Create {
            account: account.to_owned(),
            sql: sql.to_owned(),
        };
        let expected = [
            create("'app'@'%'", "CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*4; TO `x`'"),
            create("'reader'", "CREATE ROLE 'reader'"),
            give("'app'@'%'", "GRANT SELECT ON `a TO b`.* TO `app`@`%`"),
            give("'o`clock'@'h\nost'", "GRANT `reader` TO `o``clock`@`h\nost` WITH ADMIN OPTION"),
            give("'app'@'%'", "SET DEFAULT ROLE 'reader' FOR 'app'@'%'"),
        ];
        assert_eq!(statements(script), expected);
    }

    proptest::proptest! {
        #[test]
        fn changed_scripts_are_read(text in tintype_testkit::hostile::changed_text(&[
            "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*4';\nGRANT `r` TO 'b'@'c';\n", "`", "\\",
        ])) {
            for statement in statements(&text) {
                assert!(!plain(statement.sql()).contains('\\'));
            }
        }
    }
}
