//! `reflink`: ext4 or xfs on an image that lies on a file system with reflinks. The upper one is
//! frozen, the image is shared one level below, the upper one thaws; then the copy is mounted
//! read-only, where nobody else sees it, and walked.
//!
//! Sharing files *inside* of a frozen file system would wait for its thaw: it is the image, one
//! level below, that is shared.

mod below;
mod clone;
mod source;

use serde_json::Value;
use tintype_model::Result;
use tintype_model::resource::Resource;

use super::place::At;
use super::{discover, target};
use crate::connector::{Connector, Context, Discovered, Source, Target};

/// See the module's head.
#[derive(Debug)]
pub struct Reflink;

pub(super) const NAME: &str = "reflink";

impl Connector for Reflink {
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
        Ok(Box::new(source::Shared::new(resource, context)?))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(target::target(context))
    }

    fn thaw(&self, guarded: &Value, _: &Context) -> Result<()> {
        source::thaw_guarded(guarded)
    }

    fn outlives(&self) -> bool {
        true
    }

    fn clean(&self, _: &[&Resource], context: &Context, removed: &mut Vec<String>) -> Result<()> {
        clone::clean(context, removed)
    }
}
