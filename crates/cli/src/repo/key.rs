//! `key`: the slots that open a repository.

use std::path::PathBuf;

use serde_json::json;
use tintype_engine::Error;
use tintype_engine::crypto::age::AgeRecipient;
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::id::RandomId;
use tintype_engine::repo::Repository;
use tintype_engine::repo::open::SlotInfo;

use super::init::{create_private, show_words};
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::report::Done;
use crate::secret::{self, Sources};
use crate::show::{self, Table};
use crate::terminal;

#[derive(clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "\
Examples:
  tintype repo key list
  tintype repo key add --label 'on-call'           a second passphrase
  tintype repo key add --recovery                  another recovery key
  tintype repo key add --age age1…                 for an age identity that is kept elsewhere
  tintype repo key change-passphrase
  tintype repo key remove 3f2a

Whoever knew a passphrase and copied the repository can still read that copy: removing a key does
not take it back. Copy the snapshots into a new repository if that matters.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List key slots
    List,
    /// Add a passphrase, a recovery key or an age recipient
    Add(Add),
    /// Remove a key slot, by the start of its id
    Remove(Remove),
    /// Replace the passphrase that you open with
    #[command(visible_alias = "passwd")]
    ChangePassphrase(New),
}

#[derive(clap::Args)]
struct New {
    /// Read the new passphrase from a file (one line)
    #[arg(long = "new-password-file", id = "new_password_file", value_name = "FILE")]
    #[arg(conflicts_with = "new_password_command")]
    password_file: Option<PathBuf>,
    /// Read the new passphrase from what a command prints
    #[arg(long = "new-password-command", id = "new_password_command", value_name = "COMMAND")]
    password_command: Option<String>,
    /// Name of the slot
    #[arg(long, value_name = "TEXT", default_value = "passphrase")]
    label: String,
}

#[derive(clap::Args)]
struct Add {
    #[command(flatten)]
    new: New,
    /// A new recovery key of twelve words, shown once
    #[arg(long, conflicts_with_all = ["new_password_file", "new_password_command"])]
    recovery: bool,
    /// Write the recovery key into this new file instead of showing it
    #[arg(long, value_name = "FILE", requires = "recovery")]
    recovery_key_out: Option<PathBuf>,
    /// For this age recipient (X25519); its identity opens the repository with --age-identity
    #[arg(long, value_name = "RECIPIENT")]
    #[arg(conflicts_with_all = ["new_password_file", "new_password_command", "recovery"])]
    age: Option<AgeRecipient>,
}

#[derive(clap::Args)]
struct Remove {
    /// The start of the slot's id
    slot: String,
    /// Do not ask before the last recovery key, or the key that opens it now, is removed
    #[arg(long, short)]
    yes: bool,
}

impl New {
    fn ask(&self, app: &App, what: &str) -> anyhow::Result<Secret> {
        let sources = Sources {
            file: self.password_file.as_deref(),
            command: self.password_command.as_deref(),
            variable: "TINTYPE_NEW_PASSWORD",
            options: "--new-password-file, --new-password-command or TINTYPE_NEW_PASSWORD",
            ..Sources::default()
        };
        secret::chosen(&sources, what, &app.report)
    }
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        match self.command {
            Command::List => list(app),
            Command::Add(add) => add.run(app),
            Command::Remove(remove) => remove.run(app),
            Command::ChangePassphrase(new) => change(app, &new),
        }
    }
}

fn list(app: &App) -> anyhow::Result<Done> {
    let repository = app.open()?;
    let slots = repository.key_slots()?;
    let mut table = Table::new(["id", "kind", "created", "label"], &[]);
    for slot in &slots {
        app.report.event("key", json!(slot))?;
        let label = slot.problem.as_ref().unwrap_or(&slot.label);
        let created = slot.created.map(show::time).unwrap_or_default();
        table.row([slot.id.short(), slot.kind.to_owned(), created, show::name(label.as_bytes())]);
    }
    for line in table.lines() {
        app.report.text(line)?;
    }
    Ok(Done::of(Exit::Complete, json!({ "keys": slots.len() })))
}

impl Add {
    /// The name that was asked for, or that of this kind.
    fn label<'a>(&'a self, kind: &'a str) -> &'a str {
        if self.new.label == "passphrase" { kind } else { &self.new.label }
    }

    fn run(&self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        if let Some(recipient) = &self.age {
            let id = repository.add_age_recipient(recipient, self.label("age recipient"))?;
            return added(app, id);
        }
        if !self.recovery {
            let secret = self.new.ask(app, &repository.backend().describe())?;
            let id = repository.add_key(&secret, &self.new.label)?;
            return added(app, id);
        }
        let file = self.recovery_key_out.as_deref().map(create_private).transpose()?;
        let recovery = RecoveryKey::generate(&app.env);
        let words = recovery.words();
        if let Some(mut file) = file {
            use std::io::Write as _;
            writeln!(file, "{}", words.as_str())?;
            file.sync_all()?;
        }
        let id = repository.add_key(&Secret::Recovery(recovery), self.label("recovery key"))?;
        if self.recovery_key_out.is_none() {
            app.report.event("recovery-key", json!({ "words": words.as_str() }))?;
            show_words(app, &words)?;
        }
        added(app, id)
    }
}

