//! What a list or a `show` looks like at one moment, and `--watch`: the same again whenever it
//! differs.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::ErrorKind;

use crate::exit;
use crate::interrupt;
use crate::report::{self, Report};
use crate::show::{Table, harmless};

/// The manager is asked so often whether something differs.
const EVERY: Duration = Duration::from_secs(2);
/// An interrupt is looked for so often.
const LOOK: Duration = Duration::from_millis(100);
/// From its beginning, without what stood there.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Watch {
    /// Show it again whenever something of it changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

// The newest of a long list.
#[derive(clap::Args)]
pub(crate) struct Newest {
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) limit: u32,
    #[command(flatten)]
    watch: Watch,
}

impl Newest {
    /// See [`Watch::tell`].
    pub(super) fn tell(
        &self,
        client: &Client,
        report: &Report,
        look: impl Fn(&Client) -> anyhow::Result<View>,
    ) -> anyhow::Result<()> {
        self.watch.tell(client, report, look)
    }
}

/// Events for programs, lines for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    events: Vec<(&'static str, Value)>,
    lines: Vec<String>,
    notes: Vec<String>,
    warnings: Vec<String>,
    /// Lines stand by themselves: of a table that changes only those are told that do.
    is_table: bool,
}

impl View {
    pub(super) fn with(mut self, event: &'static str, fields: Value) -> Self {
        self.events.push((event, fields));
        self
    }

    pub(super) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// As YAML that reads back as what it was.
    pub(super) fn document(mut self, what: &impl serde::Serialize) -> anyhow::Result<Self> {
        self.lines.extend(yaml(what)?.lines().map(str::to_owned));
        Ok(self)
    }

    pub(super) fn table(mut self, table: &Table) -> Self {
        self.is_table = self.lines.is_empty();
        self.lines.extend(table.lines());
        self
    }

    pub(super) fn tell(&self, report: &Report) -> anyhow::Result<()> {
        for (event, fields) in &self.events {
            report.event(event, fields.clone())?;
        }
        self.lines.iter().try_for_each(|line| report.text(line))?;
        for note in &self.notes {
            report.note(note);
        }
        for warning in &self.warnings {
            report.warn(warning);
        }
        Ok(())
    }

    /// Again, after `before` was told.
    fn tell_again(&self, report: &Report, before: &Self) -> anyhow::Result<()> {
        if report.is_json() {
            return self.tell_changes(report, before);
        }
        if std::io::stdout().is_terminal() {
            return self.draw();
        }
        let is_new = |line: &&String| !self.is_table || !before.lines.contains(line);
        if !self.is_table {
            report.text("---")?;
        }
        self.lines.iter().filter(is_new).try_for_each(|line| report.text(line))?;
        for (event, gone) in self.gone(before) {
            report.text(format!("gone: {event} {}", called(gone)))?;
        }
        Ok(())
    }

    /// A document for each that is new or differs, and for each that is gone.
    fn tell_changes(&self, report: &Report, before: &Self) -> anyhow::Result<()> {
        for told in self.events.iter().filter(|told| !before.events.contains(told)) {
            report.event(told.0, told.1.clone())?;
        }
        for (event, gone) in self.gone(before) {
            report.event("gone", json!({ "of": event, "id": id(gone), "name": called(gone) }))?;
        }
        Ok(())
    }

    fn gone<'b>(&self, before: &'b Self) -> Vec<(&'static str, &'b Value)> {
        let is_here = |wanted: &Value| self.events.iter().any(|(_, here)| id(here) == id(wanted));
        let gone = before.events.iter().filter(|(_, was)| id(was).is_some() && !is_here(was));
        gone.map(|(event, was)| (*event, was)).collect()
    }

    /// As much as the terminal has room for.
    fn draw(&self) -> anyhow::Result<()> {
        let rows = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_row);
        let room = match usize::from(rows) {
            0 => usize::MAX,
            rows => rows.saturating_sub(2),
        };
        let mut out = CLEAR.to_vec();
        for line in self.lines.iter().take(room) {
            out.extend_from_slice(harmless(line).as_bytes());
            out.push(b'\n');
        }
        if self.lines.len() > room {
            out.extend_from_slice(format!("… {} more\n", self.lines.len() - room).as_bytes());
        }
        report::raw(&out)
    }
}

