//! Commands that speak to a manager: the nouns of its API.

pub(crate) mod agent;
pub(crate) mod audit;
mod bundle;
pub(crate) mod connector;
mod content;
mod contexts;
pub(crate) mod events;
mod fetch;
mod key;
pub(crate) mod login;
mod noun;
pub(crate) mod profile;
pub(crate) mod resource;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod sync;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod user;
mod view;

use tintype_api::client::Client;

use crate::exit::{self, Exit};
use crate::report::Report;
use contexts::Contexts;

/// Which manager, and how it is told.
#[derive(clap::Args, Clone)]
pub(crate) struct Common {
    /// Another manager than that of the last login
    #[arg(long, value_name = "NAME", env = "TINTYPE_CONTEXT", global = true)]
    context: Option<String>,
    /// One JSON object per line
    #[arg(long, global = true)]
    json: bool,
}

impl Common {
    fn report(&self) -> Report {
        Report::new(self.json, false, false)
    }

    /// Of the environment (`TINTYPE_URL`, `TINTYPE_TOKEN`, `TINTYPE_AUTHORITY`), or of a login.
    fn client(&self) -> anyhow::Result<Client> {
        match contexts::of_environment()? {
            Some(client) => Ok(client),
            None => Contexts::load()?.client(self.context.as_deref()),
        }
    }

    /// Does what a manager is asked for.
    pub(crate) fn ask(&self, command: impl FnOnce(&Client, &Report) -> anyhow::Result<()>) -> Exit {
        self.run(|report| command(&self.client()?, report))
    }

    fn run(&self, command: impl FnOnce(&Report) -> anyhow::Result<()>) -> Exit {
        crate::app::log(0);
        let report = self.report();
        let exit = match command(&report) {
            // What was only watched ends so.
            Ok(()) if crate::interrupt::happened() => Exit::Interrupted,
            Ok(()) => Exit::Complete,
            Err(error) => {
                let exit = exit::of_error(&error);
                if exit != Exit::NoReader {
                    report.failure(&error, exit);
                }
                exit
            }
        };
        let summary = serde_json::json!({ "outcome": exit, "exit_code": exit.code() });
        match report.event("summary", summary) {
            Ok(()) => exit,
            Err(_) => Exit::NoReader,
        }
    }
}
