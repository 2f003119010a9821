//! The web console: built into `console/dist`, from where the program takes it. Nothing is done twice:
//! what was installed and built says of what.

mod budget;
pub(crate) mod stories;

use crate::stage::Outcome::{self, Done, Skipped};
use crate::{node, paths};
use anyhow::{Context, bail};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    paths::root().join("console")
}

pub(crate) fn run() -> anyhow::Result<()> {
    if !folder().join("package.json").exists() {
        bail!("there is no console/package.json");
    }
    build()
}

/// Before a program is built that is given to somebody.
pub(crate) fn for_release() -> anyhow::Result<()> {
    if folder().join("package.json").exists() { build() } else { Ok(()) }
}

pub(crate) fn test() -> anyhow::Result<Outcome> {
    if !folder().join("package.json").exists() {
        return Ok(Skipped("there is no console/package.json".to_owned()));
    }
    install()?;
    for script in ["types", "check", "test"] {
        node::npm()?.args(["run", "--silent", script]).run()?;
    }
    build()?;
    Ok(Done)
}

fn install() -> anyhow::Result<()> {
    let folder = folder();
    let lock = fs::read(folder.join("package-lock.json"))
        .context("console/package-lock.json: `npm install` in console/ makes it")?;
    // npm takes the folder away first: what is left of an install that was cut has no mark.
    let mark = folder.join("node_modules/.installed");
    let now = fingerprint([("package-lock.json".to_owned(), lock)]);
    if fs::read_to_string(&mark).is_ok_and(|before| before == now) {
        return Ok(());
    }
    node::npm()?.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).run()?;
    fs::write(&mark, now).with_context(|| format!("cannot write {}", mark.display()))
}

fn build() -> anyhow::Result<()> {
    let dist = folder().join("dist");
    let mark = dist.join(".stamp");
    let now = fingerprint(sources()?);
    let is_built = dist.join("index.html").exists();
    if !(is_built && fs::read_to_string(&mark).is_ok_and(|before| before == now)) {
        install()?;
        for script in ["types", "build"] {
            node::npm()?.args(["run", "--silent", script]).run()?;
        }
        // The types are of the sources; what they are made of is, too.
        fs::write(&mark, fingerprint(sources()?))?;
    }
    let first = budget::check(&dist)?;
    println!("   console: first load {first} bytes, at most {}", budget::MOST_BYTES);
    Ok(())
}

/// Whatever the console is made of.
fn sources() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    let mut folders = vec![folder()];
    while let Some(next) = folders.pop() {
        for found in fs::read_dir(&next)? {
            let path = found?.path();
            let name = path.file_name().unwrap_or_default();
            let is_made = name == "node_modules" || name == "dist" || name == "stories";
            if path.is_dir() && !is_made {
                folders.push(path);
            } else if path.is_file() {
                all.push(named(&path)?);
            }
        }
    }
    all.push(named(&paths::root().join("openapi/v1.json"))?);
    all.sort();
    Ok(all)
}

fn named(path: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path.display().to_string(), bytes))
}

fn fingerprint(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> String {
    let mut hasher = DefaultHasher::new();
    files.into_iter().for_each(|file| file.hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}
