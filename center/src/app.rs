//! What every handler and service gets: database, vault, clock and settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use segcast_api::value::Currency;

use crate::db::Db;
pub use crate::outcome::Outcome;
use crate::password::Passwords;
use crate::vault::Vault;

/// All that handlers get. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub db: Db,
    /// The secrets.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// What the configuration says.
    pub settings: Arc<Settings>,
    /// Hashes passwords, a few at a time.
    pub passwords: Passwords,
}

impl App {
    /// The parts together.
    #[must_use]
    pub fn new(db: Db, vault: Vault, clock: Clock, settings: Settings) -> Self {
        Self { db, vault, clock, settings: Arc::new(settings), passwords: Passwords::new() }
    }
}

/// What services need of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether anyone may make an account.
    pub registration: bool,
    /// Currencies that are taken, ISO 4217.
    pub currencies: Vec<Currency>,
    /// Devices of an account at most.
    pub devices_max: u16,
    /// How long a token is valid at most.
    pub token_lifetime: Duration,
    /// How long sessions of a token go on after its end.
    pub grace: Duration,
    /// How long a login lasts.
    pub session_lifetime: Duration,
    /// The edges, in the form that `segcast get` takes; the same for all sets.
    pub edges: Vec<String>,
}

/// The time of this machine, or in tests another.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Unix time, milliseconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // 292 million years from now.
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX) + self.0.load(Ordering::Relaxed)
    }

    /// Sets the clock ahead of the system's by this more.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}
