//! `tintype`, the one program: commands on a repository without a server, the server, and its
//! client.
//!
//! Each command is a file of [`repo`] or [`remote`]; it parses its options, calls the libraries and
//! shows what they say. What leaves the process (text, JSON lines, exit code) is decided in
//! [`report`] and [`exit`] alone.

mod agent;
mod app;
mod as_new;
mod command_line;
mod debug;
mod discover;
mod document;
mod exit;
mod extras;
mod global;
mod interrupt;
mod meter;
mod open;
mod own_manager;
mod pick;
mod platform;
mod progress;
mod recover;
mod remote;
mod repo;
mod report;
mod secret;
mod serve;
mod show;
mod terminal;
mod when;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const ABOUT: &str = "Snapshots that can be restored: encrypted, deduplicated, without a server";

const EXAMPLES: &str = "\
Examples:
  export TINTYPE_REPOSITORY=/srv/snapshots         or s3://bucket/prefix?endpoint=https://…
  tintype repo init                                a new encrypted repository
  tintype repo snapshot /etc /home                 take a snapshot
  tintype repo list                                which ones there are
  tintype repo restore latest --to /tmp/look       bring one back, beside the live data

Exit codes: 0 complete, 1 failed, 2 wrong use, 3 incomplete, 4 damage found, 5 conflict,
6 wrong key, 130 interrupted, 141 nobody reads the output any more (`| head`).

An environment variable that is empty counts as not set.";

#[derive(Parser)]
#[command(name = "tintype", version, about = ABOUT, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Work on a repository: take, list, restore, check and delete snapshots
    Repo(Box<repo::Args>),
    /// Show what runs on this host and can be protected
    Discover(discover::Discover),
    /// Run the manager
    Serve(serve::Serve),
    /// Work on this host for a manager elsewhere, and care of such agents
    Agent(Box<agent::Args>),
    /// Bring a lost manager back out of its storage
    Recover(recover::Recover),
    /// Care of a manager of this host while it does not run
    Manager(own_manager::Args),
    /// Log in to a manager, and speak to it from now on
    Login(remote::login::Login),
    /// End the session with a manager
    Logout(remote::login::Logout),
    /// What can be restored as of when, and what speaks against it
    Status(remote::status::Args),
    /// What changes, as it changes
    Events(remote::events::Args),
    /// Isolated spaces of resources, users and snapshots
    Tenant(remote::tenant::Args),
    /// Those who log in
    User(remote::user::Args),
    /// Secrets of programs
    Token(remote::token::Args),
    /// What can be protected
    Resource(remote::resource::Args),
    /// Servers that resources are reached through, and their passwords
    Connector(remote::connector::Args),
    /// Places where snapshots are kept
    Storage(remote::storage::Args),
    /// Second copies of snapshots in another storage
    Sync(remote::sync::Args),
    /// What is snapshotted when, and for how long it is kept
    Profile(remote::profile::Args),
    /// Take, list, keep and delete snapshots
    Snapshot(remote::snapshot::Args),
    /// Bring something back out of a snapshot
    Restore(Box<remote::restore::Args>),
    /// What goes on, and what came of it
    Run(remote::run::Args),
    /// Who did what
    Audit(remote::audit::Args),
    /// Print the completion script of a shell
    Completions(extras::Completions),
    /// Write the manual pages into a directory
    Man(extras::Man),
    /// Thaws what a run froze, if that run dies; started by runs
    #[command(hide = true)]
    Guard,
    /// Measurements for developers
    #[command(hide = true)]
    Debug(debug::Args),
}

fn main() -> ExitCode {
    let cli = match command_line::parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_command_line(&error).into(),
    };
    let exit = match cli.command {
        Command::Repo(args) => repo::run(*args),
        Command::Discover(args) => args.run(),
        Command::Serve(args) => args.run(),
        Command::Agent(args) => args.run(),
        Command::Recover(args) => args.run(),
        Command::Manager(args) => args.run(),
        Command::Login(args) => args.run(),
        Command::Logout(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Events(args) => args.run(),
        Command::Tenant(args) => args.run(),
        Command::User(args) => args.run(),
        Command::Token(args) => args.run(),
        Command::Resource(args) => args.run(),
        Command::Connector(args) => args.run(),
        Command::Storage(args) => args.run(),
        Command::Sync(args) => args.run(),
        Command::Profile(args) => args.run(),
        Command::Snapshot(args) => args.run(),
        Command::Restore(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Audit(args) => args.run(),
        Command::Guard => discover::guard(),
        Command::Completions(args) => exit::of_plain(args.run()),
        Command::Man(args) => exit::of_plain(args.run()),
        Command::Debug(args) => exit::of_plain(args.run()),
    };
    exit.into()
}
