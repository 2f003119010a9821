//! `recover`: a manager out of its storage.

use std::path::PathBuf;

use serde_json::json;
use tintype_engine::env::Env;
use tintype_manager::lost::look::{self, Installation};
use tintype_manager::lost::recover::{self, Onto, Plan, Recovered, Step, Wanted};
use tintype_manager::lost::settle::{Certificate, Choices};
use tintype_manager::serve::Options;
use tintype_model::identifier::Id;
use tintype_runner::vault::Place;

use crate::exit::{self, Exit, usage};
use crate::report::Report;
use crate::serve::Own;
use crate::show::{self, Table};
use crate::{secret, terminal};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype recover --from /mnt/nas/tintype --list       which installations have snapshots there?
  tintype recover --from /mnt/nas/tintype              on an empty machine; asks for twelve words
  tintype recover --from 's3://bucket/tintype?endpoint=https://s3.example.com' --words-file words
  tintype recover --from /mnt/nas/tintype --force      in place of another manager, after an undo point
  tintype recover --from /mnt/nas/tintype --snapshot 3f2a --in-place
                                                       over the manager that runs, with its applications

The words stand on the recovery sheet (`tintype manager recovery-sheet`). The newest full snapshot
or snapshot of the manager counts unless another is named. The plan is shown first. Onto a manager
that has a tenant, a resource, a profile, a snapshot or a run it goes with --force only; what was
there comes back with the `tintype manager undo` that is told. An installation whose manager was there
in the last minutes is taken over with --take-over only. Sessions have ended afterwards: log in
again, and restore the rest with `tintype restore`.")]
pub(crate) struct Recover {
    /// The storage, as `tintype storage list` named it
    #[arg(long, value_name = "URL")]
    from: String,
    /// Only say which installations have snapshots there
    #[arg(long)]
    list: bool,
    /// Where there are several
    #[arg(long, value_name = "ID")]
    installation: Option<Id>,
    /// The start of a full snapshot's id; default: the newest
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Read the twelve words from a file
    #[arg(long, value_name = "FILE")]
    words_file: Option<PathBuf>,
    /// Replace the manager that is here; it does not run
    #[arg(long, conflicts_with = "in_place")]
    force: bool,
    /// Over the manager that is here and runs, together with its applications
    #[arg(long, requires = "snapshot")]
    in_place: bool,
    /// Although its manager lives: from now on that one writes no more
    #[arg(long, value_name = "INSTALLATION")]
    take_over: Option<Id>,
    /// What becomes of the certificate that clients trust
    #[arg(long, value_enum, default_value_t = Kept::Keep)]
    certificate: Kept,
    /// End all tokens, as sessions end
    #[arg(long)]
    revoke_tokens: bool,
    /// Print the plan and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// What the plan asks for, so that nobody is asked
    #[arg(long, value_name = "ID")]
    confirm: Option<String>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    own: Own,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kept {
    /// The same
    Keep,
    /// Another of the same authority, for the names and addresses of now
    Renew,
    /// Another authority
    New,
}

impl Recover {
    pub(crate) fn run(self) -> Exit {
        crate::app::log(0);
        let report = Report::new(self.json, false, false);
        match self.try_run(&report) {
            Ok(()) => Exit::Complete,
            Err(error) => {
                let exit = exit::of_error(&error);
                report.failure(&error, exit);
                exit
            }
        }
    }

