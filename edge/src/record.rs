//! The record of a closed session, on its way from a shard to the log.

use std::net::SocketAddr;
use std::time::Duration;

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

impl Closed {
    /// Writes the record as one structured event; the client's address only when `with_address`.
    pub(crate) fn write(&self, with_address: bool) {
        let token = u64::from_be_bytes(self.token_id);
        let client = with_address.then(|| tracing::field::display(self.client));
        tracing::info!(
            target: "segcast_edge::session",
            shard = self.shard,
            code = self.code,
            reason = self.reason,
            by_client = self.by_client,
            token = format_args!("{token:016x}"),
            client,
            seconds = self.duration.as_secs_f64(),
            bytes = self.bytes_sent,
            bytes_retransmitted = self.bytes_retransmitted,
            datagrams = self.datagrams_sent,
            requests = self.requests,
            "session closed"
        );
    }
}
