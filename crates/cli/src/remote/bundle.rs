//! Snapshots as files: `snapshot export`, `snapshot import`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tintype_api::bundle::{Bundle, NewBundle, NewImport, NewUpload, PIECE_BYTES, Upload};
use tintype_api::client::Client;
use tintype_api::storage::StorageSpec;
use tintype_engine::env::Env;
use tintype_engine::{Error, ErrorKind};
use tintype_model::identifier::Id;
use tintype_runner::bundle::{self, Found};

use super::content::{Place, place, told};
use super::fetch::{self, Bar};
use super::noun::{self, Tenants};
use super::run;
use super::snapshot::{find, short};
use super::view::View;
use crate::exit::usage;
use crate::report::Report;
use crate::secret::{self, Sources};
use crate::show::{self, Table};

/// A piece is sent so often without one that arrives.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Where a bundle's passphrase comes from.
#[derive(clap::Args)]
struct Password {
    /// Read the bundle's passphrase from a file (one line)
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    password_file: Option<PathBuf>,
    /// Read it from what a command prints; else from TINTYPE_BUNDLE_PASSWORD, or it is asked for
    #[arg(long, value_name = "COMMAND")]
    password_command: Option<String>,
}

impl Password {
    fn sources(&self) -> Sources<'_> {
        Sources {
            file: self.password_file.as_deref(),
            command: self.password_command.as_deref(),
            variable: "TINTYPE_BUNDLE_PASSWORD",
            options: "--password-file, --password-command or TINTYPE_BUNDLE_PASSWORD",
            ..Sources::default()
        }
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype snapshot export 3f2a -o shop.zip                  asks for a passphrase
  tintype snapshot export 3f2a -o shop.zip --recipient age1…
  tintype snapshot export 3f2a:/tenants/acme -o acme.zip --plain
  tintype snapshot export --bundle 01h… -o shop.zip         goes on with a download

The manager writes the bundle into a file of its own, which is downloaded and then deleted. `tintype
repo import` and `tintype snapshot import` make a snapshot of it again (docs/bundle.md).")]
pub(crate) struct Export {
    /// A snapshot, and perhaps a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = place())]
    #[arg(required_unless_present = "bundle")]
    place: Option<Place>,
    /// The new file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
    /// Do not seal it: whoever gets the file reads all that it holds
    #[arg(long)]
    plain: bool,
    /// Seal it for an age recipient instead of a passphrase (repeated: for each)
    #[arg(long, value_name = "AGE1…", conflicts_with = "plain")]
    recipient: Vec<String>,
    #[command(flatten)]
    password: Password,
    /// One that the manager has made already
    #[arg(long, value_name = "ID", conflicts_with_all = ["place", "plain", "recipient"])]
    bundle: Option<Id>,
}

impl Export {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        fetch::check(&self.output, self.overwrite)?;
        let bundle = match &self.bundle {
            Some(id) => client.bundle(id)?,
            None => self.make(client, report)?,
        };
        let followed = run::follow(client, report, &bundle.run);
        let id = bundle.id;
        if client.bundle(&id)?.size_bytes.is_none() {
            followed?;
            return Err(Error::not_found("the bundle is gone: make it again").into());
        }
        let ask = |from, tag: Option<&str>| client.bundle_content(&id, from, tag);
        let fetched = fetch::into_file(&self.output, self.overwrite, report, &ask);
        let fetched = fetched.inspect_err(|_| {
            let output = self.output.display();
            report.note(format!(
                "it goes on with `tintype snapshot export --bundle {id} -o {output}`, for a day"
            ));
        })?;
        client.delete_bundle(&id)?;
        told(report, &self.output, &fetched)?;
        // What was not captured whole is said with the exit code.
        followed.map(drop)
    }

