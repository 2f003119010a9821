//! `import`: a new snapshot of a bundle.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tintype_engine::Error;
use tintype_engine::crypto::slot::Secret;
use tintype_runner::bundle::{self, Bundle, Found, ImportOptions, Imported, ReadAt, SealedBundle};
use tintype_runner::progress::Progress;

use super::export::sources;
use super::stream::Interruptible;
use crate::app::App;
use crate::exit::{Exit, InBundle, usage};
use crate::global::parse_size;
use crate::progress::Watched;
use crate::report::Done;
use crate::secret::{self, Sources};
use crate::show;

const IDENTITY_VARIABLE: &str = "TINTYPE_BUNDLE_AGE_IDENTITY_FILE";

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo import host1.zip                  asks for the passphrase, if it is sealed
  tintype repo import host1.zip --bundle-age-identity key.txt
  ssh host1 tintype repo export latest - … | tintype repo import -

What is wrong with a bundle is found before there is a snapshot; it writes into the repository and
nowhere else. A zip that Tintype did not make is refused: unpack it, and take a snapshot of the
directory. See docs/bundle.md.")]
pub(crate) struct Args {
    /// The bundle, or - for standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Read the bundle's passphrase from a file (one line)
    #[arg(long, value_name = "FILE", conflicts_with = "bundle_password_command")]
    bundle_password_file: Option<PathBuf>,
    /// Read it from what a command prints; else from TINTYPE_BUNDLE_PASSWORD, or it is asked for
    #[arg(long, value_name = "COMMAND")]
    bundle_password_command: Option<String>,
    /// Open the bundle with an age identity file (or TINTYPE_BUNDLE_AGE_IDENTITY_FILE)
    #[arg(long, value_name = "FILE")]
    bundle_age_identity: Option<PathBuf>,
    /// Refuse a bundle that holds more content than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    /// Where standard input waits until all of it is there, as it comes
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    scratch: PathBuf,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let name = match self.file == "-" {
            true => "standard input".to_owned(),
            false => Path::new(&self.file).display().to_string(),
        };
        let found = self.bytes(app)?;
        let found = bundle::open(found).map_err(|error| in_bundle(&name, error))?;
        let repository = app.open_at(app.url()?, &app.sources(), None)?;
        let bundle = match found {
            Found::Plain(bundle) => *bundle,
            Found::Sealed(sealed) => self.unlock(app, sealed, &name)?,
        };
        app.catch_interrupts()?;
        let path = bundle.header.path()?;
        let from = (bundle.header.snapshot, bundle.header.repository);
        let budget = app.writer_budget()?;
        let options = ImportOptions {
            workers: budget.workers,
            cancel: app.cancel.clone(),
            most_bytes: self.max_size,
            manager: None,
        };
        repository.close_abandoned()?;
        let progress = Progress::default();
        let watched = Watched::new("import", &progress, "the source");
        let done = app.watch(&watched, || bundle::import(&repository, bundle, &options, &progress));
        let Imported { id, manifest, lock_left } = done.map_err(|error| in_bundle(&name, error))?;
        let state = if manifest.complete { "" } else { " (INCOMPLETE)" };
        app.report.text(format!("snapshot {}{state}", id.short()))?;
        app.report.note(format!(
            "{} of {}, {}: {}, {}",
            if path.is_empty() { "all".to_owned() } else { show::path(&path) },
            manifest.host,
            show::time(manifest.time),
            show::counted(manifest.entries, "entry", "entries"),
            show::bytes(manifest.bytes),
        ));
        if let Some(until) = lock_left {
            app.report.warn(format!(
                "the original is locked until {until}; the import is not: `tintype repo lock {}`",
                id.short()
            ));
        }
        let now = app.env.clock.now();
        if manifest.expiry.is_some_and(|expiry| expiry <= now) {
            app.report.note("its expiry lies in the past: the next prune may drop this snapshot");
        }
        if manifest.time > now {
            app.report.warn("its time lies in the future: until then `latest` means this snapshot");
        }
        let figures = json!({
            "snapshot": id,
            "from": { "snapshot": from.0, "repository": from.1 },
            "entries": manifest.entries,
            "bytes": manifest.bytes,
            "problems": manifest.problems,
            "stored_bytes": manifest.stats["pack_bytes"],
            "complete": manifest.complete,
        });
        Ok(Done::of(Exit::Complete, figures))
    }

    fn bytes(&self, app: &App) -> anyhow::Result<Arc<dyn ReadAt>> {
        if self.file == "-" {
            // Nothing is under way yet: an interrupt ends the process, and the scratch file with it.
            let mut stdin = Interruptible::stdin(app.cancel.clone())?;
            let most = self.max_size.map(|most| most.saturating_mul(2).saturating_add(1 << 30));
            return Ok(bundle::spool(&mut stdin, &self.scratch, most, &app.env, &app.cancel)?);
        }
        let path = Path::new(&self.file);
        let file = File::open(path).map_err(|error| Error::io(error, path.display()))?;
        let metadata = file.metadata().map_err(|error| Error::io(error, path.display()))?;
        if !metadata.is_file() {
            return Err(usage(format!(
                "{} is no file; what comes from a pipe or a device is imported as -",
                path.display()
            )));
        }
        Ok(bundle::in_file(file)?)
    }

    fn unlock(&self, app: &App, sealed: SealedBundle, name: &str) -> anyhow::Result<Bundle> {
        let secret = self.secret(app, sealed.wants_passphrase())?;
        sealed.unlock(&secret).map_err(|error| in_bundle(name, error))
    }

    fn secret(&self, app: &App, wants_passphrase: bool) -> anyhow::Result<Secret> {
        if wants_passphrase {
            let command = self.bundle_password_command.as_deref();
            let sources = sources(self.bundle_password_file.as_deref(), command);
            return secret::existing(&sources, "the bundle", &app.report);
        }
        let variable = std::env::var_os(IDENTITY_VARIABLE).filter(|file| !file.is_empty());
        let file = self.bundle_age_identity.clone().or_else(|| variable.map(PathBuf::from));
        let Some(file) = file else {
            return Err(usage(format!(
                "the bundle is sealed for an age identity: give --bundle-age-identity FILE or \
                 {IDENTITY_VARIABLE}"
            )));
        };
        let sources = Sources { age_file: Some(&file), ..Sources::default() };
        secret::existing(&sources, "the bundle", &app.report)
    }
}

fn in_bundle(name: &str, error: Error) -> anyhow::Error {
    anyhow::Error::from(error).context(InBundle(name.to_owned()))
}
