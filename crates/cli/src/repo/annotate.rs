//! What may change about a snapshot: tags, note, expiry, holds, locks. All of it is appended,
//! and the engine decides whether it may be.

use jiff::Timestamp;
use serde_json::json;
use tintype_engine::Error;
use tintype_engine::format::records::Change;
use tintype_engine::repo::Repository;
use tintype_engine::repo::annotate::Standing;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::selector::Selector;

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick::{self, SELECTOR_HELP};
use crate::report::Done;
use crate::{show, when};

#[derive(clap::Args)]
struct Snapshots {
    #[arg(value_name = "SNAPSHOT", required = true, value_parser = pick::selector())]
    #[arg(help = SELECTOR_HELP)]
    snapshots: Vec<Selector>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo tag latest --add release --add signed
  tintype repo tag 3f2a a1b2 --remove daily")]
#[command(group = clap::ArgGroup::new("tags").required(true).multiple(true))]
pub(crate) struct Tag {
    #[command(flatten)]
    snapshots: Snapshots,
    /// Add a tag
    #[arg(long, value_name = "TAG", group = "tags")]
    add: Vec<String>,
    /// Remove a tag
    #[arg(long, value_name = "TAG", group = "tags")]
    remove: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo note latest 'before the upgrade'
  tintype repo note latest ''                     without a note")]
pub(crate) struct Note {
    #[arg(value_name = "SNAPSHOT", value_parser = pick::selector(), help = SELECTOR_HELP)]
    snapshot: Selector,
    /// The new note
    text: String,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo expire latest --in 90d
  tintype repo expire 3f2a --at 2031-12-31
  tintype repo expire 3f2a --never

A snapshot with an expiry is kept by `prune` until then and dropped after, whatever the rules say.")]
pub(crate) struct Expire {
    #[command(flatten)]
    snapshots: Snapshots,
    #[command(flatten)]
    moment: Moment,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Moment {
    /// So long from now: 90d, 1y6m (y years, m months, w, d, h)
    #[arg(long = "in", value_name = "TIME")]
    from_now: Option<String>,
    /// At this moment
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    at: Option<Timestamp>,
    /// No expiry any more
    #[arg(long)]
    never: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo hold latest --reason 'case 4711'
  tintype repo hold latest --reason 'case 4711' --release

A snapshot with a hold is not deleted, not pruned and not freed, until every hold is released.")]
pub(crate) struct Hold {
    #[command(flatten)]
    snapshots: Snapshots,
    /// Names the hold
    #[arg(long, value_name = "TEXT", default_value = "manual")]
    reason: String,
    /// Release the hold of this reason
    #[arg(long)]
    release: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo lock latest --for 1y
  tintype repo lock 3f2a --until 2031-12-31

Until then nobody can delete the snapshot with Tintype, and the lock can only be extended. Whoever
can delete at the store itself still can, unless the store has object lock.")]
pub(crate) struct Lock {
    #[command(flatten)]
    snapshots: Snapshots,
    #[command(flatten)]
    end: End,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct End {
    /// So long from now: 30d, 1y6m (y years, m months, w, d, h)
    #[arg(long = "for", value_name = "TIME")]
    from_now: Option<String>,
    /// Until this moment
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    until: Option<Timestamp>,
}

/// Makes the same change to all, one after the other.
fn change_all(
    app: &App,
    selectors: &[Selector],
    change: &Change,
    said: &dyn Fn(&Standing) -> String,
) -> anyhow::Result<Done> {
    let repository = app.open()?;
    let listing = app.listing(&repository)?;
    let picked = pick::pick_all(&listing, selectors)?;
    if let Change::Release(reason) = change {
        picked.iter().try_for_each(|snapshot| has_hold(snapshot, reason))?;
    }
    for snapshot in &picked {
        let standing = annotate(&repository, snapshot, change.clone())?;
        app.report.event(
            "changed",
            json!({ "id": snapshot.id, "change": change, "standing": standing }),
        )?;
        app.report.text(format!("{}  {}", snapshot.id.short(), said(&standing)))?;
    }
    Ok(Done::of(Exit::Complete, json!({ "snapshots": picked.len() })))
}

/// What is to be released is there, before anything is changed.
fn has_hold(snapshot: &Snapshot, reason: &str) -> anyhow::Result<()> {
    let holds = &snapshot.standing.holds;
    if holds.contains(reason) {
        return Ok(());
    }
    let there: Vec<String> = holds.iter().map(|hold| format!("{hold:?}")).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let id = snapshot.id.short();
    Err(Error::not_found(format!(
        "snapshot {id} has no hold {reason:?}; nothing was changed; holds that it has: {there}"
    ))
    .into())
}

/// Signed with who did it, for people.
pub(super) fn annotate(
    repository: &Repository,
    snapshot: &Snapshot,
    change: Change,
) -> anyhow::Result<Standing> {
    Ok(repository.annotate(snapshot.id, &snapshot.manifest, &by(repository), change)?)
}

/// Who makes a change.
pub(super) fn by(repository: &Repository) -> String {
    let identity = repository.identity();
    format!("{}@{}", identity.user, identity.host)
}

/// Tags are words for people and for `--keep-tag a,b`.
pub(super) fn check_tag(tag: &str) -> anyhow::Result<()> {
    const MOST_BYTES: usize = 255;
    if tag.is_empty() || tag.len() > MOST_BYTES || tag.contains([',', '\n']) {
        return Err(usage(format!(
            "a tag has 1 to {MOST_BYTES} bytes and holds neither a comma nor a line break"
        )));
    }
    Ok(())
}

impl Tag {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        self.add.iter().try_for_each(|tag| check_tag(tag))?;
        let change = Change::Tag { add: self.add, remove: self.remove };
        change_all(app, &self.snapshots.snapshots, &change, &|standing| {
            let tags: Vec<&str> = standing.tags.iter().map(String::as_str).collect();
            if tags.is_empty() { "no tags".into() } else { format!("tags {}", tags.join(", ")) }
        })
    }
}

impl Note {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let change = Change::Note(self.text);
        change_all(app, &[self.snapshot], &change, &|standing| {
            format!("note {}", show::name(standing.note.as_bytes()))
        })
    }
}

impl Expire {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let moment = match &self.moment.from_now {
            Some(text) => Some(when::from_now(text, &app.env).map_err(usage)?),
            None => self.moment.at,
        };
        change_all(app, &self.snapshots.snapshots, &Change::Expiry(moment), &|standing| {
            standing
                .expiry
                .map_or_else(|| "no expiry".into(), |at| format!("expires {}", show::time(at)))
        })
    }
}

impl Hold {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let change =
            if self.release { Change::Release(self.reason) } else { Change::Hold(self.reason) };
        change_all(app, &self.snapshots.snapshots, &change, &|standing| {
            let holds: Vec<&str> = standing.holds.iter().map(String::as_str).collect();
            if holds.is_empty() { "no holds".into() } else { format!("held: {}", holds.join(", ")) }
        })
    }
}

impl Lock {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let until = match (&self.end.from_now, self.end.until) {
            (Some(text), _) => when::from_now(text, &app.env).map_err(usage)?,
            (None, Some(until)) => until,
            (None, None) => return Err(usage("until when? --until or --for")),
        };
        change_all(app, &self.snapshots.snapshots, &Change::Lock(until), &|standing| {
            let until = standing.locked_until.map(show::time).unwrap_or_default();
            format!("locked until {until}")
        })
    }
}
