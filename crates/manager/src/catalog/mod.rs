//! What the manager knows, in SQLite or PostgreSQL (docs/manager.md, section 3). Both understand
//! every statement here: `BIGINT`, `DOUBLE PRECISION` and `TEXT` only, arguments as `$1`.
//!
//! A change that somebody asked for is committed together with its entry in the audit log, and
//! cannot be without ([`Change::commit`]). What it changed is numbered there, too ([`events`]).

pub mod answers;
pub mod audit;
pub mod bearer;
pub mod events;
pub mod facts;
pub mod items;
pub mod objects;
pub mod passwords;
pub mod remake;
pub mod repositories;
pub mod rows;
pub mod runs;
pub mod secrets;
pub mod snapshots;

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Executor as _, Transaction};
use tintype_model::{Error, ErrorKind, Result};

/// How long a request waits for a connection or for the writer before it.
const PATIENCE: Duration = Duration::from_secs(10);
const READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
/// One works, and the next is ready.
const POSTGRES_WRITERS: u32 = 2;
/// Changes go one after another, as with SQLite: what one has read nobody changes before it has
/// written. Of all managers at one database.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(32776074265124965)";

/// (number, name, statements); never changed once released.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "begin", include_str!("../../migrations/0001_begin.sql")),
    (2, "runs", include_str!("../../migrations/0002_runs.sql")),
    (3, "answers", include_str!("../../migrations/0003_answers.sql")),
    (4, "listing", include_str!("../../migrations/0004_listing.sql")),
    (5, "events", include_str!("../../migrations/0005_events.sql")),
];

/// Of the catalog that this program writes.
pub const VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

pub struct Catalog {
    readers: AnyPool,
    /// SQLite has one writer at a time: they queue here instead of failing there.
    writer: AnyPool,
    begin: &'static str,
    /// Of a change, where beginning it is not enough: waits for the writer before it.
    lock: Option<&'static str>,
    /// Begins to read all of one moment.
    moment: &'static str,
    /// No other manager works with it.
    pub is_own: bool,
}

impl Catalog {
    /// In a file, which is made with the rights of the directory above when it is not there; as it
    /// stands: [`Self::migrated`] is to follow.
    pub async fn sqlite(file: &Path) -> Result<Self> {
        let url = format!("sqlite:{}?mode=rwc", encoded(file)?);
        let pool = |connections: u32| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                        connection.execute("PRAGMA synchronous = FULL").await?;
                        connection.execute("PRAGMA busy_timeout = 10000").await?;
                        Ok(())
                    })
                })
        };
        install_drivers();
        let writer = pool(1).connect(&url).await.map_err(|error| failed("opening it", error))?;
        let readers =
            pool(READERS).connect_lazy(&url).map_err(|error| failed("opening it", error))?;
        let (begin, moment) = ("BEGIN IMMEDIATE", "BEGIN");
        Ok(Self { readers, writer, begin, lock: None, moment, is_own: true })
    }

    /// `postgres://…`, as libpq knows it; as it stands.
    pub async fn postgres(url: &str) -> Result<Self> {
        install_drivers();
        let pool = |connections: u32| {
            let pool = AnyPoolOptions::new().max_connections(connections);
            pool.acquire_timeout(PATIENCE).after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("SET lock_timeout = '10s'").await?;
                    Ok(())
                })
            })
        };
        let failed = |error| failed("connecting to PostgreSQL", error);
        // Those who wait to write keep nobody from reading.
        let writer = pool(POSTGRES_WRITERS).connect(url).await.map_err(failed)?;
        let readers = pool(POSTGRES_CONNECTIONS).connect_lazy(url).map_err(failed)?;
        let moment = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let lock = Some(ONE_AT_A_TIME);
        Ok(Self { readers, writer, begin: "BEGIN", lock, moment, is_own: false })
    }

    /// None where nothing was made yet.
    pub async fn version(&self) -> Result<Option<i64>> {
        remake::version(&mut *self.read().await?).await
    }

    /// Brings it up to the version of this program; one that is newer is refused.
    pub async fn migrated(self) -> Result<Self> {
        let done = remake::migrator(true).run(&self.writer).await;
        done.map_err(remake::not_migrated)?;
        Ok(self)
    }

    pub async fn read(&self) -> Result<PoolConnection<Any>> {
        self.readers.acquire().await.map_err(|error| failed("reading", error))
    }

    /// To read several things of one moment.
    pub async fn moment(&self) -> Result<Transaction<'static, Any>> {
        let begun = self.readers.begin_with(self.moment).await;
        begun.map_err(|error| failed("reading", error))
    }

    /// Begins a change; it is taken back when it is dropped.
    pub async fn change(&self) -> Result<Change> {
        let failed = |error| failed("changing it", error);
        let mut transaction = self.writer.begin_with(self.begin).await.map_err(failed)?;
        if let Some(lock) = self.lock {
            transaction.execute(lock).await.map_err(failed)?;
        }
        Ok(Change(transaction))
    }

    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A change that has begun.
