//! Packages of Debian, installed by root on first use. Their services are not started.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::cache_directory;

/// Makes sure that programs are there; the packages are installed if one is missing.
pub fn need(programs: &[&str], packages: &[&str]) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(own).collect();
    let is_there = |program: &&str| folders.iter().any(|folder| folder.join(program).exists());
    install_unless(packages, || programs.iter().all(is_there));
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    assert!(missing.is_empty(), "{packages:?} have no {missing:?}");
}

/// The first of these programs that exists; the packages are installed if none does.
pub fn program(places: &[&str], packages: &[&str]) -> PathBuf {
    let find = || places.iter().map(PathBuf::from).find(|place| place.exists());
    install_unless(packages, || find().is_some());
    find().unwrap_or_else(|| panic!("{packages:?} have none of {places:?}"))
}

fn install_unless(packages: &[&str], is_done: impl Fn() -> bool) {
    if is_done() {
        return;
    }
    let cache = cache_directory();
    std::fs::create_dir_all(&cache).expect("the cache folder can be made");
    // Several test processes may want it at once.
    let lock = File::create(cache.join("apt.lock")).expect("the lock file can be made");
    lock.lock().expect("the install lock can be taken");
    if !is_done() {
        install(packages);
    }
}

fn install(packages: &[&str]) {
    // What `invoke-rc.d` asks before it starts anything.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let own = !policy.exists();
    if own {
        std::fs::write(policy, "#!/bin/sh\nexit 101\n").expect("packages are installed by root");
        let made = Command::new("chmod").arg("755").arg(policy).status();
        assert!(made.is_ok_and(|status| status.success()));
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
        command.args(arguments).output().expect("apt-get can be run")
    };
    let arguments = [&["install", "-y", "-q", "--no-install-recommends"], packages].concat();
    let mut installed = apt(&arguments);
    if !installed.status.success() {
        // Its lists are empty or old.
        apt(&["update", "-q"]);
        installed = apt(&arguments);
    }
    if own {
        std::fs::remove_file(policy).expect("it was just made");
    }
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
}
