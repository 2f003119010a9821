#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod backend;
mod crash;
mod gc;
mod ops;
mod support;