fn added(app: &App, id: RandomId) -> anyhow::Result<Done> {
    app.report.text(format!("key {} added", id.short()))?;
    Ok(Done::of(Exit::Complete, json!({ "key": id })))
}

impl Remove {
    fn run(&self, app: &App) -> anyhow::Result<Done> {
        let (repository, _, own) = opened_with(app)?;
        let slot = find(&repository, &self.slot)?;
        self.confirm(app, &repository, &slot)?;
        self.confirm_own(app, &repository, &slot, &own)?;
        repository.remove_key(slot.id)?;
        app.report.text(format!("key {} ({}) removed", slot.id.short(), slot.kind))?;
        Ok(Done::of(Exit::Complete, json!({ "key": slot.id })))
    }
}

impl Remove {
    /// Whoever takes away what opened it just now may be locked out.
    fn confirm_own(
        &self,
        app: &App,
        repository: &Repository,
        slot: &SlotInfo,
        own: &[RandomId],
    ) -> anyhow::Result<()> {
        let is_another = |other: &SlotInfo| other.id != slot.id && other.is_usable();
        // The engine refuses to remove the last slot.
        let is_last = !repository.key_slots()?.iter().any(is_another);
        if !own.contains(&slot.id) || own.len() > 1 || is_last {
            return Ok(());
        }
        app.report.warn(format!(
            "key {} ({}) is the one that opened the repository just now: it will not open it again",
            slot.id.short(),
            slot.kind
        ));
        if self.yes || terminal::is_agreed("Remove it?", app.report.is_json())? {
            return Ok(());
        }
        Err(usage("nothing was removed; agree with --yes"))
    }

    /// A recovery key is the way back in for who forgets a passphrase.
    fn confirm(&self, app: &App, repository: &Repository, slot: &SlotInfo) -> anyhow::Result<()> {
        let others = repository.key_slots()?.into_iter();
        let others = others.filter(|other| other.id != slot.id && other.is_usable());
        let others: Vec<_> = others.map(|other| other.kind).collect();
        // The engine refuses to remove the last slot.
        if slot.kind != RECOVERY || others.contains(&RECOVERY) || others.is_empty() {
            return Ok(());
        }
        app.report.warn(format!(
            "key {} is the last recovery key: without it only what is left ({}) opens the \
             repository, and who loses that has lost the data; `tintype repo key add --recovery` \
             makes another one",
            slot.id.short(),
            others.join(", ")
        ));
        if self.yes || terminal::is_agreed("Remove it?", app.report.is_json())? {
            return Ok(());
        }
        Err(usage("nothing was removed; agree with --yes"))
    }
}

/// As the engine names this kind of slot.
const RECOVERY: &str = "recovery";

fn find(repository: &Repository, prefix: &str) -> anyhow::Result<SlotInfo> {
    let prefix = prefix.to_ascii_lowercase();
    let mut slots = repository.key_slots()?;
    slots.retain(|slot| !prefix.is_empty() && slot.id.to_string().starts_with(&prefix));
    match slots.len() {
        0 => Err(Error::not_found(format!("no key slot's id starts with {prefix:?}")).into()),
        1 => Ok(slots.remove(0)),
        many => Err(usage(format!(
            "{prefix} is the start of the ids of {}",
            show::counted(many as u64, "key slot", "key slots")
        ))),
    }
}

/// With what opened it, and the slots that this opens.
fn opened_with(app: &App) -> anyhow::Result<(Repository, Secret, Vec<RandomId>)> {
    let url = app.url()?;
    let backend = app.storage(url, false, false)?;
    let secret = secret::existing(&app.sources(), &backend.describe(), &app.report)?;
    let repository = Repository::open(backend, &secret, app.open_options(None))?;
    let slots = repository.slots_of(&secret)?;
    Ok((repository, secret, slots))
}

/// Adds first, removes then: an interruption leaves two keys and never none.
fn change(app: &App, new: &New) -> anyhow::Result<Done> {
    let (repository, old, old_slots) = opened_with(app)?;
    let known = repository.key_slots()?;
    let label = known.iter().find(|slot| old_slots.contains(&slot.id)).map(|slot| &slot.label);
    // The name stays, unless a new one is given.
    let label = label.filter(|_| new.label == "passphrase").unwrap_or(&new.label);
    let secret = new.ask(app, &repository.backend().describe())?;
    let id = repository.add_key(&secret, label)?;
    app.report.text(format!("key {} added", id.short()))?;
    if !matches!(old, Secret::Passphrase(_)) {
        app.report.note(
            "the key that opened it stays; `tintype repo key list` and `key remove` drop a forgotten passphrase",
        );
        return Ok(Done::of(Exit::Complete, json!({ "key": id })));
    }
    // More than one, where an earlier change could not remove the old one.
    for slot in old_slots {
        let short = slot.short();
        repository.remove_key(slot).map_err(|error| {
            error.context(format!(
                "key {short} could not be removed, so the old passphrase still opens the \
                 repository; `tintype repo key remove {short}` removes it"
            ))
        })?;
        app.report.text(format!("key {short} removed"))?;
    }
    match repository.slots_of(&old)?.first() {
        None => app.report.text("the old passphrase opens nothing any more")?,
        Some(slot) => app.report.warn(format!(
            "the passphrase that was given as the old one still opens key {}",
            slot.short()
        )),
    }
    Ok(Done::of(Exit::Complete, json!({ "key": id })))
}
