//! `snapshot`.

use std::collections::BTreeSet;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::resource::ResourceSpec;
use tintype_api::snapshot::{
    ChangedSnapshot, Excluded, NewSnapshot, Snapshot, SnapshotQuery, SnapshotScope, Trigger,
};
use tintype_api::storage::StorageSpec;

use super::noun::{Said, Tenants, Verb};
use super::view::{Newest, View, Watch};
use super::{bundle, content, noun, run};
use crate::exit::usage;
use crate::report::Report;
use crate::show::{self, Table};

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype snapshot create --full --note 'before the move'
  tintype snapshot create --manager --exclude-credentials
  tintype snapshot create --app shop --keep 14d
  tintype snapshot create --app shop --before-update -- ./upgrade.sh 2.1
  tintype snapshot list --resource shop
  tintype snapshot list --search 'before the move'
  tintype snapshot show 3f2a…
  tintype snapshot ls 3f2a:/tenants/acme/volumes/web -l
  tintype snapshot ls 3f2a:/tenants/acme/vms/shop/disks/vda.img 2:/etc
  tintype snapshot find 3f2a '*.conf'
  tintype snapshot get 3f2a:/tenants/acme/volumes/web/index.html -o index.html
  tintype snapshot versions /tenants/acme/volumes/web/index.html
  tintype snapshot diff 3f2a latest
  tintype snapshot keep 3f2a… never
  tintype snapshot hold 3f2a… --reason 'legal case 12'
  tintype snapshot delete 3f2a…

A full snapshot holds everything, for the day on which all is lost; it needs an administrator of
the system, as one of the manager alone does (settings, tenants, users, profiles; no data). A partial one (--app, --resource, --tag) holds what is named, for instance before an
upgrade. Without --keep a snapshot is kept for a month.")]
pub(crate) enum Command {
    /// The newest first
    List(List),
    /// One, with what it holds
    Show {
        id: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// Take one, and wait until it is done
    Create(Create),
    /// Say how long it is kept: 30d, 1y6m (y years, m months, w, d, h), never
    Keep { id: String, time: String },
    /// Let it stay whatever its expiry says, or no longer
    Hold {
        id: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The reason is over
        #[arg(long)]
        release: bool,
    },
    /// Nobody can delete it for so long; this cannot be taken back
    Lock { id: String, time: String },
    /// Ask for the end of the lock of an immutable one, after the delay that it has
    Unlock {
        id: String,
        /// It stays locked after all
        #[arg(long)]
        take_back: bool,
    },
    /// Change its note
    Note { id: String, text: String },
    /// Delete it, if nothing protects it
    Delete { id: String },
    /// List what it holds, also on a disk in it
    Ls(content::Ls),
    /// Look for files by name, size and time
    Find(content::Find),
    /// Look for files by name in all snapshots, the newest first
    Search(content::Search),
    /// How all of it is restored, the manager with it
    Recovery { id: String },
    /// Print a file
    Cat(content::Cat),
    /// Download a file; goes on where an earlier attempt ended
    Get(content::Get),
    /// One path in all snapshots, and when it changed
    Versions(content::Versions),
    /// What differs between two snapshots
    Diff(content::Diff),
    /// Download it as one file
    Export(Box<bundle::Export>),
    /// Upload such a file, and make a snapshot of it
    Import(Box<bundle::Import>),
    /// Files on their way, out and in, and until when they wait
    Transfers(Watch),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    newest: Newest,
    /// Those that hold this resource
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Those whose name or note has this in it, or whose id begins with it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what")
    .args(["full", "manager", "all", "apps", "tags"]).required(true).multiple(true))]
