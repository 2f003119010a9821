//! Runs: queued, claimed by a lease, ended in the transaction that writes what came of them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tintype_api::change::Change;
use tintype_api::restore::NewRestore;
use tintype_api::run::{LogLevel, LogLine, Run, RunKind, RunProgress, RunState};
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};

use super::{column, events, failed};

/// Whoever does not renew in this time has died.
pub const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// What is there changes: a plan is not carried out later.
const PLAN_LASTS: SignedDuration = SignedDuration::from_hours(24);
/// A run that kills its manager must not kill it for ever.
pub const MOST_ATTEMPTS: i64 = 5;
const DIED_TOO_OFTEN: &str =
    "it was interrupted too often: see the manager's log, then start it again";
/// Of the lines of one run.
const MOST_LINES: i64 = 100_000;

/// A run to be queued.
#[derive(Clone, Debug)]
pub struct New {
    pub id: Id,
    pub tenant: Id,
    pub kind: RunKind,
    pub title: String,
    pub by: String,
    /// The larger, the earlier.
    pub priority: i64,
    pub not_before: Timestamp,
    /// Where it writes to; runs on one storage are limited.
    pub storage: Option<Id>,
    /// What its kind needs to know.
    pub spec: Value,
    /// It waits until somebody agrees to its plan.
    pub is_planned: bool,
}

/// A run with what only the manager sees.
#[derive(Clone, Debug)]
pub struct Stored {
    pub run: Run,
    pub spec: Value,
    pub priority: i64,
    pub storage: String,
    pub owner: String,
}

impl Stored {
    /// What its kind needs to know.
    pub fn read_spec<'s, T: Deserialize<'s>>(&'s self) -> Result<T> {
        self.read(&self.spec)
    }

    /// The same of a restore: what was asked for.
    pub fn read_new(&self) -> Result<NewRestore> {
        self.read(&self.spec["new"])
    }

    fn read<'s, T: Deserialize<'s>>(&self, value: &'s Value) -> Result<T> {
        let wrong = |error| Error::corrupt(format!("what run {} is to do: {error}", self.run.id));
        T::deserialize(value).map_err(wrong)
    }
}

const COLUMNS: &str = "id, tenant, kind, state, title, actor, priority, created, not_before, \
    started, ended, attempts, canceling, storage, owner, lease, spec, progress, cause, result";

fn stored(row: &AnyRow) -> Result<Stored> {
    let text = |name| column::<String>(row, name);
    let damaged = |what: &str| Error::corrupt(format!("the catalog: a run: {what}"));
    let time = |at| Timestamp::from_millisecond(at).map_err(|_| damaged("a time"));
    let maybe = |name| column::<Option<i64>>(row, name)?.map(time).transpose();
    let json = |name| {
        let text: String = column(row, name)?;
        serde_json::from_str::<Value>(&text).map_err(|error| damaged(&error.to_string()))
    };
    let (kind, state) = (text("kind")?, text("state")?);
    let kind = RunKind::ALL.into_iter().find(|known| known.name() == kind);
    let state = RunState::ALL.into_iter().find(|known| known.name() == state);
    let run = Run {
        id: text("id")?.parse()?,
        tenant: text("tenant")?.parse()?,
        kind: kind.ok_or_else(|| damaged("its kind"))?,
        state: state.ok_or_else(|| damaged("its state"))?,
        title: text("title")?,
        by: text("actor")?,
        created: time(column(row, "created")?)?,
        not_before: time(column(row, "not_before")?)?,
        started: maybe("started")?,
        ended: maybe("ended")?,
        attempts: column(row, "attempts")?,
        is_canceling: column::<i64>(row, "canceling")? != 0,
        progress: serde_json::from_value(json("progress")?).unwrap_or_default(),
        cause: column(row, "cause")?,
        result: json("result")?,
    };
    let (priority, storage, owner) = (column(row, "priority")?, text("storage")?, text("owner")?);
    Ok(Stored { run, spec: json("spec")?, priority, storage, owner })
}