pub struct Change(Transaction<'static, Any>);

impl Change {
    pub fn on(&mut self) -> &mut AnyConnection {
        &mut self.0
    }

    /// What somebody asked for.
    pub async fn commit(mut self, entry: &audit::New<'_>) -> Result<()> {
        audit::append(self.on(), entry).await?;
        self.commit_own_books().await
    }

    /// The manager's own book-keeping, of which nobody needs an account: progress, times of use.
    pub async fn commit_own_books(mut self) -> Result<()> {
        events::number(self.on()).await?;
        self.commit_untold().await
    }

    /// Of a catalog of whatever version, which nobody follows.
    pub async fn commit_untold(self) -> Result<()> {
        self.0.commit().await.map_err(|error| failed("committing a change", error))
    }
}

fn install_drivers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(sqlx::any::install_default_drivers);
}

/// For a URL.
fn encoded(file: &Path) -> Result<String> {
    let text = file.to_str().ok_or_else(|| {
        Error::invalid(format!("{}: the data directory's path is not UTF-8", file.display()))
    })?;
    Ok(text.replace('%', "%25").replace('?', "%3f").replace('#', "%23"))
}

/// The database does not answer now: what was to be written is not lost, it waits.
#[derive(Debug)]
struct Away;

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the manager goes on when the database answers again")
    }
}

impl std::error::Error for Away {}

/// Whether something failed only because the database does not answer.
pub(crate) fn is_away(error: &Error) -> bool {
    use std::error::Error as _;
    matches!(error.source(), Some(source) if source.is::<Away>())
}

/// What to do about an error of the database.
pub(crate) fn failed(doing: &str, error: sqlx::Error) -> Error {
    use sqlx::Error as Sql;
    let kind = match &error {
        Sql::Io(_) | Sql::PoolTimedOut | Sql::PoolClosed | Sql::WorkerCrashed | Sql::Tls(_) => {
            ErrorKind::Unavailable
        }
        Sql::Database(database) if database.is_unique_violation() => ErrorKind::AlreadyExists,
        Sql::Database(database) => match database.code().as_deref() {
            // SQLite: busy, locked; PostgreSQL: serialization, deadlock, a lock that was waited for,
            // shutting down, starting.
            Some(
                "5" | "6" | "261" | "517" | "40001" | "40P01" | "55P03" | "57P01" | "57P03"
                | "53300",
            ) => ErrorKind::Unavailable,
            Some("13" | "53100") => ErrorKind::NoSpace,
            Some("11" | "26") => ErrorKind::Corrupt,
            Some("28P01" | "28000" | "42501" | "8" | "14") => ErrorKind::Denied,
            _ => ErrorKind::Internal,
        },
        Sql::Configuration(_) => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    let told = Error::new(kind, format!("the catalog, {doing}: {error}"));
    if kind == ErrorKind::Unavailable { told.with_source(Away) } else { told }
}

/// A column of a row.
pub(crate) fn column<'r, T>(row: &'r AnyRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    use sqlx::Row as _;
    row.try_get(name).map_err(|error| failed("reading a row", error))
}
