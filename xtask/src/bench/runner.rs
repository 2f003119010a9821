//! Runs the tools on one data set and checks what they restore.

use super::data::{self, Data};
use super::results::{Floor, Record, Results, Sample};
use super::sets::{Medium, Op, Set};
use super::store::{BUCKET, Store};
use super::tools::{Job, PASSWORD, Place, Tool};
use super::{Args, chosen, floor, measure, memory, own, peers, quiet, sources};
use crate::compare::{self, Depth};
use crate::table::{bytes, count};
use crate::{clock, interrupt, paths, walk};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

pub(super) fn run_set(
    args: &Args,
    set: Set,
    tools: &[Tool],
    own_ready: bool,
    results: &mut Results,
) -> anyhow::Result<()> {
    println!("── {} {}", set.letter(), set.title());
    let scratch = tempfile::Builder::new().prefix("tintype-bench-").tempdir_in(&args.memory)?;
    if set == Set::F {
        if own_ready {
            results.index = Some(own::index(scratch.path(), args.smoke)?);
        }
        return Ok(());
    }
    if set == Set::P {
        if own_ready {
            let mut keep = |figure| results.put_figure(figure);
            sources::run(args, tools, scratch.path(), &mut keep)?;
        }
        return Ok(());
    }
    let data = data::ensure(set, args.smoke)?;
    let totals = data.totals;
    println!("   {} files, {}", count(totals.files), bytes(totals.bytes));
    if matches!(set, Set::B | Set::C) {
        results.put_floor(measure_floor(args, set, &data, scratch.path())?);
    }
    for medium in chosen(&args.media, set.media()) {
        let mut session = Session::start(args, set, medium, &data, scratch.path())?;
        let mut broken_off = None;
        let mut turns = (0..args.runs).flat_map(|_| tools);
        let measured = turns.try_for_each(|tool| {
            session.cycle(*tool).inspect_err(|_| broken_off = Some(tool.name()))
        });
        // Whose last restore was not compared has no figure.
        let records = session.records.into_iter();
        let whole = records.filter(|record| Some(&record.tool[..]) != broken_off);
        whole.for_each(|record| results.put(record));
        measured?;
    }
    Ok(())
}

fn measure_floor(args: &Args, set: Set, data: &Data, scratch: &Path) -> anyhow::Result<Floor> {
    data::warm(data)?;
    quiet::wait(args.quiet_limit())?;
    let walk_seconds = floor::walk(&data.root)?;
    memory::touch(scratch, &data.totals)?;
    let target = scratch.join("floor");
    let create_seconds = floor::create(&data.root, &target)?;
    std::fs::remove_dir_all(&target)?;
    println!("   bare walk {walk_seconds:.2} s, bare creation {create_seconds:.2} s");
    Ok(Floor { set, recipe: data::recipe(set, args.smoke), walk_seconds, create_seconds })
}

/// The data as changed; also after an error they are as before.
struct Change<'d> {
    set: Set,
    smoke: bool,
    data: &'d Data,
}

impl<'d> Change<'d> {
    fn make(set: Set, smoke: bool, data: &'d Data) -> anyhow::Result<Self> {
        let change = Self { set, smoke, data };
        data::toggle_change(set, smoke, data)?;
        Ok(change)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if let Err(error) = data::toggle_change(self.set, self.smoke, self.data) {
            eprintln!("bench: the data set is not as it was, remove its folder: {error:#}");
        }
    }
}

/// One data set with the repository at one kind of place.
struct Session<'s> {
    args: &'s Args,
    set: Set,
    medium: Medium,
    data: &'s Data,
    scratch: &'s Path,
    /// On disk, when the repository is to lie there.
    disk: Option<tempfile::TempDir>,
    store: Option<Store>,
    /// Makes the names of repositories and snapshots distinct.
    sequence: u32,
    records: Vec<Record>,
}

impl<'s> Session<'s> {
    fn start(
        args: &'s Args,
        set: Set,
        medium: Medium,
        data: &'s Data,
        scratch: &'s Path,
    ) -> anyhow::Result<Self> {
        println!("   {}", medium.title());
        let disk = match medium {
            Medium::Disk => {
                let base = paths::cache()?.join("bench-work");
                std::fs::create_dir_all(&base)?;
                Some(tempfile::tempdir_in(base)?)
            }
            _ => None,
        };
        let store = match medium {
            Medium::S3 => Some(Store::start(&scratch.join("store"))?),
            _ => None,
        };
        let records = Vec::new();
        Ok(Self { args, set, medium, data, scratch, disk, store, sequence: 0, records })
    }

