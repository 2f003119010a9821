//! The server as a library (docs/manager.md): catalog, rights, runs, HTTP.

pub mod agents;
pub mod auth;
pub mod catalog;
pub mod config;
pub mod http;
pub mod lost;
pub mod runs;
pub mod schedule;
pub mod seal;
pub mod serve;
pub mod state;
pub mod tls;
mod usage;
pub mod vaults;
mod warnings;
