//! `init`: a new repository, and its recovery key, shown once.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tintype_engine::backend::probe::probe;
use tintype_engine::backend::{SharedBackend, SingleWriterBackend};
use tintype_engine::crypto::age::AgeRecipient;
use tintype_engine::format::records::names;
use tintype_engine::repo::Repository;
use tintype_engine::{Error, ErrorKind};

use crate::app::App;
use crate::exit::Exit;
use crate::report::Done;
use crate::secret;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo init -r /srv/snapshots
  tintype repo init -r 's3://bucket/host1?endpoint=https://s3.example.org'
  tintype repo init -r /srv/snapshots --password-file /etc/tintype.pass --recovery-key-out words.txt

The place must be empty; a directory is made. The store is tried out first (--no-probe: only
looked at). The twelve words of the recovery key open the repository when the passphrase is
lost; they are shown this once.")]
pub(crate) struct Args {
    /// Name of the key slot of the passphrase
    #[arg(long, value_name = "TEXT", default_value = "passphrase of init")]
    label: String,
    /// Write the recovery key into this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    recovery_key_out: Option<PathBuf>,
    /// Add a key slot for this age recipient (X25519)
    #[arg(long, value_name = "RECIPIENT")]
    age: Option<AgeRecipient>,
    /// Believe what the store says of itself instead of trying it out
    #[arg(long)]
    no_probe: bool,
    /// Only one process will ever write at a time, whatever the store can do
    #[arg(long)]
    single_writer: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let url = app.url()?;
        let backend = app.storage(url, true, false)?;
        refuse_taken(&backend)?;
        let place = backend.describe();
        let secret = secret::chosen(&app.sources(), &place, &app.report)?;
        app.catch_interrupts()?;
        let single_writer = self.single_writer || !self.takes_many_writers(app, &backend)?;
        let backend = if single_writer {
            std::sync::Arc::new(SingleWriterBackend::new(backend)) as SharedBackend
        } else {
            backend
        };
        // Before anything is made: where the words go.
        let out = self.recovery_key_out.as_deref().map(create_private).transpose()?;
        let options = app.open_options(None);
        let (repository, recovery) =
            Repository::init(backend, &[(&secret, &self.label)], single_writer, options)?;
        let added = self.age.as_ref().map(|age| repository.add_age_recipient(age, "age recipient"));
        let words = recovery.words();
        let report = &app.report;
        report.text(format!("repository {} is ready at {place}", repository.id().short()))?;
        if single_writer {
            report.text(
                "Only one process may write to it at a time: this store cannot tell writers apart.",
            )?;
        }
        if let (Some(mut file), Some(path)) = (out, &self.recovery_key_out) {
            let written = writeln!(file, "{}", words.as_str()).and_then(|()| file.sync_all());
            let shown = path.display();
            written.with_context(|| format!("the repository is made, but its recovery key could not be written to {shown}; make another with `tintype repo key add --recovery`"))?;
            report.text(format!("The recovery key is in {shown}: bring it to a safe place."))?;
        } else {
            report.event("recovery-key", json!({ "words": words.as_str() }))?;
            show_words(app, &words)?;
        }
        // The words first: they are shown this once, whatever fails.
        added.transpose().context("the repository is made, but without a slot for the age recipient; `tintype repo key add --age` adds it")?;
        Ok(Done::of(
            Exit::Complete,
            json!({ "repository": repository.id(), "place": place, "single_writer": single_writer }),
        ))
    }

    fn takes_many_writers(&self, app: &App, backend: &SharedBackend) -> anyhow::Result<bool> {
        if self.no_probe {
            return Ok(backend.conditional());
        }
        app.report.detail("trying out the store");
        let report = probe(&**backend, &app.env)?;
        if !report.usable() {
            let bad = report.findings.iter().filter(|f| !f.consequence.is_empty());
            let bad: Vec<String> = bad.map(|f| format!("{}: {}", f.name, f.detail)).collect();
            return Err(Error::unsupported(format!(
                "{} cannot hold a repository ({}); `tintype repo probe` tells more",
                backend.describe(),
                bad.join("; ")
            ))
            .into());
        }
        Ok(report.many_writers())
    }
}

/// Said before a passphrase is asked for.
fn refuse_taken(backend: &SharedBackend) -> anyhow::Result<()> {
    for name in [names::CONFIG, names::CONFIG_COPY] {
        match backend.stat(name) {
            Ok(_) => {
                let place = backend.describe();
                return Err(
                    Error::already_exists(format!("{place} already holds a repository")).into()
                );
            }
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A new file that nobody else can read.
pub(crate) fn create_private(path: &Path) -> anyhow::Result<std::fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io(error, format_args!("cannot make {}", path.display())).into())
}

/// The words in three lines of four, with advice.
pub(crate) fn show_words(app: &App, words: &str) -> anyhow::Result<()> {
    let words: Vec<&str> = words.split_whitespace().collect();
    app.report.text("")?;
    app.report.text("The recovery key, shown this once:")?;
    app.report.text("")?;
    for line in words.chunks(4) {
        let line: Vec<String> = line.iter().map(|word| format!("{word:<9}")).collect();
        app.report.text(format!("    {}", line.join(" ").trim_end()))?;
    }
    app.report.text("")?;
    app.report.text(
        "Write these words down and keep them apart from this machine. They open everything in\n\
         this repository, also when the passphrase is lost; whoever has them needs nothing else.\n\
         Without the passphrase and without these words nobody can ever read it again.",
    )
}
