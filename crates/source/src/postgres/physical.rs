//! A whole cluster: a base backup before the window, a restore point in it, the log after it.
//! Nothing is ever held up. A temporary replication slot keeps the log that is still to be read;
//! it dies with its connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::basebackup::BaseBackup;
use super::client::{Client, Purpose};
use super::cluster::{self, ClusterFacts, Tablespace};
use super::lsn::{Lsn, Segments};
use super::reader::{Shared, lock, part};
use super::wal::WalStream;
use super::wire::literal;
use super::{At, Facts};
use crate::connector::{CapturePlan, Context, Part, Released, Source, View, session_of};

/// The database that every cluster has.
pub(super) const MAINTENANCE: &str = "postgres";
/// How long the server may take to drop a slot whose connection is closed.
const DROP: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);
/// Names of slots are shorter than 64 bytes.
const SLOT_BYTES: usize = 63;

pub(super) struct PhysicalSource {
    name: String,
    at: At,
    context: Context,
    state: State,
    sql: Option<Client>,
    facts: Option<ClusterFacts>,
    history: Option<Part>,
}

/// Whose turn it is on the connection that has the slot.
enum State {
    Nothing,
    Prepared(Box<Client>),
    Backup(Shared<Option<BaseBackup>>),
    Wal(Shared<WalStream>),
}

impl super::reader::InOrder for Option<BaseBackup> {
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        self.as_mut().map_or_else(
            || Err(super::reader::out_of_order()),
            |backup| backup.read(number, buffer),
        )
    }

    fn ended(&mut self, number: usize) -> Result<()> {
        self.as_mut()
            .map_or_else(|| Err(super::reader::out_of_order()), |backup| backup.ended(number))
    }
}

impl PhysicalSource {
    pub(super) fn new(name: &str, at: At, context: &Context) -> Self {
        Self {
            name: name.to_owned(),
            at,
            context: context.clone(),
            state: State::Nothing,
            sql: None,
            facts: None,
            history: None,
        }
    }

    fn connect(&self, purpose: Purpose<'_>) -> Result<Client> {
        Client::connect(&self.name, &self.at, purpose, &self.context)
    }

    fn slot(&self) -> String {
        slot_name(&self.context.label(), &self.name)
    }

    fn sql(&mut self) -> Result<&mut Client> {
        let name = &self.name;
        self.sql.as_mut().ok_or_else(|| Error::internal(format!("{name}: was not prepared")))
    }

    /// The history of a timeline that is not the first: a recovery asks for it.
    fn ask_history(&mut self, client: &mut Client, timeline: u32) -> Result<()> {
        if timeline == 1 {
            return Ok(());
        }
        let rows = client.query(&format!("TIMELINE_HISTORY {timeline}"))?;
        if let Some([Some(file), Some(content)]) = rows.first().map(|row| &row[..]) {
            self.history = Some(Part::object(&format!("wal/{file}"), content.clone()));
        }
        Ok(())
    }
}

/// Slots are named by lower-case letters, digits and `_` only.
fn slot_name(label: &str, name: &str) -> String {
    let mut slot = format!("{label}-{name}").to_ascii_lowercase();
    slot = slot.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    slot.truncate(SLOT_BYTES);
    slot
}

