//! Databases, each with its real server.

mod conformance;
mod mariadb;
mod postgres;
mod postgres_logical;
mod redis;
mod sqlite;
mod world;
