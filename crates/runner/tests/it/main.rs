#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod changes;
mod damage;
mod escape;
mod fixture;
mod inputs;
mod restoring;
mod support;
