//! The main job on real data of this machine, from `init` to a proven restore.

mod application;
mod change;
mod data;
mod manager;
mod oddities;

use crate::clock::Stopwatch;
use crate::compare::{self, Depth};
use crate::sh::Sh;
use crate::table::{Table, bytes, count};
use crate::walk::{self, Totals};
use crate::{console, interrupt, paths};
use anyhow::{Context, bail};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the work (default: the system's temporary folder); needs about 2 GB
    #[arg(long)]
    work: Option<PathBuf>,
    /// Leave the work folder behind
    #[arg(long)]
    keep: bool,
}

/// The folders of one demonstration.
struct Demo {
    program: PathBuf,
    data: PathBuf,
    repository: PathBuf,
    password: PathBuf,
    restored: PathBuf,
    application: PathBuf,
    /// Of the manager.
    managed: PathBuf,
    keep: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let base = args.work.clone().unwrap_or_else(std::env::temp_dir);
    let mut folder = tempfile::Builder::new().prefix("tintype-demo-").tempdir_in(&base)?;
    folder.disable_cleanup(args.keep);
    let demo = Demo {
        program: build()?,
        data: folder.path().join("data"),
        repository: folder.path().join("repository"),
        password: folder.path().join("password"),
        restored: folder.path().join("restored"),
        application: folder.path().join("application"),
        managed: folder.path().join("manager"),
        keep: args.keep,
    };
    let result = demo.play();
    if args.keep {
        println!("\nleft behind: {}", folder.path().display());
    } else {
        folder.close().context("cannot remove the work folder")?;
    }
    result
}

fn build() -> anyhow::Result<PathBuf> {
    title("build the release binary");
    console::for_release()?;
    Sh::cargo()?.args(["build", "--release", "-p", "tintype"]).run()?;
    let program = paths::target()?.join("release/tintype");
    println!("   {}", program.display());
    Ok(program)
}

fn title(text: &str) {
    println!("\n── {text}");
}

impl Demo {
    fn play(&self) -> anyhow::Result<()> {
        title("real data of this machine");
        let gathered = data::gather(&self.data)?;
        oddities::add(&self.data)?;
        let totals = walk::totals(&self.data)?;
        println!("   {gathered}, {} files, {}", count(totals.files), bytes(totals.bytes));

        self.write_password()?;
        let mut table = Table::new(["step", "files", "bytes", "stored", "seconds", "MB/s"]);
        self.step("a new encrypted repository", &["init".as_ref()])?;
        self.snapshot("first snapshot", &mut table)?;

        title("a change");
        println!("   {}", change::apply(&self.data)?);
        self.snapshot("second snapshot", &mut table)?;

        self.step("the snapshots", &["list".as_ref()])?;
        self.step("what changed", &["diff".as_ref(), "latest~1".as_ref(), "latest".as_ref()])?;
        self.restore(&mut table)?;
        let compared = self.compare()?;
        let application = match application::lacking() {
            None => self.application()?,
            Some(why) => format!("No application was captured: {why}."),
        };
        println!("\n{}", table.plain());
        println!("{compared}\n\n{application}");
        println!("{NEXT}");
        Ok(())
    }