/// By way of JSON, which knows no tags.
pub(super) fn yaml(what: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_norway::to_string(&serde_json::to_value(what)?)?)
}

/// Of what an event is about: its own, or that of the object in it.
fn field<'v>(fields: &'v Value, name: &str) -> Option<&'v str> {
    let own = fields.get(name).and_then(Value::as_str);
    let inner = || fields.as_object()?.values().find_map(|inner| inner.get(name)?.as_str());
    own.or_else(inner)
}

fn id(fields: &Value) -> Option<&str> {
    field(fields, "id").or_else(|| field(fields, "name"))
}

fn called(fields: &Value) -> String {
    let name = field(fields, "name").filter(|name| !name.is_empty());
    name.or_else(|| id(fields)).unwrap_or_default().to_owned()
}

impl Watch {
    /// Tells what `look` finds, once, or whenever it differs.
    pub(super) fn tell(
        self,
        client: &Client,
        report: &Report,
        look: impl Fn(&Client) -> anyhow::Result<View>,
    ) -> anyhow::Result<()> {
        if !self.watch {
            return look(client)?.tell(report);
        }
        let clock = Env::system().clock;
        let client = client.remembering();
        follow(interruptible()?, report, |cancel, is_first| {
            let until = clock.elapsed() + if is_first { Duration::ZERO } else { EVERY };
            while clock.elapsed() < until && !cancel.is_canceled() {
                clock.sleep(LOOK);
            }
            look(&client).map(Some)
        })
    }

    pub(super) fn is_on(self) -> bool {
        self.watch
    }
}

/// Tells what `next` gives until that gives nothing, or somebody interrupts it. A manager that
/// cannot be reached for a while is waited for.
pub(super) fn follow(
    cancel: Cancel,
    report: &Report,
    mut next: impl FnMut(&Cancel, bool) -> anyhow::Result<Option<View>>,
) -> anyhow::Result<()> {
    let mut last: Option<View> = None;
    let mut is_away = false;
    loop {
        let looked = next(&cancel, last.is_none());
        if cancel.is_canceled() {
            return Ok(());
        }
        match (looked, &last) {
            (Ok(None), _) => return Ok(()),
            (Ok(Some(view)), None) => {
                match std::io::stdout().is_terminal() && !report.is_json() {
                    true => view.draw()?,
                    false => view.tell(report)?,
                }
                last = Some(view);
            }
            (Ok(Some(view)), Some(before)) => {
                is_away = false;
                if view != *before {
                    view.tell_again(report, before)?;
                    last = Some(view);
                }
            }
            (Err(error), Some(_)) if exit::kind_of(&error) == Some(ErrorKind::Unavailable) => {
                if !std::mem::replace(&mut is_away, true) {
                    report.warn(format!("{error}; waiting for it"));
                }
            }
            (Err(error), _) => return Err(error),
        }
    }
}

/// From now on an interrupt ends the watching, and the command tells how it ended.
pub(super) fn interruptible() -> anyhow::Result<Cancel> {
    let cancel = Cancel::default();
    interrupt::install(cancel.clone(), true)?;
    Ok(cancel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_known_by_its_id() {
        let of = |ids: &[&str]| {
            let view = View::default();
            ids.iter().fold(view, |view, id| view.with("thing", json!({ "id": id, "name": "n" })))
        };
        let before = of(&["a", "b"]);
        let gone = of(&["b"]);
        let gone: Vec<_> = gone.gone(&before).into_iter().map(|(_, was)| id(was)).collect();
        assert_eq!(gone, [Some("a")]);
        let inside = json!({ "agent": { "id": "x", "name": "web" }, "state": {} });
        assert_eq!((id(&inside), called(&inside)), (Some("x"), "web".to_owned()));
        assert_eq!(called(&json!({ "id": "x", "name": "" })), "x");
    }
}
