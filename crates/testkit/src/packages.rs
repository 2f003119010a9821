//! Programs of the distribution that tests need: installed with apt where they are missing and the
//! test may do that.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::cache_directory;

/// Makes sure that a program is there, from its Debian package.
pub fn need(program: &str, package: &str) {
    if is_there(program) {
        return;
    }
    let cache = cache_directory();
    std::fs::create_dir_all(&cache).expect("the cache folder can be made");
    // Several test processes may want it at once.
    let lock = File::create(cache.join("apt.lock")).expect("the lock file can be made");
    lock.lock().expect("the apt lock can be taken");
    if is_there(program) {
        return;
    }
    let output = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .unwrap_or_else(|error| panic!("{program} is missing, and apt-get: {error}"));
    assert!(
        is_there(program),
        "{program} is missing: as root, apt-get install {package}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let own = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    folders.chain(own).any(|folder| Path::new(&folder).join(program).exists())
}
