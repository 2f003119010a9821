//! What is looked at before databases are restored.

use std::path::Path;

use tintype_model::Result;
use tintype_model::plan::Check;

use super::programs::{Login, literal};
use super::session::Session;
use super::{At, HELP};
use crate::connector::Context;
use crate::host::{program, space};

/// Dumps are read by servers that are not older; others are warned of, since most still work.
pub(super) fn version(of: &str, there: &str) -> Check {
    let number = |version: &str| -> Vec<u32> {
        let digits = version.split(|c: char| !c.is_ascii_digit());
        digits.take(2).filter_map(|part| part.parse().ok()).collect()
    };
    let same = of.contains("MariaDB") == there.contains("MariaDB");
    if same && number(there) >= number(of) {
        Check::pass("version", format!("dump of {of}, server {there}"))
    } else {
        let reason = format!("the dump is of {of}, the server is {there}");
        Check::warn(
            "version",
            reason,
            "use a server of the same kind that is not older, if it fails",
        )
    }
}

/// A text that is fed to the client may tell it to run programs and to read and write files, as
/// the user that runs it; newer ones can be told not to (MariaDB 10.5.25, 10.6.18, 10.11.8 and
/// later).
pub(super) fn knows_sandbox(name: &str, at: &At, context: &Context) -> Result<bool> {
    let login = Login::new(&format!("{name}-help"), at, context)?;
    let help = program::run(context, login.command("mariadb", "mysql")?.arg("--help"), HELP)?;
    Ok(String::from_utf8_lossy(&help).contains("--sandbox"))
}

pub(super) fn sandbox(known: bool) -> Check {
    if known {
        return Check::pass("client", "commands of the client in a dump are refused");
    }
    let reason = "this host's client would run programs that a dump names (`\\!`)";
    let cure = "install a newer mariadb-client, or be sure that nobody but you wrote the dump";
    Check::warn("client", reason, cure)
}

/// The rule `accounts`: `missing`, which is what is done without it, or `none`.
pub(super) fn wants_accounts(rule: Option<&String>, checks: &mut Vec<Check>) -> bool {
    match rule.map(String::as_str) {
        None | Some("missing") => true,
        Some("none") => false,
        Some(other) => {
            let reason = format!("the rule accounts={other} is none");
            checks.push(Check::block("accounts", reason, "say accounts=missing or accounts=none"));
            false
        }
    }
}

pub(super) fn accounts(missing: Option<&[String]>, is_wanted: bool) -> Check {
    let name = "accounts";
    match missing {
        None => Check::warn(
            name,
            "no accounts are made: the snapshot holds none, or this user may not read the server's",
            "make those that its databases need",
        ),
        Some([]) => Check::pass(name, "all accounts are there, and stay as they are"),
        Some(missing) if is_wanted => Check::warn(
            name,
            format!("will be made, with their rights: {}; others stay", missing.join(", ")),
            "make them before, if they shall differ; as new the rule accounts=none makes none",
        ),
        Some(missing) => Check::warn(
            name,
            format!("are missing and are not made: {}", missing.join(", ")),
            "leave the rule accounts=none away to have them made",
        ),
    }
}

/// How it stands with a database of a name.
pub(super) fn name(
    session: &mut Session,
    database: &str,
    is_there: bool,
    in_place: bool,
) -> Result<Check> {
    if !is_there {
        return Ok(Check::pass("name", format!("there is no database {database}")));
    }
    if !in_place {
        let cure = format!(
            "choose another name with the rule database.{database}=NAME, or restore this one over \
             itself: `--in-place --set RESOURCE.databases=[{database}]`"
        );
        return Ok(Check::block("name", format!("there is a database {database}"), cure));
    }
    Ok(match users(session, database)? {
        0 => Check::pass("name", format!("database {database} will be replaced")),
        count => {
            let reason = format!("{count} are connected to database {database}");
            Check::block("running", reason, "stop what uses it")
        }
    })
}

/// How many others have a database for their own at this moment.
pub(super) fn users(session: &mut Session, database: &str) -> Result<u64> {
    let count = session.value(&format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = {} \
         AND id <> CONNECTION_ID()",
        literal(database)
    ))?;
    Ok(count.parse().unwrap_or_default())
}

const NEEDED: [&str; 13] = [
    "SELECT",
    "INSERT",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "TRIGGER",
    "EVENT",
    "LOCK TABLES",
];

/// On all databases: it is filled under a name of ours first.
pub(super) fn permissions(session: &mut Session, makes_accounts: bool) -> Result<Check> {
    let user = session.value("SELECT CURRENT_USER()")?;
    let rows = session.ask(
        "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = CONCAT('\\'', \
         SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '\\'@\\'', \
         SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '\\'')",
    )?;
    let has: Vec<String> = rows.into_iter().flatten().collect();
    let needed = NEEDED.into_iter().chain(makes_accounts.then_some("CREATE USER"));
    let missing: Vec<&str> = needed.filter(|right| !has.iter().any(|has| has == right)).collect();
    if !missing.is_empty() {
        let rights = missing.join(", ");
        let cure = format!("GRANT {rights} ON *.* TO it, or name another `user`");
        let by_role = session.value("SELECT COALESCE(CURRENT_ROLE(), '')")?;
        // What a role gives is not listed here.
        return Ok(if by_role.is_empty() {
            Check::block("permissions", format!("{user} lacks {rights}"), cure)
        } else {
            let reason = format!("{user} has {rights} by its role {by_role}, or not at all");
            Check::warn("permissions", reason, cure)
        });
    }
    // Views and routines run with the rights of whom they name.
    let may_name = ["SET USER", "SUPER"].iter().any(|right| has.iter().any(|has| has == right));
    Ok(if may_name {
        Check::pass("permissions", format!("{user} may make databases and all in them"))
    } else {
        let reason = format!("{user} may not make views, triggers and routines of other users");
        Check::warn("permissions", reason, "GRANT SET USER ON *.* TO it, if it fails")
    })
}

/// Of the file system of the server's data, where that is on this host.
pub(super) fn free_space(session: &mut Session, at: &At, bytes: u64) -> Result<Check> {
    let directory = session.value("SELECT @@datadir")?;
    let directory = Path::new(&directory);
    let own = directory.join("ibdata1");
    Ok(space::check_of_server(directory, Some(own).filter(|_| at.is_here()), bytes))
}
