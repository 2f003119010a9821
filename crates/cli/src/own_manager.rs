//! `manager`: care of a manager of this host.

use anyhow::Context as _;
use serde_json::json;
use tintype_manager::lost::{rebuild, sheet};
use tintype_manager::serve;
use zeroize::Zeroizing;

use crate::exit::{self, Exit};
use crate::report::Report;
use crate::serve::Own;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype manager recovery-sheet | lp          print it, and keep it where the manager is not
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
    RecoverySheet,
    /// Make the list of snapshots anew from what the repositories say
    RebuildCatalog,
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
            let is_there =
                options.database.is_some() || options.data.join("catalog.sqlite").exists();
            if !is_there {
                let what = format!("{}: there is no manager here", options.data.display());
                return Err(tintype_engine::Error::not_found(what).into());
            }
            let (state, _) = serve::open(&options).await?;
            let exit = match self.command {
                Command::RecoverySheet => {
                    let file = options.master_key.clone();
                    let file = file.unwrap_or_else(|| options.data.join("master.key"));
                    let key = std::fs::read_to_string(&file);
                    let key = key.with_context(|| format!("cannot read {}", file.display()))?;
                    let sheet = sheet::sheet(&state, &Zeroizing::new(key)).await?;
                    report.event("sheet", json!({ "text": sheet.as_str() }))?;
                    sheet.lines().try_for_each(|line| report.text(line))?;
                    Exit::Complete
                }
                Command::RebuildCatalog => {
                    let _alone = serve::alone(&options.data)?;
                    let rebuilt = rebuild::rebuild(&state).await?;
                    report.event("rebuilt", json!(rebuilt))?;
                    for what in &rebuilt.unreadable {
                        report.warn(format!("could not be read: {what}"));
                    }
                    report.text(format!(
                        "{} of {}",
                        show::counted(rebuilt.snapshots as u64, "snapshot", "snapshots"),
                        show::counted(rebuilt.repositories as u64, "repository", "repositories"),
                    ))?;
                    Exit::of_outcome(!rebuilt.unreadable.is_empty(), false)
                }
            };
            state.catalog.close().await;
            Ok(exit)
        })
    }
}
