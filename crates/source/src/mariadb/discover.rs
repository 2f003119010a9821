//! Servers that run on this host, by their processes and the sockets that they listen on.

use std::path::PathBuf;

use serde_json::json;
use tintype_model::resource::Consistency;

use crate::connector::Discovered;
use crate::host::processes::Process;
use crate::host::{at, processes};

/// Where Debian and others put it.
const SOCKETS: [&str; 3] =
    ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

pub(super) fn discover() -> Vec<Discovered> {
    let servers =
        processes::all().into_iter().filter(|p| p.name == "mariadbd" || p.name == "mysqld");
    let found = servers.filter_map(|process| {
        let socket = socket(&process)?;
        let at = json!({ "socket": socket });
        let resource =
            at::found(at::name_from("mariadb", &socket), "mariadb", at.as_object()?.clone());
        let why = Some("tables without transactions are looked for when it is planned".to_owned());
        Some(Discovered { resource, reaches: Consistency::Application, why_not_more: why })
    });
    found.collect()
}

/// As its arguments say, relative to its data directory, or where it usually is.
fn socket(process: &Process) -> Option<PathBuf> {
    let arguments = process.arguments();
    let said = arguments.iter().find_map(|argument| argument.strip_prefix("--socket="));
    let said = said.map(|path| process.directory().unwrap_or_default().join(path));
    said.or_else(|| SOCKETS.iter().map(PathBuf::from).find(|path| path.exists()))
}
