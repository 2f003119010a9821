//! What a snapshot would do, without one.

use tintype_model::resource::Resources;
use tintype_model::{Error, Result};
use tintype_source::connector::{CapturePlan, Connector, Context};

use super::member;

/// A resource, and what a capture of it would reach and hold up; or why it would fail.
pub type Preview = (String, Result<CapturePlan>);

/// Looks at the resources that `names` selects; changes nothing.
pub fn preview(
    connectors: &[Box<dyn Connector>],
    resources: &Resources,
    names: &[String],
    context: &Context,
) -> Result<Vec<Preview>> {
    resources.check()?;
    let look = |resource| member::planned(connectors, resource, context).map(|(_, plan)| plan);
    let selected = member::select(resources, names)?.into_iter();
    selected
        .map(|resource| {
            context.cancel.check()?;
            Ok((resource.name.clone(), look(resource)))
        })
        .collect::<Result<_, Error>>()
}
