//! Databases, each with its real server.

mod postgres;
mod postgres_logical;
mod sqlite;
mod world;
