//! The manager as its clients see it: over TLS, on SQLite and on a real PostgreSQL.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Tests own their threads and panic.

mod agents;
mod audit;
mod away;
mod begin;
mod bounds;
mod bundles;
mod connectors;
mod console;
mod content;
mod events;
mod fixtures;
mod guard;
mod hangups;
mod hooks;
mod hostile;
mod keys;
mod lab;
mod logins;
mod lost;
mod objects;
mod recovering;
mod rights;
mod schedules;
mod snapshots;
mod standings;
mod storages;
mod syncs;
mod upgrades;
mod whole;
