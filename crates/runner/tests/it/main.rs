#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod bundle;
mod changes;
mod damage;
mod deleting;
mod escape;
mod fixture;
mod group;
mod inputs;
mod pages;
mod restoring;
mod support;
