//! The real program, as a user meets it: commands, exit codes, events.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agents;
mod bad_days;
mod bad_store;
mod bundles;
mod changing;
mod commands;
mod deleting;
mod described;
mod destination;
mod disk;
mod events;
mod features;
mod group;
mod hostile;
mod in_place;
mod interrupted;
mod killed;
mod life;
mod machines;
mod manager;
mod matrix;
mod mending;
mod names;
mod parts;
mod protection;
mod recovering;
mod resources;
mod restoring;
mod s3;
mod secrets;
mod streams;
mod support;
mod terminal;
mod told;
