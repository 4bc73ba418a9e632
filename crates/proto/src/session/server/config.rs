//! What an endpoint is told when it starts.

use std::sync::Arc;

use crate::handshake::EdgeIdentity;
use crate::limits;
use crate::session::server::send::cap::EgressCap;
use crate::time::Duration;

/// Settings of one shard's endpoint.
#[derive(Clone)]
pub struct EndpointConfig {
    /// This shard, below `shards`.
    pub shard: u8,
    /// How many shards the edge has.
    pub shards: u8,
    /// The edge's static key.
    pub identity: Arc<EdgeIdentity>,
    /// Open sessions of this shard; more are refused with BUSY.
    pub sessions_max: u32,
    /// Pending handshakes of this shard; more are refused with BUSY. One client may have a quarter of them.
    pub pending_max: u32,
    /// Open sessions for one client key, unless its token says otherwise.
    pub sessions_per_client: u16,
    /// A session without an authentic packet for this long is closed.
    pub idle_timeout: Duration,
    /// The largest datagram that is sent, bytes of UDP payload.
    pub datagram_max: usize,
    /// The largest datagram that its caller receives, bytes of UDP payload: WELCOME says so.
    pub receive_max: u16,
    /// What all shards of the edge may send together. `None`: no cap.
    pub egress_max: Option<Arc<EgressCap>>,
    /// How long requests may wait for this shard; those that would wait longer are refused with OVERLOADED.
    pub egress_queue: Duration,
    /// Requests waiting in this shard; more are refused with OVERLOADED.
    pub requests_max: u32,
    /// Requests a session may make in a second, averaged over one second; more are refused with TOO_MANY_REQUESTS,
    /// and as many again end the session.
    pub requests_per_second: u32,
    /// Whether the caller wants to be told of each request, by `poll_asked`.
    pub tell_requests: bool,
    /// Handshakes that this shard works on in a second; the clients of more are told to come later. From a tenth of it on
    /// cookies are mandatory.
    pub handshakes_per_second: u32,
    /// Demand a cookie of every HELLO.
    pub cookie_always: bool,
    /// Whether requests with HEARS may be served by groups, whose owner takes the notes.
    pub multicast: bool,
    /// Packets in a key epoch; at most [`limits::EPOCH_PACKETS`].
    pub epoch_packets: u64,
}

impl EndpointConfig {
    /// One shard with the defaults of the shipped configuration.
    #[must_use]
    pub fn new(identity: Arc<EdgeIdentity>) -> Self {
        Self {
            shard: 0,
            shards: 1,
            identity,
            sessions_max: 100_000,
            pending_max: 4096,
            sessions_per_client: 16,
            idle_timeout: Duration::from_secs(180),
            datagram_max: limits::DATAGRAM_MAX,
            receive_max: limits::DATAGRAM_BASE as u16,
            egress_max: None,
            egress_queue: Duration::from_millis(500),
            requests_max: 1_000_000,
            requests_per_second: 10_000,
            tell_requests: false,
            handshakes_per_second: 2000,
            cookie_always: false,
            multicast: false,
            epoch_packets: limits::EPOCH_PACKETS,
        }
    }
}