pub async fn insert(on: &mut AnyConnection, new: &New, now: Timestamp) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO run (id, tenant, kind, state, title, actor, priority, created, not_before, \
         attempts, canceling, storage, owner, lease, spec, progress, result) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, '', 0, $11, '{}', 'null')",
    );
    let state = if new.is_planned { RunState::Planned } else { RunState::Queued };
    let query = query.bind(new.id.as_str()).bind(new.tenant.as_str()).bind(new.kind.name());
    let query = query.bind(state.name()).bind(&new.title).bind(&new.by).bind(new.priority);
    let query = query.bind(now.as_millisecond()).bind(new.not_before.as_millisecond());
    let query = query.bind(new.storage.as_ref().map_or("", Id::as_str)).bind(new.spec.to_string());
    query.execute(&mut *on).await.map_err(|error| failed("queueing a run", error))?;
    events::touch_run(on, new.id.as_str(), Change::Created).await
}

/// `NotFound` where there is none.
pub async fn get(on: &mut AnyConnection, id: &Id) -> Result<Stored> {
    let query =
        sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM run WHERE id = $1")));
    let row = query.bind(id.as_str()).fetch_optional(on).await;
    match row.map_err(|error| failed("reading", error))? {
        Some(row) => stored(&row),
        None => Err(Error::not_found(format!("there is no run {id}"))),
    }
}

/// Which runs, newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub tenant: Option<Id>,
    pub kind: Option<RunKind>,
    pub state: Option<RunState>,
    /// Those that are not over, and those that ended after this.
    pub since: Option<Timestamp>,
    /// Those before this one.
    pub before: Option<Id>,
    pub limit: i64,
}

pub async fn list(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<Stored>> {
    let query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM run WHERE ($1 = '' OR tenant = $2) AND ($3 = '' OR kind = $4) \
         AND ($5 = '' OR state = $6) AND ($7 = '' OR id < $8) \
         AND ($9 = 0 OR ended IS NULL OR ended > $10) ORDER BY id DESC LIMIT $11"
    )));
    let tenant = filter.tenant.as_ref().map_or("", Id::as_str);
    let kind = filter.kind.map_or("", RunKind::name);
    let state = filter.state.map_or("", RunState::name);
    let before = filter.before.as_ref().map_or("", Id::as_str);
    let query = query.bind(tenant).bind(tenant).bind(kind).bind(kind).bind(state).bind(state);
    let since = filter.since.map_or(0, Timestamp::as_millisecond);
    let query = query.bind(before).bind(before).bind(since).bind(since);
    let rows = query.bind(filter.limit).fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(stored).collect()
}

/// Those that may begin now, and those that go on, in the order in which they are looked at.
pub async fn open(on: &mut AnyConnection, now: Timestamp, limit: i64) -> Result<Vec<Stored>> {
    let query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM run WHERE state = 'running' OR (state = 'queued' AND \
         (not_before <= $1 OR not_before <= created)) ORDER BY state DESC, priority DESC, not_before, id LIMIT $2"
    )));
    let rows = query.bind(now.as_millisecond()).bind(limit).fetch_all(on).await;
    rows.map_err(|error| failed("reading", error))?.iter().map(stored).collect()
}

/// Whether the run was changed, which is noted then.
async fn touched(on: &mut AnyConnection, id: &Id, rows: u64) -> Result<bool> {
    if rows > 0 {
        events::touch_run(on, id.as_str(), Change::Changed).await?;
    }
    Ok(rows > 0)
}

fn until(now: Timestamp) -> i64 {
    now.as_millisecond() + LEASE.as_millis() as i64
}