    fn write_password(&self) -> anyhow::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&self.password)?;
        writeln!(file, "demo passphrase, change me")?;
        Ok(())
    }

    /// `tintype repo …` on the repository of this demonstration; returns the seconds.
    fn step(&self, text: &str, args: &[&std::ffi::OsStr]) -> anyhow::Result<f64> {
        interrupt::check()?;
        title(text);
        let words = args.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        println!("   $ tintype repo {words}");
        let watch = Stopwatch::start();
        Sh::new(&self.program)
            .args(["repo", "--password-file"])
            .arg(&self.password)
            .args(args)
            .env("TINTYPE_REPOSITORY", &self.repository)
            .run()?;
        Ok(watch.seconds())
    }

    fn snapshot(&self, text: &str, table: &mut Table) -> anyhow::Result<()> {
        let before = stored(&self.repository)?;
        let seconds = self.step(text, &["snapshot".as_ref(), self.data.as_ref()])?;
        let added = stored(&self.repository)?.saturating_sub(before);
        row(table, text, walk::totals(&self.data)?, Some(added), seconds);
        Ok(())
    }

    fn restore(&self, table: &mut Table) -> anyhow::Result<()> {
        let text = "restore to another place";
        let args = ["restore".as_ref(), "latest".as_ref(), "--to".as_ref(), self.restored.as_ref()];
        let seconds = self.step(text, &args)?;
        row(table, text, walk::totals(&self.restored_data())?, None, seconds);
        Ok(())
    }

    /// Each captured root lies below the target by its last name.
    fn restored_data(&self) -> PathBuf {
        self.restored.join(self.data.file_name().expect("the data folder has a name"))
    }

    fn compare(&self) -> anyhow::Result<String> {
        title("compare every byte and all metadata (own code, shared with nothing)");
        let report = compare::trees(&self.data, &self.restored_data(), Depth::Everything)?;
        if !report.is_equal() {
            for line in &report.shown {
                println!("   {line}");
            }
            bail!("the restored tree differs in {} places", report.differences);
        }
        let attributes = format!(
            "extended attributes: {} (ACLs: {}, capabilities: {})",
            report.xattrs, report.acls, report.capabilities
        );
        Ok(format!(
            "Compared: {} entries, {} files, {} byte by byte; symlinks: {}, hard links: {}, \
             devices: {},\n{attributes}, inode flags: {}, sparse: {}; kind, mode, owner, size\n\
             and mtime to the nanosecond of each. No difference.",
            count(report.entries),
            count(report.files),
            bytes(report.bytes),
            count(report.symlinks),
            count(report.hard_links),
            count(report.devices),
            count(report.flagged),
            count(report.sparse),
        ))
    }
}

fn row(table: &mut Table, text: &str, totals: Totals, added: Option<u64>, seconds: f64) {
    table.row([
        text.to_owned(),
        count(totals.files),
        bytes(totals.bytes),
        added.map(bytes).unwrap_or_default(),
        format!("{seconds:.1}"),
        format!("{:.0}", totals.bytes as f64 / 1e6 / seconds),
    ]);
}

fn stored(repository: &Path) -> anyhow::Result<u64> {
    walk::totals(repository).map(|totals| totals.bytes)
}

const NEXT: &str = "
What to try next:
  export TINTYPE_REPOSITORY=/somewhere/with/room
  tintype repo init                                a repository with your own passphrase
  tintype repo snapshot /etc                       your own data
  tintype repo ls latest:/files/etc                browse it
  tintype repo restore latest --to /tmp/look       bring it back, beside
  tintype discover > here.yaml                     what runs here and can be captured together
  tintype repo snapshot --resources here.yaml      all of it, frozen at one moment
  tintype repo --help                              everything else";

#[cfg(test)]
mod tests {
    use super::*;

    /// What the demonstration makes, changes and compares, with `cp` in place of the product.
    #[test]
    fn a_faithful_copy_passes_the_comparison() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        std::fs::create_dir(&data).expect("created");
        for number in 0..200 {
            let name = data.join(format!("file-{number}"));
            std::fs::write(name, "some content").expect("written");
        }
        oddities::add(&data).expect("added");
        let before = walk::totals(&data).expect("counted");
        let words = change::apply(&data).expect("changed");
        let after = walk::totals(&data).expect("counted");
        assert!(words.starts_with("20 files edited, 20 added, 20 deleted"), "{words}");
        assert_eq!(after.files, before.files);
        Sh::new("cp").arg("-a").arg(&data).arg(&copy).run().expect("copied");
        let report = compare::trees(&data, &copy, Depth::Everything).expect("compared");
        // What `cp` forgets.
        let others = report.shown.iter().find(|line| !line.contains("inode flags"));
        assert!(others.is_none(), "{:?}", report.shown);
        assert_eq!((report.hard_links, report.sparse), (2, 1));
    }
}
