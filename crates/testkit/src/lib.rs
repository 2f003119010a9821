//! Real servers for tests: installed on first use into a cache outside the repository, started
//! on free ports of this machine alone, and killed with the test, however it ends. What cannot
//! be installed or started is a failure, never a skip.
#![expect(clippy::disallowed_methods, reason = "tests of real servers live in real time")]

pub mod azurite;
pub mod debian;
pub mod env;
pub mod fake_gcs;
pub mod faulty_proxy;
pub mod guest;
pub mod hostile;
pub mod keeper;
pub mod libvirt;
pub mod mariadb;
pub mod metadata_service;
pub mod nfs;
pub mod postgres;
pub mod rclone;
pub mod redis;
pub mod samba;
pub mod seaweedfs;
pub mod server;
pub mod tools;
pub mod volumes;
