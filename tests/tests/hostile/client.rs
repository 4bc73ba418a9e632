//! Hostile input to a client session.

use rand_core::RngCore;
use segcast_kit::endpoint::check_hello;
use segcast_kit::endpoint::rig::{MS, Rig, SEGMENT_BYTES, address};
use segcast_kit::session::raw::EMPTY_FRAME;
use segcast_proto::crypto::{Opener, Sealer, Suite};
use segcast_proto::handshake::{EdgeIdentity, ReceivedHello, StaticSecret, WelcomePayload};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::limits::SYMBOL;
use segcast_proto::session::client::groups::NumberedReport;
use segcast_proto::session::client::{ClientEvent, ClientSession, GroupEvent};
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::request::{FLAG_HEARS, FLAG_REPAIR, Request};
use segcast_proto::wire::status::Status;
use segcast_proto::wire::{
    ByteRanges, Code, FLAG_END, FrameHeader, GroupKey, GroupReport, GroupSecret, PacketType,
};

/// Datagrams that changed nothing, for whatever reason.
fn dropped(session: &ClientSession) -> u64 {
    let stats = session.stats();
    stats.corrupt + stats.replayed + stats.stray
}

#[test]
fn a_transfer_completes_among_100_000_random_and_mutated_datagrams() {
    let mut rig = Rig::new(40, |_| {});
    let mut hostile = 0u64;
    rig.fetch_all(1, |rig, session, seen| {
        let before = dropped(session);
        let count = 20_000;
        for turn in 0..count {
            let mut bytes = vec![0; 1 + rig.rng.next_u32() as usize % 1400];
            rig.rng.fill_bytes(&mut bytes);
            if let Some(real) = seen.get(turn % (seen.len() + 1)) {
                bytes.clone_from(real);
                let at = rig.rng.next_u32() as usize % bytes.len();
                bytes[at] ^= 1 << (rig.rng.next_u32() % 8);
            } else if turn % 2 == 0 && bytes.len() > 8 {
                bytes[..3].copy_from_slice(&[0x10, [0x02, 0x03, 0x10, 0x22][turn % 4], 0]);
                bytes[4..8].copy_from_slice(&0x77u32.to_be_bytes());
            }
            session.handle_datagram(rig.now, 0, &mut bytes);
        }
        hostile += count as u64;
        assert_eq!(dropped(session) - before, count as u64);
    });
    println!("{hostile} hostile datagrams");
    assert!(hostile >= 100_000, "{hostile}");
}

/// A server that does what a test wants, and the client it talks to.
struct Fake {
    client: ClientSession,
    sealer: Sealer,
    opener: Opener,
    now: Instant,
    index: ReceiverIndex,
}

impl Fake {
    fn open(seed: u64) -> Self {
        let mut rig = Rig::new(seed, |_| {});
        let identity = EdgeIdentity::new(StaticSecret::new(rig.draw()));
        let mut config = rig.config(1);
        config.edge_public = *identity.public();
        let now = rig.now;
        let mut client = ClientSession::new(config, rig.draw(), now).expect("a session");
        let mut hello = [0; 2048];
        let len = client.poll_transmit(now, &mut hello).expect("a HELLO");
        let view = check_hello(&identity, &hello[..len]).expect("a HELLO");
        let received = ReceivedHello::read(&identity, &view, rig.draw()).expect("a HELLO");
        let payload = WelcomePayload {
            code: Code::Ok,
            datagram_max: 1200,
            requests_max: 64,
            idle_timeout_s: 60,
            retry_after_ms: 0,
        };
        let mut welcome = [0; 256];
        let index = ReceiverIndex::new(3, 0);
        let (len, from_client, to_client) =
            received.welcome(index, &payload, &mut welcome).expect("a WELCOME");
        // Altered ones first: each is dropped, and the genuine one still counts. The sequence number and two bytes
        // that are 0 say nothing in a WELCOME.
        for at in (0..8).chain(16..18).chain(20..len) {
            let mut forged = welcome;
            forged[at] ^= 0x10;
            client.handle_datagram(now, 0, &mut forged[..len]);
            assert!(!client.is_open(), "byte {at}");
        }
        client.handle_datagram(now, 0, &mut welcome[..len]);
        assert!(client.is_open());
        let sealer = Sealer::new(Suite::Aes128Gcm, to_client, now);
        let opener = Opener::new(Suite::Aes128Gcm, from_client, 512);
        assert!(matches!(client.poll_event(), Some(ClientEvent::Open)));
        Self { client, sealer, opener, now, index: ReceiverIndex(0x77) }
    }

