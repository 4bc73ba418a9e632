//! The table of keys: one row for each, from which files, environment, flags and `--check` are all served.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use segcast_proto::ids::SetId;
use segcast_proto::limits::{DATAGRAM_BASE, DATAGRAM_MAX};
use segcast_sysio::driver::ZeroCopy;

use super::units::{Problem, show_duration, show_size};
use super::value::{Field, Value, words};
use super::{Admin, Config, Cookie, Io, LogFormat, LogLevel, Sets};
use crate::limits;

/// A key of the configuration.
pub struct Key {
    /// Its name in the file; a flag is `--name` with `-` for `_`, a variable `SEGCAST_EDGE_NAME`.
    pub name: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    /// Whether SIGHUP applies a change; the others need a restart.
    pub reload: bool,
    read: fn(&mut Config, &Value) -> Result<(), Problem>,
    show: fn(&Config) -> String,
    problem: fn(&Config) -> Option<Problem>,
}

impl Key {
    /// The key named `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Sets the key in `config`.
    pub(super) fn read(&self, config: &mut Config, value: &Value) -> Result<(), Problem> {
        (self.read)(config, value)
    }

    /// The key's value in `config`, as TOML.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// What is wrong with the key's value in `config`.
    pub(super) fn problem(&self, config: &Config) -> Option<Problem> {
        (self.problem)(config)
    }
}

/// When a change takes effect.
const RELOAD: bool = true;
const RESTART: bool = false;

macro_rules! key {
    ($field:ident, $reload:expr, $help:literal, $problem:expr) => {
        Key {
            name: stringify!($field),
            help: $help,
            reload: $reload,
            read: |config, value| {
                config.$field = Field::read(value)?;
                Ok(())
            },
            show: |config| config.$field.show(),
            problem: |config| {
                let problem: fn(_) -> Option<Problem> = $problem;
                problem(&config.$field)
            },
        }
    };
}

/// Any value of its type is right.
fn any<T>(_: &T) -> Option<Problem> {
    None
}

