//! The database: SQLite or PostgreSQL through one text of SQL, pools, and transactions that are tried again.
//!
//! Only this folder holds SQL. What may go wrong by itself (a deadlock, a lost connection, a failover) is tried again
//! here; what a caller did wrong is an [`Outcome::Refused`](outcome::Outcome::Refused), and commits: a guess that was
//! counted stays counted.

mod error;
mod migrate;
mod sql;

pub mod accounts;
pub mod audit;
pub mod catalogue;
pub mod devices;
pub mod guard;
pub mod keys;
pub mod ledger;
pub mod orders;
pub mod plays;
pub mod sessions;
pub mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _, Executor as _};
use tokio::time::{Instant, sleep};

pub use self::error::DbError;
use self::sql::Connection;
pub use self::sql::{Asked, Row, Tx, Value};
use crate::outcome::Outcome;

/// How often a transaction is tried at most.
const ATTEMPTS_MAX: u32 = 4;

/// How long attempts may take together, waiting included.
const ATTEMPTS_TIME: Duration = Duration::from_secs(3);

/// How long a caller waits for a connection.
const ACQUIRE_TIME: Duration = Duration::from_secs(5);

/// Connections: of PostgreSQL, and readers of SQLite.
const POSTGRES_CONNECTIONS: u32 = 16;
const SQLITE_READERS: u32 = 4;

/// A part of a list that is shown newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// What came last: when it was made (Unix time, ms), and its id.
    pub after: (i64, i64),
    /// Rows at most.
    pub limit: i64,
}

impl Window {
    /// The newest.
    #[must_use]
    pub fn first(limit: i64) -> Self {
        Self { after: (i64::MAX, i64::MAX), limit }
    }

    /// The same with one row more, which tells whether there is a next part.
    #[must_use]
    pub fn and_one(self) -> Self {
        Self { limit: self.limit + 1, ..self }
    }

    /// `$1` to `$3`.
    fn args(self) -> Vec<Value> {
        sql::args![self.after.0, self.after.1, self.limit]
    }
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, one writer at a time.
    Sqlite,
    /// A server, many writers.
    Postgres,
}

impl Kind {
    /// From the scheme of a URL.
    fn of(url: &str) -> Result<Self, DbError> {
        match url.split(':').next() {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(DbError::Url("a database is sqlite:PATH or postgres://…".into())),
        }
    }

    /// How a writing transaction begins. SQLite's takes the lock at once: a deferred one that reads first cannot take
    /// it later when another has committed meanwhile.
    fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What each new connection is told.
    fn on_connect(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON"
            }
            Self::Postgres => {
                "SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
                 SET idle_in_transaction_session_timeout = '5s'"
            }
        }
    }
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// SQLite: one connection, whose queue is fairer than the lock of the file (64 spends at once took 0.2 to 0.6 s
    /// in the queue, 3 to 4.4 s when connections fought). PostgreSQL: the same pool as `reader`.
    writer: AnyPool,
    reader: AnyPool,
    retries: AtomicU64,
}

impl Db {
    /// Opens the database at `url` (`sqlite:PATH`, which is made when it is not there, or `postgres://…`) and brings
    /// its schema up to this binary's.
    ///
    /// # Errors
    /// [`DbError::Url`] for another URL, [`DbError::Schema`] when a newer binary has been at work, [`DbError::Sql`].
    pub async fn open(url: &str) -> Result<Self, DbError> {
        sqlx::any::install_default_drivers();
        let kind = Kind::of(url)?;
        let (writers, url) = match kind {
            Kind::Sqlite => (1, sqlite_url(url)),
            Kind::Postgres => (POSTGRES_CONNECTIONS, url.to_owned()),
        };
        let options: AnyConnectOptions = url.parse()?;
        let options = options.disable_statement_logging();
        let writer = pool(kind, writers).connect_with(options.clone()).await?;
        migrate::run(kind, &writer).await?;
        let reader = match kind {
            Kind::Sqlite => pool(kind, SQLITE_READERS).connect_lazy_with(options),
            Kind::Postgres => writer.clone(),
        };
        Ok(Self(Arc::new(Inner { kind, writer, reader, retries: AtomicU64::new(0) })))
    }

    /// Runs `act` in a transaction and commits, also what it refused. An attempt that failed by the database's doing
    /// is rolled back and made again, at most 4 times in 3 s; so `act` draws no random bytes and reads no clock. It gets the
    /// transaction for its own: a reference would make the compiler ask for more than a `Send` future can prove.
    ///
    /// # Errors
    /// [`DbError`]: the last attempt's. Nothing was written then, unless the connection was lost during the commit:
    /// [`guard`] finds what became of it.
    pub async fn write<T, F>(&self, act: impl Fn(Tx) -> F) -> Result<Outcome<T>, DbError>
    where
        F: Future<Output = Result<Outcome<T>, DbError>>,
    {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let error = match self.attempt(&act).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let pause = Duration::from_millis(10) * 4_u32.pow(attempt);
            let is_last = attempt == ATTEMPTS_MAX || started.elapsed() + pause > ATTEMPTS_TIME;
            if is_last || !error.is_passing() {
                return Err(error);
            }
            self.0.retries.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(attempt, %error, "a transaction is tried again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<T, F>(&self, act: &impl Fn(Tx) -> F) -> Result<Outcome<T>, DbError>
    where
        F: Future<Output = Result<Outcome<T>, DbError>>,
    {
        let transaction = self.0.writer.begin_with(self.0.kind.begin()).await?;
        let tx = Tx::of(Connection::Writing(transaction));
        let outcome = act(tx.clone()).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    /// A connection for reading: each statement sees what was committed before it began.
    ///
    /// # Errors
    /// [`DbError::Sql`] when none is to be had in 5 s.
    pub async fn read(&self) -> Result<Tx, DbError> {
        Ok(Tx::of(Connection::Reading(self.0.reader.acquire().await?)))
    }

    /// Whether the database takes writes, and by how many milliseconds its clock is ahead of `now` (Unix time, ms);
    /// SQLite's clock is this machine's.
    ///
    /// # Errors
    /// [`DbError::Sql`] when it does not.
    pub async fn ready(&self, now: i64) -> Result<i64, DbError> {
        let outcome = self.write(async |tx: Tx| {
            let tx = &tx;
            tx.one(
                "UPDATE counters SET value = value WHERE name = 'revocation' RETURNING value",
                vec![],
            )
            .await?;
            Ok(Outcome::Done(()))
        });
        outcome.await?;
        if self.0.kind == Kind::Sqlite {
            return Ok(0);
        }
        let clock = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
        Ok(self.read().await?.one(clock, vec![]).await?.get::<i64>(0)? - now)
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Attempts that were made again since the start.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// Connections that are open, and those of them that are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        (self.0.writer.size(), self.0.writer.num_idle())
    }

    /// Closes all connections once they are idle.
    pub async fn close(&self) {
        self.0.writer.close().await;
        self.0.reader.close().await;
    }
}

fn pool(kind: Kind, connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIME)
        .test_before_acquire(kind == Kind::Postgres)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(kind.on_connect()).await.map(drop) })
        })
}

/// The URL that opens the file of `sqlite:PATH` and makes it when it is missing. Of a path the driver decodes `%`, and
/// `?` and `#` would end it.
fn sqlite_url(url: &str) -> String {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc")
}

#[cfg(test)]
mod tests;
