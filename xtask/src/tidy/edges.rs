//! Which crate may depend on which. The lists below are the architecture; see ARCHITECTURE.md.

use super::Finding;
use crate::paths;
use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// (crate, crates of this workspace on which it may depend)
const ALLOWED: [(&str, &[&str]); 10] = [
    ("tintype-model", &[]),
    // The commit protocol as a model: shares no code with what it models.
    ("tintype-protocol", &[]),
    ("tintype-engine", &["tintype-model"]),
    ("tintype-source", &["tintype-model"]),
    ("tintype-api", &["tintype-model"]),
    ("tintype-runner", &["tintype-model", "tintype-engine", "tintype-source"]),
    ("tintype-manager", &["tintype-model", "tintype-runner", "tintype-api"]),
    (
        "tintype",
        &[
            "tintype-model",
            "tintype-engine",
            "tintype-source",
            "tintype-runner",
            "tintype-api",
            "tintype-manager",
        ],
    ),
    ("tintype-testkit", &["tintype-model", "tintype-engine", "tintype-source", "tintype-runner"]),
    // Measures against the same store that the tests start.
    ("xtask", &["tintype-testkit"]),
];

const TESTKIT: &str = "tintype-testkit";

pub(super) fn check() -> anyhow::Result<Vec<Finding>> {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(paths::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read the workspace's metadata")?;
    let packages = metadata.workspace_packages();
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    Ok(packages.iter().flat_map(|package| check_package(package, &names)).collect())
}

fn check_package(package: &Package, workspace: &[&str]) -> Vec<Finding> {
    let manifest = package.manifest_path.as_std_path();
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    let file = manifest.strip_prefix(paths::root()).unwrap_or(manifest);
    let finding = |line, message| Finding { file: file.display().to_string(), line, message };
    let name = package.name.as_str();
    let Some((_, allowed)) = ALLOWED.iter().find(|(listed, _)| *listed == name) else {
        return vec![finding(1, format!("crate `{name}` has no place in xtask/src/tidy/edges.rs"))];
    };
    let inside =
        package.dependencies.iter().filter(|found| workspace.contains(&found.name.as_str()));
    let bad = inside.filter(|found| !may_depend(name, allowed, &found.name, found.kind));
    bad.map(|found| {
        let position = text.lines().position(|line| line.trim_start().starts_with(&found.name));
        let kind = if found.kind == DependencyKind::Development { " (even in tests)" } else { "" };
        let message = format!("`{name}` must not depend on `{}`{kind}", found.name);
        finding(position.map_or(1, |index| index + 1), message)
    })
    .collect()
}

fn may_depend(from: &str, allowed: &[&str], to: &str, kind: DependencyKind) -> bool {
    // A crate's own tests may switch on its own features, and use the test kit.
    let for_tests = kind == DependencyKind::Development && (to == from || to == TESTKIT);
    allowed.contains(&to) || for_tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(from: &str, to: &str, kind: DependencyKind) -> bool {
        let (_, list) = ALLOWED.iter().find(|(name, _)| *name == from).expect("listed");
        may_depend(from, list, to, kind)
    }

    #[test]
    fn engine_and_source_never_see_each_other() {
        for kind in [DependencyKind::Normal, DependencyKind::Development, DependencyKind::Build] {
            assert!(!allowed("tintype-engine", "tintype-source", kind));
            assert!(!allowed("tintype-source", "tintype-engine", kind));
        }
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert!(allowed("tintype-engine", TESTKIT, DependencyKind::Development));
        assert!(!allowed("tintype-engine", TESTKIT, DependencyKind::Normal));
        assert!(allowed("tintype-engine", "tintype-engine", DependencyKind::Development));
        assert!(!allowed("tintype-manager", "tintype-engine", DependencyKind::Normal));
    }
}