fn filled<T>(list: &[T], what: &str) -> Option<Problem> {
    list.is_empty().then(|| Problem(format!("at least one {what} is needed")))
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(value: T, low: T, high: T) -> Option<Problem> {
    (value < low || value > high).then(|| Problem(format!("from {low} to {high} is possible")))
}

fn time_within(value: Duration, low: Duration, high: Duration) -> Option<Problem> {
    (value < low || value > high).then(|| {
        let (low, high) = (show_duration(low), show_duration(high));
        Problem(format!("from \"{low}\" to \"{high}\" is possible"))
    })
}

fn size_within(value: u64, low: u64, high: u64) -> Option<Problem> {
    (value < low || value > high).then(|| {
        let (low, high) = (show_size(low), show_size(high));
        Problem(format!("from \"{low}\" to \"{high}\" is possible"))
    })
}

fn idle_timeout_problem(value: Duration) -> Option<Problem> {
    if value.subsec_nanos() != 0 {
        return Some(Problem::new("whole seconds are needed (WELCOME carries seconds)"));
    }
    time_within(value, limits::IDLE_TIMEOUT_MIN, limits::IDLE_TIMEOUT_MAX)
}

fn receive_buffers_problem(value: u16) -> Option<Problem> {
    if !value.is_power_of_two() {
        return Some(Problem::new("a power of two is needed, such as 512"));
    }
    within(value, limits::RECEIVE_BUFFERS_MIN, limits::RECEIVE_BUFFERS_MAX)
}

fn send_slab_problem(value: u64) -> Option<Problem> {
    if !value.is_multiple_of(limits::SEND_BUFFER_BYTES as u64) {
        return Some(Problem::new("a multiple of \"64 KiB\" is needed (one train each)"));
    }
    size_within(value, limits::SEND_SLAB_MIN, limits::SEND_SLAB_MAX)
}

/// Every key, in the order of `default.toml`.
pub const KEYS: &[Key] = &[
    key!(listen, RESTART, "Addresses to serve on (UDP), comma-separated", |list: &Vec<_>| {
        filled(list, "address")
    }),
    key!(store, RESTART, "Directory of the segment store", any),
    key!(key_file, RESTART, "File with this edge's secret key", any),
    key!(center_keys, RELOAD, "Files or directories with centers' public keys", |list: &Vec<_>| {
        filled(list, "file or directory")
    }),
    key!(sets, RELOAD, "Sets to serve, \"*\" for all", any),
    key!(shards, RESTART, "Serving threads, 0 for one per allowed core", |&value| {
        within(value, 0, limits::SHARDS_MAX)
    }),
    key!(pin, RESTART, "Pin each shard to its core", any),
    key!(io, RESTART, "Driver: auto, ring, mmsg, tokio-uring or glommio", any),
    key!(gso, RESTART, "Send trains with UDP segmentation offload", any),
    key!(zero_copy, RESTART, "Send without copying: auto, always or never", any),
    key!(sessions_max, RESTART, "Sessions at once, over all shards", |&value| {
        within(value, 1, limits::SESSIONS_MAX)
    }),
    key!(pending_max, RESTART, "Unfinished handshakes at once, over all shards", |&value| {
        within(value, 1, limits::PENDING_MAX)
    }),
    key!(handshakes_per_second, RESTART, "Handshakes a second of each shard", |&value| {
        within(value, 1, limits::HANDSHAKES_PER_SECOND_MAX)
    }),
    key!(sessions_per_client, RESTART, "Sessions at once of one client key", |&value| {
        within(value, 1, u16::MAX)
    }),
    key!(requests_per_second, RESTART, "Requests a second of one session", |&value| {
        within(value, 1, limits::REQUESTS_PER_SECOND_MAX)
    }),
    key!(requests_max, RESTART, "Requests waiting at once, over all shards", |&value| {
        within(value, 1, limits::REQUESTS_MAX)
    }),
    key!(idle_timeout, RESTART, "Close a session after this silence", |&value| {
        idle_timeout_problem(value)
    }),
    key!(cookie, RESTART, "Prove addresses by cookie: auto or always", any),
    key!(datagram_max, RESTART, "Largest datagram to try", |value: &super::Size| {
        size_within(value.0, DATAGRAM_BASE as u64, DATAGRAM_MAX as u64)
    }),
    key!(egress_max, RESTART, "Cap on everything sent, or unlimited", any),
    key!(egress_queue, RESTART, "Longest wait of a request for a busy edge", |&value| {
        time_within(value, limits::EGRESS_QUEUE_MIN, limits::EGRESS_QUEUE_MAX)
    }),
    key!(receive_buffers, RESTART, "Datagrams a shard can receive in one turn", |&value| {
        receive_buffers_problem(value)
    }),
    key!(send_slab, RESTART, "Send memory of a shard", |value: &super::Size| {
        send_slab_problem(value.0)
    }),
    key!(populate_threads, RESTART, "Threads that read cold segments in", |&value| {
        within(value, 1, limits::POPULATE_THREADS_MAX)
    }),
    key!(admin, RESTART, "HTTP address of metrics and health, or off", any),
    key!(log_level, RELOAD, "error, warn, info, debug or trace", any),
    key!(log_format, RESTART, "text or json", any),
    key!(log_client_address, RELOAD, "Write client addresses into session records", any),
    key!(drain_timeout, RELOAD, "Longest wait for sessions to finish at a stop", |&value| {
        time_within(value, Duration::ZERO, limits::DRAIN_TIMEOUT_MAX)
    }),
];

words!(
    Io,
    "auto" => Io::Auto,
    "ring" => Io::Ring,
    "mmsg" => Io::Mmsg,
    "tokio-uring" => Io::TokioUring,
    "glommio" => Io::Glommio,
);
words!(
    ZeroCopy,
    "auto" => ZeroCopy::Auto,
    "always" => ZeroCopy::Always,
    "never" => ZeroCopy::Never,
);
words!(Cookie, "auto" => Cookie::Auto, "always" => Cookie::Always);
words!(LogFormat, "text" => LogFormat::Text, "json" => LogFormat::Json);
words!(
    LogLevel,
    "error" => LogLevel::Error,
    "warn" => LogLevel::Warn,
    "info" => LogLevel::Info,
    "debug" => LogLevel::Debug,
    "trace" => LogLevel::Trace,
);

impl Field for Admin {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Text(text) | Value::Untyped(text) if text == "off" => Ok(Self::Off),
            _ => SocketAddr::read(value)
                .map(Self::Listen)
                .map_err(|problem| Problem(format!("{problem}; \"off\" serves no metrics"))),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "\"off\"".to_owned(),
            Self::Listen(address) => address.show(),
        }
    }
}

impl Field for SetId {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Text(text) | Value::Untyped(text) => text.parse().map_err(Problem::new),
            _ => Err(Problem::new("a set is named by a string of 32 hexadecimal digits")),
        }
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Field for Sets {
    fn read(value: &Value) -> Result<Self, Problem> {
        let star = |item: &Value| matches!(item, Value::Text(t) | Value::Untyped(t) if t == "*");
        match value {
            Value::List(items) if items.len() == 1 && items.iter().all(star) => Ok(Self::All),
            item if star(item) => Ok(Self::All),
            _ => {
                let sets = Vec::<SetId>::read(value)
                    .map_err(|p| Problem(format!("{p}; [\"*\"] alone serves all sets")))?;
                Ok(Self::Only(BTreeSet::from_iter(sets)))
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "[\"*\"]".to_owned(),
            Self::Only(sets) => Vec::from_iter(sets.iter().copied()).show(),
        }
    }
}
