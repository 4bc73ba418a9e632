//! Requests for what lies on the disk, to a shard whose helper threads are this test.

use segcast_kit::endpoint::Cast;
use segcast_kit::session;
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient};
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::limits::{SEGMENT_UNIT, TRAIN_MAX};
use segcast_proto::wire::{Code, FrameHeader, PacketType};
use segcast_store::{Options, Store};

use super::core::Core;
use super::*;
use crate::mailbox::{Populated, Served};
use crate::populate::{Pool, Request};

const SET: SetId = SetId([3; 16]);
const SEGMENTS: u32 = 200;

struct World {
    // Its store and its queue live as long as it does.
    _directory: tempfile::TempDir,
    _pool: Pool,
    cast: Cast,
    core: Core,
    queue: Arc<populate::Queue>,
    mailboxes: Arc<[Mailbox]>,
}

struct Client {
    raw: RawClient,
    path: Path,
    requests: u32,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let options = Options { create: true, file_bytes: Some(64 << 20), ..Options::default() };
        let store = Store::open(directory.path(), &options).expect("store");
        let mut writer = store.begin_set(SET, SEGMENT_UNIT as u32, SEGMENTS).expect("set");
        let bytes = vec![0x5A; SEGMENT_UNIT];
        (0..SEGMENTS).for_each(|number| writer.write_segment(number, &bytes).expect("segment"));
        writer.commit(&[&bytes[..100]]).expect("commit");
        let mailboxes: Arc<[Mailbox]> = [Mailbox::new()].into();
        let (board, reports) = (Arc::new(Board::new(1)), crossbeam::channel::bounded(1).0);
        let pool = Pool::start(0, 0, Arc::clone(&mailboxes), &board, &reports).expect("no threads");
        let cast = Cast::new([1; 32], [2; 32]);
        let endpoint = cast.endpoint(cast.settings(), [3; 32], [4; 32], now());
        let source = Source::new(store.catalogue(), &Sets::All, false);
        let queue = pool.queue();
        let core =
            Core::new(0, endpoint, source, Arc::clone(&mailboxes), Arc::clone(&queue), board);
        Self { _directory: directory, _pool: pool, cast, core, queue, mailboxes }
    }

    /// Hands the shard a packet and lets it have a turn.
    fn turn(&mut self, client: &mut Client, mut packet: Vec<u8>) {
        self.core.begin(now());
        self.core.receive(client.path, &mut packet);
        self.core.take_mail();
        self.transmit(client);
        self.core.events();
    }

    /// Lets the client have what there is for it.
    fn transmit(&mut self, client: &mut Client) {
        let mut out = vec![0; TRAIN_MAX];
        let Core { endpoint, source, .. } = &mut self.core;
        while let Some(sent) = endpoint.poll_transmit(now(), source, &mut out) {
            for datagram in out[..sent.len].chunks_mut(sent.datagram_bytes) {
                client.raw.take(now(), datagram);
            }
        }
    }

    fn open(&mut self, number: u8) -> Client {
        let secret = StaticSecret::new([number; 32]);
        let claims = session::claims(&secret, vec![SET], clock::unix_seconds());
        let raw = RawClient::new(self.cast.client(secret, &claims), [number; 32]);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 1000 + u16::from(number)));
        let mut client = Client { raw, path: Path { socket: 0, remote }, requests: 0 };
        let hello = client.raw.hello();
        self.turn(&mut client, hello);
        assert_eq!(client.raw.code, Some(Code::Ok));
        client
    }

    fn ask(&mut self, client: &mut Client, segment: u32) {
        client.requests += 1;
        let request = client.raw.request(now(), client.requests, 0, ObjectNumber(segment));
        self.turn(client, request);
    }

    fn cancel(&mut self, client: &mut Client) {
        let frame = FrameHeader { offset: client.requests, ..EMPTY_FRAME };
        let packet = client.raw.seal(now(), PacketType::Cancel, frame, &[]);
        self.turn(client, packet);
    }

    /// What a helper thread would read in next.
    fn next(&self) -> Option<ObjectNumber> {
        self.queue.take().map(|Request { object, .. }| object)
    }

    /// As if it had.
    fn answer(&mut self, object: ObjectNumber) {
        let (set, trust) = (SetIndex::FIRST, limits::RESIDENT_TRUST);
        let answer = Populated { set, object, ready: true, renewal: false, trust };
        assert!(self.mailboxes[0].post_populated(answer));
        self.core.take_mail();
    }
}

#[test]
fn a_client_that_asks_and_cancels_has_hardly_anything_read_and_holds_nobody_up() {
    let mut world = World::new();
    let (mut greedy, mut modest) = (world.open(1), world.open(2));
    for turn in 0..2000 {
        world.ask(&mut greedy, turn % 100);
        world.cancel(&mut greedy);
    }
    // And as many open requests as it may have.
    (1..65).for_each(|turn| world.ask(&mut greedy, turn));
    world.ask(&mut modest, 150);
    let mut read = 0;
    let mut before = None;
    while let Some(object) = world.next() {
        if object == ObjectNumber(150) {
            before = Some(read);
        }
        read += 1;
        world.answer(object);
    }
    assert_eq!(before, Some(1), "what was under way when it was given up");
    assert!(read >= 65, "all that is still wanted: {read}");
}

#[test]
fn an_object_of_a_set_that_is_gone_is_refused_in_its_turn() {
    let mut world = World::new();
    let mut client = world.open(1);
    (0..64).for_each(|segment| world.ask(&mut client, segment));
    let (catalogue, sets) = (Catalogue::default(), Arc::new(Sets::All));
    world.mailboxes[0].post_served(Served { catalogue, sets });
    world.core.take_mail();
    while let Some(object) = world.next() {
        world.answer(object);
    }
    world.transmit(&mut client);
    world.core.gauges();
    assert_eq!(world.core.values[Metric::PopulateWaiting as usize], 0);
    let refused = &world.core.endpoint.counters().requests_refused;
    let codes = [Code::UnknownSet, Code::SegmentUnavailable].map(|code| refused.of(code));
    // Nothing of the store is at fault, and readiness goes by that.
    assert_eq!(codes, [64, 0]);
    assert_eq!(world.core.endpoint.counters().objects_failed, 0);
}