    fn make(&self, client: &Client, report: &Report) -> anyhow::Result<Bundle> {
        let place = self.place.as_ref().ok_or_else(|| usage("which snapshot?"))?;
        let path = std::str::from_utf8(&place.path).map_err(|_| usage("the path is not UTF-8"))?;
        let snapshot = find(client, &place.snapshot)?;
        let secrets = client.secrets(&snapshot.id, path)?;
        let known = secrets.iter().map(|secret| format!("/{} ({})", secret.path, secret.what));
        let known: Vec<String> = known.collect();
        let holds = match known.is_empty() {
            true => "whatever is secret in its files".to_owned(),
            false => format!("{}, and whatever else is secret in it", known.join(", ")),
        };
        match self.plain {
            true => report.warn(format!(
                "the bundle is not encrypted: whoever gets it reads all that it holds: {holds}"
            )),
            false => report.note(format!("snapshot {} holds {holds}", short(&snapshot.id))),
        }
        let seals = !self.plain && self.recipient.is_empty();
        let passphrase = seals
            .then(|| {
                secret::new_text(&self.password.sources(), "passphrase of the bundle: ", report)
            })
            .transpose()?;
        let new = NewBundle {
            path: path.to_owned(),
            plain: self.plain,
            passphrase: passphrase.map(|text| text.to_string()),
            recipients: self.recipient.clone(),
        };
        Ok(client.create_bundle(&snapshot.id, &new)?)
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype snapshot import shop.zip                          asks for the passphrase, if it is sealed
  tintype snapshot import https://files.example.com/shop.zip --sha256 9f86…
  tintype snapshot import --upload 01h… shop.zip            goes on with an upload

Only administrators of the system see the snapshot, unless --visible: a bundle says itself where its
resources belong. URLs that lead to private addresses are refused, unless tintype.toml allows them.")]
pub(crate) struct Import {
    /// The bundle: a file, or an https or http URL
    #[arg(value_name = "FILE|URL")]
    from: String,
    /// Name of the tenant that gets it; default: one's own
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Name of a storage; default: the tenant's
    #[arg(long, value_name = "NAME")]
    storage: Option<String>,
    /// 14d, 1y6m (y years, m months, w, d, h), never; default: a month
    #[arg(long, value_name = "TIME")]
    keep: Option<String>,
    /// The tenant sees and restores it, too
    #[arg(long)]
    visible: bool,
    /// What comes must have this SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    #[command(flatten)]
    password: Password,
    /// Open the bundle with an age identity file
    #[arg(long, value_name = "FILE")]
    age_identity: Option<PathBuf>,
    /// One that was begun, and broke off
    #[arg(long, value_name = "ID")]
    upload: Option<Id>,
}

impl Import {
    pub(super) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let is_url = self.from.starts_with("https://") || self.from.starts_with("http://");
        let identity = self.age_identity.as_deref().map(read_identity).transpose()?;
        let file = if is_url { None } else { Some(opened(Path::new(&self.from))?) };
        let passphrase = self.passphrase(file.as_ref(), identity.is_some(), report)?;
        let tenant = self.tenant.as_deref();
        let tenant_id = tenant.map(|name| Tenants::of(client)?.id(name)).transpose()?;
        let storage = self
            .storage
            .as_deref()
            .map(|name| anyhow::Ok(noun::find::<StorageSpec>(client, name, None)?.id));
        let storage = storage.transpose()?;
        let upload = match file {
            Some(file) => self.send(client, report, &file)?,
            None => self.fetch(client, report)?,
        };
        let new = NewImport {
            tenant: tenant_id,
            storage,
            passphrase,
            identity,
            keep: self.keep,
            is_private: !self.visible,
        };
        let begun = client.import_upload(&upload.id, &new)?;
        let run = run::follow(client, report, &begun)?;
        let id = run.result["snapshot"].as_str().unwrap_or_default();
        report.text(format!("snapshot {id}"))
    }

    /// Asked for before anything is sent.
    fn passphrase(
        &self,
        file: Option<&File>,
        has_identity: bool,
        report: &Report,
    ) -> anyhow::Result<Option<String>> {
        let sources = self.password.sources();
        let is_given = sources.file.is_some()
            || sources.command.is_some()
            || std::env::var_os(sources.variable).is_some();
        let wants = match file {
            None => !has_identity && is_given,
            Some(file) => {
                let copy = file.try_clone().map_err(|error| Error::io(error, &self.from))?;
                match bundle::open(bundle::in_file(copy)?)? {
                    Found::Plain(_) => false,
                    Found::Sealed(sealed) if sealed.wants_passphrase() => true,
                    Found::Sealed(_) if has_identity => false,
                    Found::Sealed(_) => {
                        let what = "the bundle is sealed for an age identity: give --age-identity";
                        return Err(usage(what));
                    }
                }
            }
        };
        let text = || secret::text(&sources, "passphrase of the bundle: ", report);
        Ok(wants.then(text).transpose()?.map(|text| text.to_string()))
    }

    fn send(&self, client: &Client, report: &Report, file: &File) -> anyhow::Result<Upload> {
        let size = file.metadata().map_err(|error| Error::io(error, &self.from))?.len();
        let name = Path::new(&self.from).file_name().unwrap_or_default();
        let mut upload = match &self.upload {
            Some(id) => client.upload(id)?,
            None => client.create_upload(&NewUpload {
                name: name.to_string_lossy().into_owned(),
                size_bytes: Some(size),
                sha256: self.sha256.clone(),
                url: None,
            })?,
        };
        if upload.size_bytes != Some(size) {
            return Err(usage(format!("upload {} is of another file", upload.id)));
        }
        report.event("upload", json!(upload))?;
        if upload.offset > 0 {
            report.note(format!("{} are there already", show::bytes(upload.offset)));
        }
        let bar = Bar::new("upload", report);
        let (mut piece, mut failures) = (vec![0; PIECE_BYTES], 0);
        while upload.offset < size {
            let length = (size - upload.offset).min(PIECE_BYTES as u64) as usize;
            let read = file.read_exact_at(&mut piece[..length], upload.offset);
            read.map_err(|error| Error::io(error, &self.from))?;
            let id = upload.id.clone();
            upload = match client.send_upload(&id, upload.offset, &piece[..length]) {
                Ok(upload) => {
                    failures = 0;
                    upload
                }
                Err(error) => {
                    failures += 1;
                    let may_work =
                        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Locked);
                    if !may_work || failures == ATTEMPTS {
                        let from = &self.from;
                        report.note(format!(
                            "it goes on with `tintype snapshot import --upload {id} {from}`, for a day"
                        ));
                        return Err(error.into());
                    }
                    Env::system().clock.sleep(PAUSE);
                    client.upload(&id).unwrap_or(upload)
                }
            };
            bar.at(upload.offset, size);
        }
        Ok(upload)
    }

