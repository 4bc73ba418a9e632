//! The handshake of a generator's session: HELLO until WELCOME, with a COOKIE in between where the server wants one.

use anyhow::Context as _;
use segcast_proto::crypto::Suite;
use segcast_proto::handshake::{ClientHandshake, HelloParams, Welcomed};
use segcast_proto::time::{Duration, Instant};

use super::{Identity, Plan};

/// A HELLO is repeated after this.
const REPEAT: Duration = Duration::from_millis(250);
/// A handshake that takes longer has failed.
const TIME: Duration = Duration::from_secs(10);

/// A handshake under way.
pub(super) struct Opening {
    handshake: ClientHandshake,
    next: Instant,
    end: Instant,
    /// Seed of the session's order of segments.
    pub(super) order: u64,
}

impl Opening {
    pub(super) fn new(
        now: Instant,
        number: u32,
        plan: &Plan,
        who: &Identity,
    ) -> anyhow::Result<Self> {
        let params = HelloParams {
            datagram_max: u16::try_from(plan.datagram_max).unwrap_or(u16::MAX),
            room_kib: u32::try_from(plan.room_bytes / 1024).unwrap_or(u32::MAX),
        };
        let (secret, token) = (&who.secret, &who.token);
        let edge = &plan.edge_public;
        let suite = Suite::Aes128Gcm;
        let handshake = ClientHandshake::new(suite, edge, secret, params, token, number, who.seed)?;
        let [.., a, b, c, d, e, f, g, h] = who.seed;
        let order = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Ok(Self { handshake, next: now, end: now + TIME, order })
    }

    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// The HELLO, if it is due.
    pub(super) fn poll(&mut self, now: Instant) -> anyhow::Result<Option<&[u8]>> {
        anyhow::ensure!(now < self.end, "no WELCOME for {} s", TIME.as_secs());
        if self.next > now {
            return Ok(None);
        }
        self.next = now + REPEAT;
        Ok(Some(self.handshake.hello()))
    }

    pub(super) fn cookie(&mut self, now: Instant, datagram: &[u8]) {
        if self.handshake.on_cookie(datagram) {
            self.next = now;
        }
    }

    pub(super) fn welcome(&mut self, datagram: &[u8]) -> anyhow::Result<Welcomed> {
        self.handshake.on_welcome(datagram).context("a WELCOME")
    }
}
