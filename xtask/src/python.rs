//! Python tools from PyPI, each in an environment of its own in the cache folder.

use crate::paths;
use crate::sh::{Sh, which};
use anyhow::{Context, bail};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// A virtual environment with exactly `requirements` (lines of a requirements file). It is made
/// once; other requirements make another one. Returns its `bin` folder.
pub(crate) fn environment(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let folder = paths::cache()?.join("venv").join(format!("{name}-{:016x}", hasher.finish()));
    let complete = folder.join("complete");
    if !complete.exists() {
        if which("python3").is_none() {
            bail!("python3 is not installed; `./x` installs it when it runs as root");
        }
        println!("   installing {} into {}", summary(requirements), folder.display());
        make(&folder, requirements).with_context(|| format!("cannot install {name} from PyPI"))?;
        std::fs::write(&complete, requirements)?;
    }
    Ok(folder.join("bin"))
}

fn make(folder: &Path, requirements: &str) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Sh::new("python3").args(["-m", "venv"]).arg(folder).run()?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements)?;
    let pip = folder.join("bin/pip");
    Sh::new(pip).args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(list).run()
}

fn summary(requirements: &str) -> String {
    let lines = requirements.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join(", ")
}
