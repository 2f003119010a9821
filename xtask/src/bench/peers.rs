//! The peers: exact versions, built or installed into the cache by `--install-peers`.

use super::tools::Tool;
use crate::sh::{Sh, which};
use crate::{paths, python};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

const RESTIC: GoPeer = GoPeer {
    name: "restic",
    module: "github.com/restic/restic",
    version: "0.18.1",
    package: "github.com/restic/restic/cmd/restic",
};
const KOPIA: GoPeer = GoPeer {
    name: "kopia",
    module: "github.com/kopia/kopia",
    version: "0.22.3",
    package: "github.com/kopia/kopia",
};
const RUSTIC_VERSION: &str = "0.11.4";
const BORG_VERSION: &str = "1.4.5";

/// Debian packages that borg's wheel is built with.
const BORG_PACKAGES: [&str; 8] = [
    "gcc",
    "pkg-config",
    "python3-dev",
    "libacl1-dev",
    "libssl-dev",
    "liblz4-dev",
    "libzstd-dev",
    "libxxhash-dev",
];

struct GoPeer {
    name: &'static str,
    module: &'static str,
    version: &'static str,
    package: &'static str,
}

pub(super) fn version(peer: Tool) -> &'static str {
    match peer {
        Tool::Restic => RESTIC.version,
        Tool::Kopia => KOPIA.version,
        Tool::Rustic => RUSTIC_VERSION,
        Tool::Borg => BORG_VERSION,
        Tool::Tintype => env!("CARGO_PKG_VERSION"),
    }
}

pub(super) fn program(peer: Tool) -> anyhow::Result<PathBuf> {
    Ok(folder(peer.name())?.join("bin").join(peer.name()))
}

fn folder(name: &str) -> anyhow::Result<PathBuf> {
    Ok(paths::cache()?.join("peers").join(name))
}

/// Present, and of the wanted version.
pub(super) fn is_installed(peer: Tool) -> bool {
    let Ok(program) = program(peer) else { return false };
    let printed = Sh::new(program).arg(peer.version_word()).read().unwrap_or_default();
    printed.contains(version(peer))
}

/// Installs what is missing, one heavy build at a time.
pub(super) fn install(wanted: &[Tool]) -> anyhow::Result<()> {
    for peer in wanted.iter().copied().filter(|peer| *peer != Tool::Tintype) {
        let (name, version) = (peer.name(), version(peer));
        if is_installed(peer) {
            println!("   {name} {version} is there");
            continue;
        }
        println!("   installing {name} {version}");
        std::fs::create_dir_all(folder(name)?.join("bin"))?;
        match peer {
            Tool::Restic => install_go(&RESTIC),
            Tool::Kopia => install_go(&KOPIA),
            Tool::Rustic => install_rustic(),
            Tool::Borg => install_borg(),
            Tool::Tintype => Ok(()),
        }
        .with_context(|| format!("cannot install {name} {version}"))?;
    }
    Ok(())
}

/// A module of our own that requires the exact version: `go install` refuses modules whose
/// `go.mod` has replace directives, a build from another module does not.
fn install_go(peer: &GoPeer) -> anyhow::Result<()> {
    if which("go").is_none() {
        bail!("Go is not installed");
    }
    let folder = folder(peer.name)?;
    let module = folder.join("module");
    std::fs::create_dir_all(&module)?;
    let version = format!("v{}", peer.version);
    let manifest = format!("module peer\n\ngo 1.24\n\nrequire {} {version}\n", peer.module);
    std::fs::write(module.join("go.mod"), manifest)?;
    let import = format!("//go:build tools\n\npackage tools\n\nimport _ \"{}\"\n", peer.package);
    std::fs::write(module.join("tools.go"), import)?;
    let go = |args: &[&str]| Sh::new("nice").arg("go").args(args).dir(&module);
    go(&["mod", "tidy"]).run()?;
    let program = folder.join("bin").join(peer.name);
    go(&["build", "-mod=mod", "-o"]).arg(program).arg(peer.package).run()?;
    Ok(())
}

fn install_rustic() -> anyhow::Result<()> {
    let build = paths::cache()?.join("build/rustic");
    let root = folder("rustic")?;
    Sh::new("nice")
        .args(["cargo", "install", "rustic-rs", "--version", RUSTIC_VERSION, "--locked", "--root"])
        .arg(root)
        .env("CARGO_TARGET_DIR", &build)
        .run()?;
    std::fs::remove_dir_all(build).ok();
    Ok(())
}

fn install_borg() -> anyhow::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && which("apt-get").is_some() {
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        Sh::new("apt-get").args(install).args(BORG_PACKAGES).run()?;
    }
    let bin = python::environment("borg", &format!("borgbackup=={BORG_VERSION}\n"))?;
    link(&bin.join("borg"), &folder("borg")?.join("bin/borg"))
}

fn link(program: &Path, name: &Path) -> anyhow::Result<()> {
    std::fs::remove_file(name).ok();
    std::os::unix::fs::symlink(program, name)?;
    Ok(())
}