pub(crate) struct Create {
    /// Everything: the manager's state, every tenant, every resource
    #[arg(long, conflicts_with_all = ["manager", "all", "apps", "tags"])]
    full: bool,
    /// The manager's state alone
    #[arg(long, conflicts_with_all = ["all", "apps", "tags"])]
    manager: bool,
    #[command(flatten)]
    without: Without,
    /// All that the tenant has
    #[arg(long, conflicts_with_all = ["apps", "tags"])]
    all: bool,
    /// This application or other resource (repeatable)
    #[arg(long = "app", visible_alias = "resource", value_name = "NAME")]
    apps: Vec<String>,
    /// What has this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// 14d, 1y6m (y years, m months, w, d, h), never; default: a month
    #[arg(long, value_name = "TIME")]
    keep: Option<String>,
    /// Name of a storage; default: the tenant's
    #[arg(long, value_name = "NAME")]
    storage: Option<String>,
    /// Only administrators of the system see it
    #[arg(long)]
    private: bool,
    /// Read everything, also what seems unchanged
    #[arg(long)]
    read_all: bool,
    /// Hold nothing still, and run no hook around that: copies are as after a power failure
    #[arg(long)]
    without_quiesce: bool,
    /// Do not wait for its end
    #[arg(long, conflicts_with = "before_update")]
    detach: bool,
    /// Then run COMMAND, if the snapshot is whole
    #[arg(long, requires = "command")]
    before_update: bool,
    #[arg(last = true, value_name = "COMMAND", requires = "before_update")]
    command: Vec<std::ffi::OsString>,
}

/// What of the manager's state is left out.
#[derive(clap::Args)]
struct Without {
    /// Without passwords, tokens, access keys and the agents' authority (with --full or --manager)
    #[arg(long, conflicts_with_all = ["all", "apps", "tags"])]
    exclude_credentials: bool,
    /// Without runs that have ended, and what they logged (with --full or --manager)
    #[arg(long, conflicts_with_all = ["all", "apps", "tags"])]
    exclude_logs: bool,
    /// Without the audit log (with --full or --manager)
    #[arg(long, conflicts_with_all = ["all", "apps", "tags"])]
    exclude_events: bool,
}

impl Without {
    fn exclude(&self) -> BTreeSet<Excluded> {
        let all = [
            (self.exclude_credentials, Excluded::Credentials),
            (self.exclude_logs, Excluded::Logs),
            (self.exclude_events, Excluded::Events),
        ];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, what)| what).collect()
    }
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let change = |id: &str, changed: ChangedSnapshot| {
            let after = client.change_snapshot(&find(client, id)?.id, &changed)?;
            report.event("snapshot", json!(after))?;
            report.text(standing(&after))
        };
        match self {
            Self::List(list) => list.newest.tell(client, report, |client| list.seen(client)),
            Self::Show { id, watch } => {
                watch.tell(client, report, |client| seen(client, &find(client, &id)?))
            }
            Self::Create(create) => create.run(client, report),
            Self::Ls(args) => args.run(client, report),
            Self::Find(args) => args.run(client, report),
            Self::Search(args) => args.run(client, report),
            Self::Recovery { id } => recovery(client, report, &id),
            Self::Cat(args) => args.run(client, report),
            Self::Get(args) => args.run(client, report),
            Self::Versions(args) => args.run(client, report),
            Self::Diff(args) => args.run(client, report),
            Self::Export(args) => args.run(client, report),
            Self::Import(args) => args.run(client, report),
            Self::Transfers(watch) => watch.tell(client, report, bundle::transfers),
            Self::Keep { id, time } => {
                change(&id, ChangedSnapshot { keep: Some(time), ..Default::default() })
            }
            Self::Hold { id, reason, release } => {
                let (hold, release) =
                    if release { (None, Some(reason)) } else { (Some(reason), None) };
                change(&id, ChangedSnapshot { hold, release, ..Default::default() })
            }
            Self::Lock { id, time } => {
                change(&id, ChangedSnapshot { lock_for: Some(time), ..Default::default() })
            }
            Self::Unlock { id, take_back } => {
                change(&id, ChangedSnapshot { unlock: Some(!take_back), ..Default::default() })
            }
            Self::Note { id, text } => {
                change(&id, ChangedSnapshot { note: Some(text), ..Default::default() })
            }
            Self::Delete { id } => {
                let snapshot = find(client, &id)?;
                client.delete_snapshot(&snapshot.id)?;
                report.event("snapshot", json!(snapshot))?;
                report.text(format!("snapshot {} deleted", short(&snapshot.id)))
            }
        }
    }
}

pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn recovery(client: &Client, report: &Report, id: &str) -> anyhow::Result<()> {
    let whole = client.whole_restore(&find(client, id)?.id)?;
    report.event("whole-restore", json!(whole))?;
    if let Some(why_not) = whole.why_not {
        return report.text(format!("it is not restored as a whole: {why_not}"));
    }
    let places = [
        ("on the manager's host", &whole.command),
        ("on an empty machine, when that host is lost", &whole.command_elsewhere),
    ];
    for (place, command) in places.into_iter().filter_map(|(p, c)| Some((p, c.as_ref()?))) {
        report.text(format!("{place}:\n  {command}"))?;
    }
    whole
        .before
        .iter()
        .chain(&whole.afterwards)
        .try_for_each(|words| report.text(format!("- {words}")))
}

/// By the start of its id, or `latest` of one's own tenant.
pub(super) fn find(client: &Client, wanted: &str) -> anyhow::Result<Snapshot> {
    if wanted.len() == 32 {
        return Ok(client.get(&format!("/snapshots/{wanted}"))?);
    }
    // Whoever sees all tenants means the own one by it: of others each is named by its id.
    let (tenant, q) = match wanted {
        "latest" => (Some(client.whoami()?.tenant.to_string()), None),
        start => (None, Some(start.to_owned())),
    };
    let mut query = SnapshotQuery { limit: Some(1000), tenant, q, ..SnapshotQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = client.snapshots(&query)?;
        let fits = |snapshot: &Snapshot| match wanted {
            "latest" => snapshot.trigger != Trigger::PreRestore && snapshot.full.is_none(),
            start => snapshot.id.starts_with(start),
        };
        found.extend(page.items.into_iter().filter(fits));
        if wanted == "latest" && !found.is_empty() {
            return Ok(found.swap_remove(0));
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(snapshot), true) => Ok(snapshot),
        (Some(_), false) => Err(usage(format!("several snapshots begin with {wanted}: say more"))),
        (None, _) => {
            let whose = if wanted == "latest" { " of your tenant" } else { "" };
            let what = format!("there is no snapshot {wanted}{whose}");
            Err(tintype_engine::Error::not_found(what).into())
        }
    }
}

fn standing(snapshot: &Snapshot) -> String {
    format!("snapshot {}: {}", short(&snapshot.id), kept(snapshot))
}

/// What protects it longest, in words.
fn kept(snapshot: &Snapshot) -> String {
    if let (Some(days), false) = (snapshot.unlock_delay_days, snapshot.is_unlocking) {
        return format!("immutable, until {days} days after `tintype snapshot unlock`");
    }
    match (&snapshot.locked_until, snapshot.holds.first(), snapshot.expiry) {
        (Some(until), ..) => format!("locked until {}", show::time(*until)),
        (None, Some(reason), _) => format!("held: {reason}"),
        (None, None, Some(expiry)) => format!("kept until {}", show::time(expiry)),
        (None, None, None) => "kept for ever".to_owned(),
    }
}

