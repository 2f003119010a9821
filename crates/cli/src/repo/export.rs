//! `export`: one snapshot as one portable file.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tintype_engine::crypto::age::AgeRecipient;
use tintype_engine::crypto::age_file::SealFor;
use tintype_engine::crypto::slot::Secret;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_model::selector::Selector;
use tintype_runner::bundle::{self, ExportOptions, Exported, Output};
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::part;

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::progress::Watched;
use crate::report::Done;
use crate::secret::{self, Sources};
use crate::{pick, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo export latest /mnt/usb/host1.zip              asks for a passphrase
  tintype repo export latest host1.zip --recipient age1…     for whoever has that identity
  tintype repo export latest:/files/etc etc.zip --plain      any unzip opens it
  tintype repo export latest - --plain --format tar | tar t

Without --plain what is in the file is sealed by age; unzip and age open it without Tintype. `repo
import` makes a snapshot of it again and loses nothing. See docs/bundle.md.")]
pub(crate) struct Args {
    /// A snapshot, and perhaps a path inside it: latest:/files/etc
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector())]
    place: Selector,
    /// The new file, or - for standard output
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Do not seal it: whoever gets the file reads all that it holds
    #[arg(long)]
    plain: bool,
    /// What it is
    #[arg(long, value_enum, default_value = "zip")]
    format: Format,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
    /// Seal it for an age recipient instead of a passphrase (repeated: for each)
    #[arg(long, value_name = "AGE1…", value_parser = recipient, conflicts_with = "plain")]
    #[arg(help_heading = "Seal")]
    recipient: Vec<AgeRecipient>,
    /// Read the bundle's passphrase from a file (one line)
    #[arg(long, value_name = "FILE", help_heading = "Seal")]
    #[arg(conflicts_with_all = ["plain", "recipient", "bundle_password_command"])]
    bundle_password_file: Option<PathBuf>,
    /// Read it from what a command prints; else from TINTYPE_BUNDLE_PASSWORD, or it is asked for
    #[arg(long, value_name = "COMMAND", help_heading = "Seal")]
    #[arg(conflicts_with_all = ["plain", "recipient"])]
    bundle_password_command: Option<String>,
    /// Where the directory of a zip with very many files waits for its end
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    scratch: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Zip,
    Tar,
}

fn recipient(text: &str) -> Result<AgeRecipient, tintype_engine::Error> {
    text.parse()
}