/// False where another was faster, or it was cancelled.
pub async fn claim(on: &mut AnyConnection, id: &Id, owner: &str, now: Timestamp) -> Result<bool> {
    let query = sqlx::query(
        "UPDATE run SET state = 'running', owner = $1, lease = $2, attempts = attempts + 1, \
         started = COALESCE(started, $3) WHERE id = $4 AND state = 'queued'",
    );
    let query = query.bind(owner).bind(until(now)).bind(now.as_millisecond()).bind(id.as_str());
    let done = query.execute(&mut *on).await;
    let done = done.map_err(|error| failed("claiming a run", error))?;
    touched(on, id, done.rows_affected()).await
}

/// Renews the lease and writes how far it is. `None`: the run is no longer ours; else whether
/// somebody asked it to stop.
pub async fn renew(
    on: &mut AnyConnection,
    id: &Id,
    owner: &str,
    now: Timestamp,
    progress: &RunProgress,
) -> Result<Option<bool>> {
    let text = serde_json::to_string(progress).unwrap_or_else(|_| "{}".into());
    let query = sqlx::query(
        "UPDATE run SET lease = $1, progress = $2 WHERE id = $3 AND owner = $4 AND state = 'running'",
    );
    let query = query.bind(until(now)).bind(text).bind(id.as_str()).bind(owner);
    let done = query.execute(&mut *on).await.map_err(|error| failed("renewing a run", error))?;
    if done.rows_affected() != 1 {
        return Ok(None);
    }
    let query = sqlx::query("SELECT canceling FROM run WHERE id = $1").bind(id.as_str());
    let row = query.fetch_one(on).await.map_err(|error| failed("reading", error))?;
    Ok(Some(column::<i64>(&row, "canceling")? != 0))
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    pub state: RunState,
    pub cause: Option<String>,
    pub result: Value,
}

/// `Locked` where the run is not ours any more: then nothing of the change may be written.
pub async fn end(
    on: &mut AnyConnection,
    id: &Id,
    owner: &str,
    now: Timestamp,
    end: &End,
    progress: &RunProgress,
) -> Result<()> {
    let text = serde_json::to_string(progress).unwrap_or_else(|_| "{}".into());
    let query = sqlx::query(
        "UPDATE run SET state = $1, cause = $2, result = $3, progress = $4, ended = $5 \
         WHERE id = $6 AND owner = $7 AND state = 'running'",
    );
    let query = query.bind(end.state.name()).bind(end.cause.clone()).bind(end.result.to_string());
    let query = query.bind(text).bind(now.as_millisecond()).bind(id.as_str()).bind(owner);
    let done = query.execute(&mut *on).await;
    let done = done.map_err(|error| failed("ending a run", error))?;
    match touched(on, id, done.rows_affected()).await? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Locked, format!("run {id} was taken over by another"))),
    }
}

/// Gives a run back, so that it is begun again: what it has finished is kept.
pub async fn give_back(
    on: &mut AnyConnection,
    id: &Id,
    owner: &str,
    progress: &RunProgress,
) -> Result<()> {
    let text = serde_json::to_string(progress).unwrap_or_else(|_| "{}".into());
    let query = sqlx::query(
        "UPDATE run SET state = 'queued', owner = '', attempts = attempts - 1, progress = $1 \
         WHERE id = $2 AND owner = $3 AND state = 'running'",
    );
    let done = query.bind(text).bind(id.as_str()).bind(owner).execute(&mut *on).await;
    let done = done.map_err(|error| failed("giving a run back", error))?;
    touched(on, id, done.rows_affected()).await.map(drop)
}

