//! The edge's configuration: built-in defaults < file < environment < flags.
//!
//! `default.toml` beside this crate is its manual. Every mistake is reported with its place, its value and
//! what would be right, all of them at once, and nothing starts on a configuration with a mistake.

mod keys;
mod multicast;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use multicast::{
    BitRate, GroupRange, InterfaceName, Multicast, MulticastGroups, MulticastSource,
};
pub use segcast_config::{Admin, LogFormat, LogLevel};
use segcast_config::{Configuration, Key, RateCap, Size};
use segcast_proto::ids::SetId;
use segcast_sysio::driver;

/// The configuration that ships with the edge: every key, explained.
pub const DEFAULT_TOML: &str = include_str!("../../default.toml");

/// Which driver moves datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// The best that this kernel allows.
    Auto,
    /// `io_uring`.
    Ring,
    /// `recvmmsg` and `sendmmsg`.
    Mmsg,
    /// tokio-uring, where it was built in.
    TokioUring,
    /// glommio, where it was built in.
    Glommio,
}

/// Whether trains are sent without copying them (`send_zc(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// On each route where the kernel reports that nothing was copied.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<ZeroCopy> for driver::ZeroCopy {
    fn from(value: ZeroCopy) -> Self {
        match value {
            ZeroCopy::Auto => Self::Auto,
            ZeroCopy::Always => Self::Always,
            ZeroCopy::Never => Self::Never,
        }
    }
}

/// Which sets this edge serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sets {
    /// Every set in the store.
    All,
    /// Only these.
    Only(BTreeSet<SetId>),
}

impl Sets {
    /// Whether the edge serves `set`.
    #[must_use]
    pub fn contains(&self, set: &SetId) -> bool {
        match self {
            Self::All => true,
            Self::Only(sets) => sets.contains(set),
        }
    }
}

/// When a HELLO is answered with a COOKIE first (docs/protocol, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// When handshakes take too much of a shard's time.
    Auto,
    /// Always.
    Always,
}

/// Where records of closed sessions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionLog {
    /// Nowhere.
    Off,
    /// To this file, at its end.
    File(PathBuf),
}

/// A validated configuration. The fields are the keys of `default.toml`, which explains them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "default.toml is the manual; a test keeps it complete")]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub store: PathBuf,
    pub key_file: PathBuf,
    pub center_keys: Vec<PathBuf>,
    pub sets: Sets,
    pub shards: u16,
    pub pin: bool,
    pub io: Io,
    pub gso: bool,
    pub zero_copy: ZeroCopy,
    pub sessions_max: u32,
    pub pending_max: u32,
    pub handshakes_per_second: u32,
    pub sessions_per_client: u16,
    pub requests_per_second: u32,
    pub requests_max: u32,
    pub idle_timeout: Duration,
    pub cookie: Cookie,
    pub datagram_max: Size,
    pub egress_max: RateCap,
    pub egress_queue: Duration,
    pub receive_buffers: u16,
    pub send_slab: Size,
    pub populate_threads: u16,
    pub multicast: Multicast,
    pub multicast_interface: InterfaceName,
    pub multicast_source: MulticastSource,
    pub multicast_groups: MulticastGroups,
    pub multicast_port: u16,
    pub multicast_ttl: u16,
    pub multicast_rate: BitRate,
    pub multicast_channel_rate: BitRate,
    pub multicast_bulk_rate: BitRate,
    pub multicast_channels: u16,
    pub admin: Admin,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    pub session_log: SessionLog,
    pub log_client_address: bool,
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let port = 4870;
        Self {
            listen: vec![
                SocketAddr::from(([0, 0, 0, 0], port)),
                SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
            ],
            store: PathBuf::from("/var/lib/segcast/store"),
            key_file: PathBuf::from("/etc/segcast/edge.key"),
            center_keys: vec![PathBuf::from("/etc/segcast/centers")],
            sets: Sets::All,
            shards: 0,
            pin: true,
            io: Io::Auto,
            gso: true,
            zero_copy: ZeroCopy::Auto,
            sessions_max: 100_000,
            pending_max: 16_384,
            handshakes_per_second: 2000,
            sessions_per_client: 16,
            requests_per_second: 10_000,
            requests_max: 1_000_000,
            idle_timeout: Duration::from_secs(180),
            cookie: Cookie::Auto,
            datagram_max: Size(8952),
            egress_max: RateCap::Unlimited,
            egress_queue: Duration::from_millis(500),
            receive_buffers: 512,
            send_slab: Size(1 << 20),
            populate_threads: 1,
            multicast: Multicast::Off,
            multicast_interface: InterfaceName::default(),
            multicast_source: MulticastSource::Auto,
            multicast_groups: MulticastGroups::None,
            multicast_port: 4872,
            multicast_ttl: 1,
            multicast_rate: BitRate(0),
            multicast_channel_rate: BitRate(100_000_000),
            multicast_bulk_rate: BitRate(50_000_000),
            multicast_channels: 256,
            admin: Admin::Listen(SocketAddr::from(([127, 0, 0, 1], 4871))),
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
            session_log: SessionLog::Off,
            log_client_address: false,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Configuration for Config {
    const ENVIRONMENT_PREFIX: &'static str = "SEGCAST_EDGE_";
    const KEYS: &'static [Key<Self>] = keys::KEYS;
}

#[cfg(test)]
mod tests;
