//! Where things are: the repository, the cache outside it, the build output.

use anyhow::{Context, anyhow};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Root of the repository. Asked of Cargo at run time: with one output folder for several clones,
/// the program may have been built in another.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = env::var_os("CARGO_MANIFEST_DIR");
        let package = PathBuf::from(package.unwrap_or(env!("CARGO_MANIFEST_DIR").into()));
        package.parent().expect("xtask lies in the repository").to_path_buf()
    });
    &ROOT
}

/// Slow-to-build tools and data sets live here, outside the repository:
/// `$TINTYPE_CACHE`, else `$XDG_CACHE_HOME/tintype-dev`, else `~/.cache/tintype-dev`.
/// `./x` holds the same rule.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("TINTYPE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("tintype-dev")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/tintype-dev")))
        .ok_or_else(|| anyhow!("none of TINTYPE_CACHE, XDG_CACHE_HOME and HOME is set"))?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the cache folder {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's output folder. In continuous integration it is in the cache, so that a clean clone
/// starts warm.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return Ok(root().join(folder));
    }
    if env::var_os("CI").is_some_and(|value| value == "true") {
        return Ok(cache()?.join("target"));
    }
    Ok(root().join("target"))
}
