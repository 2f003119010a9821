//! `status`.

use jiff::tz::TimeZone;
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::status::{Day, Days, DaysQuery, Health, Past, Standing, StandingsQuery, Status};
use tintype_model::item::Outcome;

use super::Common;
use super::noun::Tenants;
use super::view::{View, Watch};
use crate::exit::Exit;
use crate::show::{self, Table};

/// Of the column `last`.
const LEGEND: &str =
    "last, the newest first: + whole, ! something is missing, x failed, - left out";

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype status                 what can be restored as of when, and what speaks against it
  tintype status --tenant acme
  tintype status --name orders --limit 10
  tintype status --days 14       what was taken, one line a day
  tintype status --watch

Of the last snapshots of a resource, the newest first: + whole, ! something is missing, x failed,
- left out. Undo points of restores are none of them. Consistency is of the last one: application (the
workload took part), filesystem (quiesced), crash (as after a power failure), none (read live).")]
pub(crate) struct Args {
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only resources whose name has this in it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// At most so many resources, the worst first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// What was taken on the last days, one line a day
    #[arg(long, value_name = "N", conflicts_with_all = ["name", "limit"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| {
            self.watch.tell(client, report, |client| match self.days {
                Some(days) => self.by_day(client, days),
                None => self.seen(client),
            })
        })
    }

    fn of(&self, tenants: &Tenants) -> anyhow::Result<Option<String>> {
        let id = self.tenant.as_deref().map(|name| tenants.id(name)).transpose()?;
        Ok(id.map(|id| id.to_string()))
    }

    fn seen(&self, client: &Client) -> anyhow::Result<View> {
        let tenants = Tenants::of(client)?;
        let tenant = self.of(&tenants)?;
        let of = tenant.as_ref().map(|id| format!("?tenant={id}")).unwrap_or_default();
        let status: Status = client.get(&format!("/status{of}"))?;
        let (q, limit) = (self.name.clone(), Some(self.limit));
        let query = StandingsQuery { tenant, q, limit, ..StandingsQuery::default() };
        let page: Page<Standing> = client.standings(&query)?;
        let head = [
            "resource",
            "tenant",
            "can be restored as of",
            "verified",
            "next",
            "consistency",
            "last",
        ];
        let mut table = Table::new(head, &[]);
        for one in &page.items {
            table.row(row(one, &tenants));
        }
        let mut view = View::default().with("status", json!(status));
        for one in &page.items {
            view = view.with("standing", json!(one));
        }
        view = view.table(&table);
        if !page.items.is_empty() {
            view = view.line(LEGEND);
        }
        if page.next.is_some() {
            view = view.note("there are more resources, which stand better: `--name` finds one");
        }
        for warning in &status.warnings {
            view = view.warning(format!("{}; {}", warning.what, warning.cure));
        }
        Ok(match status.warnings.is_empty() {
            true => view.line("nothing speaks against a restore"),
            false => view,
        })
    }

    fn by_day(&self, client: &Client, days: u32) -> anyhow::Result<View> {
        let tenant = self.of(&Tenants::of(client)?)?;
        let zone = TimeZone::system().iana_name().map(str::to_owned);
        let days: Days = client.days(&DaysQuery { tenant, zone, days: Some(days) })?;
        let head = ["day", "complete", "incomplete", "failed", "stored"];
        let mut table = Table::new(head, &[1, 2, 4]);
        let mut view = View::default();
        for day in &days.days {
            table.row(line(day));
            view = view.with("day", json!(day));
        }
        Ok(view.table(&table).line(format!("days of {}", days.zone)))
    }
}

fn row(one: &Standing, tenants: &Tenants) -> [String; 7] {
    let time = |time: Option<jiff::Timestamp>| time.map(show::time).unwrap_or_default();
    let as_of = match (one.last_good, one.health) {
        (Some(time), Health::Unprotected) => format!("{} (no more are taken)", show::time(time)),
        (Some(time), Health::Failed) => format!("{} (the last one failed)", show::time(time)),
        (Some(time), _) => show::time(time),
        (None, Health::Unprotected) => "not protected".to_owned(),
        (None, _) => "NEVER CAPTURED".to_owned(),
    };
    let next = one.next.as_ref();
    [
        one.name.clone(),
        tenants.name(&one.tenant),
        as_of,
        time(one.last_verified),
        next.map(|next| format!("{} ({})", show::time(next.time), next.profile_name))
            .unwrap_or_default(),
        one.consistency.map(|consistency| consistency.to_string()).unwrap_or_default(),
        one.last.iter().map(sign).collect(),
    ]
}

fn sign(past: &Past) -> char {
    match past.outcome {
        Outcome::Captured if past.problems == 0 => '+',
        Outcome::Captured => '!',
        Outcome::Failed => 'x',
        Outcome::Skipped => '-',
    }
}

fn line(day: &Day) -> [String; 5] {
    let failed = day.failed.iter().map(|(kind, count)| format!("{kind} {count}"));
    [
        day.date.clone(),
        day.complete.to_string(),
        day.incomplete.to_string(),
        failed.collect::<Vec<_>>().join(", "),
        show::bytes(day.stored_bytes),
    ]
}
