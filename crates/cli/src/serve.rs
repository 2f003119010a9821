//! `serve`: the manager.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tintype_engine::env::Env;
use tintype_manager::config::{FILE_BYTES, File};
use tintype_manager::lost::switch;
use tintype_manager::serve::{ADMINISTRATOR, Manager, Options};
use tintype_manager::tls::Files;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{self, Exit, usage};
use crate::platform;
use crate::report::Report;
use crate::terminal;

const LISTEN: &str = "0.0.0.0:8443";
const FILE: &str = "tintype.toml";
/// systemd(5), LoadCredential=
const CREDENTIAL: &str = "tintype-master-key";

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype serve                                    everything in the data directory, TLS of its own
  tintype serve --data /srv/tintype --listen 0.0.0.0:443 --name backup.example.com
  TINTYPE_DATABASE=postgres://tintype@db/tintype tintype serve

At its first start it makes a master key, a certificate with an authority of its own, and the user
`admin` of the tenant `system`, whose one-time password is printed once. Settings: options, then
environment, then tintype.toml in the data directory or the file of --config. It ends cleanly at
SIGTERM and Ctrl-C, and begins again, with its settings read anew, at SIGHUP.")]
#[derive(Clone)]
pub(crate) struct Serve {
    #[command(flatten)]
    own: Own,
    /// Address and port [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS:PORT", env = "TINTYPE_LISTEN")]
    listen: Option<SocketAddr>,
    /// Name or address for the certificate that it makes; can be given more than once
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

/// Where a manager of this host keeps what it has.
#[derive(Clone, clap::Args)]
pub(crate) struct Own {
    /// Where everything is kept [default: /var/lib/tintype, of a user ~/.local/share/tintype]
    #[arg(long, value_name = "DIR", env = "TINTYPE_DATA", global = true)]
    data: Option<PathBuf>,
    /// PostgreSQL in place of SQLite; with a password, better by the environment
    #[arg(
        long,
        value_name = "URL",
        env = "TINTYPE_DATABASE",
        hide_env_values = true,
        global = true
    )]
    database: Option<String>,
    /// Settings [default: tintype.toml in the data directory]
    #[arg(long, value_name = "FILE", env = "TINTYPE_CONFIG", global = true)]
    config: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(self) -> Exit {
        crate::app::log(0);
        let report = Report::new(false, false, false);
        match self.try_run(&report) {
            Ok(()) => Exit::Complete,
            Err(error) => {
                let exit = exit::of_error(&error);
                report.failure(&error, exit);
                exit
            }
        }
    }

    fn try_run(self, report: &Report) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
        // A recovery in place ends the manager and lets it begin again, in the same process.
        while runtime.block_on(self.clone().serve_once(report))? {}
        Ok(())
    }

    /// Until it is to end; whether it is to begin again.
    async fn serve_once(self, report: &Report) -> anyhow::Result<bool> {
        let options = self.options()?;
        // Before it says that it is ready.
        let mut terminate = signal(SignalKind::terminate()).context("signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
        let mut again = signal(SignalKind::hangup()).context("signals")?;
        let data = options.data.clone();
        let waits = data.clone();
        tokio::task::spawn_blocking(move || switch::wait(&waits)).await??;
        let manager = Manager::start(options).await?;
        greet(report, &manager, &data)?;
        notify("READY=1");
        let (tell, told) = tokio::sync::oneshot::channel();
        let end = async move {
            let is_again = tokio::select! {
                _ = terminate.recv() => false,
                _ = interrupt.recv() => false,
                _ = again.recv() => true,
            };
            notify(if is_again { "RELOADING=1" } else { "STOPPING=1" });
            let _ = tell.send(is_again);
        };
        manager.run(end).await?;
        Ok(told.await.unwrap_or(false))
    }

    fn options(self) -> anyhow::Result<Options> {
        let mut options = self.own.options()?;
        options.listen = self.listen.unwrap_or(options.listen);
        options.names.splice(0..0, self.names);
        Ok(options)
    }
}

impl Own {
    /// As the settings say.
    pub(crate) fn options(self) -> anyhow::Result<Options> {
        let given = match &self.config {
            Some(file) => {
                Some(read(file)?.with_context(|| format!("there is no {}", file.display()))?)
            }
            None => None,
        };
        let data = self.data.clone().or_else(|| given.as_ref().and_then(|file| file.data.clone()));
        let data = data.map_or_else(|| default_data("tintype"), Ok)?;
        let file = match given {
            Some(file) => file,
            None => read(&data.join(FILE))?.unwrap_or_default(),
        };
        let files = file.tls.certificate.zip(file.tls.key);
        let tls = files.map(|(certificate, key)| Files { certificate, key, authority: None });
        let env = Env::system();
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let credential = credentials.map(|folder| folder.join(CREDENTIAL));
        Ok(Options {
            data,
            listen: file.listen.unwrap_or_else(|| LISTEN.parse().expect("an address")),
            database: self.database.or(file.database),
            names: file.names,
            tls,
            master_key: credential.filter(|file| file.exists()),
            env,
            guard: platform::guard_command()?,
            runtime: platform::runtime_dir(),
            limits: file.uploads.limits()?,
            patience: file.runs.patience(),
        })
    }
}

/// Where a service of that name keeps what it has.
pub(crate) fn default_data(name: &str) -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/lib").join(name));
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_DATA_HOME").map(PathBuf::from);
    let base = base.or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/share")));
    let base = base.ok_or_else(|| usage("where is everything to be kept? use --data"))?;
    Ok(base.join(name))
}

/// None where there is no such file.
fn read(file: &Path) -> anyhow::Result<Option<File>> {
    let name = file.display();
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.len() > FILE_BYTES => {
            return Err(usage(format!("{name} is longer than {} MiB", FILE_BYTES >> 20)));
        }
        _ => {}
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    File::parse(&text).map(Some).map_err(|error| usage(format!("{name}: {error}")))
}

fn greet(report: &Report, manager: &Manager, data: &Path) -> anyhow::Result<()> {
    report.text(format!(
        "tintype {} keeps everything in {}",
        env!("CARGO_PKG_VERSION"),
        data.display()
    ))?;
    if let Some(password) = &manager.first_password {
        report.text(format!("first login: user {ADMINISTRATOR}, password {password}"))?;
        report.text("  it is told this once, and must be changed; the key to everything is master.key there: keep a copy elsewhere")?;
    }
    let port = manager.address.port();
    report.text(format!("listens on https://{}", manager.address))?;
    if let Some(authority) = &manager.authority {
        report.text(format!(
            "  tintype login https://localhost:{port} --authority {}",
            authority.display()
        ))?;
    }
    Ok(())
}

/// Tells systemd, where it asked for it (sd_notify(3)).
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        use std::os::linux::net::SocketAddrExt as _;
        let name = path.to_string_lossy();
        let address = match name.strip_prefix('@') {
            Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name)?,
            None => std::os::unix::net::SocketAddr::from_pathname(&path)?,
        };
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = sent {
        terminal::line(&format!("warning: systemd cannot be told `{state}`: {error}"));
    }
}
