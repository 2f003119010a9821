#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod backend;
mod clocks;
mod crash;
mod features;
mod gc;
mod init;
mod lying;
mod ops;
mod support;
