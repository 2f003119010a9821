//! Databases, each with its real server.

mod conformance;
mod environment;
mod mariadb;
mod postgres;
mod postgres_bad_days;
mod postgres_logical;
mod postgres_tls;
mod postgres_versions;
mod redis;
mod sqlite;
mod taken_back;
mod world;
