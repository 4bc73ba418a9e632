//! The center's table of keys, and how the values are read that only a center has.

use core::fmt;
use std::path::PathBuf;
use std::time::Duration;

use segcast_config::bounds::{any, filled, time_within, within};
use segcast_config::{Field, Key, Problem, Value, key, words};

use super::{Config, CurrencyName, DatabaseUrl, Line, Proxy, Registration};

/// Nothing is read again while the center runs.
const RESTART: bool = false;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Every key, in the order of `default.toml`.
pub(super) const KEYS: &[Key<Config>] = &[
    key!(listen, RESTART, "Addresses to serve on (TCP, TLS), comma-separated", |list: &Vec<_>| {
        filled(list, "address")
    }),
    key!(admin, RESTART, "HTTP address of metrics and health, or off", any),
    key!(tls_certificate, RESTART, "Certificates (PEM)", any),
    key!(tls_key, RESTART, "Their private key (PEM)", any),
    key!(trusted_proxies, RESTART, "Proxies whose `Forwarded` is believed", any),
    key!(connections_max, RESTART, "Connections at once", |&value| within(value, 1, 65_536)),
    key!(connections_per_network, RESTART, "Connections at once of one network", |&value| {
        within(value, 1, 65_536)
    }),
    key!(rate_factor, RESTART, "How many times more often all may be done", |&value| {
        within(value, 1, 1_000_000)
    }),
    key!(state, RESTART, "Folder of keys, certificate and database", any),
    key!(database, RESTART, "sqlite:PATH or postgres://…", any),
    key!(master_key, RESTART, "file:PATH, env:NAME or command:PROGRAM ARGUMENTS", any),
    key!(registration, RESTART, "Who may make an account: open or closed", any),
    key!(currencies, RESTART, "Currencies of offers and purses", |list: &Vec<_>| {
        filled(list, "currency")
    }),
    key!(devices_max, RESTART, "Devices of an account at once", |&value| within(value, 1, 1000)),
    key!(session_lifetime, RESTART, "How long a login lasts", |&value| {
        time_within(value, MINUTE, 366 * DAY)
    }),
    key!(token_lifetime, RESTART, "How long a token starts sessions", |&value| {
        time_within(value, MINUTE, DAY)
    }),
    key!(grace, RESTART, "How long sessions go on after their token's end", |&value| {
        time_within(value, Duration::ZERO, HOUR)
    }),
    key!(edges, RESTART, "Edges that clients are sent to", any),
    key!(log_level, RESTART, "error, warn, info, debug or trace", any),
    key!(log_format, RESTART, "text or json", any),
    key!(drain_delay, RESTART, "How long a stop is announced before it begins", |&value| {
        time_within(value, Duration::ZERO, HOUR)
    }),
    key!(drain_timeout, RESTART, "Longest wait for requests to finish at a stop", |&value| {
        time_within(value, Duration::ZERO, HOUR)
    }),
];

words!(Registration, "open" => Registration::Open, "closed" => Registration::Closed);

/// A string in TOML, on one line whatever is in it.
fn quoted(text: &str) -> String {
    PathBuf::from(text).show()
}

impl Field for CurrencyName {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("a currency", "EUR")?;
        let right = "three capital letters are expected, such as \"EUR\" (ISO 4217)";
        text.parse().map(Self).map_err(|_| Problem::new(right))
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

impl Field for Proxy {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("a proxy", "192.0.2.1")?;
        text.parse()
            .map(Self)
            .map_err(|_| Problem::new("an IP address is expected, such as \"192.0.2.1\""))
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

impl Field for Line {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("an edge", "192.0.2.7:4870=KEY")?;
        if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err(Problem::new("one line of at most 512 bytes is expected"));
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Field for DatabaseUrl {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("a database", "sqlite:center.sqlite")?;
        let is_one = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty())
            || ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        is_one.then(|| Self(text.to_owned())).ok_or_else(|| {
            Problem::new("\"sqlite:PATH\" or \"postgres://USER@HOST/NAME\" is expected")
        })
    }

    /// Without the password.
    fn show(&self) -> String {
        let shown = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (user, host) = rest.split_once('@')?;
            let (user, _) = user.split_once(':')?;
            Some(format!("{scheme}://{user}:…@{host}"))
        });
        quoted(shown.as_ref().unwrap_or(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}
