//! How a database is captured while its application writes.
//!
//! With a write-ahead log, the freeze begins a read transaction: a snapshot that writers do not
//! notice, copied after the window. With a rollback journal a reader would keep writers from
//! committing for as long as it reads; so the file is copied before the window in short steps, and
//! the freeze only looks whether it changed since then. If it did, it is copied again under the
//! lock, and commits wait meanwhile.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tintype_model::entry::{Kind, Node};
use tintype_model::resource::Consistency;
use tintype_model::{Error, Result};

use super::copy::{copy, damage, failed, open, open_unchanging, patiently, tables};
use super::file::{beside, is_locked_by_us};
use super::{Facts, STORED};
use crate::connector::{
    CapturePlan, Content, Context, Guarded, Part, Released, Source, Turn, View,
};
use crate::host::held::Hold;
use crate::host::space;

/// How long the copy outside the window may take.
const MOST: Duration = Duration::from_hours(12);
/// How long writers wait at most.
const MOST_IN_WINDOW: Duration = Duration::from_secs(6);
/// A larger copy is not checked when it is taken, only when it is restored.
const CHECKED_BYTES: u64 = 1 << 30;

pub(super) struct SqliteSource {
    name: String,
    path: PathBuf,
    context: Context,
    copy: PathBuf,
    live: Option<Live>,
    /// Of the copy, once it is whole, and what is wrong with it.
    copied: Option<(Facts, Option<String>)>,
}

struct Live {
    connection: Connection,
    wal: bool,
    /// SQLite's counter of changes by others, as it was for the whole time of the copy.
    copied: Option<i64>,
    /// Of what it locks; goes after the connection.
    hold: Hold,
}

impl SqliteSource {
    pub(super) fn new(name: &str, path: PathBuf, context: &Context) -> Result<Self> {
        if !path.is_absolute() {
            return Err(Error::invalid(format!("{name}: at: path must be absolute")));
        }
        let copy = context.scratch.join(format!("{}-{name}.sqlite", context.label()));
        Ok(Self {
            name: name.to_owned(),
            path,
            context: context.clone(),
            copy,
            live: None,
            copied: None,
        })
    }

    fn open(&self) -> Result<Live> {
        // SQLite would say no more than that it cannot open it.
        let meta = self.path.metadata();
        meta.map_err(|error| {
            Error::io(error, format_args!("{}: {}", self.name, self.path.display()))
        })?;
        let connection = open(&self.name, &self.path)?;
        let mode = connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| {
                let ask = || {
                    connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
                };
                patiently(&self.context, ask)
            })
            .map_err(|error| self.failed(error))?;
        Ok(Live { connection, wal: mode == "wal", copied: None, hold: self.hold() })
    }

    fn hold(&self) -> Hold {
        Hold::of([&self.path, &beside(&self.path, "-shm")].map(PathBuf::as_path))
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        failed(&self.name, &self.path, error)
    }

    fn changes(&self, connection: &Connection) -> Result<i64> {
        let ask = || connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        patiently(&self.context, ask).map_err(|error| self.failed(error))
    }

    fn copy(&self, live: &Live, most: Duration) -> Result<()> {
        copy(&self.name, &live.connection, &self.copy, most, &self.context)
    }

    /// Outside the window, in short steps. Gives the counter of changes, if it stood still.
    fn copy_beforehand(&self, live: &Live) -> Result<Option<i64>> {
        let before = self.changes(&live.connection)?;
        self.copy(live, MOST)?;
        let after = self.changes(&live.connection)?;
        Ok((before == after).then_some(after))
    }

    /// Whether what was copied inside a transaction is of its moment after all.
    fn still_locked(&self, live: &Live) -> Result<()> {
        let locked = if live.wal { beside(&self.path, "-shm") } else { self.path.clone() };
        if is_locked_by_us(&locked) {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::unavailable(format!(
            "{}: the lock on {path} was lost while it was copied, because another part of this \
             program read the file; leave it out of the volume that holds it",
            self.name
        )))
    }

    /// The copy of what was frozen, looked at by SQLite.
    fn finish(&self, live: &Live) -> Result<(Facts, Option<String>)> {
        if live.wal {
            self.copy(live, MOST)?;
            self.still_locked(live)?;
        }
        let copied = open_unchanging(&self.name, &self.copy)?;
        let facts = self.facts(&copied, live.wal)?;
        if facts.bytes > CHECKED_BYTES {
            return Ok((facts, None));
        }
        let found = damage(&copied, false).map_err(|error| self.failed(error))?;
        Ok((facts, found))
    }

    fn facts(&self, copied: &Connection, wal: bool) -> Result<Facts> {
        let meta = self.path.metadata();
        let meta = meta.map_err(|error| Error::io(error, self.path.display()))?;
        let bytes = self.copy.metadata().map_or(0, |meta| meta.len());
        let tables = tables(copied).map_err(|error| self.failed(error))?;
        let mode = meta.mode() & 0o7777;
        Ok(Facts {
            path: self.path.clone(),
            bytes,
            tables,
            wal,
            mode,
            uid: meta.uid(),
            gid: meta.gid(),
        })
    }
}

