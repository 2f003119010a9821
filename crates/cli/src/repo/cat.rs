//! `cat`: the bytes of one file of a snapshot.

use std::io::Read as _;

use serde_json::json;
use tintype_engine::Error;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Root, TreeEntry};
use tintype_model::selector::Selector;
use tintype_runner::content::{ContentStream, error_of};

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo cat latest:/files/etc/fstab
  tintype repo cat latest:/files/database.sql | psql")]
pub(crate) struct Args {
    /// A snapshot and a file in it: latest:/files/etc/fstab
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = pick::selector())]
    place: Selector,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        if app.report.is_json() {
            return Err(usage("cat prints bytes, which are no JSON; leave --json away"));
        }
        let path = self.place.path.clone().unwrap_or_default();
        if path.is_empty() {
            return Err(usage("which file? write it like latest:/files/etc/fstab"));
        }
        let repository = app.open()?;
        let snapshot = app.pick(&repository, &self.place)?;
        app.pinned(&repository, snapshot.id, |_| {
            let reader = repository.reader()?;
            let found = Cursor::new(&reader, Root::of(&snapshot.manifest))?.get(&path)?;
            let entry = found.ok_or_else(|| pick::no_such_path(&snapshot, &path))?;
            let bytes = print(app, &reader, &entry)?;
            let broken = entry.is_problem() || entry.node.is_lost();
            if let Some(problem) = entry.node.problem() {
                app.report.warn(format!("{}: {}", show::path(&path), problem.message));
            }
            Ok(Done::of(Exit::of_outcome(broken, false), json!({ "bytes": bytes })))
        })
    }
}

/// Writes the content to standard output; how many bytes.
fn print(app: &App, reader: &ContentReader<'_>, entry: &TreeEntry) -> anyhow::Result<u64> {
    let name = show::path(&entry.path);
    if !entry.node.kind.has_content() {
        let kind = show::kind(entry.node.kind);
        return Err(Error::invalid(format!("{name} is a {kind} and has no bytes")).into());
    }
    let (mut lists, mut buffer, mut bytes) = (ReadBuffer::new()?, vec![0; 1 << 20], 0);
    let mut stream = ContentStream::new(reader, entry, &mut lists, &app.cancel)?;
    loop {
        let length = stream.read(&mut buffer).map_err(|error| error_of(error, &name))?;
        if length == 0 {
            return Ok(bytes);
        }
        crate::report::raw(&buffer[..length])?;
        bytes += length as u64;
    }
}
