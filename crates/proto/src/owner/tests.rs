//! An owner in virtual time, heard by a member who has the keys.

use super::*;
use crate::coalesce::{Member, SetFacts};
use crate::crypto::{GroupOpener, Suite};
use crate::ids::ReceiverIndex;
use crate::limits::{SEGMENT_UNIT, SYMBOL};
use crate::rate::Rate;
use crate::wire::group_probe::ProbeState;
use crate::wire::{GroupProbe, PacketType};

const SET: SetId = SetId([7; 16]);
const SYMBOLS: usize = SEGMENT_UNIT / SYMBOL;
const BEGIN: Instant = Instant::from_nanos(1_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// One title of 100 segments, each of 64 symbols with 16 of parity.
struct Title {
    segment: Vec<u8>,
    leaves: Vec<u8>,
    resident: bool,
    parity: Option<Vec<u8>>,
}

impl Title {
    fn new() -> Self {
        let bytes = |len: usize| (0..len).map(|at| (at / SYMBOL * 7 + at) as u8).collect();
        let (segment, leaves) = (bytes(SEGMENT_UNIT), bytes((SYMBOLS + 16) * 16));
        Self { segment, leaves, resident: true, parity: None }
    }
}

impl SegmentSource for Title {
    fn find_set(&self, id: &SetId) -> Option<SetIndex> {
        (*id == SET).then_some(SetIndex::FIRST)
    }

    fn object(&self, _: SetIndex, object: ObjectNumber) -> Object<'_> {
        let bytes = match object.as_leaves() {
            Some(_) => &self.leaves,
            None => &self.segment,
        };
        if self.resident {
            Object::Ready(bytes)
        } else {
            Object::NotResident { len: bytes.len() as u32 }
        }
    }

    fn parity(&self, _: SetIndex, _: u32) -> Object<'_> {
        let unknown = Object::NotResident { len: 0 };
        self.parity.as_ref().map_or(unknown, |parity| Object::Ready(parity))
    }

    fn facts(&self, _: SetIndex) -> Option<(SetId, SetFacts)> {
        let facts = SetFacts {
            segments: 100,
            segment_bytes: SEGMENT_UNIT as u32,
            symbols: SYMBOLS as u16,
            parity: 16,
            playing: Some(3 * SECOND),
        };
        Some((SET, facts))
    }
}

fn config() -> OwnerConfig {
    let rate = Rate::new(10_000_000);
    let coalescer = CoalescerConfig {
        shard: 1,
        channels: 8,
        members: 100,
        rate,
        channel_rate: rate,
        bulk_rate: rate,
    };
    let groups = GroupRange { first: [232, 9, 0, 0].into(), count: 1 << 16 };
    OwnerConfig { coalescer, shards: 2, groups, source: [192, 0, 2, 1].into(), port: 4872 }
}

/// What a member heard of the first channel.
#[derive(Debug, Default)]
struct Heard {
    symbols: Vec<Vec<u8>>,
    leaves: Vec<Vec<u8>>,
    /// State and symbols of what probes said first.
    probes: Vec<Option<(ProbeState, u16)>>,
    news: Vec<(SetId, News)>,
}

struct World {
    owner: Owner,
    title: Title,
    opener: Option<GroupOpener>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let owner = Owner::new(config(), [3; 32], BEGIN);
        Self { owner, title: Title::new(), opener: None, now: BEGIN }
    }

    fn note(&mut self, note: Note) {
        self.owner.note(self.now, SET, note, &self.title);
    }

    /// Two viewers of the title who listen.
    fn with_two_members() -> Self {
        let mut world = Self::new();
        (0..2).for_each(|number| world.note(Note::Hears { member: member(number) }));
        (0..2).for_each(|number| world.listens(number));
        world
    }

    fn listens(&mut self, number: u32) {
        let (member, position, window, listening) = (member(number), 0, u32::MAX, 1);
        self.note(Note::Member { member, position, window, listening, lossy: false });
    }

    fn wants(&mut self, number: u32, segment: u32, within: Duration) {
        let (deadline, unicast) = (self.now + within, SECOND / 10);
        let member = member(number);
        self.note(Note::Want { segment, deadline, unicast, member, waiters: 1 });
    }

    fn key(&self) -> Option<&Arc<GroupKey>> {
        self.owner.groups().next().map(|(_, key)| key)
    }

    /// Lets time pass, and hears what is sent meanwhile.
    fn run(&mut self, time: Duration) -> Heard {
        let (mut heard, end) = (Heard::default(), self.now + time);
        while let Some(due) = self.owner.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.owner.handle_timeout(self.now, &self.title);
            let mut out = vec![0; 54 * DATAGRAM_BASE];
            while let Some(sent) = self.owner.poll_transmit(self.now, &self.title, &mut out) {
                heard.news.extend(std::iter::from_fn(|| self.owner.poll_news()));
                self.learn();
                assert!(is_ours(sent.to), "{}", sent.to);
                for datagram in out[..sent.len].chunks_mut(sent.datagram_bytes) {
                    self.hear(datagram, &mut heard);
                }
            }
            heard.news.extend(std::iter::from_fn(|| self.owner.poll_news()));
            self.learn();
        }
        self.now = end;
        heard
    }

    fn learn(&mut self) {
        let Some((_, key)) = self.owner.groups().next() else { return };
        let channel = key.channels[0].id;
        let opener = self.opener.get_or_insert_with(|| GroupOpener::new(channel));
        opener.learn(self.now, key.epoch, Suite::Aes128Gcm, &key.secret);
    }

    fn hear(&mut self, datagram: &mut [u8], heard: &mut Heard) {
        let opener = self.opener.as_mut().expect("keys come first");
        let packet = opener.open(self.now, datagram).expect("authentic");
        match packet.packet_type {
            PacketType::Symbol => {
                assert_eq!(packet.frame.offset as usize, heard.symbols.len());
                heard.symbols.push(packet.payload.to_vec());
            }
            PacketType::Leaves => heard.leaves.push(packet.payload.to_vec()),
            _ => {
                let probe = GroupProbe::decode(packet.payload).expect("a probe");
                let first = probe.entries.first();
                heard.probes.push(first.map(|entry| (entry.state, entry.symbols)));
            }
        }
    }
}

