//! Servers that run on this host. They write where they listen into their own title:
//! `redis-server 127.0.0.1:6379`, `redis-server unixsocket:/run/redis.sock`.

use serde_json::{Value, json};
use tintype_model::resource::Consistency;

use crate::connector::Discovered;
use crate::host::{at, processes};

const NAMES: [&str; 3] = ["redis-server", "valkey-server", "keydb-server"];

pub(super) fn discover() -> Vec<Discovered> {
    let servers = processes::all().into_iter().filter(|process| NAMES.contains(&&process.name[..]));
    let found = servers.filter_map(|process| {
        let title = process.arguments().join(" ");
        let (name, mut at) = listens(title.split_whitespace().nth(1)?)?;
        if let Some(directory) = process.directory() {
            at["data_directory"] = json!(directory);
        }
        let resource = at::found(name, "redis", at.as_object()?.clone());
        Some(Discovered { resource, reaches: Consistency::Application, why_not_more: None })
    });
    found.collect()
}

/// A name, and `at:` of a server that listens there.
fn listens(place: &str) -> Option<(String, Value)> {
    if let Some(socket) = place.strip_prefix("unixsocket:") {
        let name = at::name_from("redis", std::path::Path::new(socket));
        return Some((name, json!({ "socket": socket })));
    }
    let (host, port) = place.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = if matches!(host, "*" | "0.0.0.0" | "[::]" | "::") { "localhost" } else { host };
    let host = host.trim_matches(['[', ']']);
    Some((format!("redis-{port}"), json!({ "host": host, "port": port })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_where_a_server_listens() {
        let at = |place| listens(place).map(|(_, at)| at);
        assert_eq!(at("*:6379"), Some(json!({ "host": "localhost", "port": 6379 })));
        assert_eq!(at("[::1]:7000"), Some(json!({ "host": "::1", "port": 7000 })));
        assert_eq!(at("unixsocket:/run/r.sock"), Some(json!({ "socket": "/run/r.sock" })));
        assert_eq!(at("--port"), None);
    }
}