/// Where a bundle's passphrase comes from.
pub(super) fn sources<'s>(file: Option<&'s Path>, command: Option<&'s str>) -> Sources<'s> {
    Sources {
        file,
        command,
        variable: "TINTYPE_BUNDLE_PASSWORD",
        options: "--bundle-password-file, --bundle-password-command or TINTYPE_BUNDLE_PASSWORD",
        ..Sources::default()
    }
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let is_stdout = self.file == "-";
        if is_stdout && app.report.is_json() {
            return Err(usage(
                "export to - prints the bundle, which is no JSON; leave --json away",
            ));
        }
        if is_stdout && std::io::stdout().is_terminal() {
            return Err(usage(
                "a bundle is nothing for a terminal; name a file, or a pipe after it",
            ));
        }
        // What is wrong with the file is told before anybody is asked for a passphrase.
        let file = (!is_stdout).then(|| Path::new(&self.file));
        file.map_or(Ok(()), |file| Output::check(file, self.overwrite))?;
        let repository = app.open_at(app.url()?, &app.sources(), None)?;
        let seal = self.seal(app)?;
        app.catch_interrupts()?;
        let snapshot = app.pick(&repository, &self.place)?;
        part::refuse(&snapshot)?;
        let path = self.place.path.clone().unwrap_or_default();
        let output = file.map(|file| Output::create(file, self.overwrite, &app.env));
        let mut output = output.transpose()?;
        let exported = app.pinned(&repository, snapshot.id, |pin| {
            let reader = repository.reader()?;
            if self.plain {
                warn(app, &reader, &snapshot, &path)?;
            }
            let progress = Progress::default();
            if path.is_empty() {
                Progress::add(&progress.total_entries, snapshot.manifest.entries);
                Progress::add(&progress.total_bytes, snapshot.manifest.bytes);
            }
            let options = ExportOptions {
                path: &path,
                format: match self.format {
                    Format::Zip => bundle::Format::Zip,
                    Format::Tar => bundle::Format::Tar,
                },
                seal: seal.as_ref(),
                workers: app.readers()?,
                scratch: &self.scratch,
                cancel: &app.cancel,
            };
            let mut watched = Watched::new("export", &progress, "the target");
            watched.pin = pin;
            let mut stdout = Stdout::default();
            let out: &mut (dyn Write + Send) = match &mut output {
                Some(output) => output,
                None => &mut stdout,
            };
            let done = app
                .watch(&watched, || bundle::export(&reader, &snapshot, &options, out, &progress));
            if stdout.has_no_reader {
                return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
            }
            Ok(done?)
        })?;
        if let Some(output) = output {
            output.finish()?;
        }
        self.tell(app, &snapshot, &exported)
    }

    fn seal(&self, app: &App) -> anyhow::Result<Option<SealFor>> {
        if self.plain {
            return Ok(None);
        }
        if !self.recipient.is_empty() {
            return Ok(Some(SealFor::Recipients(self.recipient.clone())));
        }
        let command = self.bundle_password_command.as_deref();
        let sources = sources(self.bundle_password_file.as_deref(), command);
        match secret::chosen(&sources, "the bundle", &app.report)? {
            Secret::Passphrase(passphrase) => Ok(Some(SealFor::Passphrase(passphrase))),
            _ => Err(usage("a bundle is sealed to a passphrase or to recipients")),
        }
    }

    fn tell(&self, app: &App, snapshot: &Snapshot, done: &Exported) -> anyhow::Result<Done> {
        let Exported { entries, bytes, problems, written_bytes } = *done;
        if self.file != "-" {
            app.report.text(format!(
                "{}: snapshot {}, {}, {} in {}{}",
                Path::new(&self.file).display(),
                snapshot.id.short(),
                show::counted(entries, "entry", "entries"),
                show::bytes(bytes),
                show::bytes(written_bytes),
                if self.plain { ", not encrypted" } else { "" },
            ))?;
        }
        if problems > 0 {
            app.report.note(format!(
                "{} in it not whole: what there is of them lies below tintype-incomplete/",
                show::counted(problems, "entry is", "entries are")
            ));
        }
        let figures = json!({
            "snapshot": snapshot.id,
            "file": self.file.to_string_lossy(),
            "sealed": !self.plain,
            "entries": entries,
            "bytes": bytes,
            "problems": problems,
            "file_bytes": written_bytes,
        });
        Ok(Done::of(Exit::of_outcome(problems > 0, false), figures))
    }
}

/// Says what a plain bundle shows.
fn warn(
    app: &App,
    reader: &ContentReader<'_>,
    snapshot: &Snapshot,
    path: &[u8],
) -> anyhow::Result<()> {
    let what = bundle::secrets(reader, Root::of(&snapshot.manifest), path)?;
    let known = what.iter().map(|(path, what)| format!("{} ({what})", show::path(path)));
    let known: Vec<_> = known.collect();
    let holds = match known.is_empty() {
        true => "whatever is secret in its files".to_owned(),
        false => format!("{}, and whatever else is secret in it", known.join(", ")),
    };
    app.report.warn(format!(
        "the bundle is not encrypted: whoever gets it reads all that it holds of {}: {holds}",
        snapshot.manifest.host
    ));
    Ok(())
}

/// Remembers whether somebody still reads.
#[derive(Default)]
struct Stdout {
    has_no_reader: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = std::io::stdout().lock().write(bytes);
        if let Err(error) = &written {
            self.has_no_reader |= error.kind() == std::io::ErrorKind::BrokenPipe;
        }
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().lock().flush()
    }
}
