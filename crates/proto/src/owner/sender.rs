//! The packets of one channel.

use core::net::IpAddr;

use crate::coalesce::{Channel, Part};
use crate::crypto::{GroupSealer, SealError, Suite};
use crate::ids::ObjectNumber;
use crate::limits::{DATAGRAM_BASE, SYMBOL};
use crate::time::{Duration, Instant};
use crate::wire::group_probe::{GroupProbe, NOTHING, ProbeEntry, ProbeState, back_off};
use crate::wire::{GroupChannel, GroupSecret, PacketType};

/// How often a channel says that it is there, and the first time after its GROUP_KEY (section 20.3).
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const FIRST_PROBE: Duration = Duration::from_millis(50);
/// The end of a send is told twice, so far apart.
const AGAIN: Duration = Duration::from_millis(20);

/// A segment that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    segment: u32,
    /// All symbols below this.
    symbols: u16,
    at: Instant,
}

/// Sends one channel.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) channel: Channel,
    /// The number of its address.
    pub(super) number: u32,
    pub(super) group: IpAddr,
    sealer: GroupSealer,
    /// The segment that is being sent, and how many symbols of it were.
    sending: Option<(u32, u16)>,
    sent: Option<Sent>,
    probes: u32,
    /// When the next probe goes.
    pub(super) probe_at: Instant,
}

impl Sender {
    /// A channel that sends to `group`, in the epoch of `secret` whose low 8 bits are `epoch`.
    pub(super) fn new(
        now: Instant,
        channel: Channel,
        (number, group): (u32, IpAddr),
        secret: &GroupSecret,
        epoch: u8,
    ) -> Self {
        let mut sealer = GroupSealer::new(secret, Suite::Aes128Gcm, channel.id);
        if epoch != 0 {
            sealer.rekey(secret, epoch);
        }
        let probe_at = now + FIRST_PROBE;
        Self { channel, number, group, sealer, sending: None, sent: None, probes: 0, probe_at }
    }

    pub(super) fn rekey(&mut self, secret: &GroupSecret, epoch: u8) {
        self.sealer.rekey(secret, epoch);
    }

    /// See [`GroupSealer::epoch_packets`].
    pub(super) fn epoch_packets(&self) -> u64 {
        self.sealer.epoch_packets()
    }

    /// The channel was announced anew: whoever joins now hears of it soon.
    pub(super) fn is_announced(&mut self, now: Instant) {
        self.probe_at = self.probe_at.min(now + FIRST_PROBE);
    }

    /// The channel as members must know it.
    pub(super) fn described(&self) -> GroupChannel {
        let Channel { id, first, end, pace } = self.channel;
        let pace_kbit = pace.bytes_per_second().saturating_mul(8).div_ceil(1000);
        let pace_kbit = u32::try_from(pace_kbit).unwrap_or(u32::MAX).max(1);
        GroupChannel { id, group: self.group, first, end, pace_kbit }
    }

    /// Seals datagrams of `part` of a segment, whose bytes (of LEAVES: its leaves) from the given symbol on are `object`, to
    /// the front of `out`: how many. What `object` does not have is not sent.
    ///
    /// # Errors
    ///
    /// When the key has sealed as many packets as it may.
    pub(super) fn seal(
        &mut self,
        now: Instant,
        segment: u32,
        part: Part,
        (begins, object): (u16, &[u8]),
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let (packet_type, first, count) = match part {
            Part::Leaves { first, count } => (PacketType::Leaves, first, count),
            Part::Symbols { first, count } => (PacketType::Symbol, first, count),
            Part::Probe => return Ok(0),
        };
        let payloads = object
            .chunks(SYMBOL)
            .skip(usize::from(first.saturating_sub(begins)))
            .take(count.into());
        let mut datagrams = out.chunks_exact_mut(DATAGRAM_BASE);
        let mut sealed = 0;
        for (offset, payload) in (u32::from(first)..).zip(payloads) {
            let Some(datagram) = datagrams.next() else { break };
            let number = ObjectNumber(segment);
            self.sealer.seal(now, packet_type, number, offset, payload, datagram)?;
            sealed += 1;
        }
        let symbols = if packet_type == PacketType::Symbol { first + sealed as u16 } else { 0 };
        let before = self.sending.filter(|(sending, _)| *sending == segment);
        self.sending = Some((segment, before.map_or(symbols, |(_, before)| before.max(symbols))));
        Ok(sealed)
    }

    /// The segment has been sent: two probes say so.
    pub(super) fn on_end(&mut self, now: Instant, segment: u32) {
        let symbols = self.sending.take().filter(|(sending, _)| *sending == segment);
        self.sent = symbols.map(|(_, symbols)| Sent { segment, symbols, at: now });
        self.probe_at = now;
    }

    /// Seals a probe for `members` who listen; its length.
    ///
    /// # Errors
    ///
    /// When the key has sealed as many packets as it may.
    pub(super) fn probe(
        &mut self,
        now: Instant,
        members: u32,
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let since = |at: Instant| now.saturating_since(at);
        let is_end = self.sent.is_some_and(|sent| since(sent.at) < AGAIN);
        self.probe_at = now + if is_end { AGAIN } else { PROBE_INTERVAL };
        let sending = self.sending.map(|(segment, symbols)| ProbeEntry {
            segment,
            state: ProbeState::Sending,
            symbols,
            time_ms: 0,
        });
        let sent = self.sent.map(|Sent { segment, symbols, at }| ProbeEntry {
            segment,
            state: ProbeState::Sent,
            symbols,
            time_ms: u32::try_from(since(at).as_millis()).unwrap_or(u32::MAX),
        });
        let probe = GroupProbe {
            members,
            back_off_ms: back_off(members).as_millis() as u16,
            entries: sending.into_iter().chain(sent).collect(),
        };
        let mut payload = [0; GroupProbe::LEN_MAX];
        let len = probe.encode(&mut payload).expect("two entries");
        let object = ObjectNumber(self.sending.map_or(NOTHING, |(segment, _)| segment));
        let number = self.probes;
        self.probes = self.probes.wrapping_add(1);
        self.sealer.seal(now, PacketType::GroupProbe, object, number, &payload[..len], out)
    }
}
