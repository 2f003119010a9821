//! The manager as its clients see it: over TLS, on SQLite and on a real PostgreSQL.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Tests own their threads and panic.

mod audit;
mod begin;
mod lab;
mod logins;
mod objects;
mod rights;
