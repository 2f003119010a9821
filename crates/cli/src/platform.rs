//! What this host runs, as commands see it: connectors, descriptions of resources, and where runs
//! keep what they need while they work.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::reading::plain;
use tintype_model::resource::Resources;
use tintype_runner::group::{GroupOptions, GuardCommand, Places, Run};
use tintype_runner::vault::check_described;

use crate::document;
use crate::exit::usage;

/// A longer description is refused.
const DOCUMENT_BYTES: u64 = 16 << 20;

/// Reads and checks a description; `-` is standard input. Every JSON text is YAML too.
pub(crate) fn load(path: &Path) -> anyhow::Result<Resources> {
    let name = path.display();
    let text = document::read(path, DOCUMENT_BYTES)?;
    let resources: Resources = serde_norway::from_str(&text).map_err(|error| {
        usage(format!("{name} describes no resources: {}", plain(&error.to_string())))
    })?;
    resources.check().map_err(|error| usage(format!("{name}: {error}")))?;
    for resource in &resources.resources {
        check_described(resource).map_err(|error| usage(format!("{name}: {error}")))?;
    }
    Ok(resources)
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where runs of this user know of each other.
pub(crate) fn runtime_dir() -> PathBuf {
    if let Some(dir) = set("TINTYPE_RUNTIME_DIR") {
        return dir;
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/run/tintype");
    }
    match set("XDG_RUNTIME_DIR") {
        Some(dir) => dir.join("tintype"),
        None => std::env::temp_dir()
            .join(format!("tintype-runtime-{}", rustix::process::geteuid().as_raw())),
    }
}

/// What commands remember from one start of the host to the next.
pub(crate) fn state_dir() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/tintype".into());
    }
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Ok(state.context("neither XDG_STATE_HOME nor HOME is set")?.join("tintype"))
}

pub(crate) fn default_scratch() -> PathBuf {
    PathBuf::from("/var/tmp")
}

/// The guard is this program.
pub(crate) fn guard_command() -> anyhow::Result<GuardCommand> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    Ok(GuardCommand { program, arguments: vec!["guard".into()], environment: Vec::new() })
}

/// `own`: directories of this host that this process writes to.
pub(crate) fn group_options(
    own: &[PathBuf],
    scratch: Option<&Path>,
    ahead_bytes: usize,
) -> anyhow::Result<GroupOptions> {
    let scratch_dir = scratch.map_or_else(default_scratch, Path::to_path_buf);
    let runtime_dir = runtime_dir();
    // Without a home there is nothing better.
    let state_dir = state_dir().unwrap_or_else(|_| runtime_dir.clone());
    let places = Places { runtime_dir, state_dir, scratch_dir };
    Ok(GroupOptions::new(own, places, guard_command()?, ahead_bytes))
}

/// A run that only looks.
pub(crate) fn looking(env: &Env, cancel: &Cancel, scratch: Option<&Path>) -> anyhow::Result<Run> {
    let options = group_options(&[], scratch, 0)?;
    Ok(Run::begin(env, cancel, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "version: 1\nresources:\n- kind: database\n  name: rows\n  connector: postgres\n  at: { host: /run, port: 5432 }\n  consistency: application\n- &v\n  kind: volume\n  name: files\n  connector: btrfs\n  at: { path: /srv }\n  excludes: [ \"cache/\" ]\n  version: { command: [ a, --version ] }\n- kind: application\n  name: app\n  components: [ { resource: rows, order: 1 }, { resource: files, group: later } ]\n  hooks: [ { phase: post-thaw, command: [ b ], on_error: continue } ]\n";

    #[test]
    fn the_sample_is_right() {
        serde_norway::from_str::<Resources>(SAMPLE).unwrap().check().unwrap();
    }

    #[test]
    fn what_unfolds_without_end_is_refused() {
        let mut text =
            "version: 1\nresources: *k9\na0: &k0 [ x, x, x, x, x, x, x, x ]\n".to_owned();
        for level in 1..10 {
            let below = [&*format!("*k{}", level - 1); 8].join(", ");
            text.insert_str(0, &format!("a{level}: &k{level} [ {below} ]\n"));
        }
        let in_order: String = text.lines().rev().flat_map(|line| [line, "\n"]).collect();
        assert!(serde_norway::from_str::<serde_json::Value>(&in_order).is_err());
        assert!(serde_norway::from_str::<Resources>(&in_order).is_err());
    }

    proptest::proptest! {
        #[test]
        fn changed_descriptions_are_read_or_refused(
            text in tintype_testkit::hostile::changed_text(&[SAMPLE]),
        ) {
            if let Ok(resources) = serde_norway::from_str::<Resources>(&text) {
                let _ = resources.check();
            }
        }
    }
}