/// Queues again what nobody has renewed (leases that end before a moment in milliseconds), and what
/// this owner has given up, but for what goes on `here`; what died too often has failed. Gives how
/// many there were.
pub async fn revive(
    on: &mut AnyConnection,
    now: Timestamp,
    leases_before: i64,
    owner: &str,
    here: &BTreeSet<Id>,
) -> Result<u64> {
    let query =
        "SELECT id, attempts FROM run WHERE state = 'running' AND (lease < $1 OR owner = $2)";
    let rows = sqlx::query(query).bind(leases_before).bind(owner).fetch_all(&mut *on).await;
    let mut count = 0;
    for row in rows.map_err(|error| failed("reviving runs", error))? {
        let (id, attempts): (String, i64) = (column(&row, "id")?, column(&row, "attempts")?);
        if here.iter().any(|living| living.as_str() == id) {
            continue;
        }
        let (state, ended, cause) = match attempts >= MOST_ATTEMPTS {
            true => (RunState::Failed, Some(now.as_millisecond()), Some(DIED_TOO_OFTEN)),
            false => (RunState::Queued, None, None),
        };
        let query = sqlx::query(
            "UPDATE run SET state = $1, owner = '', ended = $2, cause = $3 \
             WHERE id = $4 AND state = 'running' AND (lease < $5 OR owner = $6)",
        );
        let query = query.bind(state.name()).bind(ended).bind(cause).bind(&id);
        let query = query.bind(leases_before).bind(owner);
        let done = query.execute(&mut *on).await;
        count += done.map_err(|error| failed("reviving runs", error))?.rows_affected();
        events::touch_run(&mut *on, &id, Change::Changed).await?;
    }
    Ok(count)
}

/// A restore that was interrupted can go on for so long.
const RESTORE_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Plans that nobody agreed to in time end, and what was sealed for runs that are over goes.
pub async fn forget_plans(on: &mut AnyConnection, now: Timestamp) -> Result<()> {
    let query = sqlx::query(
        "UPDATE run SET state = 'canceled', ended = $1, cause = $2 \
         WHERE state = 'planned' AND created < $3 RETURNING id",
    );
    let at = now.as_millisecond();
    let query = query.bind(at).bind("nobody agreed to its plan within a day: plan it again");
    let query = query.bind(at - PLAN_LASTS.as_millis() as i64);
    let ended = query.fetch_all(&mut *on).await.map_err(|error| failed("ending plans", error))?;
    for row in &ended {
        let id: String = column(row, "id")?;
        events::touch_run(&mut *on, &id, Change::Changed).await?;
    }
    let query = sqlx::query(
        "DELETE FROM secret WHERE owner_kind = 'run' AND owner NOT IN \
         (SELECT id FROM run WHERE state IN ('planned', 'queued', 'running') \
         OR (kind = 'restore' AND state IN ('failed', 'canceled') AND attempts > 0 AND ended > $1))",
    );
    // A restore that was interrupted goes on with what was agreed to.
    let query = query.bind(at - RESTORE_LASTS.as_millis() as i64);
    query.execute(on).await.map(drop).map_err(|error| failed("deleting plans", error))
}

/// Somebody agreed to its plan. False where it does not wait for that.
pub async fn agree(on: &mut AnyConnection, id: &Id, by: &str) -> Result<bool> {
    let query = sqlx::query(
        "UPDATE run SET state = 'queued', actor = $1 WHERE id = $2 AND state = 'planned'",
    );
    let query = query.bind(by).bind(id.as_str());
    let done = query.execute(&mut *on).await;
    let done = done.map_err(|error| failed("queueing a run", error))?;
    touched(on, id, done.rows_affected()).await
}

/// A queued one ends at once, a running one is asked to. False where it is over already.
pub async fn cancel(on: &mut AnyConnection, id: &Id, now: Timestamp) -> Result<bool> {
    let query = sqlx::query(
        "UPDATE run SET state = 'canceled', ended = $1, canceling = 1 \
         WHERE id = $2 AND state IN ('queued', 'planned')",
    );
    let query = query.bind(now.as_millisecond()).bind(id.as_str());
    let queued = query.execute(&mut *on).await.map_err(|error| failed("cancelling", error))?;
    let query = sqlx::query("UPDATE run SET canceling = 1 WHERE id = $1 AND state = 'running'");
    let running = query.bind(id.as_str()).execute(&mut *on).await;
    let running = running.map_err(|error| failed("cancelling", error))?;
    touched(on, id, queued.rows_affected() + running.rows_affected()).await
}

