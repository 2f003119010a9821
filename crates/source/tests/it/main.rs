//! The crate against real file systems. As root everything runs, mounts included; packages
//! needed then: util-linux, e2fsprogs, btrfs-progs.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Tests own their threads and panic.

mod attacks;
mod compare;
mod conformance;
mod databases;
mod disk;
mod filesystems;
mod hostile_disk;
mod image;
mod machines;
mod manager;
mod nonroot;
mod reading;
mod roundtrip;
mod settings;
mod support;
mod target;
mod volumes;
mod walk;
