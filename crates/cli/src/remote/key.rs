//! `storage key`: what opens a repository besides the manager.

use std::path::PathBuf;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::key::{KeySlot, KeysQuery, NewKeySlot};
use tintype_api::storage::StorageSpec;
use tintype_engine::Error;

use super::noun::{self, Tenants};
use super::view::{View, Watch};
use crate::exit::usage;
use crate::report::Report;
use crate::secret::{self, Sources};
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype storage key list vault
  tintype storage key add vault --label on-call               a passphrase
  tintype storage key add vault --recovery                    twelve words, for paper
  tintype storage key add vault --age age1… --tenant acme     for an age identity
  tintype storage key remove vault 3f2a

With it the repository is read without the manager: `tintype repo -r URL …`. The slots of the manager
and of its recovery sheet stay.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// In whose repository; default: one's own
    #[arg(long, value_name = "NAME", global = true)]
    tenant: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the slots, without their secrets
    List {
        storage: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// Add a passphrase or an age recipient
    Add(Add),
    /// Remove a slot, by the start of its id
    Remove { storage: String, slot: String },
}

#[derive(clap::Args)]
struct Add {
    storage: String,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// For this age recipient instead of a passphrase
    #[arg(long, value_name = "RECIPIENT", conflicts_with_all = ["password_file", "password_command"])]
    age: Option<String>,
    /// A new recovery key of twelve words, shown once
    #[arg(long, conflicts_with_all = ["age", "password_file", "password_command"])]
    recovery: bool,
    /// Read the new passphrase from a file (one line)
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    password_file: Option<PathBuf>,
    /// Read it from what a command prints; else from TINTYPE_NEW_PASSWORD, or it is asked for
    #[arg(long, value_name = "COMMAND")]
    password_command: Option<String>,
}

impl Args {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let tenant = self.tenant.as_deref();
        let tenant = tenant.map(|name| anyhow::Ok(Tenants::of(client)?.id(name)?.to_string()));
        let query = KeysQuery { tenant: tenant.transpose()? };
        let storage = |name: &str| anyhow::Ok(noun::find::<StorageSpec>(client, name, None)?.id);
        match self.command {
            Command::List { storage: name, watch } => {
                let storage = storage(&name)?;
                watch.tell(client, report, |client| Ok(list(&client.keys(&storage, &query)?)))
            }
            Command::Add(add) => {
                let storage = storage(&add.storage)?;
                let slot = client.add_key(&storage, &query, &add.wanted(report)?)?;
                report.event("key", json!(slot))?;
                if let Some(recovery) = &slot.recovery {
                    report.text("these words open it; they are not shown again:")?;
                    report.text(format!("\n  {}\n\nwith {}", recovery.words, recovery.command))?;
                }
                report.text(format!("key slot {} added", short(&slot)))
            }
            Command::Remove { storage: name, slot } => {
                let storage = storage(&name)?;
                let mut found = client.keys(&storage, &query)?;
                found.retain(|known| known.id.starts_with(&slot));
                let [found] = &found[..] else {
                    return Err(match found.is_empty() {
                        true => Error::not_found(format!("there is no key slot {slot}")).into(),
                        false => usage(format!("several key slots begin with {slot}: say more")),
                    });
                };
                client.remove_key(&storage, &query, &found.id)?;
                report.event("key", json!(found))?;
                report.text(format!("key slot {} removed", short(found)))?;
                report.note("whoever has copied the repository and knows it reads that copy still");
                Ok(())
            }
        }
    }
}

fn short(slot: &KeySlot) -> &str {
    slot.id.get(..8).unwrap_or(&slot.id)
}

fn list(slots: &[KeySlot]) -> View {
    let mut view = View::default();
    let mut table = Table::new(["slot", "kind", "label", "made", "state"], &[]);
    for slot in slots {
        view = view.with("key", json!(slot));
        let state = match (&slot.problem, slot.is_own) {
            (Some(problem), _) => problem.clone(),
            (None, true) => "of the manager".to_owned(),
            (None, false) => "good".to_owned(),
        };
        let made = slot.created.map_or_else(|| "–".to_owned(), show::time);
        table.row([short(slot).to_owned(), slot.kind.clone(), slot.label.clone(), made, state]);
    }
    view.table(&table)
}

impl Add {
    fn wanted(&self, report: &Report) -> anyhow::Result<NewKeySlot> {
        let label = self.label.clone();
        if let Some(recipient) = self.age.clone() {
            return Ok(NewKeySlot { label, recipient: Some(recipient), ..NewKeySlot::default() });
        }
        if self.recovery {
            return Ok(NewKeySlot { label, recovery: true, ..NewKeySlot::default() });
        }
        let sources = Sources {
            file: self.password_file.as_deref(),
            command: self.password_command.as_deref(),
            variable: "TINTYPE_NEW_PASSWORD",
            options: "--password-file, --password-command or TINTYPE_NEW_PASSWORD",
            ..Sources::default()
        };
        let text = secret::new_text(&sources, "new passphrase: ", report)?;
        let passphrase = Some(text.to_string());
        Ok(NewKeySlot { label, passphrase, ..NewKeySlot::default() })
    }
}