    fn send(&mut self, packet_type: PacketType, flags: u8, frame: FrameHeader, payload: &[u8]) {
        let mut out = vec![0; payload.len() + 64];
        let sealed =
            self.sealer.seal(self.now, flags, packet_type, self.index, &frame, payload, &mut out);
        let (len, _) = sealed.expect("room and keys");
        self.client.handle_datagram(self.now, 0, &mut out[..len]);
    }

    fn fetch(&mut self, object: ObjectNumber, len: Option<u32>) {
        self.client
            .fetch(self.now, SetHandle::FIRST, object, len, Duration::from_secs(1))
            .expect("room");
        let mut out = [0; 2048];
        while self.client.poll_transmit(self.now, &mut out).is_some() {}
    }
}

impl Fake {
    /// What the client sends now.
    fn sent(&mut self) -> Vec<(PacketType, FrameHeader, Vec<u8>)> {
        let (mut out, mut packets) = ([0; 2048], Vec::new());
        while let Some(len) = self.client.poll_transmit(self.now, &mut out) {
            let opened = self.opener.open(self.now, &mut out[..len]).expect("our own keys");
            packets.push((opened.header.packet_type, opened.frame, opened.payload.to_vec()));
        }
        packets
    }

    /// The REQUEST that the client sends now.
    fn request(&mut self) -> Request {
        let mut sent = self.sent();
        sent.retain(|(packet_type, _, _)| *packet_type == PacketType::Request);
        assert_eq!(sent.len(), 1);
        Request::decode(&sent[0].2).expect("a REQUEST")
    }

    /// STATUS: request `id` is finished. Then as long as the reordering window can be.
    fn finish(&mut self, id: u32) {
        let status = Status { received: 1, finished: 1, next_sequence: u64::MAX };
        let mut payload = [0; 24];
        status.encode(&mut payload).expect("a STATUS fits");
        self.send(PacketType::Status, 0, FrameHeader { offset: id, ..EMPTY_FRAME }, &payload);
        self.now += MS * 100;
        self.client.handle_timeout(self.now);
    }

    fn hear(&mut self) {
        let mut bytes = vec![0; SEGMENT_BYTES];
        let (handle, object, soon) = (SetHandle::FIRST, ObjectNumber(0), Duration::from_secs(9));
        self.client.fetch_hearing(self.now, handle, object, &mut bytes, soon).expect("room");
        let request = self.request();
        assert_eq!((request.flags, request.ranges.len()), (FLAG_HEARS, 0));
        assert!((8900..=9000).contains(&request.deadline_ms), "{}", request.deadline_ms);
    }
}

