//! Which snapshot a restore of resources takes.

use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::item::{Descriptor, Outcome};
use tintype_model::resource::Resources;
use tintype_model::selector::{Selector, Which};
use tintype_runner::group;

use super::Args;
use crate::app::App;
use crate::{pick, show};

/// So many are asked at most what they hold.
const LOOKED_AT: usize = 50;

/// The one that was named. The latest, of resources that are named, is the newest that holds them.
pub(super) fn chosen(args: &Args, app: &App, repository: &Repository) -> anyhow::Result<Snapshot> {
    let listing = app.listing(repository)?;
    let newest = pick::pick(&listing, &args.place)?;
    let names = args.of_resources.asked();
    if args.place.which != Which::Latest(0) || names.is_empty() {
        return Ok(newest.clone());
    }
    for back in 0..LOOKED_AT {
        let which = Selector { which: Which::Latest(back), path: None };
        let Ok(snapshot) = pick::pick(&listing, &which) else { break };
        // A damaged one is named by its id, or told of as the newest.
        let Ok(Some(descriptor)) = group::descriptor(repository, snapshot) else { continue };
        if !holds(descriptor, &names) {
            continue;
        }
        if snapshot.id != newest.id {
            app.report.note(format!(
                "snapshot {} is newer and does not hold {}: {} of {} is the newest that does",
                newest.id.short(),
                names.join(", "),
                snapshot.id.short(),
                show::time(snapshot.manifest.time)
            ));
        }
        return Ok(snapshot.clone());
    }
    Ok(newest.clone())
}

/// Whether all of that was captured.
fn holds(descriptor: Descriptor, names: &[String]) -> bool {
    let Descriptor { resources, items, .. } = descriptor;
    let resources = Resources::new(resources);
    let is_captured = |name: &str| {
        items.iter().any(|item| item.name == name && item.outcome == Outcome::Captured)
    };
    let selected = group::selected(&resources, names);
    selected.is_ok_and(|all| all.iter().all(|resource| is_captured(&resource.name)))
}
