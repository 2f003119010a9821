//! Recurring chores of this repository. `./x COMMAND` and `cargo xtask COMMAND` are the same.

#![expect(
    clippy::format_push_string,
    reason = "reports are short; `write!` to a string cannot fail but must be handled"
)]

mod bench;
mod clock;
mod compare;
mod console;
mod demo;
mod figures;
mod fixtures;
mod interrupt;
mod leftovers;
mod load;
mod mounts;
mod node;
mod openapi;
mod paths;
mod platform;
mod python;
mod sh;
mod stage;
mod suite;
mod table;
mod tidy;
mod walk;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "x",
    about = "Recurring chores of the Tintype repository",
    after_help = "Start here:\n  ./x demo     snapshot and restore real data of this machine, compared byte by byte\n  ./x test     the test suite, cheapest checks first"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Snapshot real data of this machine, change it, restore it and compare everything
    Demo(demo::Args),
    /// The test suite, cheapest checks first; stops at the first failing stage
    Test(suite::Args),
    /// The test suite in a clean clone of the committed state, as continuous integration runs it
    Ci(suite::CiArgs),
    /// House rules: crate edges, file and function length, notes, changelog, stray paths and sizes
    Tidy,
    /// Make tests/fixtures/ anew; only before a format version is released
    Fixtures,
    /// Write openapi/v1.json anew, after a change of the API
    Openapi,
    /// Build the web console, which a program that is built afterwards holds
    Console,
    /// The console's stories, told to the real program by a real browser
    Stories(console::stories::Args),
    /// Seconds, memory and size, side by side with restic, kopia, rustic and borg
    Bench(bench::Args),
    /// A manager with 100 000 snapshots and 200 who ask it, on both databases (half an hour)
    Load(load::Args),
    /// The long matrix of tests, on demand (an hour or more)
    Platform(platform::Args),
    /// The main job on real NFS and SMB mounts, in a small emulated machine (a minute)
    Mounts(mounts::Args),
    /// Run one command and write its time and peak memory to a file (used by `bench`)
    #[command(hide = true)]
    Measure(bench::measure::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = match command {
        Command::Measure(args) => return bench::measure::wrapper(&args),
        Command::Demo(args) => interrupt::install().and_then(|()| demo::run(&args)),
        Command::Test(args) => suite::test(&args),
        Command::Ci(args) => interrupt::install().and_then(|()| suite::ci(&args)),
        Command::Tidy => tidy::run(),
        Command::Fixtures => fixtures::run(),
        Command::Openapi => openapi::run(),
        Command::Console => console::run(),
        Command::Stories(args) => console::stories::run(&args),
        Command::Platform(args) => interrupt::install().and_then(|()| platform::run(&args)),
        Command::Mounts(args) => interrupt::install().and_then(|()| mounts::run(&args)),
        Command::Load(args) => interrupt::install().and_then(|()| load::run(&args)),
        Command::Bench(args) => interrupt::install().and_then(|()| bench::run(&args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if interrupt::happened() { 130 } else { 1 })
        }
    }
}