#[test]
fn a_request_with_hears_that_ends_without_data_is_a_promise_and_what_did_not_come_a_repair() {
    let mut fake = Fake::open(49);
    fake.hear();
    fake.finish(1);
    let (handle, object) = (SetHandle::FIRST, ObjectNumber(0));
    assert_eq!(fake.client.poll_group_event(), Some(GroupEvent::Promised { handle, object }));
    assert_eq!((fake.client.poll_group_event(), fake.client.outstanding()), (None, 0));
    // A group brought a part; the rest is asked for, and the object comes as ever.
    let (mut bytes, mut have) = (vec![7; SEGMENT_BYTES], RangeSet::default());
    let symbol = SYMBOL as u32;
    let _ = have.insert(0..symbol, 9);
    let _ = have.insert(2 * symbol..SEGMENT_BYTES as u32, 9);
    let soon = Duration::from_secs(1);
    fake.client.fetch_rest(fake.now, handle, object, &mut bytes, have, soon).expect("room");
    let request = fake.request();
    assert_eq!(request.flags, FLAG_REPAIR | FLAG_HEARS);
    assert_eq!(Some(request.ranges), ByteRanges::one(symbol..2 * symbol));
    let frame = FrameHeader { offset: symbol, ..EMPTY_FRAME };
    fake.send(PacketType::Data, 0, frame, &[8; SYMBOL]);
    match fake.client.poll_event() {
        Some(ClientEvent::Object(fetched)) => {
            assert_eq!((fetched.bytes[SYMBOL - 1], fetched.bytes[SYMBOL]), (7, 8));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_with_hears_of_which_data_came_is_repaired_as_ever() {
    let mut fake = Fake::open(50);
    fake.hear();
    fake.send(PacketType::Data, 0, EMPTY_FRAME, &[7; SYMBOL]);
    fake.finish(1);
    assert_eq!(fake.client.poll_group_event(), None);
    assert_eq!(fake.request().flags, FLAG_REPAIR);
}

#[test]
fn a_group_key_counts_for_who_asked_with_hears_and_reports_go_the_newest_of_a_set() {
    let mut fake = Fake::open(51);
    let key = GroupKey {
        epoch: 0,
        suite: 1,
        report_interval_ms: 1000,
        members: 2,
        secret: GroupSecret::new([9; 32]),
        source: [192, 0, 2, 1].into(),
        port: 4872,
        channels: Vec::new(),
    };
    let mut payload = [0; 60];
    key.encode(&mut payload).expect("a GROUP_KEY without channels");
    let send = |fake: &mut Fake, offset, payload: &[u8]| {
        let frame = FrameHeader { offset, ..EMPTY_FRAME };
        fake.send(PacketType::GroupKey, 0, frame, payload);
    };
    send(&mut fake, 1, &payload);
    fake.hear();
    assert_eq!(fake.client.poll_group_event(), None, "it had not asked with HEARS");
    for serial in 2..5000 {
        send(&mut fake, serial, &payload);
        send(&mut fake, serial, &payload[..59]);
    }
    let (handle, key) = (SetHandle::FIRST, Box::new(key));
    let newest = GroupEvent::Key { handle, serial: 4999, key };
    assert_eq!(
        (fake.client.poll_group_event(), fake.client.poll_group_event()),
        (Some(newest), None)
    );
    for number in 1..100 {
        let report = GroupReport { serial: 4999, rate_kbit: 0, window: 0, channels: Vec::new() };
        fake.client.send_group_report(handle, NumberedReport { number, position: 5, report });
    }
    let mut sent = fake.sent();
    sent.retain(|(packet_type, _, _)| *packet_type == PacketType::GroupReport);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].1.object, sent[0].1.offset), (ObjectNumber(5), 99));
}

#[test]
fn data_that_was_not_asked_for_changes_nothing() {
    let mut fake = Fake::open(41);
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    for (handle, object, offset) in
        [(0, 1, 0), (1, 0, 0), (0, 0, SEGMENT_BYTES as u32 - 10), (0, 0, u32::MAX)]
    {
        let frame = FrameHeader {
            set_handle: SetHandle(handle),
            object: ObjectNumber(object),
            offset,
            send_time: 0,
        };
        fake.send(PacketType::Data, FLAG_END, frame, &[1; 1000]);
    }
    assert_eq!(fake.client.stats().data_bytes, 0);
    assert!(fake.client.poll_event().is_none());
    assert_eq!(fake.client.outstanding(), 1);
}

