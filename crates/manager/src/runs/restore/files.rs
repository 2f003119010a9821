//! Files out of a snapshot, into a directory of a host.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tintype_api::restore::{MOST_PATHS, NotRestored, PlannedItem, RestoreFiles};
use tintype_api::run::{LogLevel, RunState};
use tintype_model::count::counted;
use tintype_model::{Error, Result, size};
use tintype_runner::vault::work::{Done, Work, WorkOrder};
use tintype_runner::vault::{FilesOutcome, FilesTo};

use super::{Planned, access_of, answered_something_else, place_of};
use crate::agents::hands::{self, For};
use crate::agents::{Place, shown as shown_place};
use crate::catalog::snapshots::Known;
use crate::runs::Handle;
use crate::runs::dispatcher::{Ended, Write, nothing};
use crate::state::State;

/// So many paths are named in words.
const MOST_SHOWN: usize = 5;

/// Plans a restore of files there, and with `apply` does it.
pub(super) async fn there(
    state: &State,
    known: &Known,
    place: &Place,
    of: For<'_>,
    files: &RestoreFiles,
    apply: bool,
) -> Result<FilesOutcome> {
    let (snapshot, to) = (known.snapshot.id.clone(), place_in(files)?);
    let access = access_of(state, known, place).await?;
    let work = Work::RestoreFiles { snapshot, to, apply };
    match hands::perform(state, place, of, WorkOrder::new(work, Some(access))).await? {
        Done::Files(outcome) => Ok(outcome),
        _ => Err(answered_something_else()),
    }
}

fn place_in(files: &RestoreFiles) -> Result<FilesTo> {
    let directory = PathBuf::from(&files.to);
    if !directory.is_absolute() {
        return Err(Error::invalid("`to` is the whole path of a directory"));
    }
    let paths: Vec<Vec<u8>> = files.all().map(|path| path.as_bytes().to_vec()).collect();
    if paths.is_empty() {
        return Err(Error::invalid("`path`, or several `paths`, say what is restored"));
    }
    if paths.len() > MOST_PATHS {
        let count = paths.len();
        let what = format!("{count} paths are more than the {MOST_PATHS} that one restore takes");
        return Err(Error::invalid(what));
    }
    if paths.len() > 1 && paths.iter().any(Vec::is_empty) {
        return Err(Error::invalid("`/` is all of it: name it alone, or leave it out"));
    }
    Ok(FilesTo { paths, directory, overwrite: files.overwrite })
}

/// What is restored, in words; and what is typed where something is replaced.
fn named(files: &RestoreFiles, snapshot: &str) -> (String, String) {
    let paths: Vec<&str> = files.all().collect();
    match paths[..] {
        [""] => ("/".to_owned(), "/".to_owned()),
        [one] => (one.to_owned(), one.to_owned()),
        _ => {
            let more = if paths.len() > MOST_SHOWN { ", …" } else { "" };
            let shown = paths[..paths.len().min(MOST_SHOWN)].join(", ");
            (format!("{shown}{more}"), snapshot.chars().take(8).collect())
        }
    }
}

pub(super) fn shown(files: &RestoreFiles, outcome: FilesOutcome, known: &Known) -> Planned {
    let tenant = &known.snapshot.tenant;
    let (name, confirm) = named(files, &known.snapshot.id);
    let FilesOutcome { counts, left } = outcome;
    let to = format!("files into {}", files.to);
    let steps = [
        (counts.create, "created"),
        (counts.replace, "replaced"),
        (counts.keep, "left as they are, because they differ and are not to be replaced"),
        (counts.same, "there already"),
        (counts.refuse, "refused: something of another kind is in the way"),
    ];
    let steps = steps.iter().filter(|(count, _)| *count > 0);
    let item = PlannedItem {
        name,
        tenant: tenant.clone(),
        to,
        bytes: counts.bytes,
        agent: files.agent.clone(),
        replaces: counts.replace > 0,
        checks: Vec::new(),
        steps: steps.map(|(count, what)| format!("{count} {what}")).collect(),
    };
    let missing = left.into_iter().map(|(path, reason)| NotRestored {
        name: String::from_utf8_lossy(&path).into_owned(),
        reason,
    });
    Planned {
        confirm: item.replaces.then_some(confirm),
        items: vec![item],
        missing: missing.collect(),
        commands: Vec::new(),
        is_blocked: false,
        sealed: None,
        tenants: vec![tenant.clone()],
    }
}

pub(super) async fn write(
    state: &State,
    handle: &Arc<Handle>,
    known: &Known,
    files: &RestoreFiles,
) -> Result<Ended> {
    let place = place_of(state, files.agent.as_ref(), &known.snapshot.tenant).await?;
    let of = For::Step(handle, "files");
    let FilesOutcome { counts, left } = there(state, known, &place, of, files, true).await?;
    for (path, reason) in left.iter().take(1000) {
        let line = format!("/{}: {reason}", String::from_utf8_lossy(path));
        handle.log(state, LogLevel::Warning, line).await;
    }
    let written = counts.create + counts.replace;
    let line = format!(
        "{}, {}, written to {} on {}; {} there already",
        counted(written, "entry", "entries"),
        size::format(counts.bytes),
        files.to,
        shown_place(&place),
        counted(counts.same, "is", "are"),
    );
    handle.log(state, LogLevel::Info, line).await;
    let result = json!({
        "created": counts.create, "replaced": counts.replace, "same": counts.same,
        "kept": counts.keep, "left": left.len(),
    });
    let (state, cause) = match left.len() {
        0 => (RunState::Succeeded, None),
        n => (RunState::Incomplete, Some(format!("{n} entries were not restored: see the log"))),
    };
    let write: Write = nothing();
    Ok(Ended { state, result, cause, write })
}