    fn try_run(self, report: &Report) -> anyhow::Result<()> {
        // As storages are named: by their whole path.
        let from = match std::fs::canonicalize(&self.from) {
            Ok(path) => path.display().to_string(),
            Err(_) => self.from.clone(),
        };
        let place = Place::parse(&from, None)?;
        if self.list {
            return list(report, &look::installations(&place, &Env::system())?);
        }
        let options = self.own.clone().options()?;
        let mut wanted = self.wanted(place);
        if !self.in_place || self.words_file.is_some() {
            let words = secret::words(self.words_file.as_deref(), &from, report)?;
            wanted.words = Some(words.to_string());
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let planned = runtime.block_on(recover::plan(wanted, &options))?;
        let plan = planned.plan();
        told(report, &plan)?;
        if self.dry_run {
            return Ok(());
        }
        planned.check_take_over()?;
        self.agreed(report, &plan)?;
        let mut step = |step: Step| {
            report.event("step", json!({ "step": step })).map_err(|error| {
                tintype_engine::Error::unavailable(format!("telling what is done: {error}"))
            })
        };
        let recovered = runtime.block_on(planned.apply(&options, &mut step))?;
        done(report, &recovered, &options)
    }

    fn wanted(&self, place: Place) -> Wanted {
        let certificate = match self.certificate {
            Kept::Keep => Certificate::Keep,
            Kept::Renew => Certificate::Renew,
            Kept::New => Certificate::New,
        };
        Wanted {
            place,
            installation: self.installation.clone(),
            words: None,
            snapshot: self.snapshot.clone(),
            onto: match (self.force, self.in_place) {
                (_, true) => Onto::Running,
                (true, false) => Onto::Any,
                (false, false) => Onto::Clean,
            },
            take_over: self.take_over.clone(),
            choices: Choices { certificate, revoke_tokens: self.revoke_tokens },
        }
    }

    fn agreed(&self, report: &Report, plan: &Plan) -> anyhow::Result<()> {
        let Some(name) = &plan.confirm else { return Ok(()) };
        match &self.confirm {
            Some(given) if given == name => return Ok(()),
            Some(given) => {
                return Err(usage(format!("--confirm {given}: this plan asks for {name}")));
            }
            None => {}
        }
        match terminal::is_agreed("Replace what is here?", report.is_json())? {
            true => Ok(()),
            false => Err(usage(format!("nothing was changed; agree with --confirm {name}"))),
        }
    }
}

fn told(report: &Report, plan: &Plan) -> anyhow::Result<()> {
    report.event("plan", json!(plan))?;
    let id = plan.snapshot.get(..8).unwrap_or(&plan.snapshot);
    report.text(format!(
        "installation {}, as {} snapshot {id} holds it: of {}, written by Tintype {}",
        plan.installation,
        plan.scope.name(),
        plan.time,
        plan.program,
    ))?;
    for what in &plan.excluded {
        report.text(format!("  it was taken without {}", what.name()))?;
    }
    plan.steps.iter().try_for_each(|step| report.text(format!("  {step}")))
}

fn done(report: &Report, recovered: &Recovered, options: &Options) -> anyhow::Result<()> {
    report.event("recovered", json!(recovered))?;
    report.text(format!(
        "installation {} is back, as it was at {}: {}, {}",
        recovered.installation,
        recovered.time,
        show::counted(recovered.tenants as u64, "tenant", "tenants"),
        show::counted(recovered.rebuilt.snapshots as u64, "snapshot", "snapshots"),
    ))?;
    if let Some((name, password)) = &recovered.one_time_password {
        report.text(format!("first login: user {name}, password {password}"))?;
    }
    if let Some(default) = &recovered.default {
        report.warn(default);
    }
    for what in &recovered.rebuilt.unreadable {
        report.warn(format!("could not be read: {what}"));
    }
    for what in &recovered.again {
        report.warn(format!("to be given again: {what}"));
    }
    if let Some(undo) = &recovered.undo {
        report.note(format!("what was here comes back with: {undo}"));
    }
    let start = format!("start it: tintype serve --data {}", options.data.display());
    match (recovered.is_back, recovered.was_running) {
        (true, _) => report.note("the manager has started again"),
        (false, false) => report.note(start),
        (false, true) => report.warn(format!(
            "the manager did not start again: its log says why; mend that and {start}"
        )),
    }
    for run in &recovered.checks {
        report.note(format!("checked again then: tintype run follow {run}"));
    }
    if let Some(run) = &recovered.run {
        report.note(format!("applications are restored by run {run}: tintype run follow {run}"));
    }
    report.note("all sessions have ended: log in again (`tintype login`)");
    if recovered.run.is_none() {
        report.note("then restore the rest (`tintype restore`)");
    }
    report.note(
        "this manager leads the installation now: another one that did writes no more, should it \
         still be there; keep it off",
    );
    Ok(())
}

fn list(report: &Report, found: &[Installation]) -> anyhow::Result<()> {
    let head =
        ["installation", "since", "last wrote", "full snapshots", "repositories", "storages"];
    let mut table = Table::new(head, &[4]);
    for one in found {
        report.event("installation", json!(one))?;
        let full = if one.places.is_empty() { "no" } else { "yes" };
        table.row([
            one.id.to_string(),
            show::time(one.created),
            one.written.map_or_else(|| "never".to_owned(), show::time),
            full.to_owned(),
            one.repositories.to_string(),
            one.storages.join(", "),
        ]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))
}