#[test]
fn lies_about_the_end_take_no_memory_and_give_no_object() {
    let mut fake = Fake::open(42);
    let page = ObjectNumber::page(1);
    fake.fetch(page, None);
    let frame =
        |offset| FrameHeader { set_handle: SetHandle::FIRST, object: page, offset, send_time: 0 };
    // A page has 65 536 bytes at most.
    fake.send(PacketType::Data, FLAG_END, frame(65_000), &[1; 1000]);
    assert_eq!(fake.client.stats().data_bytes, 0);
    // END far out, then a nearer END: the object ends at the first, and is whole only when all came.
    fake.send(PacketType::Data, FLAG_END, frame(5000), &[1; 100]);
    fake.send(PacketType::Data, FLAG_END, frame(0), &[1; 100]);
    fake.send(PacketType::Data, FLAG_END, frame(1000), &[1; 100]);
    assert!(fake.client.poll_event().is_none());
    for offset in (0..5000).step_by(1000) {
        fake.send(PacketType::Data, 0, frame(offset), &[1; 1000]);
    }
    match fake.client.poll_event() {
        Some(ClientEvent::Object(fetched)) => assert_eq!(fetched.bytes, [1; 5100]),
        other => panic!("{other:?}"),
    }
    // An object whose length the manifest says does not end earlier, whatever END says.
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    fake.send(PacketType::Data, FLAG_END, EMPTY_FRAME, &[1; 100]);
    assert!(fake.client.poll_event().is_none());
}

/// What one datagram costs grows with the pieces of its object: a byte here and there must not make a million.
#[test]
fn a_byte_at_every_second_offset_makes_no_more_pieces_than_losses_do() {
    let mut fake = Fake::open(48);
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    let frame = |offset| FrameHeader { offset, ..EMPTY_FRAME };
    for offset in (0..20_000).rev().step_by(2) {
        fake.send(PacketType::Data, 0, frame(offset), &[7]);
    }
    let pieces = (SEGMENT_BYTES / SYMBOL + 1) as u64;
    let stats = *fake.client.stats();
    assert_eq!((stats.data_bytes, stats.scattered), (pieces, 10_000 - pieces));
    // The object is whole all the same when its bytes come; what was refused comes again, as a repair.
    for offset in (0..SEGMENT_BYTES).step_by(SYMBOL).chain((0..20_000).step_by(SYMBOL)) {
        fake.send(PacketType::Data, 0, frame(offset as u32), &[7; SYMBOL]);
    }
    let event = fake.client.poll_event();
    assert!(matches!(event, Some(ClientEvent::Object(_))), "{event:?}");
}

#[test]
fn floods_of_refusals_statuses_and_challenges_are_bounded() {
    let mut fake = Fake::open(43);
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    for id in 2..5000 {
        let frame = FrameHeader { offset: id, ..EMPTY_FRAME };
        fake.send(PacketType::Refuse, 0, frame, &[0, 16, 0, 0, 0, 0, 0, 0]);
        fake.send(PacketType::PathChallenge, 0, EMPTY_FRAME, &[9; 8]);
        let status = Status { received: u64::MAX, finished: 0, next_sequence: u64::MAX };
        let mut payload = [0; 64];
        let len = status.encode(&mut payload).expect("a STATUS fits");
        fake.send(PacketType::Status, 0, frame, &payload[..len]);
    }
    assert!(fake.client.poll_event().is_none(), "no refusal names a request of ours");
    let mut out = [0; 2048];
    let sent = core::iter::from_fn(|| fake.client.poll_transmit(fake.now, &mut out)).count();
    assert!(sent <= 65, "{sent} answers");
    // One that does refuse it, ever again.
    for _ in 0..1000 {
        let frame = FrameHeader { offset: 1, ..EMPTY_FRAME };
        fake.send(PacketType::Refuse, 0, frame, &[0, 17, 0, 0, 0, 0, 0, 0]);
    }
    let events = core::iter::from_fn(|| fake.client.poll_event()).count();
    assert_eq!((events, fake.client.outstanding()), (1, 0));
}

