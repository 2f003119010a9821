//! `run`, and how other commands follow one.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::run::{LogLevel, Run, RunState};
use tintype_engine::env::Env;
use tintype_model::identifier::Id;

use super::noun::{Said, Tenants, Verb};
use super::view::{self, Newest, View, Watch};
use crate::exit::{Ended, Exit};
use crate::report::Report;
use crate::show::{self, Table};

/// It is asked so often how far a run is.
const LOOK: Duration = Duration::from_millis(300);

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype run list
  tintype run show 01h…
  tintype run show 01h… --watch   its state as it changes, until it is over
  tintype run follow 01h…         its log as it comes, until it is over
  tintype run cancel 01h…")]
pub(crate) enum Command {
    /// The newest first
    List(Newest),
    /// How far it is, or what came of it
    Show {
        id: Id,
        #[command(flatten)]
        watch: Watch,
    },
    /// Its log as it comes, until it is over
    Follow { id: Id },
    /// Stop it
    Cancel { id: Id },
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List(newest) => newest.tell(client, report, |client| list(client, &newest)),
            Self::Show { id, watch } if watch.is_on() => watched(client, report, &id),
            Self::Show { id, watch: _ } => seen(&client.run(&id)?)?.tell(report),
            Self::Follow { id } => follow(client, report, &client.run(&id)?).map(drop),
            Self::Cancel { id } => {
                let run = client.cancel_run(&id)?;
                report.event("run", json!(run))?;
                match run.state.is_over() {
                    true => report.text(format!("{} is cancelled", run.title)),
                    false => report.text(format!("{} stops at the next safe point", run.title)),
                }
            }
        }
    }
}

fn list(client: &Client, newest: &Newest) -> anyhow::Result<View> {
    let page: Page<Run> = client.get(&format!("/runs?limit={}", newest.limit))?;
    let tenants = Tenants::of(client)?;
    let mut table = Table::new(["run", "kind", "state", "begun", "tenant", "by", "what"], &[]);
    let mut view = View::default();
    for run in page.items {
        view = view.with("run", json!(run));
        let begun = run.started.map_or_else(|| "–".to_owned(), show::time);
        table.row([
            run.id.to_string(),
            run.kind.name().to_owned(),
            run.state.name().to_owned(),
            begun,
            tenants.name(&run.tenant),
            run.by,
            run.title,
        ]);
    }
    Ok(view.table(&table))
}

fn seen(run: &Run) -> anyhow::Result<View> {
    View::default().with("run", json!(run)).document(run)
}

/// As the manager tells it, until it is over.
fn watched(client: &Client, report: &Report, id: &Id) -> anyhow::Result<()> {
    let env = Env::system();
    let mut heard: Option<Receiver<tintype_model::Result<Run>>> = None;
    let mut is_over = false;
    view::follow(view::interruptible()?, report, |cancel, is_first| {
        if is_over {
            return Ok(None);
        }
        let incoming = if let Some(incoming) = heard.take() {
            incoming
        } else {
            if !is_first {
                env.clock.sleep(LOOK);
            }
            let events = client.run_events(id)?;
            let (tell, hear) = channel();
            // It ends with the stream, or when nobody hears it any more.
            env.tasks.spawn(Box::new(move || {
                let _ = events.runs().try_for_each(|run| tell.send(run).map_err(drop));
            }))?;
            hear
        };
        let (run, goes_on) = loop {
            match incoming.recv_timeout(LOOK) {
                Ok(run) => break (run?, true),
                Err(RecvTimeoutError::Timeout) if cancel.is_canceled() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                // The next look asks again.
                Err(RecvTimeoutError::Disconnected) => break (client.run(id)?, false),
            }
        };
        heard = goes_on.then_some(incoming);
        is_over = run.state.is_over();
        seen(&run).map(Some)
    })
}

/// Tells its log until it is over. Not all of it well: an error with the exit code of that.
pub(super) fn follow(client: &Client, report: &Report, run: &Run) -> anyhow::Result<Run> {
    let clock = Env::system().clock;
    let mut after = 0;
    loop {
        let now = client.run(&run.id)?;
        let lines = client.run_log(&run.id, after)?;
        for line in &lines {
            report.event("log", json!(line))?;
            let word = match line.level {
                LogLevel::Info => "",
                LogLevel::Warning => "warning: ",
                LogLevel::Error => "error: ",
            };
            report.text(format!("{word}{}", line.text))?;
            after = line.n;
        }
        if now.state.is_over() && lines.is_empty() {
            report.event("run", json!(now))?;
            return ended(now);
        }
        clock.sleep(LOOK);
    }
}

fn ended(run: Run) -> anyhow::Result<Run> {
    let cause = run.cause.clone().unwrap_or_else(|| run.state.name().to_owned());
    let ended = |exit| Err(Ended { exit, what: cause.clone() }.into());
    match run.state {
        RunState::Incomplete => ended(Exit::Incomplete),
        RunState::Failed => ended(Exit::Failed),
        RunState::Canceled => ended(Exit::Interrupted),
        _ => Ok(run),
    }
}
