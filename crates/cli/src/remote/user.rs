//! `user`.

use std::path::PathBuf;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::user::{NewPassword, NewUser, UserSpec};
use tintype_model::rights::Role;

use super::noun::Tenants;
use super::{Common, noun};
use crate::exit::Exit;
use crate::report::Report;
use crate::secret::{self, Sources};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype user create eve --role restorer --tenant acme --password-file eve.password
  tintype user list
  tintype user change eve --enabled=false
  tintype user password                            one's own

Roles: viewer; operator (takes partial snapshots); restorer; administrator; auditor. A password that
was given by another must be changed at the first login.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All that you may see
    List,
    /// One, with everything that is set
    Show {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
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
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
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
    /// Delete one, with the tokens that act for it
    Delete {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
        let all: Vec<String> = Role::ALL.iter().map(Role::to_string).collect();
        format!("roles are {}", all.join(", "))
    })
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.command.run(client, report))
    }
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

impl Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List => noun::list::<UserSpec>(client, report, &["role", "enabled"], |user| {
                let enabled = if user.spec.is_enabled { "yes" } else { "no" };
                vec![user.spec.role.to_string(), enabled.to_owned()]
            }),
            Self::Show { name, tenant } => {
                noun::show::<UserSpec>(report, &noun::find(client, &name, tenant.as_deref())?)
            }
            Self::Create { name, role, tenant, password_file } => {
                let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
                let password = Some(new_password(password_file.as_ref(), report)?);
                let spec = UserSpec { role, is_enabled: true, must_change_password: true };
                let made = client.create_user(&NewUser { name, tenant, spec, password })?;
                noun::told(report, "made", &made)
            }
            Self::Change { name, tenant, role, enabled } => {
                let edit = |spec: &mut UserSpec| {
                    spec.role = role.unwrap_or(spec.role);
                    spec.is_enabled = enabled.unwrap_or(spec.is_enabled);
                };
                noun::change(client, report, (&name, tenant.as_deref()), None, edit)
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
            Self::Delete { name, tenant } => {
                noun::delete::<UserSpec>(client, report, &name, tenant.as_deref())
            }
        }
    }
}
