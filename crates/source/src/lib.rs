//! Where data comes from and where a restore writes to. Knows no repository.

pub mod connector;
pub mod disk;
pub mod files;
pub mod host;
pub mod libvirt;
mod manager;
mod mariadb;
mod postgres;
pub mod qemu;
mod redis;
pub mod settings;
mod sqlite;
mod vm;
pub mod volume;

use connector::Connector;
use serde_json::{Value, json};
use tintype_model::resource::Resources;

/// Every connector of this program, in the order in which they discover.
pub fn connectors() -> Vec<Box<dyn Connector>> {
    vec![
        Box::new(volume::Files),
        Box::new(volume::Btrfs),
        Box::new(volume::Reflink),
        Box::new(sqlite::Sqlite),
        Box::new(postgres::Postgres),
        Box::new(redis::Redis),
        Box::new(mariadb::MariaDb),
        Box::new(qemu::QemuConnector),
        Box::new(libvirt::LibvirtConnector),
        Box::new(settings::Settings),
        Box::new(manager::Manager),
    ]
}

/// JSON Schema of a description of resources, with what each connector wants to know in `at`.
pub fn schema(connectors: &[Box<dyn Connector>]) -> Value {
    let mut schema = schemars::schema_for!(Resources).to_value();
    let rules: Vec<Value> = connectors
        .iter()
        .map(|connector| {
            let mut at = connector.schema();
            if let Value::Object(fields) = &mut at {
                fields.remove("$schema");
            }
            json!({
                "if": { "properties": { "connector": { "const": connector.name() } },
                        "required": ["connector"] },
                "then": { "properties": { "at": at } },
            })
        })
        .collect();
    schema["$defs"]["Resource"]["allOf"] = rules.into();
    schema
}
