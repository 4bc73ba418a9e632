//! The handshake under way: when HELLO goes out, and when its ephemeral key is replaced.

use super::Backoff;
use super::config::ClientConfig;
use crate::handshake::{ClientHandshake, HandshakeError, HelloParams, Welcomed};
use crate::limits::{HANDSHAKE_TIME, HELLO_FRESH};
use crate::time::{Duration, Instant};
use crate::wire::code::Code;

/// First repeat without a known round trip, and the least with one.
const FIRST: Duration = Duration::from_millis(100);
const FIRST_MIN: Duration = Duration::from_millis(20);
/// The longest pause between two HELLOs.
const LONGEST: Duration = Duration::from_secs(2);

/// One attempt after another until an answer comes or the time is over.
pub(super) struct Hello {
    attempt: ClientHandshake,
    begun: Instant,
    fresh_at: Instant,
    pause: Duration,
    next: Instant,
    /// When the first HELLO went out that the answer can belong to.
    first_sent: Option<Instant>,
    /// When the last one did.
    last_sent: Option<Instant>,
    has_cookie: bool,
    backoff: Backoff,
    /// Why the server put the handshake off, and until when that holds.
    deferred: Option<(Code, Instant)>,
}

/// The round trip that an answer to a HELLO shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct HelloRtt {
    /// Since the first HELLO. After a repeat it may be more than the round trip: a start that later samples
    /// correct, where a guess could be far off.
    pub(super) most: Duration,
    /// Since the last HELLO; the same when one went out.
    pub(super) least: Duration,
}

impl Hello {
    /// Begins; the first HELLO is due at once.
    pub(super) fn new(
        now: Instant,
        config: &ClientConfig,
        rtt: Option<Duration>,
        seed: [u8; 32],
    ) -> Result<Self, HandshakeError> {
        let pause = rtt.map_or(FIRST, |rtt| (rtt * 2).max(FIRST_MIN)).min(LONGEST);
        Ok(Self {
            attempt: attempt(config, seed)?,
            begun: now,
            fresh_at: now + HELLO_FRESH,
            pause,
            next: now,
            first_sent: None,
            last_sent: None,
            has_cookie: false,
            backoff: Backoff::default(),
            deferred: None,
        })
    }

    /// The HELLO to send now, if one is due.
    pub(super) fn poll(&mut self, now: Instant) -> Option<&[u8]> {
        if self.next > now {
            return None;
        }
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST);
        self.first_sent.get_or_insert(now);
        self.last_sent = Some(now);
        Some(self.attempt.hello().as_slice())
    }

    /// When something is due.
    pub(super) fn due(&self) -> Instant {
        self.next.min(self.fresh_at).min(self.begun + HANDSHAKE_TIME)
    }

    /// Whether the handshake has failed.
    pub(super) fn failed(&self, now: Instant) -> bool {
        now >= self.begun + HANDSHAKE_TIME
    }

    /// Whether the ephemeral key is to be replaced now.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now >= self.fresh_at
    }

    /// Begins again with a fresh ephemeral key.
    pub(super) fn refresh(
        &mut self,
        now: Instant,
        config: &ClientConfig,
        seed: [u8; 32],
    ) -> Result<(), HandshakeError> {
        self.attempt = attempt(config, seed)?;
        let deferred = self.deferred.map_or(now, |(_, until)| until.max(now));
        (self.fresh_at, self.next, self.first_sent) = (deferred + HELLO_FRESH, deferred, None);
        (self.last_sent, self.has_cookie) = (None, false);
        Ok(())
    }

    /// A COOKIE came: the same HELLO goes out with it, at once. One that is in place already answered a repeated
    /// HELLO and is dropped.
    pub(super) fn cookie(&mut self, now: Instant, datagram: &[u8]) -> Option<HelloRtt> {
        let before = *self.attempt.hello();
        if !self.attempt.on_cookie(datagram) || before == *self.attempt.hello() {
            return None;
        }
        self.next = now;
        let rtt = self.rtt(now);
        if !self.has_cookie {
            (self.first_sent, self.last_sent, self.has_cookie) = (None, None, true);
        }
        Some(rtt)
    }

    /// A DEFER came: the same HELLO goes out again, but not before the server wants it. It may be forged by who has
    /// seen the HELLO, so it is believed for [`LONGEST`] at most, and it ends nothing.
    pub(super) fn defer(&mut self, now: Instant, datagram: &[u8], random: u32) -> bool {
        let Some(defer) = self.attempt.on_defer(datagram) else { return false };
        let until = self.backoff.refused(now, defer.retry_after.min(LONGEST), random);
        self.next = self.next.max(until);
        self.deferred = Some((defer.code, until));
        true
    }

    /// Why the server did not answer in time, if it said so.
    pub(super) fn refusal(&self) -> Option<Code> {
        self.deferred.map(|(code, _)| code)
    }

    /// A WELCOME came.
    pub(super) fn welcome(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<(Welcomed, HelloRtt), HandshakeError> {
        let welcomed = self.attempt.on_welcome(datagram)?;
        Ok((welcomed, self.rtt(now)))
    }

    fn rtt(&self, now: Instant) -> HelloRtt {
        let since = |sent: Option<Instant>| now.saturating_since(sent.unwrap_or(now));
        HelloRtt { most: since(self.first_sent), least: since(self.last_sent) }
    }
}

fn attempt(config: &ClientConfig, seed: [u8; 32]) -> Result<ClientHandshake, HandshakeError> {
    let params = HelloParams {
        datagram_max: u16::try_from(config.datagram_max).unwrap_or(u16::MAX),
        room_kib: u32::try_from(config.room_bytes / 1024).unwrap_or(u32::MAX),
    };
    ClientHandshake::new(
        config.suite,
        &config.edge_public,
        &config.secret,
        params,
        &config.token,
        config.sender_index,
        seed,
    )
}
