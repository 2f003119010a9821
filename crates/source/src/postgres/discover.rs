//! Servers that run on this host: processes whose working directory is a data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use tintype_model::resource::Consistency;

use super::programs::running;
use crate::connector::Discovered;
use crate::host::{at, processes};

pub(super) fn discover() -> Vec<Discovered> {
    let servers =
        processes::all().into_iter().filter(|p| p.name == "postgres" || p.name == "postmaster");
    let directories = servers.filter_map(|process| {
        let directory = process.directory()?;
        (running(&directory) == Some(process.pid)).then_some(directory)
    });
    let mut found = BTreeMap::new();
    for directory in directories {
        if let Some(server) = server(&directory) {
            found.insert(directory, server);
        }
    }
    found.into_values().collect()
}

fn server(data: &Path) -> Option<Discovered> {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let lock = Lock::parse(&file)?;
    let major: u32 = std::fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()?;
    let recovers = data.join("standby.signal").exists();
    let (mode, why) = if major < 15 {
        ("logical", Some(format!("PostgreSQL {major} is older than 15: each database by itself")))
    } else if recovers {
        (
            "logical",
            Some(
                "a replica: each database by itself; its primary can be captured whole".to_owned(),
            ),
        )
    } else {
        ("physical", None)
    };
    let at = json!({
        "host": lock.host, "port": lock.port, "user": "postgres", "mode": mode, "data_directory": data,
    });
    let name = format!("postgres-{}", lock.port);
    let resource = at::found(name, "postgres", at.as_object()?.clone());
    Some(Discovered { resource, reaches: Consistency::Application, why_not_more: why })
}

/// Of `postmaster.pid`: <https://www.postgresql.org/docs/15/storage-file-layout.html>.
struct Lock {
    port: u16,
    host: String,
}

impl Lock {
    fn parse(file: &str) -> Option<Self> {
        let lines: Vec<&str> = file.lines().map(str::trim).collect();
        let port = lines.get(3)?.parse().ok()?;
        let sockets = PathBuf::from(lines.get(4).copied().unwrap_or_default());
        let address = lines.get(5).copied().unwrap_or_default();
        let host = if sockets.is_absolute() {
            sockets.display().to_string()
        } else if matches!(address, "" | "*" | "0.0.0.0" | "::") {
            "localhost".to_owned()
        } else {
            address.to_owned()
        };
        Some(Self { port, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_says_where_the_server_is() {
        let lock =
            Lock::parse("12\n/data\n170000\n5433\n/run/postgresql\nlocalhost\n 1 2\nready\n");
        let lock = lock.unwrap();
        assert_eq!((lock.port, &lock.host[..]), (5433, "/run/postgresql"));
        let lock = Lock::parse("12\n/data\n170000\n5433\n\n*\n").unwrap();
        assert_eq!(lock.host, "localhost");
        assert!(Lock::parse("12\n/data\n").is_none());
    }
}
