//! `files`: a directory as it is while others write to it. What changes while it is read is
//! detected and told, and nothing is of one moment.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tintype_model::Result;
use tintype_model::resource::{Consistency, Resource};

use super::place::{At, Place, excludes};
use super::{discover, mounts, opened};
use crate::connector::{
    CapturePlan, Changed, Connector, Content, Context, Discovered, Part, Released, Source, Target,
    View,
};
use crate::files::Excludes;

/// See the module's head.
#[derive(Debug)]
pub struct Files;

pub(super) const NAME: &str = "files";

impl Connector for Files {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        At::schema()
    }

    fn discover(&self, context: &Context) -> Result<Vec<Discovered>> {
        discover::volumes(NAME, context)
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        super::place::check(resource)
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let at = At::of(&resource.name, &resource.at)?;
        let excludes = excludes(resource)?;
        let scratch = context.scratch.clone();
        Ok(Box::new(Live { name: resource.name.clone(), at, excludes, scratch, open: None }))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(super::target::target(context))
    }

    fn clean(
        &self,
        resources: &[&Resource],
        context: &Context,
        removed: &mut Vec<String>,
    ) -> Result<()> {
        removed.extend(super::target::clean(resources, context));
        Ok(())
    }
}

struct Live {
    name: String,
    at: At,
    excludes: Arc<Excludes>,
    scratch: PathBuf,
    /// Held open: a volume that is unmounted meanwhile must not be taken for an empty one.
    open: Option<OwnedFd>,
}

impl Live {
    fn why(place: &Place) -> String {
        let kind = mounts::of(&place.directory, &place.path).map(|mount| mount.kind);
        let help = match kind.as_deref() {
            Ok("btrfs") => "use the connector btrfs",
            Ok("cifs" | "smb3" | "nfs" | "nfs4") => {
                "it is a share of another host; protect it there, where it can be frozen"
            }
            _ => "put it on btrfs, or on an image on a file system with reflinks",
        };
        format!("read while others write: its files may be of different moments; {help}")
    }
}

impl Source for Live {
    fn plan(&mut self) -> Result<CapturePlan> {
        let place = self.at.open(&self.name)?;
        let why_not_more = Some(Self::why(&place));
        Ok(CapturePlan { reaches: Consistency::None, why_not_more, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        self.open = Some(self.at.open(&self.name)?.directory);
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let directory = match self.open.take() {
            Some(directory) => directory,
            None => self.at.open(&self.name)?.directory,
        };
        let mount = mounts::of(&directory, &self.at.path)?;
        let place = Place { path: self.at.path.clone(), directory };
        let why_not_more = Some(Self::why(&place));
        let directory = self.open.insert(place.directory);
        let scratch = self.scratch.metadata().ok();
        let content = Content::Files {
            root: opened::path_of(directory),
            excludes: Arc::clone(&self.excludes),
            one_file_system: self.at.one_file_system,
            never_enter: scratch.iter().map(|found| (found.dev(), found.ino())).collect(),
            grafts: Vec::new(),
            changed: Changed::Unknown,
        };
        Ok(View {
            parts: vec![Part { at: Vec::new(), content }],
            consistency: Consistency::None,
            why_not_more,
            mark: None,
            facts: json!({ "path": self.at.path, "filesystem": mount.kind }),
            version: None,
        })
    }

    fn may_be_empty(&self) -> bool {
        self.at.may_be_empty
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.open = None;
        Ok(())
    }
}
