//! Databases, each with its real server.

mod mariadb;
mod postgres;
mod postgres_logical;
mod redis;
mod sqlite;
mod world;
