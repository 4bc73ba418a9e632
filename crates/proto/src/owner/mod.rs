//! The groups of the sets that one shard owns: what [`crate::coalesce`] decides, with secrets, addresses and
//! packets (section 20).
//!
//! Members' shards tell it by [`Note`]s; it answers by [`News`], which the caller takes to all shards, and by packets to
//! groups: leaves, source symbols, and as much parity as members have lacked symbols of late. What a member lacks after
//! that it gets by unicast.

mod addresses;
mod residency;
mod sender;
mod set;

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use addresses::Addresses;
pub use addresses::GroupRange;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use residency::Residency;
use set::OpenSet;

use crate::coalesce::{self, Coalescer, CoalescerConfig, Event, Note, Part, Train};
use crate::faults::{Fault, planted};
use crate::ids::{ObjectNumber, SetId, SetIndex};
use crate::limits::DATAGRAM_BASE;
use crate::session::server::{Object, SegmentSource};
use crate::time::{Duration, Instant};
use crate::wire::GroupKey;

/// How often secrets, members and what is in memory are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Segments whose parity was not asked for yet; that of more is not sent.
const PARITY_MAX: usize = 64;

/// What an owner sends, and where.
#[derive(Clone, Copy, Debug)]
pub struct OwnerConfig {
    /// What is decided with, and by which shard. Of its channels no more are used than there are addresses.
    pub coalescer: CoalescerConfig,
    /// Shards that share the groups.
    pub shards: u8,
    /// The groups of all shards.
    pub groups: GroupRange,
    /// Where all packets come from.
    pub source: IpAddr,
    /// The UDP port that they go to.
    pub port: u16,
}

/// What all shards must be told of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Its groups changed: see [`Owner::groups`].
    Groups,
    /// The segment begins to be sent.
    Begun(u32),
    /// The segment is not sent.
    Alone(u32),
}

/// Datagrams to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupTransmit {
    /// Bytes of the buffer that were filled: whole datagrams.
    pub len: usize,
    /// Bytes of each.
    pub datagram_bytes: usize,
    /// Where they go.
    pub to: SocketAddr,
    /// What their bytes were read from.
    pub data: Option<(SetIndex, ObjectNumber)>,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounters {
    /// UDP payload of all packets to groups.
    pub bytes: u64,
    /// Datagrams that could not be sent, as their segment or leaves were not in memory, or not to be had.
    pub lost: u64,
}

/// The owner of sets.
#[derive(Debug)]
pub struct Owner {
    config: OwnerConfig,
    coalescer: Coalescer,
    addresses: Addresses,
    sets: BTreeMap<SetId, OpenSet>,
    residency: Residency,
    /// Segments whose parity is to be computed.
    parity: VecDeque<(SetIndex, u32)>,
    news: VecDeque<(SetId, News)>,
    look_at: Instant,
    /// When the next probe of any channel goes, or earlier.
    probe_at: Instant,
    counters: OwnerCounters,
    random: ChaCha20Rng,
}

impl Owner {
    /// An owner whose sets have no groups yet. `seed`: fresh randomness, from which secrets and addresses are drawn.
    #[must_use]
    pub fn new(mut config: OwnerConfig, seed: [u8; 32], now: Instant) -> Self {
        let shard = config.coalescer.shard;
        let addresses = config.groups.share(shard, config.shards) as usize;
        config.coalescer.channels = config.coalescer.channels.min(addresses);
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut names = [0; 32];
        random.fill_bytes(&mut names);
        Self {
            coalescer: Coalescer::new(config.coalescer, names, now),
            addresses: Addresses::new(config.groups, shard, config.shards),
            sets: BTreeMap::new(),
            residency: Residency::default(),
            parity: VecDeque::new(),
            news: VecDeque::new(),
            look_at: now,
            probe_at: Instant::FAR_FUTURE,
            counters: OwnerCounters::default(),
            random,
            config,
        }
    }

    /// Takes in a note about a set of which `source` knows that it may be multicast; any other is ignored.
    pub fn note<S: SegmentSource>(&mut self, now: Instant, set: SetId, note: Note, source: &S) {
        let Some((_, facts)) = source.find_set(&set).and_then(|set| source.facts(set)) else {
            return;
        };
        self.coalescer.note(now, set, &facts, note);
        self.take_events(now, source);
        if matches!(note, Note::Member { .. } | Note::Gone { .. }) {
            self.tell_if_changed(now, set);
        }
    }