#[test]
fn a_server_that_says_finished_and_sends_nothing_is_asked_at_a_bounded_pace() {
    let mut fake = Fake::open(44);
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    let (mut sent, mut highest) = (0, 1);
    let mut out = [0; 2048];
    for _ in 0..1000 {
        let status = Status { received: u64::MAX, finished: u64::MAX, next_sequence: 1 };
        let mut payload = [0; 64];
        let len = status.encode(&mut payload).expect("a STATUS fits");
        let frame = FrameHeader { offset: highest, ..EMPTY_FRAME };
        fake.send(PacketType::Status, 0, frame, &payload[..len]);
        fake.now += MS;
        fake.client.handle_timeout(fake.now);
        while fake.client.poll_transmit(fake.now, &mut out).is_some() {
            sent += 1;
            highest += 1;
        }
    }
    // One REQUEST for each reordering window, at least a millisecond.
    assert!(sent <= 1000, "{sent}");
    assert_eq!(fake.client.outstanding(), 1);
}

#[test]
fn close_ends_the_session_and_nothing_follows() {
    let mut fake = Fake::open(45);
    fake.fetch(ObjectNumber(0), Some(SEGMENT_BYTES as u32));
    fake.send(PacketType::Close, 0, EMPTY_FRAME, &[0, 33, 0, 2, b'o', b'k']);
    match fake.client.poll_event() {
        Some(ClientEvent::Closed { code, reason }) => {
            assert_eq!((code, reason.as_str()), (Code::Idle, "ok"));
        }
        other => panic!("{other:?}"),
    }
    fake.send(PacketType::Close, 0, EMPTY_FRAME, &[0xFF; 9]);
    fake.now += Duration::from_secs(60);
    fake.client.handle_timeout(fake.now);
    let mut out = [0; 2048];
    assert!(fake.client.poll_transmit(fake.now, &mut out).is_none());
    assert!(fake.client.poll_event().is_none() && fake.client.poll_timeout().is_none());
}

#[test]
fn a_server_that_changes_keys_with_every_packet_is_closed() {
    let mut fake = Fake::open(46);
    for epoch in 1..20 {
        fake.sealer.on_peer_epoch(fake.now, epoch);
        fake.send(PacketType::SizeProbe, 0, EMPTY_FRAME, &[0; 16]);
    }
    let event = fake.client.poll_event();
    assert!(
        matches!(event, Some(ClientEvent::Closed { code: Code::ProtocolViolation, .. })),
        "{event:?}"
    );
    let mut out = [0; 2048];
    assert!(fake.client.poll_transmit(fake.now, &mut out).is_some(), "it says CLOSE");
    assert!(fake.client.poll_transmit(fake.now, &mut out).is_none());
}

#[test]
fn forged_cookies_are_dropped() {
    let mut rig = Rig::new(47, |config| config.cookie_always = true);
    let mut client = ClientSession::new(rig.config(1), rig.draw(), rig.now).expect("a session");
    let mut out = [0; 2048];
    let len = client.poll_transmit(rig.now, &mut out).expect("a HELLO");
    rig.hand(address(1), &out[..len]);
    let cookie = rig.drain().remove(0).1;
    // All that has a meaning but the cookie itself, which nobody but the server can judge.
    let bytes = (0..3).chain(4..8).chain(16..32);
    for at in bytes.clone() {
        let mut forged = cookie.clone();
        forged[at] ^= 0x80;
        client.handle_datagram(rig.now, 0, &mut forged);
        assert!(client.poll_transmit(rig.now, &mut out).is_none(), "byte {at}");
    }
    assert_eq!(dropped(&client), bytes.count() as u64);
    client.handle_datagram(rig.now, 0, &mut cookie.clone());
    let len = client.poll_transmit(rig.now, &mut out).expect("the HELLO with the cookie");
    rig.hand(address(1), &out[..len]);
    let mut welcome = rig.drain().remove(0).1;
    client.handle_datagram(rig.now, 0, &mut welcome);
    assert!(client.is_open());
}
