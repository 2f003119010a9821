//! `manager`: care of a manager of this host.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tintype_manager::catalog::VERSION;
use tintype_manager::lost::copy::{self, Head};
use tintype_manager::lost::{page, rebuild, sheet, switch};
use tintype_manager::serve::{self, Options};
use tintype_manager::state::State;
use zeroize::Zeroizing;

use crate::exit::{self, Exit};
use crate::report::Report;
use crate::serve::Own;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype manager recovery-sheet | lp          print it, and keep it where the manager is not
  tintype manager recovery-sheet --pdf sheet.pdf
  tintype manager undo                         what can be brought back
  tintype manager rebuild-catalog              the list of snapshots, from the repositories alone")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    own: Own,
    /// One JSON object per line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print all that one needs when the manager is lost: whoever has it reads every snapshot
    RecoverySheet {
        /// As a PDF, with codes that a camera reads, into a new file that nobody else can read
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
    },
    /// Make the list of snapshots anew from what the repositories say
    RebuildCatalog,
    /// Bring back what a recovery or an upgrade replaced; without a name: list what there is
    Undo {
        /// As the recovery or the upgrade told it
        copy: Option<String>,
    },
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        crate::app::log(0);
        let report = Report::new(self.json, false, false);
        match self.try_run(&report) {
            Ok(exit) => exit,
            Err(error) => {
                let exit = exit::of_error(&error);
                report.failure(&error, exit);
                exit
            }
        }
    }

    fn try_run(self, report: &Report) -> anyhow::Result<Exit> {
        let options = self.own.options()?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
        runtime.block_on(async {
            match self.command {
                Command::Undo { copy } => undo(report, &options, copy).await,
                Command::RecoverySheet { pdf } => {
                    recovery_sheet(report, &options, pdf.as_deref()).await
                }
                Command::RebuildCatalog => rebuild_catalog(report, &options).await,
            }
        })
    }
}

async fn opened(options: &Options) -> anyhow::Result<State> {
    let is_there = options.database.is_some() || options.data.join("catalog.sqlite").exists();
    if !is_there {
        let what = format!("{}: there is no manager here", options.data.display());
        return Err(tintype_engine::Error::not_found(what).into());
    }
    Ok(serve::open(options).await?.0)
}

async fn recovery_sheet(
    report: &Report,
    options: &Options,
    pdf: Option<&Path>,
) -> anyhow::Result<Exit> {
    let state = opened(options).await?;
    let file = options.master_key.clone();
    let file = file.unwrap_or_else(|| options.data.join("master.key"));
    let key = std::fs::read_to_string(&file);
    let key = key.with_context(|| format!("cannot read {}", file.display()))?;
    let sheet = sheet::sheet(&state, &Zeroizing::new(key)).await?;
    state.catalog.close().await;
    let Some(file) = pdf else {
        let text = sheet.text();
        report.event("sheet", json!({ "text": text.as_str() }))?;
        text.lines().try_for_each(|line| report.text(line))?;
        return Ok(Exit::Complete);
    };
    let page = page::pdf(&sheet)?;
    let shown = file.display();
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut open = open.map_err(|error| tintype_engine::Error::io(error, &shown))?;
    open.write_all(&page).and_then(|()| open.sync_all()).with_context(|| format!("{shown}"))?;
    report.event("sheet", json!({ "pdf": file }))?;
    report.text(format!(
        "{shown}: print it, keep it where the manager is not, and delete the file"
    ))?;
    Ok(Exit::Complete)
}

async fn rebuild_catalog(report: &Report, options: &Options) -> anyhow::Result<Exit> {
    let _alone = serve::alone(&options.data)?;
    let state = opened(options).await?;
    let rebuilt = rebuild::rebuild(&state).await?;
    state.catalog.close().await;
    report.event("rebuilt", json!(rebuilt))?;
    for what in &rebuilt.unreadable {
        report.warn(format!("could not be read: {what}"));
    }
    report.text(format!(
        "{} of {}",
        show::counted(rebuilt.snapshots as u64, "snapshot", "snapshots"),
        show::counted(rebuilt.repositories as u64, "repository", "repositories"),
    ))?;
    Ok(Exit::of_outcome(!rebuilt.unreadable.is_empty(), false))
}

async fn undo(report: &Report, options: &Options, wanted: Option<String>) -> anyhow::Result<Exit> {
    let Some(wanted) = wanted else {
        let mut table = Table::new(["copy", "time", "catalog", "written by"], &[2]);
        for copy in copy::list(&options.data)? {
            report.event("copy", json!({ "name": copy.name, "head": copy.head }))?;
            let Head { time, version, program, .. } = copy.head;
            table.row([copy.name, show::time(time), version.to_string(), program]);
        }
        table.lines().into_iter().try_for_each(|line| report.text(line))?;
        return Ok(Exit::Complete);
    };
    let _switching = switch::begin(&options.data)?;
    let _alone = serve::alone(&options.data)?;
    let brought = copy::bring_back(options, &wanted).await?;
    let (name, undo) = (&brought.copy.name, brought.undo.as_ref().map(|copy| &copy.name));
    report.event("undone", json!({ "copy": name, "undo": undo }))?;
    let program = &brought.copy.head.program;
    report.text(format!("the manager is as it was at {}", show::time(brought.copy.head.time)))?;
    if let Some(copy) = &brought.undo {
        report.note(format!("this can be undone: {}", copy.command(&options.data)));
    }
    if brought.copy.head.version < VERSION {
        report.note(format!(
            "its catalog is of Tintype {program}: install that version, then start it; a newer one \
             brings it up to date again"
        ));
    }
    Ok(Exit::Complete)
}