    /// When [`Self::handle_timeout`] or [`Self::poll_transmit`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_idle = self.sets.is_empty() && self.residency.is_empty();
        let own = if is_idle { Instant::FAR_FUTURE } else { self.look_at.min(self.probe_at) };
        let decided = self.coalescer.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        Some(own.min(decided)).filter(|at| *at != Instant::FAR_FUTURE)
    }

    /// Lets time pass.
    pub fn handle_timeout<S: SegmentSource>(&mut self, now: Instant, source: &S) {
        self.coalescer.handle_timeout(now);
        self.take_events(now, source);
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK;
        self.residency.look_at_all(now, source);
        let sets: Vec<SetId> = self.sets.keys().copied().collect();
        for set in sets {
            let Some(open) = self.sets.get_mut(&set) else { continue };
            if open.look_after_secret(now, &mut self.random) {
                self.announce(now, set);
            } else {
                self.tell_if_changed(now, set);
            }
        }
    }

    /// What all shards must be told.
    pub fn poll_news(&mut self) -> Option<(SetId, News)> {
        self.news.pop_front()
    }

    /// The sets that have groups, with what their members must know.
    pub fn groups(&self) -> impl Iterator<Item = (SetId, &Arc<GroupKey>)> {
        self.sets.iter().map(|(set, open)| (*set, &open.key))
    }

    /// What must be read into memory.
    pub fn next_object(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        self.residency.next_missing()
    }

    /// A segment whose parity will be sent in less than a second: it must be computed, and shown by the source, which may
    /// forget it after that.
    pub fn next_parity(&mut self) -> Option<(SetIndex, u32)> {
        self.parity.pop_front()
    }

    /// The next datagrams to a group, if any may leave now. `out` has room for 54 datagrams of 1200 bytes.
    pub fn poll_transmit<S: SegmentSource>(
        &mut self,
        now: Instant,
        source: &S,
        out: &mut [u8],
    ) -> Option<GroupTransmit> {
        if self.probe_at <= now
            && let Some(probe) = self.probe(now, out)
        {
            return Some(probe);
        }
        while let Some(train) = self.coalescer.next_train(now) {
            self.take_events(now, source);
            if train.part == Part::Probe {
                self.on_end(now, &train);
                if let Some(probe) = self.probe(now, out) {
                    return Some(probe);
                }
            } else if let Some(transmit) = self.seal(now, &train, source, out) {
                return Some(transmit);
            }
        }
        self.take_events(now, source);
        None
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> OwnerCounters {
        self.counters
    }

    /// What the coalescer counts.
    #[must_use]
    pub fn coalescer(&self) -> &coalesce::Counters {
        self.coalescer.counters()
    }

    /// Members of all open sets, as they were told last.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.sets.keys().map(|set| u64::from(self.coalescer.members(set))).sum()
    }

    /// Channels that send.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.sets.values().map(|open| open.senders.len()).sum()
    }

    fn take_events<S: SegmentSource>(&mut self, now: Instant, source: &S) {
        while let Some((set, event)) = self.coalescer.poll_event() {
            match event {
                Event::Channels => self.set_channels(now, set),
                Event::Populate { segment } => self.residency.keep(now, set, segment, source),
                Event::Begun { segment } => {
                    self.want_parity(set, segment, source);
                    self.news.push_back((set, News::Begun(segment)));
                }
                Event::Alone { segment } => {
                    self.residency.forget(set, segment);
                    self.news.push_back((set, News::Alone(segment)));
                }
            }
        }
    }

    /// A segment begins to be sent: its source symbols take longer than parity does to compute.
    fn want_parity<S: SegmentSource>(&mut self, set: SetId, segment: u32, source: &S) {
        let index = source.find_set(&set).filter(|_| self.coalescer.sends_parity(&set, segment));
        if let Some(index) = index
            && matches!(source.parity(index, segment), Object::NotResident { .. })
            && self.parity.len() < PARITY_MAX
        {
            self.parity.push_back((index, segment));
        }
    }

    /// Gives the set the channels that it has by now.
    fn set_channels(&mut self, now: Instant, set: SetId) {
        let channels = self.coalescer.channels(&set);
        let random = &mut self.random;
        let open = self.sets.entry(set).or_insert_with(|| OpenSet::new(now, &self.config, random));
        open.set_channels(now, channels, &mut self.addresses, random);
        if channels.is_empty() {
            self.sets.remove(&set);
            self.news.push_back((set, News::Groups));
        } else {
            self.announce(now, set);
        }
    }

    fn announce(&mut self, now: Instant, set: SetId) {
        let Some(open) = self.sets.get_mut(&set) else { return };
        open.announce(now, self.coalescer.members(&set));
        self.probe_at = self.probe_at.min(open.probe_at());
        self.news.push_back((set, News::Groups));
    }

    fn tell_if_changed(&mut self, now: Instant, set: SetId) {
        let members = self.coalescer.members(&set);
        if self.sets.get(&set).is_some_and(|open| open.is_changed(members)) {
            self.announce(now, set);
        }
    }

    /// Some datagrams of a segment.
    fn seal<S: SegmentSource>(
        &mut self,
        now: Instant,
        train: &Train,
        source: &S,
        out: &mut [u8],
    ) -> Option<GroupTransmit> {
        if planted(Fault::BegunNotSent) {
            return None;
        }
        let Train { set, segment, part, .. } = *train;
        let number = match part {
            Part::Leaves { .. } => ObjectNumber::leaves_of(segment),
            _ => ObjectNumber(segment),
        };
        let index = source.find_set(&set);
        let before = index.map_or(0, |index| parity_begins(index, part, source));
        let object = index.map(|index| match before {
            0 => source.object(index, number),
            _ => source.parity(index, segment),
        });
        let sender = self.sets.get_mut(&set).and_then(|open| {
            open.senders.iter_mut().find(|sender| sender.channel.id == train.channel)
        });
        let sealed = match (object, sender) {
            (Some(Object::Ready(bytes)), Some(sender)) => {
                let sealed = sender.seal(now, segment, part, (before, bytes), out).unwrap_or(0);
                (sealed > 0).then_some((sealed, sender.group))
            }
            (Some(Object::NotResident { .. }), _) if before == 0 => {
                self.residency.keep(now, set, segment, source);
                None
            }
            _ => None,
        };
        let Some((sealed, group)) = sealed else {
            self.counters.lost += u64::from(part.datagrams());
            return None;
        };
        let len = sealed * DATAGRAM_BASE;
        self.counters.bytes += len as u64;
        let to = SocketAddr::new(group, self.config.port);
        let data = index.map(|index| (index, number));
        Some(GroupTransmit { len, datagram_bytes: DATAGRAM_BASE, to, data })
    }

    /// A segment has been sent.
    fn on_end(&mut self, now: Instant, train: &Train) {
        self.residency.forget(train.set, train.segment);
        let Some(open) = self.sets.get_mut(&train.set) else { return };
        let is_its = |sender: &&mut sender::Sender| sender.channel.id == train.channel;
        if let Some(sender) = open.senders.iter_mut().find(is_its) {
            sender.on_end(now, train.segment);
            self.probe_at = now;
        }
    }

    /// The probe of a channel that is due.
    fn probe(&mut self, now: Instant, out: &mut [u8]) -> Option<GroupTransmit> {
        let mut transmit = None;
        for (set, open) in &mut self.sets {
            let due = open.senders.iter_mut().find(|sender| sender.probe_at <= now);
            let Some(sender) = due else { continue };
            let members = self.coalescer.members(set);
            if let Ok(len) = sender.probe(now, members, out) {
                let to = SocketAddr::new(sender.group, self.config.port);
                transmit = Some(GroupTransmit { len, datagram_bytes: len, to, data: None });
                self.counters.bytes += len as u64;
                break;
            }
        }
        let next = self.sets.values().map(OpenSet::probe_at).min();
        self.probe_at = next.unwrap_or(Instant::FAR_FUTURE);
        transmit
    }
}

/// The number of the first parity symbol, where `part` has some; else 0.
fn parity_begins<S: SegmentSource>(set: SetIndex, part: Part, source: &S) -> u16 {
    let symbols = source.facts(set).map_or(u16::MAX, |(_, facts)| facts.symbols);
    match part {
        Part::Symbols { first, .. } if first >= symbols => symbols,
        _ => 0,
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
