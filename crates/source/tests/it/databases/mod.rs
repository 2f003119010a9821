//! Databases, each with its real server.

mod sqlite;
mod world;
