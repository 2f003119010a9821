//! `user`.

use std::path::PathBuf;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::user::{NewPassword, NewUser, UserSpec};
use tintype_model::rights::Role;

use super::noun::{self, One, Said, Shown, Tenants, Usual, Verb, word};
use crate::report::Report;
use crate::secret::{self, Sources};

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype user create eve --role restorer --tenant acme --password-file eve.password
  tintype user list
  tintype user change eve --enabled=false
  tintype user password                            one's own

Roles: viewer; operator (takes partial snapshots); restorer; administrator; auditor. A password that
was given by another must be changed at the first login.")]
#[command(mut_subcommand("delete", |it| it.about("Delete one, with the tokens that act for it")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Make one, with a first password
    Create {
        name: String,
        #[arg(long, value_parser = role)]
        role: Role,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// File with the first password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Change the role, or whether the user may log in
    Change {
        #[command(flatten)]
        one: One,
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// Whether the user may log in
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
    },
    /// Change a password: one's own, or as an administrator another's
    Password {
        name: Option<String>,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// File with the one until now
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// File with the new one
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
        let all: Vec<String> = Role::ALL.iter().map(Role::to_string).collect();
        format!("roles are {}", all.join(", "))
    })
}

fn new_password(file: Option<&PathBuf>, report: &Report) -> anyhow::Result<String> {
    let sources = Sources {
        file: file.map(PathBuf::as_path),
        variable: "TINTYPE_NEW_PASSWORD",
        options: "--new-password-file or TINTYPE_NEW_PASSWORD",
        ..Sources::default()
    };
    Ok(secret::new_text(&sources, "new password: ", report)?.to_string())
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<UserSpec>(client, report),
            Self::Create { name, role, tenant, password_file } => {
                let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
                let password = Some(new_password(password_file.as_ref(), report)?);
                let spec = UserSpec { role, is_enabled: true, must_change_password: true };
                let made = client.create_user(&NewUser { name, tenant, spec, password })?;
                noun::told(report, "made", &made)
            }
            Self::Change { one, role, enabled } => {
                let edit = |spec: &mut UserSpec| {
                    spec.role = role.unwrap_or(spec.role);
                    spec.is_enabled = enabled.unwrap_or(spec.is_enabled);
                };
                one.change(client, report, None, edit)
            }
            Self::Password { name, tenant, password_file, new_password_file } => {
                let own = client.whoami()?;
                let user = match name {
                    Some(name) => noun::find::<UserSpec>(client, &name, tenant.as_deref())?.id,
                    None => own.id.clone(),
                };
                let sources = Sources {
                    file: password_file.as_deref(),
                    variable: "TINTYPE_LOGIN_PASSWORD",
                    options: "--password-file or TINTYPE_LOGIN_PASSWORD",
                    ..Sources::default()
                };
                let old = (user == own.id)
                    .then(|| secret::text(&sources, "password until now: ", report))
                    .transpose()?;
                let new = new_password(new_password_file.as_ref(), report)?;
                let old = old.map(|old| old.to_string());
                client.set_password(&user, &NewPassword { old, new })?;
                report.event("password", json!({ "user": user }))?;
                report.text("the password was changed")
            }
        }
    }
}

impl Shown for UserSpec {
    const COLUMNS: &'static [&'static str] = &["role", "enabled"];

    fn cells(&self) -> Vec<String> {
        vec![self.role.to_string(), word(self.is_enabled)]
    }
}
