//! The server as a library (docs/manager.md): catalog, rights, runs, HTTP.

pub mod agents;
pub mod auth;
pub mod catalog;
pub mod config;
pub mod connectors;
mod days;
pub mod events;
pub mod guests;
pub mod http;
pub mod lost;
pub mod outside;
pub mod runs;
pub mod schedule;
pub mod seal;
pub mod serve;
mod spots;
pub mod standings;
pub mod state;
pub mod tls;
pub mod uploads;
mod usage;
pub mod vaults;
pub mod views;
mod warnings;
