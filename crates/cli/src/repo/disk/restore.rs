//! `disk restore`: files out of a disk into a directory.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;
use tintype_model::selector::Selector;
use tintype_runner::disk::{Extract, Extracted, Place};
use tintype_runner::progress::Progress;
use tintype_runner::restore::Destination;
use tintype_source::files::{Owners, Put};

use super::inside::{self, Inside};
use super::{Disk, with_disk};
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::progress::Watched;
use crate::repo::restore::outside;
use crate::report::Done;
use crate::{pick, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo disk restore latest:/tenants/system/vms/shop/disks/vda.img 2:/etc --to /tmp/etc
  tintype repo disk restore latest:/tenants/system/vms/shop/disks/vda.img 2:/etc/fstab --to /tmp
  tintype repo disk restore latest:/files/srv/usb.img / --to /tmp/usb --no-owner

Owner, mode, times, links and holes come back as the disk has them; FAT has no owners, and times
without a zone, which are taken as UTC. Extended attributes, ACLs, names of owners, several names of
one file and device nodes do not: where these matter mount the disk (`tintype repo disk serve
--help`).")]
pub(super) struct Args {
    /// A snapshot and a disk image in it
    #[arg(value_name = "SNAPSHOT:IMAGE", value_parser = pick::selector())]
    place: Selector,
    /// A file or directory on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Inside,
    /// Put the file, or the content of the directory, into DIR; one that does not exist is made for
    /// you alone (mode 0700)
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Replace files that exist; without it they stay, and are named
    #[arg(long)]
    overwrite: bool,
    /// Leave all files with the user who restores, without set-user-id and set-group-id bits
    #[arg(long)]
    no_owner: bool,
}

impl Args {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Done> {
        if self.to.as_os_str().is_empty() {
            return Err(usage("--to names no directory"));
        }
        if self.to.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(usage(format!("--to {} is no directory", self.to.display())));
        }
        let to = std::path::absolute(&self.to).context("the working directory is not known")?;
        let ours: Vec<PathBuf> =
            app.local_directory()?.into_iter().chain(app.cache_root()).collect();
        outside(&Destination::Directory(to.clone()), &ours)?;
        with_disk(app, &self.place, |disk| {
            let progress = Progress::default();
            let mut watched = Watched::new("restore", &progress, "the target");
            (watched.pin, watched.below) = (disk.pin, &to);
            let done = app.watch(&watched, || self.extract(app, disk, &to, &progress))?;
            finish(app, disk, &to, &done)
        })
    }

    fn extract(
        &self,
        app: &App,
        disk: &Disk<'_>,
        to: &std::path::Path,
        progress: &Progress,
    ) -> anyhow::Result<Extracted> {
        let (partition, files) = disk.files(&self.inside)?;
        // What is not there is told before anything is made.
        files.stat(&self.inside.path).map_err(|error| disk.way_on(error))?;
        let owners =
            if self.no_owner || !files.has_owners() { Owners::Keep } else { Owners::Numbers };
        let place = Place::open(to, owners, u64::from_le_bytes(app.env.bytes()))?;
        let extract = Extract {
            files: &*files,
            size_bytes: partition.range.end - partition.range.start,
            target: &place.target,
            put: if self.overwrite { Put::Replace } else { Put::New },
            progress,
            cancel: &app.cancel,
        };
        Ok(extract.run(&self.inside.path)?)
    }
}

fn finish(
    app: &App,
    disk: &Disk<'_>,
    to: &std::path::Path,
    done: &Extracted,
) -> anyhow::Result<Done> {
    for (kind, problems) in [("failed", &done.failed), ("imperfect", &done.imperfect)] {
        for (path, why) in problems {
            app.report.problem(kind, path, why)?;
        }
    }
    let what = match (done.entries, done.failed.is_empty()) {
        (0, false) => "nothing restored of",
        (_, false) => "restored a part of",
        (_, true) => "restored",
    };
    app.report.text(format!("{what} {} to {}", disk.place, to.display()))?;
    let seconds = app.seconds();
    app.report.note(format!(
        "{} and {} in all, {} in {}",
        show::counted(done.files, "file", "files"),
        show::counted(done.entries, "entry", "entries"),
        show::bytes(done.bytes),
        show::seconds(seconds),
    ));
    if done.sockets > 0 {
        let sockets = show::counted(done.sockets, "socket is", "sockets are");
        app.report.note(format!("{sockets} not restored: programs that listen make them"));
    }
    let is_incomplete = !done.failed.is_empty() || !done.imperfect.is_empty();
    let figures = json!({
        "snapshot": disk.snapshot.id, "target": to.display().to_string(),
        "files": done.files, "entries": done.entries, "bytes": done.bytes,
        "failed": done.failed.len(), "imperfect": done.imperfect.len(), "sockets": done.sockets,
    });
    Ok(Done::of(Exit::of_outcome(is_incomplete, done.damaged > 0), figures))
}
