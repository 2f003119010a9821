//! What is asked of a cluster before it is captured, and what a restore must know of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use super::client::Client;
use super::included::Included;
use super::lsn::Lsn;
use crate::connector::Part;

/// The first whose base backup has the form that is read here.
const OLDEST: u32 = 150_000;
const MOST_CONFIGURATION_BYTES: u32 = 4 << 20;
const MOST_INCLUDED: usize = 200;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ClusterFacts {
    pub(super) version: String,
    pub(super) major: u32,
    pub(super) system_identifier: String,
    /// Directory inside each tablespace that belongs to this version.
    pub(super) version_directory: String,
    pub(super) data_directory: PathBuf,
    /// Where its configuration is, if not in the data directory.
    pub(super) configuration: Option<PathBuf>,
    /// What it includes from there.
    #[serde(default)]
    pub(super) included: Vec<Included>,
    #[serde(default)]
    pub(super) archives: bool,
    pub(super) port: u16,
    /// A superuser, for the health check.
    pub(super) user: String,
    pub(super) encoding: String,
    pub(super) databases: Vec<String>,
    pub(super) timeline: u32,
    pub(super) start: Lsn,
    /// The moment of the snapshot.
    pub(super) stop: Lsn,
    pub(super) restore_point: String,
    pub(super) segment_bytes: u64,
    pub(super) segments: u64,
    pub(super) bytes: u64,
    pub(super) tablespaces: Vec<Tablespace>,
    /// Settings that recovery wants to be at least as large as they were.
    pub(super) settings: BTreeMap<String, String>,
    /// What it was started with, as `pg_ctl -o` does: it stands in no file.
    #[serde(default)]
    pub(super) command_line: BTreeMap<String, String>,
    /// Captured as the files of a cluster that did not run.
    #[serde(default)]
    pub(super) stopped: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tablespace {
    pub(super) oid: u32,
    pub(super) location: PathBuf,
    pub(super) bytes: u64,
}

const SETTINGS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// Refuses what cannot be captured, with what helps.
pub(super) fn refuse(name: &str, sql: &mut Client) -> Result<()> {
    let version = sql.version()?;
    if version < OLDEST {
        return Err(Error::unsupported(format!(
            "{name}: PostgreSQL {} is older than 15; capture it with `mode: logical`",
            version / 10_000
        )));
    }
    if sql.value("SELECT pg_is_in_recovery()")? == "t" {
        return Err(Error::unsupported(format!(
            "{name}: the server is a replica or recovers, and cannot set a restore point; capture \
             its primary, or this one with `mode: logical`"
        )));
    }
    if sql.value("SHOW wal_level")? == "minimal" {
        return Err(Error::unsupported(format!(
            "{name}: wal_level is minimal; set it to replica and restart the server"
        )));
    }
    for setting in ["max_wal_senders", "max_replication_slots"] {
        if sql.value(&format!("SHOW {setting}"))? == "0" {
            return Err(Error::unsupported(format!(
                "{name}: {setting} is 0; set it to 10 and restart the server"
            )));
        }
    }
    let may = "SELECT (rolsuper OR rolreplication) \
               AND has_function_privilege('pg_create_restore_point(text)', 'execute') \
               AND has_function_privilege('pg_switch_wal()', 'execute') \
               FROM pg_roles WHERE rolname = current_user";
    if sql.value(may)? != "t" {
        return Err(Error::denied(format!(
            "{name}: the user must be a superuser, or have REPLICATION and the right to execute \
             pg_create_restore_point(text) and pg_switch_wal()"
        )));
    }
    Ok(())
}

/// All that does not depend on the moment; positions are put in later.
pub(super) fn ask(sql: &mut Client, user: &str) -> Result<ClusterFacts> {
    let version = sql.version()?;
    let number = |text: String| {
        text.parse::<u64>().map_err(|_| Error::corrupt(format!("{text:?} is no number")))
    };
    let data_directory = PathBuf::from(optional(sql, "data_directory").unwrap_or_default());
    let configuration = optional(sql, "config_file").map(PathBuf::from);
    let configuration = configuration.filter(|file| !file.starts_with(&data_directory));
    let databases =
        sql.query("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")?;
    let mut settings = BTreeMap::new();
    for name in SETTINGS {
        settings.insert(name.to_owned(), sql.value(&format!("SHOW {name}"))?);
    }
    // Where its files are is said by the restore.
    let started_with = "SELECT name, current_setting(name) FROM pg_settings \
                        WHERE source = 'command line' \
                        AND name NOT IN ('data_directory', 'config_file')";
    let pair = |row: Vec<Option<String>>| match &row[..] {
        [Some(name), Some(value)] => Some((name.clone(), value.clone())),
        _ => None,
    };
    let command_line = sql.query(started_with)?.into_iter().filter_map(pair).collect();
    Ok(ClusterFacts {
        version: sql.value("SHOW server_version")?,
        major: version / 10_000,
        system_identifier: sql.value("SELECT system_identifier FROM pg_control_system()")?,
        version_directory: sql.value(&format!(
            "SELECT 'PG_{}_' || catalog_version_no FROM pg_control_system()",
            version / 10_000
        ))?,
        data_directory,
        configuration,
        included: Vec::new(),
        archives: sql.value("SHOW archive_mode")? != "off",
        port: number(sql.value("SHOW port")?)? as u16,
        user: user.to_owned(),
        encoding: sql.value("SHOW server_encoding")?,
        databases: databases.into_iter().flatten().flatten().collect(),
        timeline: number(sql.value("SELECT timeline_id FROM pg_control_checkpoint()")?)? as u32,
        start: Lsn(0),
        stop: Lsn(0),
        restore_point: String::new(),
        segment_bytes: number(sql.value("SELECT bytes_per_wal_segment FROM pg_control_init()")?)?,
        segments: 0,
        bytes: 0,
        tablespaces: Vec::new(),
        settings,
        command_line,
        stopped: false,
    })
}

/// A setting that only some users may see.
fn optional(sql: &mut Client, setting: &str) -> Option<String> {
    sql.value(&format!("SELECT current_setting('{setting}')")).ok().filter(|text| !text.is_empty())
}

/// Configuration that lies outside the data directory and so is not in the base backup, as far as
/// the user may read it.
pub(super) fn configuration(sql: &mut Client, facts: &mut ClusterFacts) -> Vec<Part> {
    let files = [
        ("hba_file", "pg_hba.conf"),
        ("ident_file", "pg_ident.conf"),
        ("config_file", "postgresql.conf"),
    ];
    let mut parts = Vec::new();
    for (setting, name) in files {
        let Some(path) = optional(sql, setting) else { continue };
        if PathBuf::from(&path).starts_with(&facts.data_directory) {
            continue;
        }
        if let Some(text) = read_file(sql, &path) {
            parts.push(Part::object(&format!("configuration/{name}"), text));
        }
    }
    parts.extend(included(sql, facts));
    parts.sort_by(|a, b| a.at.cmp(&b.at));
    parts
}

/// The files with settings beside the main one, in the order in which they are read.
fn included(sql: &mut Client, facts: &mut ClusterFacts) -> Vec<Part> {
    let list = format!(
        "SELECT sourcefile FROM pg_file_settings \
         WHERE sourcefile <> current_setting('config_file') \
         GROUP BY 1 ORDER BY min(seqno) LIMIT {MOST_INCLUDED}"
    );
    let mut parts = Vec::new();
    let Ok(files) = sql.query(&list) else {
        // Only a superuser may ask; what is asked for is in the main file, if that is elsewhere.
        let unknown = facts.configuration.clone().map(|path| Included { path, name: None });
        facts.included.extend(unknown);
        return parts;
    };
    for path in files.into_iter().flatten().flatten() {
        // The base backup has it; and where all is in the data directory, all that it includes.
        let is_inside = PathBuf::from(&path).starts_with(&facts.data_directory);
        if is_inside && (facts.configuration.is_none() || path.ends_with("/postgresql.auto.conf")) {
            continue;
        }
        let name = read_file(sql, &path).map(|text| {
            let name = format!("{:03}.conf", parts.len());
            parts.push(Part::object(&format!("configuration/included/{name}"), text));
            name
        });
        facts.included.push(Included { path: path.into(), name });
    }
    parts
}

/// None, if this user may not.
fn read_file(sql: &mut Client, path: &str) -> Option<String> {
    let path = super::wire::literal(path);
    sql.value(&format!("SELECT pg_read_file({path}, 0, {MOST_CONFIGURATION_BYTES})")).ok()
}
