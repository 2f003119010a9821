//! `tenant`.

use tintype_api::client::Client;
use tintype_api::tenant::TenantSpec;
use tintype_model::size;

use super::noun::{One, Said, Shown, Usual, Verb, word};
use crate::report::Report;
use crate::show;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype tenant create acme --quota 2TiB
  tintype tenant list
  tintype tenant change acme --may-restore=false
  tintype tenant delete acme                       only when nothing is in it")]
#[command(mut_subcommand("delete", |it| it.about("Delete one in which nothing is")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Make one
    Create {
        name: String,
        #[command(flatten)]
        spec: Spec,
    },
    /// Change what it may, or its name
    Change {
        name: String,
        /// A new name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[command(flatten)]
        spec: Spec,
    },
}

#[derive(clap::Args)]
pub(crate) struct Spec {
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What its snapshots may take; 0: no limit
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    quota: Option<u64>,
    /// Whether snapshots of it are taken at all
    #[arg(long, value_name = "BOOL")]
    entitled: Option<bool>,
    /// Whether its own users may take snapshots
    #[arg(long, value_name = "BOOL")]
    may_snapshot: Option<bool>,
    /// Whether its own users may restore
    #[arg(long, value_name = "BOOL")]
    may_restore: Option<bool>,
    /// Its own users lock a snapshot for so many days at most
    #[arg(long, value_name = "DAYS")]
    lock_days: Option<u32>,
    /// So many of its runs go on at once
    #[arg(long, value_name = "N")]
    runs: Option<u32>,
}

impl Spec {
    fn edit(self, spec: &mut TenantSpec) {
        let set = |to: &mut bool, value: Option<bool>| *to = value.unwrap_or(*to);
        set(&mut spec.is_entitled, self.entitled);
        set(&mut spec.may_snapshot, self.may_snapshot);
        set(&mut spec.may_restore, self.may_restore);
        if let Some(description) = self.description {
            spec.description = description;
        }
        if let Some(quota) = self.quota {
            spec.quota_bytes = Some(quota).filter(|quota| *quota > 0);
        }
        spec.lock_days_at_most = self.lock_days.unwrap_or(spec.lock_days_at_most);
        spec.runs_at_once = self.runs.unwrap_or(spec.runs_at_once);
    }
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<TenantSpec>(client, report),
            Self::Create { name, spec: edit } => {
                let mut spec = TenantSpec::default();
                edit.edit(&mut spec);
                One { name, tenant: None }.create(client, report, spec)
            }
            Self::Change { name, rename, spec } => {
                let edit = |of: &mut TenantSpec| spec.edit(of);
                One { name, tenant: None }.change(client, report, rename, edit)
            }
        }
    }
}

impl Shown for TenantSpec {
    const COLUMNS: &'static [&'static str] =
        &["snapshots", "own snapshots", "own restores", "quota"];

    fn cells(&self) -> Vec<String> {
        let quota = self.quota_bytes.map_or_else(|| "none".to_owned(), show::bytes);
        vec![word(self.is_entitled), word(self.may_snapshot), word(self.may_restore), quota]
    }
}
