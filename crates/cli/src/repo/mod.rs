//! `tintype repo …`: a command each.

mod annotate;
pub(crate) mod browse;
mod cat;
mod copy;
mod delete;
mod diff;
pub(crate) mod disk;
mod export;
mod find;
mod gc;
mod import;
mod init;
mod inputs;
mod key;
mod list;
mod ls;
mod probe;
mod prune;
mod resources;
mod restore;
mod show;
mod snapshot;
mod stats;
mod stream;
mod verify;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::app::{self, App};
use crate::exit::{self, Exit};
use crate::global::Global;
use crate::interrupt;
use crate::report::Done;
use crate::terminal;

#[derive(clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new repository and show its recovery key
    Init(init::Args),
    /// Take a snapshot of files, devices or a stream
    Snapshot(Box<snapshot::Args>),
    /// List snapshots
    List(list::Args),
    /// Show all that is known of a snapshot
    Show(show::Args),
    /// List what a snapshot holds
    Ls(ls::Args),
    /// Print a file of a snapshot
    Cat(cat::Args),
    /// Bring files back
    Restore(Box<restore::Args>),
    /// Look into disk images of snapshots: files out of them, and disks for other programs
    Disk(disk::Args),
    /// Find files by name over all snapshots
    Find(Box<find::Args>),
    /// Show what changed between two snapshots
    Diff(diff::Args),
    /// Check that everything is there and undamaged
    Verify(verify::Args),
    /// Delete snapshots by name
    Delete(delete::Args),
    /// Delete snapshots by retention rules
    Prune(Box<prune::Args>),
    /// Free the bytes that no snapshot needs
    Gc(gc::Args),
    /// Copy snapshots into another repository
    Copy(Box<copy::Args>),
    /// Write a snapshot as one portable file
    Export(Box<export::Args>),
    /// Make a snapshot of such a file
    Import(import::Args),
    /// Show how much the repository holds
    Stats(stats::Args),
    /// Try out what a store can do
    Probe(probe::Args),
    /// Add and remove tags
    Tag(annotate::Tag),
    /// Change the note of a snapshot
    Note(annotate::Note),
    /// Change when a snapshot expires
    Expire(annotate::Expire),
    /// Stop snapshots from being deleted, until the hold is released
    Hold(annotate::Hold),
    /// Make snapshots undeletable by anyone until a date
    Lock(annotate::Lock),
    /// List, add, remove and change keys
    Key(key::Args),
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Snapshot(_) => "snapshot",
            Self::List(_) => "list",
            Self::Show(_) => "show",
            Self::Ls(_) => "ls",
            Self::Cat(_) => "cat",
            Self::Restore(_) => "restore",
            Self::Disk(_) => "disk",
            Self::Find(_) => "find",
            Self::Diff(_) => "diff",
            Self::Verify(_) => "verify",
            Self::Delete(_) => "delete",
            Self::Prune(_) => "prune",
            Self::Gc(_) => "gc",
            Self::Copy(_) => "copy",
            Self::Export(_) => "export",
            Self::Import(_) => "import",
            Self::Stats(_) => "stats",
            Self::Probe(_) => "probe",
            Self::Tag(_) => "tag",
            Self::Note(_) => "note",
            Self::Expire(_) => "expire",
            Self::Hold(_) => "hold",
            Self::Lock(_) => "lock",
            Self::Key(_) => "key",
        }
    }

    fn run(self, app: &App) -> anyhow::Result<Done> {
        match self {
            Self::Init(args) => args.run(app),
            Self::Snapshot(args) => args.run(app),
            Self::List(args) => args.run(app),
            Self::Show(args) => args.run(app),
            Self::Ls(args) => args.run(app),
            Self::Cat(args) => args.run(app),
            Self::Restore(args) => args.run(app),
            Self::Disk(args) => args.run(app),
            Self::Find(args) => args.run(app),
            Self::Diff(args) => args.run(app),
            Self::Verify(args) => args.run(app),
            Self::Delete(args) => args.run(app),
            Self::Prune(args) => args.run(app),
            Self::Gc(args) => args.run(app),
            Self::Copy(args) => args.run(app),
            Self::Export(args) => args.run(app),
            Self::Import(args) => args.run(app),
            Self::Stats(args) => args.run(app),
            Self::Probe(args) => args.run(app),
            Self::Tag(args) => args.run(app),
            Self::Note(args) => args.run(app),
            Self::Expire(args) => args.run(app),
            Self::Hold(args) => args.run(app),
            Self::Lock(args) => args.run(app),
            Self::Key(args) => args.run(app),
        }
    }
}

pub(crate) fn run(args: Args) -> Exit {
    app::log(args.global.verbose);
    let app = match App::new(args.global) {
        Ok(app) => app,
        Err(error) => {
            terminal::line(&format!("error: {error:#}"));
            return exit::of_error(&error);
        }
    };
    let name = args.command.name();
    let done = args.command.run(&app).unwrap_or_else(|error| {
        let exit = code(&error);
        if exit != Exit::NoReader {
            app.report.failure(&error, exit);
        }
        Done::of(exit, json!({}))
    });
    finish(&app, name, done)
}

/// Whatever fails after Ctrl-C fails because of it.
fn code(error: &anyhow::Error) -> Exit {
    match exit::of_error(error) {
        Exit::Failed | Exit::Damaged if interrupt::happened() => Exit::Interrupted,
        exit => exit,
    }
}

/// The last event.
fn finish(app: &App, command: &str, done: Done) -> Exit {
    let Done { exit, mut figures } = done;
    app.add_figures(&mut figures);
    figures.insert("command".into(), command.into());
    figures.insert("outcome".into(), json!(exit));
    figures.insert("exit_code".into(), exit.code().into());
    match app.report.event("summary", Value::Object(figures)) {
        Ok(()) => exit,
        Err(error) => {
            let exit = exit::of_error(&error);
            if exit != Exit::NoReader {
                terminal::line(&format!("error: {error:#}"));
            }
            exit
        }
    }
}