fn step_result(row: &AnyRow) -> Result<Value> {
    let text: String = column(row, "result")?;
    serde_json::from_str(&text).map_err(|_| Error::corrupt("the catalog: a step of a run"))
}

/// What of a run is finished.
pub async fn steps(on: &mut AnyConnection, id: &Id) -> Result<Vec<(String, Value)>> {
    let query = sqlx::query("SELECT step, result FROM run_step WHERE run = $1").bind(id.as_str());
    let rows = query.fetch_all(on).await.map_err(|error| failed("reading", error))?;
    rows.iter().map(|row| Ok((column(row, "step")?, step_result(row)?))).collect()
}

/// What came of one step, if it is finished.
pub async fn step(on: &mut AnyConnection, id: &Id, step: &str) -> Result<Option<Value>> {
    let query = sqlx::query("SELECT result FROM run_step WHERE run = $1 AND step = $2");
    let row = query.bind(id.as_str()).bind(step).fetch_optional(on).await;
    row.map_err(|error| failed("reading", error))?.as_ref().map(step_result).transpose()
}

/// The finished steps of one run are those of another, which goes on with it.
pub async fn copy_steps(on: &mut AnyConnection, from: &Id, to: &Id) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO run_step (run, step, done, result) \
         SELECT $1, step, done, result FROM run_step WHERE run = $2",
    );
    let done = query.bind(to.as_str()).bind(from.as_str()).execute(on).await;
    done.map(drop).map_err(|error| failed("writing", error))
}

pub async fn step_done(
    on: &mut AnyConnection,
    id: &Id,
    step: &str,
    now: Timestamp,
    result: &Value,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO run_step (run, step, done, result) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (run, step) DO UPDATE SET result = excluded.result",
    );
    let query = query.bind(id.as_str()).bind(step).bind(now.as_millisecond());
    let done = query.bind(result.to_string()).execute(on).await;
    done.map(drop).map_err(|error| failed("writing a step", error))
}

/// Adds a line; after very many nothing more.
pub async fn log(
    on: &mut AnyConnection,
    id: &Id,
    now: Timestamp,
    level: LogLevel,
    text: &str,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO run_log (run, n, time, level, text) \
         SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4 FROM run_log WHERE run = $5 \
         HAVING COALESCE(MAX(n), 0) < $6",
    );
    let query = query.bind(id.as_str()).bind(now.as_millisecond()).bind(level.name()).bind(text);
    let done = query.bind(id.as_str()).bind(MOST_LINES).execute(on).await;
    done.map(drop).map_err(|error| failed("writing a log", error))
}

pub async fn log_after(
    on: &mut AnyConnection,
    id: &Id,
    after: i64,
    limit: i64,
) -> Result<Vec<LogLine>> {
    let query = sqlx::query(
        "SELECT n, time, level, text FROM run_log WHERE run = $1 AND n > $2 ORDER BY n LIMIT $3",
    );
    let rows = query.bind(id.as_str()).bind(after).bind(limit).fetch_all(on).await;
    let rows = rows.map_err(|error| failed("reading", error))?;
    let line = |row: &AnyRow| {
        let level: String = column(row, "level")?;
        let levels = [LogLevel::Info, LogLevel::Warning, LogLevel::Error];
        let level = levels.into_iter().find(|known| known.name() == level);
        let time = Timestamp::from_millisecond(column(row, "time")?);
        Ok(LogLine {
            n: column(row, "n")?,
            time: time.map_err(|_| Error::corrupt("the catalog: a time of a log"))?,
            level: level.unwrap_or(LogLevel::Info),
            text: column(row, "text")?,
        })
    };
    rows.iter().map(line).collect()
}