    /// All operations of one tool on a fresh repository.
    fn cycle(&mut self, tool: Tool) -> anyhow::Result<()> {
        let program = tool.program()?;
        let work = self.scratch.join("work");
        let mut job = self.job(&work)?;
        if !tool.can_use(&job.place) {
            println!("   {:<8} cannot use such a repository", tool.name());
            return Ok(());
        }
        for cmd in tool.init(&program, &job) {
            measure::run(&cmd, &work).context("cannot make the repository")?;
        }
        data::warm(self.data)?;
        let mut change = None;
        for op in self.set.operations() {
            interrupt::check()?;
            if *op == Op::Changed {
                change = Some(Change::make(self.set, self.args.smoke, self.data)?);
            }
            job.sequence += u32::from(*op != Op::Restore);
            self.operation(tool, &program, *op, &job, &work)?;
        }
        drop(change);
        std::fs::remove_dir_all(&work)?;
        if let Place::Folder(folder) = &job.place {
            std::fs::remove_dir_all(folder).ok();
        }
        Ok(())
    }

    fn job(&mut self, work: &Path) -> anyhow::Result<Job> {
        self.sequence += 1;
        let state = work.join("state");
        std::fs::create_dir_all(&state)?;
        write_password(&state.join("password"))?;
        let place = match (&self.store, &self.disk) {
            (Some(store), _) => Place::S3 {
                endpoint: store.endpoint.clone(),
                bucket: BUCKET,
                prefix: format!("repository-{}", self.sequence),
            },
            (None, Some(disk)) => Place::Folder(disk.path().join("repository")),
            (None, None) => Place::Folder(work.join("repository")),
        };
        let source = self.data.root.clone();
        Ok(Job { set: self.set, place, source, target: work.join("restored"), state, sequence: 0 })
    }

    fn operation(
        &mut self,
        tool: Tool,
        program: &Path,
        op: Op,
        job: &Job,
        work: &Path,
    ) -> anyhow::Result<()> {
        let cmd = match op {
            Op::Restore => {
                std::fs::create_dir(&job.target)?;
                tool.restore(program, job)
            }
            _ => tool.snapshot(program, job),
        };
        if self.medium == Medium::Disk {
            // What is still unwritten belongs to the command before.
            rustix::fs::sync();
        }
        let idle_percent = quiet::wait(self.args.quiet_limit())?;
        memory::touch(self.scratch, &self.data.totals)?;
        let (usage, printed) = measure::run(&cmd, work)?;
        let summary =
            if tool == Tool::Tintype { own::summary(&printed) } else { own::Summary::default() };
        let stored_bytes = match &job.place {
            Place::Folder(folder) => Some(walk::totals(folder)?.bytes),
            Place::S3 { .. } => None,
        };
        let sample = Sample {
            usage,
            idle_percent,
            stored_bytes,
            written_bytes: summary.bytes_written,
            requests: summary.requests,
        };
        print(tool, op, &sample);
        if op == Op::Restore {
            check_restore(tool, job)?;
        }
        self.record(tool, op, sample);
        Ok(())
    }

    fn record(&mut self, tool: Tool, op: Op, sample: Sample) {
        let known = self.records.iter_mut().find(|r| r.op == op && r.tool == tool.name());
        if let Some(record) = known {
            record.samples.push(sample);
            return;
        }
        self.records.push(Record {
            set: self.set,
            medium: self.medium,
            op,
            tool: tool.name().to_owned(),
            version: peers::version(tool).to_owned(),
            recipe: data::recipe(self.set, self.args.smoke),
            totals: self.data.totals,
            date: clock::today(),
            samples: vec![sample],
        });
    }
}

fn print(tool: Tool, op: Op, sample: &Sample) {
    let busy = if quiet::is_quiet(sample.idle_percent) {
        String::new()
    } else {
        format!("  (machine only {:.0} % idle before)", sample.idle_percent)
    };
    println!(
        "   {:<8} {:<12} {:>8.2} s  {:>8.2} s of processor  {:>6} MiB{}{busy}",
        tool.name(),
        op.title(),
        sample.usage.seconds,
        sample.usage.cpu_seconds,
        sample.usage.peak_rss_kib / 1024,
        sample.stored_bytes.map(|size| format!("  stored {}", bytes(size))).unwrap_or_default(),
    );
}

/// A figure of a restore that lost something would be worthless.
fn check_restore(tool: Tool, job: &Job) -> anyhow::Result<()> {
    let report = compare::trees(&job.source, &job.target, Depth::Content)?;
    if !report.is_equal() {
        let lines = report.shown.join("\n    ");
        bail!(
            "{} restored something else ({} places):\n    {lines}",
            tool.name(),
            report.differences
        );
    }
    Ok(())
}

pub(super) fn write_password(file: &PathBuf) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    writeln!(
        options.write(true).create(true).truncate(true).mode(0o600).open(file)?,
        "{PASSWORD}"
    )?;
    Ok(())
}
