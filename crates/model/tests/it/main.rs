//! Integration tests of the model.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod retention_properties;
mod retention_tables;
