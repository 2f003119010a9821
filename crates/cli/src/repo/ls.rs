//! `ls`: what a snapshot holds.

use serde_json::json;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Root, TreeEntry};
use tintype_model::entry::{Kind, file_name};
use tintype_model::selector::Selector;
use tintype_runner::browse::children;

use super::browse;
use crate::app::App;
use crate::exit::Exit;
use crate::pick;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo ls latest                     captured files lie below /files
  tintype repo ls -l latest:/files/etc
  tintype repo ls -R latest~1:/files/home | grep report

Bytes of names that are not text are shown as \\xff; a shell takes them as $'latest:/files/\\xff'.")]
pub(crate) struct Args {
    /// A snapshot and a path inside it: latest:/files/etc
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector())]
    #[arg(default_value = "latest")]
    place: Selector,
    /// Everything below, not only what is directly inside
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    long: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let snapshot = app.pick(&repository, &self.place)?;
        let path = self.place.path.clone().unwrap_or_default();
        let reader = repository.reader()?;
        let mut cursor = Cursor::new(&reader, Root::of(&snapshot.manifest))?;
        let mut count = 0u64;
        let mut each = |entry: TreeEntry| {
            app.cancel.check()?;
            count += 1;
            self.line(app, &entry)
        };
        let found = if path.is_empty() { None } else { cursor.get(&path)? };
        match found {
            None if !path.is_empty() => return Err(pick::no_such_path(&snapshot, &path)),
            Some(entry) if entry.node.kind != Kind::Directory => each(entry)?,
            _ if self.recursive => {
                cursor.seek(&path)?;
                while let Some(entry) = cursor.next_entry()? {
                    if !tintype_model::entry::is_within(&entry.path, &path) {
                        break;
                    }
                    each(entry)?;
                }
            }
            _ => children(&mut cursor, &path, None, &mut |entry| each(entry).map(|()| true))?,
        }
        Ok(Done::of(Exit::Complete, json!({ "snapshot": snapshot.id, "entries": count })))
    }

    fn line(&self, app: &App, entry: &TreeEntry) -> anyhow::Result<()> {
        app.report.event("entry", browse::fields(entry))?;
        if app.report.is_json() {
            return Ok(());
        }
        let mut name = if self.recursive {
            show::path(&entry.path)
        } else {
            show::name(file_name(&entry.path))
        };
        if entry.node.kind == Kind::Directory {
            name.push('/');
        }
        app.report.text(if self.long { browse::long_line(entry, &name) } else { name })
    }
}
