//! The record of a closed session, on its way from a shard to the session log.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

/// What is written about a session when it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) shard: u8,
    /// Code of section 14.
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) token_id: [u8; 8],
    pub(crate) by_client: bool,
    pub(crate) client: SocketAddr,
    pub(crate) duration: Duration,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) requests: u64,
}

/// A line of the session log (docs/operate/session-log.md).
#[derive(Serialize)]
struct Line<'a> {
    closed: f64,
    shard: u8,
    code: u16,
    reason: &'a str,
    by_client: bool,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    seconds: f64,
    bytes: u64,
    bytes_retransmitted: u64,
    datagrams: u64,
    requests: u64,
}

impl Closed {
    /// The record as a line of JSON, written at `now` (seconds since 1970); the client's address only when `with_address`.
    pub(crate) fn line(&self, now: f64, with_address: bool) -> String {
        let line = Line {
            closed: (now * 1000.0).round() / 1000.0,
            shard: self.shard,
            code: self.code,
            reason: self.reason,
            by_client: self.by_client,
            token: format!("{:016x}", u64::from_be_bytes(self.token_id)),
            client: with_address.then_some(self.client),
            seconds: self.duration.as_secs_f64(),
            bytes: self.bytes_sent,
            bytes_retransmitted: self.bytes_retransmitted,
            datagrams: self.datagrams_sent,
            requests: self.requests,
        };
        serde_json::to_string(&line).expect("numbers and strings are JSON") + "\n"
    }
}
