//! The center's configuration: built-in defaults < file < environment < flags.
//!
//! `default.toml` beside this crate is its manual.

mod keys;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use segcast_api::value::Currency;
use segcast_config::{Admin, Configuration, Key, LogFormat, LogLevel};

use crate::vault::MasterSource;

/// The configuration that ships with the center: every key, explained.
pub const DEFAULT_TOML: &str = include_str!("../../default.toml");

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anyone.
    Open,
    /// Operators.
    Closed,
}

/// A currency: three capital letters (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyName(pub Currency);

/// A proxy's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy(pub IpAddr);

/// A line of text without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub String);

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub String);

/// A validated configuration. The fields are the keys of `default.toml`, which explains them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "default.toml is the manual; a test keeps it complete")]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub admin: Admin,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub trusted_proxies: Vec<Proxy>,
    pub connections_max: u32,
    pub connections_per_network: u32,
    pub rate_factor: u32,
    pub state: PathBuf,
    pub database: DatabaseUrl,
    pub master_key: MasterSource,
    pub registration: Registration,
    pub currencies: Vec<CurrencyName>,
    pub devices_max: u16,
    pub session_lifetime: Duration,
    pub token_lifetime: Duration,
    pub grace: Duration,
    pub edges: Vec<Line>,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 4880))],
            admin: Admin::Listen(SocketAddr::from(([127, 0, 0, 1], 4881))),
            tls_certificate: PathBuf::from("tls.pem"),
            tls_key: PathBuf::from("tls.key"),
            trusted_proxies: Vec::new(),
            connections_max: 512,
            connections_per_network: 32,
            rate_factor: 1,
            state: PathBuf::from("segcast-center"),
            database: DatabaseUrl("sqlite:center.sqlite".to_owned()),
            master_key: MasterSource::File(PathBuf::from("master.key")),
            registration: Registration::Open,
            currencies: vec![CurrencyName("EUR".parse().expect("a currency"))],
            devices_max: 5,
            session_lifetime: Duration::from_secs(30 * 24 * 3600),
            token_lifetime: Duration::from_secs(15 * 60),
            grace: Duration::from_secs(30 * 60),
            edges: Vec::new(),
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Configuration for Config {
    const ENVIRONMENT_PREFIX: &'static str = "SEGCAST_CENTER_";
    const KEYS: &'static [Key<Self>] = keys::KEYS;
}

impl Config {
    /// The URL that the database is opened by: SQLite's path begins at the state folder.
    #[must_use]
    pub fn database_url(&self) -> String {
        match self.database.0.strip_prefix("sqlite:") {
            Some(path) => {
                let path = self.state.join(path);
                // What follows `//` in a URL without a host is a path only if it is absolute.
                let path = std::path::absolute(&path).unwrap_or(path);
                format!("sqlite:{}", path.display())
            }
            None => self.database.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use segcast_config::{ConfigErrors, Source};

    use super::*;

    fn load_text(text: &str) -> Result<Config, ConfigErrors> {
        Source::default().load_text(text)
    }

    #[test]
    fn the_shipped_file_says_exactly_what_is_built_in_and_explains_every_key() {
        assert_eq!(load_text(DEFAULT_TOML), Ok(Config::default()));
        let mut rest = DEFAULT_TOML;
        for key in Config::KEYS {
            let line = format!("\n{} = ", key.name);
            let (before, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{}", key.name));
            let comment = before.rsplit("\n\n").next().unwrap_or_default();
            // A second key of a paragraph follows the first.
            assert!(
                comment.starts_with("# ") || !comment.contains('#'),
                "{} has no comment",
                key.name
            );
            rest = after;
        }
    }

    #[test]
    fn a_configuration_reads_back_what_it_shows() {
        let config = Config {
            admin: Admin::Off,
            trusted_proxies: vec![Proxy(IpAddr::from([192, 0, 2, 1]))],
            database: DatabaseUrl("postgres:///center?host=/run/postgresql".to_owned()),
            registration: Registration::Closed,
            edges: vec![Line("192.0.2.7:4870=AAAA".to_owned())],
            ..Config::default()
        };
        assert_eq!(load_text(&config.to_toml()), Ok(config));
    }

    #[test]
    fn values_that_no_center_can_have_are_refused_with_what_would_be_right() {
        for (text, right) in [
            ("listen = []\n", "at least one address"),
            ("database = \"mysql://x\"\n", "sqlite:PATH"),
            ("master_key = \"secret\"\n", "never the key itself"),
            ("currencies = [\"euro\"]\n", "three capital letters"),
            ("trusted_proxies = [\"10.0.0.0/8\"]\n", "an IP address"),
            ("edges = [\"a\\nb\"]\n", "one line"),
            ("token_lifetime = \"1s\"\n", "from \"1min\""),
            ("grace = \"2h\"\n", "to \"1h\""),
            ("connections_max = 0\n", "from 1"),
        ] {
            let message = load_text(text).expect_err(text).to_string();
            assert!(message.contains("text:1: ") && message.contains(right), "{message}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let config = load_text("database = \"postgres://center:Secret9@db/center\"\n").unwrap();
        assert!(!format!("{config:?}{}", config.to_toml()).contains("Secret9"));
        assert!(config.database_url().contains("Secret9"));
    }
}