    fn fetch(&self, client: &Client, report: &Report) -> anyhow::Result<Upload> {
        let url = self.from.as_str();
        let name = url.split(['?', '#']).next().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        let (sha256, url) = (self.sha256.clone(), Some(url.to_owned()));
        let upload = client.create_upload(&NewUpload { name, size_bytes: None, sha256, url })?;
        report.event("upload", json!(upload))?;
        let id = upload.run.as_ref().ok_or_else(|| Error::internal("nobody fetches it"))?;
        run::follow(client, report, &client.run(id)?)?;
        Ok(client.upload(&upload.id)?)
    }
}

/// What is written, or waits to be downloaded; what comes, or waits to be imported.
pub(super) fn transfers(client: &Client) -> anyhow::Result<View> {
    let mut table = Table::new(["id", "way", "file", "size", "state", "until", "by"], &[3]);
    let mut view = View::default();
    for bundle in client.bundles()? {
        view = view.with("bundle", json!(bundle));
        let Bundle { id, name, size_bytes, expires, run, .. } = bundle;
        let state = if size_bytes.is_some() { "waits" } else { run.state.name() };
        table.row([
            id.to_string(),
            "out".to_owned(),
            name,
            size_bytes.map_or_else(|| "–".to_owned(), show::bytes),
            state.to_owned(),
            expires.map_or_else(|| "–".to_owned(), show::time),
            run.by,
        ]);
    }
    for upload in client.uploads()? {
        view = view.with("upload", json!(upload));
        let Upload { id, name, size_bytes, offset, is_whole, expires, by, .. } = upload;
        let state = match (is_whole, size_bytes) {
            (true, _) => "waits".to_owned(),
            (false, Some(_)) => format!("{} are here", show::bytes(offset)),
            (false, None) => "comes".to_owned(),
        };
        table.row([
            id.to_string(),
            "in".to_owned(),
            name,
            show::bytes(size_bytes.unwrap_or(offset)),
            state,
            show::time(expires),
            by,
        ]);
    }
    Ok(view.table(&table))
}

fn opened(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path).map_err(|error| Error::io(error, path.display()))?;
    let found = file.metadata().map_err(|error| Error::io(error, path.display()))?;
    match found.is_file() {
        true => Ok(file),
        false => Err(usage(format!("{} is no file", path.display()))),
    }
}

fn read_identity(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io(error, path.display()))?;
    Ok(text)
}
