//! Backends: the conformance suite on every driver, and what each has of its own.

mod clouds;
mod crash;
mod decorators;
mod local;
mod memory;
mod probe;
mod roles;
mod s3;
mod s3_faults;
