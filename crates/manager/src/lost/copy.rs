//! Copies of the whole catalog as it stands, of whatever version: taken before a newer program brings
//! it up to date and before a recovery replaces it, brought back by `tintype manager undo`. Secrets
//! in them stay sealed with the manager's master key.
//!
//! ```text
//! undo/<time>-<why>/catalog.jsonl   0600; the first line says what the rest is
//! undo/<time>-<why>/due             it is still to be sent to a storage, as a snapshot
//! ```

use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::{Error, Result};

use crate::catalog::Catalog;
use crate::catalog::remake;
use crate::catalog::rows::{Row, Table};
use crate::serve::{self, Options};

const FORMAT: &str = "catalog-copy";
const DIRECTORY: &str = "undo";
const FILE: &str = "catalog.jsonl";
const DUE: &str = "due";
/// So many stay; the oldest go.
const KEPT: usize = 5;

/// What it was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    Upgrade,
    Recover,
    Undo,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Recover => "recover",
            Self::Undo => "undo",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    tintype: String,
    /// Of the catalog.
    pub version: i64,
    /// That took it.
    pub program: String,
    pub time: Timestamp,
    pub why: Why,
}

#[derive(Clone, Debug)]
pub struct Copy {
    pub name: String,
    pub head: Head,
    directory: PathBuf,
}

impl Copy {
    /// What brings it back.
    pub fn command(&self, data: &Path) -> String {
        format!("tintype manager undo {} --data '{}'", self.name, data.display())
    }

    /// Gives each row with its table.
    pub fn each(&self, take: &mut dyn FnMut(&str, Row) -> Result<()>) -> Result<()> {
        for (number, line) in self.lines()?.enumerate().skip(1) {
            let damaged = || Error::corrupt(format!("copy {}, line {}", self.name, number + 1));
            let line = line.map_err(|error| Error::io(error, &self.name))?;
            let mut value: Value = serde_json::from_str(&line).map_err(|_| damaged())?;
            let Value::Object(row) = value["row"].take() else { return Err(damaged()) };
            take(value["table"].as_str().ok_or_else(damaged)?, row)?;
        }
        Ok(())
    }

    fn lines(&self) -> Result<std::io::Lines<std::io::BufReader<std::fs::File>>> {
        let file = self.directory.join(FILE);
        let open = std::fs::File::open(&file).map_err(|error| Error::io(error, file.display()))?;
        Ok(std::io::BufReader::new(open).lines())
    }

    /// It is to be sent to a storage: until [`Self::is_sent`].
    fn mark_due(&self) -> Result<()> {
        let file = self.directory.join(DUE);
        std::fs::write(&file, b"").map_err(|error| Error::io(error, file.display()))
    }

    pub fn is_due(&self) -> bool {
        self.directory.join(DUE).exists()
    }

    pub fn is_sent(&self) -> Result<()> {
        let file = self.directory.join(DUE);
        std::fs::remove_file(&file).map_err(|error| Error::io(error, file.display()))
    }
}

/// Takes one; an unfinished one is never seen. The oldest go.
pub async fn take(catalog: &Catalog, data: &Path, why: Why, now: Timestamp) -> Result<Copy> {
    let copy = add(catalog, data, why, now).await?;
    forget(data)?;
    Ok(copy)
}

async fn add(catalog: &Catalog, data: &Path, why: Why, now: Timestamp) -> Result<Copy> {
    let stamp = now.strftime("%Y%m%dt%H%M%S").to_string();
    let name = format!("{stamp}-{:03}-{}", now.subsec_millisecond(), why.name());
    let (directory, new) = (data.join(DIRECTORY).join(&name), data.join(DIRECTORY).join(".new"));
    let failed = |error| Error::io(error, directory.display());
    let _ = std::fs::remove_dir_all(&new);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&new).map_err(failed)?;
    let mut options = std::fs::OpenOptions::new();
    let open = options.write(true).create_new(true).mode(0o600).open(new.join(FILE));
    let file = open.map_err(failed)?;
    let mut out = std::io::BufWriter::new(&file);
    let mut moment = catalog.moment().await?;
    let version = remake::version(&mut moment).await?.unwrap_or_default();
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let head = Head { tintype: FORMAT.to_owned(), version, program, time: now, why };
    writeln!(out, "{}", json!(head)).map_err(failed)?;
    for name in remake::tables() {
        let Some(table) = Table::of(&mut moment, name).await? else { continue };
        let mut write =
            |row| writeln!(out, "{}", json!({ "table": name, "row": row })).map_err(failed);
        table.each(&mut moment, &mut write).await?;
    }
    out.flush().and_then(|()| file.sync_all()).map_err(failed)?;
    drop(out);
    std::fs::rename(&new, &directory).map_err(failed)?;
    let above = std::fs::File::open(data.join(DIRECTORY)).and_then(|above| above.sync_all());
    above.map_err(failed)?;
    let copy = Copy { name, head, directory };
    if why == Why::Upgrade {
        copy.mark_due()?;
    }
    Ok(copy)
}

