//! The real program, as a user meets it: commands, exit codes, events.

mod bad_days;
mod commands;
mod events;
mod interrupted;
mod life;
mod names;
mod protection;
mod restoring;
mod secrets;
mod streams;
mod support;
