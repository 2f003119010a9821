//! The stages that cargo and its companions carry out.

use crate::leftovers::Place;
use crate::sh::{Sh, which};
use crate::stage::Outcome::{self, Done};
use crate::{paths, tidy};
use anyhow::Context;
use std::path::PathBuf;

const DENY_VERSION: &str = "0.20.2";

pub(super) fn fmt() -> anyhow::Result<Outcome> {
    Sh::cargo()?.args(["fmt", "--all", "--check"]).run().context("`cargo fmt` repairs this")?;
    Ok(Done)
}

pub(super) fn tidy() -> anyhow::Result<Outcome> {
    tidy::run().map(|()| Done)
}

pub(super) fn clippy() -> anyhow::Result<Outcome> {
    let what = ["--workspace", "--all-targets", "--all-features"];
    cargo("clippy")?.args(what).args(["--", "-D", "warnings"]).run()?;
    Ok(Done)
}

pub(super) fn test() -> anyhow::Result<Outcome> {
    let place = Place::new()?;
    let what = ["--workspace", "--all-features", "--all-targets"];
    cargo("test")?.args(what).env("TMPDIR", place.path()).run()?;
    place.check()?;
    Ok(Done)
}

pub(super) fn doctest() -> anyhow::Result<Outcome> {
    cargo("test")?.args(["--workspace", "--all-features", "--doc"]).run()?;
    Ok(Done)
}

pub(super) fn doc() -> anyhow::Result<Outcome> {
    let what = ["--workspace", "--all-features", "--no-deps", "--quiet"];
    cargo("doc")?.args(what).env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Done)
}

/// Cargo; in continuous integration a stale `Cargo.lock` is an error.
fn cargo(command: &str) -> anyhow::Result<Sh> {
    let sh = Sh::cargo()?.arg(command);
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    Ok(if in_ci { sh.arg("--locked") } else { sh })
}

/// Licences, bans and sources always; advisories only against a database that is already on this
/// machine, because fetching one needs a network that not every machine has.
pub(super) fn deny() -> anyhow::Result<Outcome> {
    let program = cargo_deny()?;
    // The manifests of all platforms' crates; cargo-deny itself stays off the network.
    Sh::cargo()?.args(["fetch", "--quiet", "--locked"]).run()?;
    let check = |what: &[&str]| {
        let sh = Sh::new(&program).args(["--offline", "--all-features", "--workspace", "check"]);
        sh.args(what).run()
    };
    check(&["--hide-inclusion-graph", "licenses", "bans", "sources"])?;
    if advisory_database().is_some_and(|folder| folder.is_dir()) {
        check(&["advisories"])?;
    } else {
        println!("   advisories not checked: no advisory database on this machine");
    }
    Ok(Done)
}

fn advisory_database() -> Option<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    Some(cargo_home.or_else(home)?.join("advisory-dbs"))
}

/// cargo-deny of the pinned version, built into the cache when it is missing.
fn cargo_deny() -> anyhow::Result<PathBuf> {
    let cache = paths::cache()?;
    let own = cache.join("tools/bin/cargo-deny");
    for program in which("cargo-deny").into_iter().chain([own.clone()]) {
        let version = Sh::new(&program).arg("--version").read();
        if version.is_ok_and(|text| text == format!("cargo-deny {DENY_VERSION}")) {
            return Ok(program);
        }
    }
    println!("   building cargo-deny {DENY_VERSION} into {} (minutes, once)", own.display());
    let build = cache.join("build/cargo-deny");
    Sh::cargo()?
        .args(["install", "cargo-deny", "--version", DENY_VERSION, "--locked", "--force", "--root"])
        .arg(cache.join("tools"))
        .env("CARGO_TARGET_DIR", &build)
        .run()?;
    std::fs::remove_dir_all(&build).ok();
    Ok(own)
}
