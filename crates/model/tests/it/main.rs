//! Integration tests of the model.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test measures real time")]

mod due;
mod expiry;
mod profiles;
mod retention_properties;
mod retention_tables;
mod schedule_properties;
mod schedule_tables;
