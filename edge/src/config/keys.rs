//! The edge's table of keys, and how the values are read that only an edge has.

use std::path::PathBuf;
use std::time::Duration;

use segcast_config::bounds::{any, filled, size_within, time_within, within};
use segcast_config::{Field, Key, Problem, Size, Value, key, words};
use segcast_proto::ids::SetId;
use segcast_proto::limits::{DATAGRAM_BASE, DATAGRAM_MAX};

use super::{BitRate, Config, Cookie, Io, SessionLog, Sets, ZeroCopy, multicast};
use crate::limits;

/// When a change takes effect.
const RELOAD: bool = true;
const RESTART: bool = false;

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

fn given(rate: &BitRate) -> Option<Problem> {
    (rate.0 < limits::GROUP_RATE_MIN)
        .then(|| Problem::new("at least \"1 Mbit/s\" is needed: less serves no group"))
}

/// Every key, in the order of `default.toml`.
pub(super) const KEYS: &[Key<Config>] = &[
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
    key!(datagram_max, RESTART, "Largest datagram to try", |value: &Size| {
        size_within(value.0, DATAGRAM_BASE as u64, DATAGRAM_MAX as u64)
    }),
    key!(egress_max, RESTART, "Cap on everything sent, or unlimited", any),
    key!(egress_queue, RESTART, "Longest wait of a request for a busy edge", |&value| {
        time_within(value, limits::EGRESS_QUEUE_MIN, limits::EGRESS_QUEUE_MAX)
    }),
    key!(receive_buffers, RESTART, "Datagrams a shard can receive in one turn", |&value| {
        receive_buffers_problem(value)
    }),
    key!(send_slab, RESTART, "Send memory of a shard", |value: &Size| {
        send_slab_problem(value.0)
    }),
    key!(populate_threads, RESTART, "Threads that read cold segments in", |&value| {
        within(value, 1, limits::POPULATE_THREADS_MAX)
    }),
    Key {
        problem: multicast::problem,
        ..key!(multicast, RESTART, "Segments to groups: off, dry-run or on", any)
    },
    Key {
        problem: multicast::interface_problem,
        ..key!(multicast_interface, RESTART, "Interface that group datagrams leave by", any)
    },
    Key {
        problem: multicast::source_problem,
        ..key!(multicast_source, RESTART, "Address that they come from, or auto", any)
    },
    key!(multicast_groups, RESTART, "Range of source-specific groups", any),
    key!(multicast_port, RESTART, "UDP port of all groups", |&value| {
        within(value, 1, u16::MAX)
    }),
    key!(multicast_ttl, RESTART, "Routers that they may pass, and one more", |&value| {
        within(value, 1, 255)
    }),
    key!(multicast_rate, RESTART, "Most that goes to all groups together", any),
    key!(multicast_channel_rate, RESTART, "Most that goes to one group", given),
    key!(
        multicast_bulk_rate,
        RESTART,
        "What goes to the group of a set without running time",
        given
    ),
    key!(multicast_channels, RESTART, "Groups at once, over all sets", |&value| {
        within(value, 1, limits::MULTICAST_CHANNELS_MAX)
    }),
    key!(admin, RESTART, "HTTP address of metrics and health, or off", any),
    key!(log_level, RELOAD, "error, warn, info, debug or trace", any),
    key!(log_format, RESTART, "text or json", any),
    key!(session_log, RELOAD, "File for records of closed sessions, or off", any),
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

impl Field for SessionLog {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Text(text) | Value::Untyped(text) if text == "off" => Ok(Self::Off),
            _ => PathBuf::read(value).map(Self::File),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "\"off\"".to_owned(),
            Self::File(path) => path.show(),
        }
    }
}

impl Field for Sets {
    fn read(value: &Value) -> Result<Self, Problem> {
        let star = |item: &Value| matches!(item, Value::Text(t) | Value::Untyped(t) if t == "*");
        match value {
            Value::List(items) if items.len() == 1 && items.iter().all(star) => Ok(Self::All),
            item if star(item) => Ok(Self::All),
            _ => {
                let sets: Result<_, Problem> =
                    value.items("[\"*\"]")?.iter().map(read_set).collect();
                sets.map(Self::Only)
                    .map_err(|p| Problem(format!("{p}; [\"*\"] alone serves all sets")))
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "[\"*\"]".to_owned(),
            Self::Only(sets) => {
                let items: Vec<_> = sets.iter().map(|set| format!("\"{set}\"")).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

fn read_set(value: &Value) -> Result<SetId, Problem> {
    match value {
        Value::Text(text) | Value::Untyped(text) => text.parse().map_err(Problem::new),
        _ => Err(Problem::new("a set is named by a string of 32 hexadecimal digits")),
    }
}
