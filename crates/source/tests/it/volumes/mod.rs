//! Volumes on real file systems, on loop devices.

mod bad_days;
mod conformance;
mod discovering;
mod on_btrfs;
mod restoring;
mod world;