fn forget(data: &Path) -> Result<()> {
    let all = list(data)?;
    for old in all.iter().rev().skip(KEPT) {
        std::fs::remove_dir_all(&old.directory).map_err(|error| Error::io(error, &old.name))?;
    }
    Ok(())
}

/// Oldest first; what is none is passed over.
pub fn list(data: &Path) -> Result<Vec<Copy>> {
    let above = data.join(DIRECTORY);
    let entries = match std::fs::read_dir(&above) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| Error::io(error, above.display()))?,
    };
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(error, above.display()))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort();
    Ok(names.iter().filter_map(|name| find(data, name).ok()).collect())
}

/// One by its name.
pub fn find(data: &Path, name: &str) -> Result<Copy> {
    let absent = || Error::not_found(format!("there is no copy {name} of the catalog"));
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(absent());
    }
    let directory = data.join(DIRECTORY).join(name);
    let damaged = |what: &str| Error::corrupt(format!("copy {name} of the catalog: {what}"));
    let file = directory.join(FILE);
    let open = match std::fs::File::open(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(absent()),
        open => open.map_err(|error| Error::io(error, file.display()))?,
    };
    let mut line = String::new();
    let read = std::io::BufReader::new(open).read_line(&mut line);
    read.map_err(|error| Error::io(error, file.display()))?;
    let head: Head = serde_json::from_str(&line).map_err(|error| damaged(&error.to_string()))?;
    if head.tintype != FORMAT {
        return Err(damaged("its first line does not say that it is one"));
    }
    Ok(Copy { name: name.to_owned(), head, directory })
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct BroughtBack {
    pub copy: Copy,
    /// Of what was there before.
    pub undo: Option<Copy>,
}

/// Puts a copy in place of the catalog, in one transaction; what is there is copied first.
pub async fn bring_back(options: &Options, name: &str) -> Result<BroughtBack> {
    let copy = find(&options.data, name)?;
    let catalog = serve::as_it_stands(options).await?;
    let mut undo = None;
    if catalog.version().await?.is_some() {
        let now = options.env.clock.now();
        // The oldest may be the one that is wanted.
        undo = Some(add(&catalog, &options.data, Why::Undo, now).await?);
    }
    let mut change = catalog.change().await?;
    remake::begin_anew(change.on(), copy.head.version).await?;
    let mut rows: Option<(String, Table)> = None;
    for (number, line) in copy.lines()?.enumerate().skip(1) {
        let damaged =
            |what: String| Error::corrupt(format!("copy {name}, line {}: {what}", number + 1));
        let line = line.map_err(|error| Error::io(error, name))?;
        let mut value: Value =
            serde_json::from_str(&line).map_err(|error| damaged(error.to_string()))?;
        let table = value["table"].as_str().unwrap_or_default().to_owned();
        if rows.as_ref().is_none_or(|(known, _)| *known != table) {
            let found = match remake::tables().any(|known| known == table) {
                true => Table::of(change.on(), &table).await?,
                false => None,
            };
            let found = found.ok_or_else(|| damaged("it is of no table that is known".into()))?;
            found.empty(change.on()).await?;
            rows = Some((table, found));
        }
        let (Value::Object(row), Some((_, table))) = (value["row"].take(), &rows) else {
            return Err(damaged("it has no row".into()));
        };
        table.insert(change.on(), &row).await.map_err(|error| damaged(error.to_string()))?;
    }
    change.commit_untold().await?;
    catalog.close().await;
    forget(&options.data)?;
    Ok(BroughtBack { copy, undo })
}
