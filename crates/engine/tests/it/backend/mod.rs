//! Backends: the conformance suite on every driver, and what each has of its own.

mod local;
mod memory;
mod roles;
mod s3;
