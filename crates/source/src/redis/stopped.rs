//! The files of a server that does not run: what stands where a restore puts its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tintype_model::entry::{Kind, Node};
use tintype_model::resource::Consistency;
use tintype_model::{Error, Result};

use super::restore::{in_use, servers_in};
use super::{Facts, Names};
use crate::connector::{CapturePlan, Content, Part, Released, Source, View};

/// Fields of `at` by which [`StoppedSource`] captures a directory.
pub(super) fn undo_at(names: &Names, directory: &Path) -> Map<String, Value> {
    let fields = json!({ "stopped": names, "data_directory": directory });
    fields.as_object().cloned().unwrap_or_default()
}

/// Where a file or a directory of it lies in the snapshot.
pub(super) fn at(name: &str) -> String {
    format!("files/{name}")
}

pub(super) struct StoppedSource {
    name: String,
    directory: PathBuf,
    names: Names,
}

impl StoppedSource {
    pub(super) fn new(name: &str, directory: PathBuf, names: Names) -> Self {
        Self { name: name.to_owned(), directory, names }
    }

    fn check(&self) -> Result<()> {
        let servers = servers_in(&self.directory);
        if servers.is_empty() { Ok(()) } else { Err(in_use(&self.directory, &servers)) }
    }

    /// What the server reads comes first.
    fn there(&self) -> Vec<String> {
        let all = self.names.all(self.names.own()).into_iter();
        let there = all.filter(|name| self.directory.join(name).symlink_metadata().is_ok());
        there.map(str::to_owned).collect()
    }

    fn part(&self, name: &str) -> Result<(Part, u64)> {
        let path = self.directory.join(name);
        let failed = |error| Error::io(error, path.display());
        let found = path.metadata().map_err(failed)?;
        let content = if found.is_dir() {
            Content::directory(path.clone(), Arc::default())
        } else {
            let node = Node { size: found.len(), ..Node::new(Kind::Stream) };
            let read = Box::new(File::open(&path).map_err(failed)?);
            Content::Stream { node, read, end: Box::new(|| Ok(())) }
        };
        let bytes = if found.is_dir() { size_of(&path).map_err(failed)? } else { found.len() };
        Ok((Part { at: at(name).into(), content }, bytes))
    }
}

/// Of the files in a directory.
fn size_of(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in directory.read_dir()? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

impl Source for StoppedSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        self.check()?;
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        self.check()
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let there = self.there();
        if there.is_empty() {
            return Err(Error::not_found(format!(
                "{}: there is no data of a Redis in {}",
                self.name,
                self.directory.display()
            )));
        }
        let parts = there.iter().map(|name| self.part(name)).collect::<Result<Vec<_>>>()?;
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
        let mut parts: Vec<Part> = parts.into_iter().map(|(part, _)| part).collect();
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        let facts = Facts {
            version: String::new(),
            bytes,
            directory: self.directory.clone(),
            names: self.names.clone(),
            stopped: Some(there),
        };
        Ok(View {
            parts,
            consistency: Consistency::Application,
            why_not_more: None,
            mark: None,
            version: None,
            facts: serde_json::to_value(facts).expect("it has texts and numbers only"),
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}