impl Source for PhysicalSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        let mut sql = self.connect(Purpose::Database(MAINTENANCE))?;
        cluster::refuse(&self.name, &mut sql)?;
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let mut sql = self.connect(Purpose::Database(MAINTENANCE))?;
        cluster::refuse(&self.name, &mut sql)?;
        sql.query("SET idle_session_timeout = 0")?;
        let facts = cluster::ask(&mut sql, &self.at.user)?;
        let mut client = self.connect(Purpose::Replication)?;
        self.ask_history(&mut client, facts.timeline)?;
        let slot = self.slot();
        client.query(&format!(
            "CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL (RESERVE_WAL true)"
        ))?;
        self.state = State::Prepared(Box::new(client));
        self.facts = Some(facts);
        self.sql = Some(sql);
        Ok(())
    }

    fn ahead(&mut self) -> Result<Vec<Part>> {
        let State::Prepared(client) = std::mem::replace(&mut self.state, State::Nothing) else {
            return Err(Error::internal(format!("{}: was not prepared", self.name)));
        };
        let backup = BaseBackup::start(*client, &self.context.label())?;
        let facts = self.facts.as_mut().expect("prepared with the connection");
        if backup.timeline != facts.timeline {
            return Err(Error::unavailable(format!(
                "{}: its timeline changed meanwhile; try again",
                self.name
            )));
        }
        facts.start = backup.start;
        let archives = backup.archives.clone();
        facts.tablespaces = archives
            .iter()
            .filter_map(|archive| {
                let (oid, location) = archive.tablespace.clone()?;
                Some(Tablespace { oid, location: location.into(), bytes: archive.bytes })
            })
            .collect();
        let shared = Arc::new(Mutex::new(Some(backup)));
        let parts = archives.iter().enumerate();
        let parts = parts.map(|(number, a)| part(&shared, number, &a.name, a.bytes)).collect();
        self.state = State::Backup(shared);
        Ok(parts)
    }

    fn freeze(&mut self) -> Result<()> {
        let label = self.context.label();
        let done = match &self.state {
            State::Backup(shared) => lock(shared).as_ref().is_some_and(BaseBackup::is_done),
            _ => false,
        };
        if !done {
            return Err(Error::internal(format!(
                "{}: its base backup was not read to its end",
                self.name
            )));
        }
        let lsn =
            self.sql()?.value(&format!("SELECT pg_create_restore_point({})", literal(&label)))?;
        let facts = self.facts.as_mut().expect("prepared with the connection");
        facts.stop = Lsn::parse(&lsn)?;
        facts.restore_point = label;
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let State::Backup(shared) = std::mem::replace(&mut self.state, State::Nothing) else {
            return Err(Error::internal(format!("{}: was not captured", self.name)));
        };
        let backup = lock(&shared).take().ok_or_else(super::reader::out_of_order)?;
        let mut facts = self.facts.clone().expect("prepared with the connection");
        facts.bytes = backup.bytes();
        let client = backup.finish()?;
        let sql = self.sql()?;
        // Ends the segment of the restore point, so that it can be read whole.
        sql.query("SELECT pg_switch_wal()")?;
        let timeline = sql.value("SELECT timeline_id FROM pg_control_checkpoint()")?;
        let mut parts = cluster::configuration(sql, &mut facts);
        if timeline != facts.timeline.to_string() {
            return Err(Error::unavailable(format!(
                "{}: its timeline changed meanwhile; try again",
                self.name
            )));
        }
        let bytes = facts.segment_bytes;
        let segments = Segments::between(facts.timeline, bytes, facts.start, facts.stop);
        facts.segments = segments.last - segments.first + 1;
        let wal = Arc::new(Mutex::new(WalStream::new(client, &self.slot(), segments)));
        parts.extend(self.history.take());
        parts.extend((segments.first..=segments.last).enumerate().map(|(number, segment)| {
            part(&wal, number, &format!("wal/{}", segments.name(segment)), bytes)
        }));
        self.state = State::Wal(wal);
        Ok(View {
            parts,
            consistency: Consistency::Application,
            why_not_more: None,
            mark: None,
            version: Some(facts.version.clone()),
            facts: serde_json::to_value(Facts::Physical(Box::new(facts)))
                .expect("it has texts and numbers only"),
        })
    }

    /// The connection is closed, and with it goes the slot; this waits until it is gone.
    fn release(&mut self, _: Released) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Nothing) {
            // Parts that were never read hold on to what they share.
            State::Backup(shared) => drop(lock(&shared).take()),
            State::Wal(shared) => lock(&shared).close(),
            State::Nothing | State::Prepared(_) => {}
        }
        let slot = self.slot();
        let (name, context) = (self.name.clone(), self.context.clone());
        // Without a connection there is a new one, or no server and no slot.
        let sql = self.sql.take().map_or_else(|| self.connect(Purpose::Database(MAINTENANCE)), Ok);
        let Ok(mut sql) = sql else { return Ok(()) };
        match drop_own(&mut sql, &slot, &context) {
            Ok(()) => Ok(()),
            // Taken down with everything else, slot included.
            Err(error) if error.is(tintype_model::ErrorKind::Unavailable) => Ok(()),
            Err(error) => Err(error.context(format_args!("{name}: replication slot {slot}"))),
        }
    }
}

/// Waits until the slot of this session is gone, and ends what still holds it.
fn drop_own(sql: &mut Client, slot: &str, context: &Context) -> Result<()> {
    let name = literal(slot);
    let look = format!("SELECT active_pid FROM pg_replication_slots WHERE slot_name = {name}");
    let begun = context.clock.elapsed();
    loop {
        match &sql.query(&look)?[..] {
            [] => return Ok(()),
            [row, ..] => match row.first() {
                Some(Some(pid)) => sql.query(&format!("SELECT pg_terminate_backend({pid})"))?,
                _ => sql.query(&drop_unused(slot))?,
            },
        };
        if context.clock.elapsed().saturating_sub(begun) > DROP {
            return Err(Error::locked("somebody still holds it"));
        }
        context.clock.sleep(TICK);
    }
}

fn drop_unused(slot: &str) -> String {
    format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE slot_name = {} AND NOT active",
        literal(slot)
    )
}

/// Slots of sessions that are dead and that nobody uses. One that is in use is a living session's:
/// another user's, or another host's, that cannot be asked from here. Those that are made here are
/// temporary and end with their connection.
pub(super) fn clean_slots(resource: &Resource, context: &Context) -> Result<Vec<String>> {
    let at = At::of(resource)?;
    let mut sql = Client::connect(&resource.name, &at, Purpose::Database(MAINTENANCE), context)?;
    let ours = sql.query(
        "SELECT slot_name FROM pg_replication_slots \
         WHERE slot_name LIKE 'tintype\\_%' AND NOT active",
    )?;
    let dead = |slot: &String| {
        let name = slot.replace('_', "-");
        session_of(&name).is_some() && context.is_dead(&name)
    };
    let dead: Vec<String> = ours.into_iter().flatten().flatten().filter(dead).collect();
    let mut removed = Vec::new();
    for slot in dead {
        let dropped = sql.query(&drop_unused(&slot))?;
        if !dropped.is_empty() {
            removed.push(format!("replication slot {slot} of {}", resource.name));
        }
    }
    Ok(removed)
}
