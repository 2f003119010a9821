//! A plan of a restore that grows: what machines share, whoever runs them. Files are written beside,
//! put in their place, and looked at there.

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use serde::Serialize;
use tintype_model::plan::{Check, Need, Stage};

use super::checks::tools;
use super::facts::{DiskFacts, NVRAM};
use super::place::in_use;
use super::steps::{FileStep, beside, keep_later, replaced, written};
use crate::connector::step;
use crate::connector::{Context, Stored, TargetPlan};
use crate::host::replaced::Replaced;
use crate::host::space::check_all;

pub(crate) struct Draft<'a> {
    pub context: &'a Context,
    pub stored: &'a dyn Stored,
    pub result: TargetPlan,
    /// Where what is replaced stays until the end.
    replaced: Vec<Replaced>,
    /// And where what takes its place stays, if that is taken back after it was written to.
    written: Vec<Replaced>,
    /// Of the disks that are written.
    formats: BTreeSet<String>,
    needs: Vec<Need>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(context: &'a Context, stored: &'a dyn Stored) -> Self {
        let (replaced, written, needs) = (Vec::new(), Vec::new(), Vec::new());
        let (result, formats) = (TargetPlan::default(), BTreeSet::new());
        Self { context, stored, result, replaced, written, formats, needs }
    }

    pub(crate) fn check(&mut self, check: Check) {
        self.result.checks.push(check);
    }

    pub(crate) fn step(&mut self, stage: Stage, text: impl Into<String>, action: &impl Serialize) {
        self.result.steps.push(step(stage, text, action));
    }

    pub(crate) fn file(&mut self, stage: Stage, text: impl Into<String>, action: &FileStep) {
        self.result.places.extend(action.place().map(Path::to_path_buf));
        self.step(stage, text, action);
    }

    /// `place`: where it is when all is done.
    pub(crate) fn write_disk(
        &mut self,
        disk: &DiskFacts,
        file: PathBuf,
        place: &Path,
        format: &str,
    ) -> tintype_model::Result<()> {
        self.needs.push(disk.need(self.stored, place)?);
        self.formats.insert(format.to_owned());
        let mebibytes = disk.size_bytes >> 20;
        let text = format!("write disk {} ({mebibytes} MiB) to {}", disk.name, file.display());
        let (at, size_bytes) = (disk.place(), disk.size_bytes);
        let format = format.to_owned();
        let write = FileStep::WriteDisk { at, file, format: format.clone(), size_bytes };
        self.file(Stage::Stage, text, &write);
        let text = format!("see that disk {} can be opened at {}", disk.name, place.display());
        let look = FileStep::LookAtDisk { file: place.to_owned(), format, size_bytes };
        self.file(Stage::Health, text, &look);
        Ok(())
    }

    /// The firmware's variables.
    pub(crate) fn write_nvram(&mut self, file: PathBuf) {
        let text = format!("write the firmware's variables to {}", file.display());
        self.file(Stage::Stage, text, &FileStep::WriteObject { at: NVRAM.to_owned(), file });
    }

    /// Of a machine that is new.
    pub(crate) fn new_nvram(&mut self, file: PathBuf) {
        self.check_free(&file);
        let new = beside(&file, "new", self.context);
        self.write_nvram(new.clone());
        self.put(new, file);
    }

    pub(crate) fn make_directory(&mut self, path: &Path) {
        if !path.is_dir() {
            let text = format!("make {}", path.display());
            let make = FileStep::MakeDirectory { path: path.to_owned() };
            // What is written is written into it.
            self.result.steps.insert(0, step(Stage::Stage, text, &make));
        }
    }

    pub(crate) fn check_free(&mut self, file: &Path) {
        if file.symlink_metadata().is_ok() {
            let reason = format!("{} exists", file.display());
            self.check(Check::block("place", reason, "give another place, or move it away"));
        }
    }

    /// Whether a file can be replaced; gives where it is written beside. `is_off`: its own machine
    /// does not use it.
    pub(crate) fn beside(&mut self, file: &Path, is_off: bool) -> PathBuf {
        let shown = file.display();
        let directory = file.parent().unwrap_or(Path::new("/"));
        match std::fs::metadata(file) {
            _ if !file.is_absolute() || !directory.is_dir() => {
                let reason = format!("{shown} is no file in a directory of this host");
                let cure = "make the directory, or restore as new, with the rule `directory`";
                self.check(Check::block("place", reason, cure));
            }
            Ok(found) if found.file_type().is_block_device() => {
                let reason = format!("{shown} is a block device, which cannot be written beside");
                let cure =
                    "restore as new, with the rule `directory`, then copy the image to the device";
                self.check(Check::block("device", reason, cure));
            }
            Err(_) if file.symlink_metadata().is_ok() => {
                let reason = format!("{shown} is a link that leads nowhere");
                self.check(Check::block("place", reason, "remove it, or restore as new"));
            }
            _ => {}
        }
        self.result.checks.extend(in_use(file, self.context).filter(|_| is_off));
        beside(file, "new", self.context)
    }

    /// Gives whether something is there that is replaced.
    pub(crate) fn replace(&mut self, new: PathBuf, file: PathBuf) -> bool {
        let is_there = std::fs::metadata(&file).is_ok();
        self.result.replaces |= is_there;
        let kept = is_there.then(|| replaced(&file, self.context));
        let old = kept.as_ref().and_then(|kept| Some(kept.files.first()?.0.clone()));
        let text = format!("put it in the place of {}", file.display());
        self.switch(text, new, file, old);
        self.replaced.extend(kept);
        is_there
    }

    /// Where nothing is.
    pub(crate) fn put(&mut self, new: PathBuf, file: PathBuf) {
        self.switch(format!("put it at {}", file.display()), new, file, None);
    }

    fn switch(&mut self, text: String, new: PathBuf, file: PathBuf, old: Option<PathBuf>) {
        let written = written(&new, &file, self.context);
        self.written.push(written.clone());
        self.file(Stage::Switch, text, &FileStep::Place { new, file, old, written });
    }

    pub(crate) fn finish(mut self) -> TargetPlan {
        self.check(tools(&self.formats));
        self.check(check_all(&self.needs));
        let may = permissions(&self.result.places);
        self.check(may);
        let (replaced, written) = (&mut self.replaced, &mut self.written);
        let later = keep_later(std::mem::take(replaced), std::mem::take(written));
        for (stage, text, action) in later {
            self.file(stage, text, &action);
        }
        self.result.steps.sort_by_key(|step| step.stage);
        self.result
    }
}

/// Whether this user may make files where the plan makes some.
fn permissions(places: &[PathBuf]) -> Check {
    let above =
        |place: &PathBuf| place.ancestors().skip(1).find(|at| at.is_dir()).map(Path::to_owned);
    let directories: BTreeSet<PathBuf> = places.iter().filter_map(above).collect();
    let refused = directories.iter().find_map(|directory| {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        let error = accessat(CWD, directory, wanted, AtFlags::EACCESS).err()?;
        Some(format!(
            "{} cannot be written to: {}",
            directory.display(),
            std::io::Error::from(error)
        ))
    });
    match refused {
        Some(reason) => {
            let cure = "run this as root or as its owner, or give another place";
            Check::block("permissions", reason, cure)
        }
        None => Check::pass("permissions", "what is written can be written there"),
    }
}
