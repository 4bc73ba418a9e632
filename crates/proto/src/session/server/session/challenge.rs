//! Proof of a new client address (section 7.6): no more bytes go there than came from it. And proof that a client lives.

use crate::limits::OVERHEAD;
use crate::session::server::event::Path;
use crate::time::{Duration, Instant};

/// A sealed challenge.
const BYTES: u32 = OVERHEAD as u32 + 8;
/// A challenge is repeated at most this often, on packets from the new address.
const REPEAT: Duration = Duration::from_millis(100);

/// An address that has not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge {
    pub(super) path: Path,
    /// What the response must carry.
    pub(super) secret: [u8; 8],
    received: u32,
    sent: u32,
    next: Instant,
}

impl Challenge {
    /// A first packet of `bytes` came from `path`.
    pub(super) fn new(path: Path, secret: [u8; 8], bytes: usize, now: Instant) -> Self {
        Self { path, secret, received: bytes as u32, sent: 0, next: now }
    }

    /// Asks a client at its proven address whether it is there; once.
    pub(super) fn of_life(path: Path, secret: [u8; 8], now: Instant) -> Self {
        Self { path, secret, received: BYTES, sent: 0, next: now }
    }

    /// Another authentic packet came from the same path.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u32);
    }

    /// Whether it may go there now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next && self.sent.saturating_add(BYTES) <= self.received
    }

    /// Notes that it was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(BYTES);
        self.next = now + REPEAT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_sends_more_than_came() {
        let path = Path { socket: 0, remote: "192.0.2.1:9".parse().expect("an address") };
        let mut challenge = Challenge::new(path, [1; 8], 100, Instant::ZERO);
        assert!(challenge.is_due(Instant::ZERO));
        challenge.sent(Instant::ZERO);
        let later = Instant::ZERO + REPEAT;
        assert!(!challenge.is_due(later));
        challenge.heard(60);
        assert!(challenge.is_due(later));
        assert!(!challenge.is_due(Instant::ZERO), "not that soon");
    }
}
