//! Repositories on real network file systems: a guest whose kernel mounts NFS and SMB from
//! servers of this machine, and does the main job on each.

mod guest;
mod servers;

use crate::clock::Stopwatch;
use crate::paths;
use crate::sh::{Sh, which};
use anyhow::{Context, bail};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// Programs, and the Debian packages that hold them.
const PROGRAMS: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("ganesha.nfsd", "nfs-ganesha-vfs"),
    ("smbd", "samba"),
];

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    install()?;
    Sh::cargo()?.args(["build", "-p", "tintype"]).run()?;
    let kernel = guest::kernel()?;
    let watch = Stopwatch::start();
    let work = tempfile::Builder::new().prefix("tintype-mounts-").tempdir()?;
    let (nfs, smb) = (servers::nfs(work.path())?, servers::smb(work.path())?);
    let program = paths::target()?.join("debug/tintype");
    let ramdisk = guest::ramdisk(work.path(), &kernel, &program, [nfs.port, smb.port])?;
    let console = guest::boot(&kernel, &ramdisk)?;
    let missing: Vec<&str> = ["nfs", "smb"]
        .into_iter()
        .filter(|mount| !console.contains(&format!("RESULT {mount} ok")))
        .collect();
    if !missing.is_empty() {
        bail!("{console}\nfailed on: {}; the guest's console is above", missing.join(", "));
    }
    println!("   NFS and SMB: all of the main job in {:.0} s", watch.seconds());
    Ok(())
}

fn install() -> anyhow::Result<()> {
    let missing = PROGRAMS.iter().filter(|(program, _)| which(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    println!("   installs with apt-get: {}", packages.join(" "));
    let quiet = ["install", "-y", "-qq", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"];
    Sh::new("apt-get")
        .args(quiet)
        .args(&packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
        .with_context(|| format!("as root: apt-get install {}", packages.join(" ")))
}
