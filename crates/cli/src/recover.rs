//! `recover`: a manager out of its storage.

use std::path::PathBuf;

use serde_json::json;
use tintype_engine::env::Env;
use tintype_manager::lost::recover::{self, Installation, Wanted};
use tintype_model::identifier::Id;
use tintype_runner::vault::Place;

use crate::exit::{self, Exit};
use crate::report::Report;
use crate::secret;
use crate::serve::Own;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype recover --from /mnt/nas/tintype --list       which installations have snapshots there?
  tintype recover --from /mnt/nas/tintype              on an empty machine; asks for twelve words
  tintype recover --from 's3://bucket/tintype?endpoint=https://s3.example.com' --words-file words

The words stand on the recovery sheet (`tintype manager recovery-sheet`). The newest full snapshot
counts unless another is named. The manager's data directory and database must be empty; then
`tintype serve` starts it, with the users and passwords that it had. Sessions have ended: log in
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
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    own: Own,
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
            return list(report, &recover::installations(&place, &Env::system())?);
        }
        let words = secret::words(self.words_file.as_deref(), &from, report)?;
        let options = self.own.options()?;
        let (data, words) = (options.data.clone(), words.to_string());
        let (installation, snapshot) = (self.installation, self.snapshot);
        let wanted = Wanted { place, installation, words, snapshot };
        let runtime = tokio::runtime::Runtime::new()?;
        let recovered = runtime.block_on(recover::recover(wanted, &options))?;
        report.event("recovered", json!(recovered))?;
        report.text(format!(
            "installation {} is back, as it was at {}: {}, {}",
            recovered.installation,
            recovered.time,
            show::counted(recovered.tenants as u64, "tenant", "tenants"),
            show::counted(recovered.rebuilt.snapshots as u64, "snapshot", "snapshots"),
        ))?;
        for what in &recovered.rebuilt.unreadable {
            report.warn(format!("could not be read: {what}"));
        }
        report.note(format!("start it: tintype serve --data {}", data.display()));
        report.note("then log in as before (`tintype login`), and restore the rest");
        report.note(
            "this manager leads the installation now: the one before writes no more, should it \
             still be there; keep it off",
        );
        Ok(())
    }
}

fn list(report: &Report, found: &[Installation]) -> anyhow::Result<()> {
    let mut table = Table::new(["installation", "since", "repositories", "full snapshots"], &[2]);
    for one in found {
        report.event("installation", json!(one))?;
        let full = if one.places.is_empty() { "no" } else { "yes" };
        table.row([
            one.id.to_string(),
            show::time(one.created),
            one.repositories.to_string(),
            full.to_owned(),
        ]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))
}