impl Source for SqliteSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        let live = self.open()?;
        let read = patiently(&self.context, || tables(&live.connection));
        read.map_err(|error| self.failed(error))?;
        let held = "commits wait while the file is looked at, or copied if it changed; in WAL \
                    mode they would not";
        let freezes = (!live.wal).then(|| held.to_owned());
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let mut live = self.open()?;
        let log = beside(&self.path, "-wal").metadata().map_or(0, |meta| meta.len());
        let bytes = self.path.metadata().map_or(0, |meta| meta.len());
        space::require(&self.name, &self.context.scratch, bytes + log)?;
        if !live.wal {
            live.copied = self.copy_beforehand(&live)?;
        }
        self.live = Some(live);
        Ok(())
    }

    /// The lock goes with its connection, and that with the run: the guard keeps the run going.
    fn guarded(&self) -> Option<Guarded> {
        let (connector, name) = ("sqlite".to_owned(), self.name.clone());
        let holds = self.live.as_ref().is_some_and(|live| !live.wal);
        holds.then_some(Guarded { connector, name, what: Value::Null })
    }

    fn turn(&self) -> Turn {
        if self.guarded().is_some() { Turn::Waits } else { Turn::Passes }
    }

    fn renew(&mut self) -> Result<()> {
        let Some(live) = self.live.as_ref().filter(|live| !live.wal) else { return Ok(()) };
        if live.copied == Some(self.changes(&live.connection)?) {
            return Ok(());
        }
        let copied = self.copy_beforehand(live)?;
        self.live.iter_mut().for_each(|live| live.copied = copied);
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        // Its log may have begun since it was opened.
        let hold = self.hold();
        if let Some(live) = &mut self.live {
            live.hold = hold;
        }
        let Some(live) = &self.live else {
            return Err(Error::internal(format!("{}: frozen before it was prepared", self.name)));
        };
        // Nothing is locked before the first statement that reads.
        let begun = live.connection.execute_batch("BEGIN");
        let read = || tables(&live.connection);
        begun.and_then(|()| patiently(&self.context, read)).map_err(|error| self.failed(error))?;
        if live.wal {
            return Ok(());
        }
        let now = self.changes(&live.connection)?;
        if live.copied != Some(now) {
            self.copy(live, MOST_IN_WINDOW)?;
        }
        self.still_locked(live)
    }

    fn thaw(&mut self) -> Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        if live.wal || live.connection.is_autocommit() {
            return Ok(());
        }
        live.connection.execute_batch("COMMIT").map_err(|error| self.failed(error))
    }

    fn view(&mut self) -> Result<View> {
        if let Some(live) = self.live.take() {
            self.copied = Some(self.finish(&live)?);
        }
        let Some((facts, damage)) = &self.copied else {
            return Err(Error::internal(format!("{}: shown before it was frozen", self.name)));
        };
        let consistency =
            if damage.is_some() { Consistency::None } else { Consistency::Application };
        let said = |found: &String| format!("the database itself is damaged: {found}");
        Ok(View {
            parts: vec![Part { at: STORED.into(), content: content(&self.copy, facts.bytes)? }],
            consistency,
            why_not_more: damage.as_ref().map(said),
            mark: None,
            facts: serde_json::to_value(facts).expect("it has names and numbers only"),
            version: None,
        })
    }

    /// A copy of what is damaged is worth something, and is not what was asked for.
    fn missing(&self) -> Vec<String> {
        let is_damaged = self.copied.as_ref().is_some_and(|(_, damage)| damage.is_some());
        let what = "it cannot be restored as a database, only its file (--to)";
        if is_damaged { vec![what.to_owned()] } else { Vec::new() }
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.live = None;
        for path in [self.copy.clone(), beside(&self.copy, "-journal")] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(error, path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn content(path: &Path, bytes: u64) -> Result<Content> {
    let file = File::open(path).map_err(|error| Error::io(error, path.display()))?;
    let node = Node { size: bytes, ..Node::new(Kind::Stream) };
    Ok(Content::Stream { node, read: Box::new(file), end: Box::new(|| Ok(())) })
}
