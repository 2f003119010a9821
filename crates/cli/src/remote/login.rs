//! `login` and `logout`.

use std::path::PathBuf;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::user::NewPassword;

use super::Common;
use super::contexts::{Context, Contexts, read_authority};
use crate::exit::Exit;
use crate::report::Report;
use crate::secret::{self, Sources};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype login https://backup.example.com
  tintype login https://localhost:8443 --authority /var/lib/tintype/tls/authority.pem
  tintype login https://a.example --as first; tintype login https://b.example --as second
  tintype tenant list --context first

A one-time password is changed at once. Programs do not log in: they have TINTYPE_URL and
TINTYPE_TOKEN (`tintype token create`), and TINTYPE_AUTHORITY where it is needed.")]
pub(crate) struct Login {
    /// https://host:port
    #[arg(value_name = "URL")]
    url: String,
    #[arg(long, default_value = "admin", value_name = "NAME")]
    user: String,
    /// The user's tenant
    #[arg(long, default_value = "system", value_name = "NAME")]
    tenant: String,
    /// Certificate that signed the manager's, where it is its own (PEM)
    #[arg(long, value_name = "FILE", env = "TINTYPE_AUTHORITY")]
    authority: Option<PathBuf>,
    /// File with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the password that replaces a one-time password
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Name for this login [default: the host]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Login {
    pub(crate) fn run(self) -> Exit {
        self.common.run(|report| self.try_run(report))
    }

    fn try_run(&self, report: &Report) -> anyhow::Result<()> {
        let authority = self.authority.as_deref().map(read_authority).transpose()?;
        let nobody = Client::new(&self.url, authority.as_deref().map(str::as_bytes), None)?;
        let sources = Sources {
            file: self.password_file.as_deref(),
            variable: "TINTYPE_LOGIN_PASSWORD",
            options: "--password-file or TINTYPE_LOGIN_PASSWORD",
            ..Sources::default()
        };
        let prompt = format!("password of {}: ", self.user);
        let password = secret::text(&sources, &prompt, report)?;
        let login = tintype_api::login::Login {
            user: self.user.clone(),
            tenant: Some(self.tenant.clone()),
            password: password.to_string(),
            cookie: false,
        };
        let begun = nobody.login(&login)?;
        let session = begun.session.unwrap_or_default();
        let client = nobody.with_bearer(&session);
        if begun.who.must_change_password {
            let sources = Sources {
                file: self.new_password_file.as_deref(),
                variable: "TINTYPE_NEW_PASSWORD",
                options: "--new-password-file or TINTYPE_NEW_PASSWORD",
                ..Sources::default()
            };
            let new =
                secret::new_text(&sources, "new password (the one-time one ends now): ", report)?;
            let new = NewPassword { old: Some(password.to_string()), new: new.to_string() };
            client.set_password(&begun.who.id, &new)?;
            report.note("the password was changed");
        }
        let host = self.url.trim_start_matches("https://").split(['/', ':']).next().unwrap_or("");
        let name = self.name.clone().unwrap_or_else(|| host.to_owned());
        let mut contexts = Contexts::load()?;
        contexts.add(Context { name: name.clone(), url: self.url.clone(), authority, session });
        contexts.save()?;
        let who = begun.who;
        report.event("login", json!({ "context": name, "who": who }))?;
        report.text(format!(
            "logged in to {} as {}, {} of {}",
            self.url, who.name, who.role, who.tenant_name
        ))
    }
}

#[derive(clap::Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    common: Common,
}

impl Logout {
    pub(crate) fn run(self) -> Exit {
        self.common.run(|report| {
            let mut contexts = Contexts::load()?;
            let name = contexts.get(self.common.context.as_deref())?.name.clone();
            let ended = contexts.client(Some(&name))?.logout();
            // A session that is over already is forgotten, too.
            if let Err(error) = ended
                && !error.is(tintype_engine::ErrorKind::Denied)
            {
                return Err(error.into());
            }
            contexts.remove(&name);
            contexts.save()?;
            report.text(format!("logged out of {name}"))
        })
    }
}