impl List {
    fn seen(&self, client: &Client) -> anyhow::Result<View> {
        let tenant = self.tenant.as_ref();
        let tenant = tenant.map(|name| Tenants::of(client)?.id(name)).transpose()?;
        let resource = self.resource.as_ref();
        let resource = resource
            .map(|name| noun::find::<ResourceSpec>(client, name, self.tenant.as_deref()))
            .transpose()?;
        let page = client.snapshots(&SnapshotQuery {
            limit: Some(self.newest.limit),
            tenant: tenant.map(|id| id.to_string()),
            resource: resource.map(|resource| resource.id.to_string()),
            q: self.search.clone(),
            ..SnapshotQuery::default()
        })?;
        let mut view = View::default();
        let columns =
            ["snapshot", "time", "tenant", "scope", "state", "size", "kept", "storage", "name"];
        let mut table = Table::new(columns, &[5]);
        for one in page.items {
            view = view.with("snapshot", json!(one));
            let state = if one.is_complete { "complete" } else { "INCOMPLETE" };
            let name = match (one.trigger, &one.copy_of) {
                (Trigger::PreRestore, _) => "undo point of a restore".to_owned(),
                (_, Some(first)) => format!("{} (copy of {})", one.name, short(first)),
                _ => one.name.clone(),
            };
            table.row([
                short(&one.id).to_owned(),
                show::time(one.time),
                one.tenant_name.clone().unwrap_or_else(|| one.tenant.to_string()),
                one.scope.name().to_owned(),
                state.to_owned(),
                show::bytes(one.bytes),
                kept(&one),
                one.storage_name.clone().unwrap_or_else(|| one.storage.to_string()),
                name,
            ]);
        }
        view = view.table(&table);
        Ok(match page.next {
            Some(_) => view.note("there are more: --limit"),
            None => view,
        })
    }
}

fn seen(client: &Client, snapshot: &Snapshot) -> anyhow::Result<View> {
    let mut view = View::default().with("snapshot", json!(snapshot)).document(snapshot)?;
    let mut table =
        Table::new(["item", "tenant", "kind", "outcome", "consistency", "size", "why"], &[5]);
    for item in client.snapshot_items(&snapshot.id)? {
        view = view.with("item", json!(item));
        let tenant = item.tenant_name.unwrap_or_default();
        let level = item.consistency.map(|level| level.to_string()).unwrap_or_default();
        let outcome = json!(item.outcome).as_str().unwrap_or_default().to_owned();
        let why = item.reason.unwrap_or_default();
        let (kind, size) = (item.kind.to_string(), show::bytes(item.bytes));
        table.row([item.name, tenant, kind, outcome, level, size, why]);
    }
    Ok(view.line("").table(&table))
}

impl Create {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        let tenant =
            self.tenant.as_deref().map(|name| Tenants::of(client)?.id(name)).transpose()?;
        let storage = self
            .storage
            .as_deref()
            .map(|name| anyhow::Ok(noun::find::<StorageSpec>(client, name, None)?.id));
        let new = NewSnapshot {
            scope: match (self.full, self.manager, self.all) {
                (true, ..) => SnapshotScope::Full,
                (_, true, _) => SnapshotScope::Manager,
                (_, _, true) => SnapshotScope::Tenant,
                _ => SnapshotScope::Partial,
            },
            exclude: self.without.exclude(),
            tenant,
            name: self.name,
            note: self.note,
            resources: self.apps.into_iter().collect(),
            tags: self.tags.into_iter().collect(),
            storage: storage.transpose()?,
            keep: self.keep,
            is_private: self.private,
            read_all: self.read_all,
            quiesce: !self.without_quiesce,
            trigger: if self.before_update { Trigger::PreUpdate } else { Trigger::Manual },
        };
        let begun = client.snapshot(&new)?;
        if self.detach {
            report.event("run", json!(begun))?;
            return report.text(format!("run {}", begun.id));
        }
        let run = run::follow(client, report, &begun)?;
        let id = run.result["snapshot"].as_str().unwrap_or_default().to_owned();
        let taken: Snapshot = client.get(&format!("/snapshots/{id}"))?;
        report.text(format!("snapshot {id}: {}", kept(&taken)))?;
        match self.before_update {
            true => update(&self.command, &id),
            false => Ok(()),
        }
    }
}

/// What the snapshot was taken for. If it fails, the way back is said.
fn update(command: &[std::ffi::OsString], snapshot: &str) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().ok_or_else(|| usage("which command?"))?;
    let ended = std::process::Command::new(program).args(arguments).status();
    let name = program.to_string_lossy();
    let back = format!("`tintype restore {}` brings back what was before", short(snapshot));
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let what = format!("{name} ended with {status}; {back}");
            Err(tintype_engine::Error::unavailable(what).into())
        }
        Err(error) => Err(tintype_engine::Error::io(error, format!("{name}; {back}")).into()),
    }
}