fn member(number: u32) -> Member {
    Member { shard: 0, session: ReceiverIndex(number << 8) }
}

fn is_ours(to: SocketAddr) -> bool {
    let IpAddr::V4(ip) = to.ip() else { return false };
    ip.octets()[..2] == [232, 9] && ip.octets()[3] % 2 == 1 && to.port() == 4872
}

#[test]
fn a_segment_that_two_wait_for_is_sent_once_and_heard_whole() {
    let mut world = World::with_two_members();
    let heard = world.run(SECOND);
    assert_eq!(heard.news.iter().filter(|(_, news)| *news != News::Groups).count(), 0);
    assert_eq!(heard.probes.first(), Some(&None), "who joins hears that somebody is there");
    let key = world.key().expect("two have asked");
    assert_eq!((key.members, key.channels.len(), key.report_interval_ms), (2, 1, 1000));
    assert_eq!((key.channels[0].first, key.channels[0].end), (0, 100));
    (0..2).for_each(|number| world.wants(number, 5, 10 * SECOND));
    let heard = world.run(12 * SECOND);
    assert_eq!(heard.news, [(SET, News::Begun(5))]);
    assert_eq!(heard.symbols.concat(), world.title.segment);
    // 64 leaves are all that source symbols need; the last payload is full of zeros behind its end.
    let [leaves] = &heard.leaves[..] else { panic!("{} payloads", heard.leaves.len()) };
    assert_eq!(leaves[..], world.title.leaves[..SYMBOL]);
    let ends = heard.probes.iter().filter(|probe| **probe == Some((ProbeState::Sent, 64)));
    assert!(ends.count() >= 2, "{:?}", heard.probes);
    let packets = (heard.symbols.len() + heard.leaves.len()) * DATAGRAM_BASE;
    assert!(world.owner.counters().bytes >= packets as u64);
    assert_eq!(world.owner.counters().lost, 0);
}

#[test]
fn what_members_lacked_follows_the_next_segments_as_parity() {
    for shown in [true, false] {
        let mut world = World::with_two_members();
        world.run(SECOND);
        let send = |world: &mut World, segment| {
            (0..2).for_each(|number| world.listens(number));
            (0..2).for_each(|number| world.wants(number, segment, 4 * SECOND));
            world.run(5 * SECOND)
        };
        assert_eq!(send(&mut world, 5).symbols.len(), SYMBOLS);
        for (number, symbols) in [(0, 3), (1, 900)] {
            let (member, deadline) = (member(number), world.now + SECOND);
            world.note(Note::Lack { segment: 5, member, symbols, deadline });
        }
        assert_eq!(send(&mut world, 6).symbols.len(), SYMBOLS);
        assert_eq!(world.owner.next_parity(), None);
        let parity: Vec<u8> = (0..16 * SYMBOL).map(|at| (at / 7) as u8).collect();
        world.title.parity = shown.then(|| parity.clone());
        let heard = send(&mut world, 7);
        let asked = world.owner.next_parity();
        if shown {
            assert_eq!((heard.symbols.len(), heard.leaves.len()), (SYMBOLS + 3, 2));
            assert_eq!(heard.symbols[SYMBOLS..].concat(), parity[..3 * SYMBOL]);
            assert_eq!((world.owner.counters().lost, asked), (0, None), "it was there");
        } else {
            assert_eq!(asked, Some((SetIndex::FIRST, 7)));
            assert_eq!((heard.symbols.len(), world.owner.counters().lost), (SYMBOLS, 3));
        }
    }
}

