//! `probe`: what a store can really do, in plain words.

use serde_json::json;
use tintype_engine::backend::probe::{Answer, probe};

use crate::app::App;
use crate::exit::Exit;
use crate::report::Done;
use crate::show::Table;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo probe /mnt/nas/snapshots
  tintype repo probe 's3://bucket/try?endpoint=https://s3.example.org'

Writes a few small objects, tries what Tintype needs, and removes them. Needs no repository and no
key. Exit code 1: the store cannot hold a repository.")]
pub(crate) struct Args {
    /// The storage; default: the repository's
    #[arg(value_name = "URL")]
    url: Option<String>,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let url = match &self.url {
            Some(url) => url.as_str(),
            None => app.url()?,
        };
        let backend = app.storage(url, false, false)?;
        let found = app.busy("probe", || probe(&*backend, &app.env))?;
        let mut table = Table::new(["what", "", "seen"], &[]);
        for finding in &found.findings {
            app.report.event("finding", json!(finding))?;
            let word = match finding.outcome {
                Answer::Yes => "yes",
                Answer::No => "NO",
                Answer::Unknown => "?",
            };
            table.row([finding.name.clone(), word.to_owned(), finding.detail.clone()]);
        }
        for line in table.lines() {
            app.report.text(line)?;
        }
        let late = found.latencies;
        app.report.text(format!(
            "\n1 KiB in the middle of nine: put {:.1} ms, get {:.1} ms, list {:.1} ms",
            late.put_milliseconds, late.get_milliseconds, late.list_milliseconds
        ))?;
        for finding in found.findings.iter().filter(|f| !f.consequence.is_empty()) {
            app.report.text(format!("{}: {}", finding.name, finding.consequence))?;
        }
        let verdict = match (found.usable(), found.many_writers()) {
            (false, _) => "This store cannot hold a repository.",
            (true, true) => "This store can hold a repository with any number of writers at once.",
            (true, false) => {
                "This store can hold a repository that one process at a time writes to."
            }
        };
        app.report.text(verdict)?;
        let exit = if found.usable() { Exit::Complete } else { Exit::Failed };
        let figures = json!({
            "storage": found.storage, "usable": found.usable(),
            "many_writers": found.many_writers(), "latencies": late,
        });
        Ok(Done::of(exit, figures))
    }
}