#[test]
fn who_waits_alone_is_told_so_and_nothing_is_sent() {
    let mut world = World::with_two_members();
    // The other one is past the segment, so nobody else lacks it.
    let member = member(1);
    let (position, window, listening, lossy) = (50, u32::MAX, 1, false);
    world.note(Note::Member { member, position, window, listening, lossy });
    world.wants(0, 5, 10 * SECOND);
    let heard = world.run(12 * SECOND);
    assert!(heard.news.contains(&(SET, News::Alone(5))), "{:?}", heard.news);
    assert!(heard.symbols.is_empty());
}

#[test]
fn a_new_secret_is_told_before_it_is_used_and_the_old_one_ends() {
    let mut world = World::with_two_members();
    world.run(SECOND);
    let first = Arc::clone(world.key().unwrap());
    let (mut told, mut segment) = (None, 0);
    while world.now < BEGIN + 630 * SECOND {
        // Who reports stays a member; and a segment goes every two seconds.
        (0..2).for_each(|number| world.listens(number));
        (0..2).for_each(|number| world.wants(number, segment % 100, 2 * SECOND));
        segment += 1;
        let heard = world.run(2 * SECOND);
        let packets = heard.symbols.len();
        assert!(packets.is_multiple_of(SYMBOLS), "{packets}");
        let is_new = world.key().unwrap().epoch == 1;
        told = told.or(is_new.then_some(world.now));
    }
    let told = told.expect("a second epoch").saturating_since(BEGIN);
    assert!((599..=603).contains(&told.as_secs()), "{told:?}");
    assert_ne!(world.key().unwrap().secret, first.secret);
    // Who has only the first secret hears nothing now.
    let mut old = GroupOpener::new(first.channels[0].id);
    old.learn(world.now, 0, Suite::Aes128Gcm, &first.secret);
    world.opener = Some(old);
    let mut out = vec![0; 54 * DATAGRAM_BASE];
    world.now = world.owner.poll_timeout().expect("a probe").max(world.now);
    let sent = loop {
        world.owner.handle_timeout(world.now, &world.title);
        match world.owner.poll_transmit(world.now, &world.title, &mut out) {
            Some(sent) => break sent,
            None => world.now = world.owner.poll_timeout().expect("a probe"),
        }
    };
    let packet = &mut out[..sent.datagram_bytes];
    assert!(world.opener.as_mut().unwrap().open(world.now, packet).is_err());
}

#[test]
fn what_is_not_in_memory_is_asked_for_in_time_and_otherwise_lost_and_counted() {
    let mut world = World::with_two_members();
    world.run(SECOND);
    world.title.resident = false;
    (0..2).for_each(|number| world.wants(number, 5, 10 * SECOND));
    let mut asked: Vec<_> = std::iter::from_fn(|| world.owner.next_object()).collect();
    asked.sort_unstable();
    let both =
        [ObjectNumber(5), ObjectNumber::leaves_of(5)].map(|object| (SetIndex::FIRST, object));
    assert_eq!(asked, both, "as soon as it is wanted");
    world.run(3 * SECOND);
    assert_eq!(std::iter::from_fn(|| world.owner.next_object()).count(), 2, "again");
    let heard = world.run(9 * SECOND);
    assert!(heard.symbols.is_empty() && heard.leaves.is_empty());
    assert_eq!(world.owner.counters().lost, SYMBOLS as u64 + 1);
}

#[test]
fn a_title_that_all_have_left_is_closed_and_its_address_is_free_again() {
    let mut world = World::with_two_members();
    world.run(SECOND);
    (0..2).for_each(|number| world.note(Note::Gone { member: member(number) }));
    let heard = world.run(100 * SECOND);
    assert!(heard.news.contains(&(SET, News::Groups)) && world.key().is_none());
    assert_eq!((world.owner.channels(), world.owner.members()), (0, 0));
    assert_eq!(world.owner.poll_timeout(), None, "an idle owner lets its shard sleep");
}

#[test]
fn more_members_are_told_of_when_they_have_doubled() {
    let mut world = World::with_two_members();
    world.run(SECOND);
    for number in 2..20 {
        world.note(Note::Hears { member: member(number) });
        world.listens(number);
    }
    let told = world.run(SECOND).news;
    assert_eq!(told.len(), 3, "at 4, 8 and 16: {told:?}");
    assert_eq!(world.key().unwrap().members, 16);
}

#[test]
fn a_set_that_may_not_be_multicast_gets_no_group() {
    let mut world = World::new();
    for number in 0..2 {
        let note = Note::Hears { member: member(number) };
        world.owner.note(world.now, SetId([8; 16]), note, &world.title);
    }
    assert_eq!((world.owner.poll_news(), world.owner.channels()), (None, 0));
}
