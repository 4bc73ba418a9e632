//! A whole shard driven by hand on the test's thread, so that what it allocates can be counted.

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket as Plain};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::bounded;
use crossbeam::sync::WaitGroup;
use segcast_lab::counting_allocator::{CountingAllocator, allocations};
use segcast_proto::crypto::Suite;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
use segcast_proto::ids::{SetHandle, SetId};
use segcast_proto::limits::{EPOCH_PACKETS, SEGMENT_UNIT};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::token::{self, Claims};
use segcast_store::{Options, Store};
use segcast_sysio::udp::UdpConfig;

use super::*;
use crate::populate::Pool;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SET: SetId = SetId([3; 16]);
const SEGMENT: u32 = 14 * SEGMENT_UNIT as u32;
const SEGMENTS: u32 = 8;
/// Titles fetched before and while allocations are counted.
const WARM: u32 = 3;
const COUNTED: u32 = 5;

fn store(directory: &std::path::Path) -> Catalogue {
    let options = Options { create: true, file_bytes: Some(64 << 20), ..Options::default() };
    let store = Store::open(directory, &options).expect("store");
    let mut writer = store.begin_set(SET, SEGMENT, SEGMENTS).expect("set");
    let bytes = vec![0x5A; SEGMENT as usize];
    (0..SEGMENTS).for_each(|number| writer.write_segment(number, &bytes).expect("segment"));
    writer.commit(&[bytes.get(..100).expect("page")]).expect("commit");
    store.catalogue()
}

/// Every datagram of this number is thrown away on arrival: repairs are work of a warm shard too.
const LOST: usize = 97;

/// Fetches all segments once, all at the same time.
fn fetch_title(socket: &Plain, session: &mut ClientSession) {
    let ask = |session: &mut ClientSession, number| {
        session
            .fetch(
                now(),
                SetHandle::FIRST,
                ObjectNumber(number),
                Some(SEGMENT),
                Duration::from_secs(5),
            )
            .expect("fetch");
    };
    (0..SEGMENTS).for_each(|number| ask(session, number));
    let mut left = SEGMENTS;
    let mut buffer = vec![0; 65_536];
    let mut arrivals = 0..;
    while left > 0 {
        while let Some(len) = session.poll_transmit(now(), &mut buffer) {
            socket.send(&buffer[..len]).expect("send");
        }
        let mut came = false;
        while let Ok(len) = socket.recv(&mut buffer) {
            if arrivals.next().is_some_and(|arrival: usize| !arrival.is_multiple_of(LOST)) {
                session.handle_datagram(now(), 0, &mut buffer[..len]);
            }
            came = true;
        }
        if !came {
            std::thread::sleep(Duration::from_micros(50));
        }
        session.handle_timeout(now());
        while let Some(event) = session.poll_event() {
            match event {
                ClientEvent::Object(_) => left -= 1,
                ClientEvent::Open => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn client(to: SocketAddr, edge_public: [u8; 32], center: &SigningKey) -> (Plain, ClientSession) {
    let secret = StaticSecret::new([7; 32]);
    let unix = clock::unix_seconds();
    let claims = Claims {
        expires: unix + 3600,
        not_before: unix - 3600,
        token_id: [1; 8],
        client_public: secret.public(),
        sets: vec![SET],
        rate_cap_kbits: None,
        sessions: None,
        grace: None,
        plays: vec![],
    };
    let config = ClientConfig {
        suite: Suite::Aes128Gcm,
        edge_public,
        token: token::mint(&claims, center).expect("token"),
        secret,
        datagram_max: 8952,
        sender_index: 1,
        room_bytes: 64 << 20,
        rtt_hint: None,
        epoch_packets: EPOCH_PACKETS,
    };
    let socket = Plain::bind("127.0.0.1:0").expect("bind");
    socket.connect(to).expect("connect");
    socket.set_nonblocking(true).expect("nonblocking");
    (socket, ClientSession::new(config, [8; 32], now()).expect("session"))
}

fn shard(
    io: IoKind,
    catalogue: Catalogue,
    identity: &Arc<EdgeIdentity>,
    center: &SigningKey,
) -> (Shard, Pool, SocketAddr) {
    let mailboxes: Arc<[Mailbox]> = [Mailbox::new()].into();
    let (board, reports) = (Arc::new(Board::new(1)), bounded(16).0);
    let pool = Pool::start(1, 4 << 20, Arc::clone(&mailboxes), &board, &reports).expect("thread");
    pool.adopt(&catalogue);
    let address = "127.0.0.1:0".parse().expect("address");
    let socket = UdpSocket::bind(address, &UdpConfig::default()).expect("bind");
    let to = socket.local_addr();
    let setup = Setup {
        shard: 0,
        core: None,
        io,
        or_mmsg: false,
        rings: WaitGroup::new(),
        sockets: vec![socket],
        driver: DriverConfig::EDGE,
        endpoint: EndpointConfig::new(Arc::clone(identity)),
        keyring: Arc::new(Keyring::new([center.public()])),
        shared_secret: [4; 32],
        seed: [5; 32],
        catalogue,
        sets: Arc::new(Sets::All),
        groups: false,
        dry_run: None,
        mailboxes,
        populate: pool.queue(),
        board,
        reports,
        sending: None,
    };
    (Shard::new(setup).expect("shard"), pool, to)
}

/// What a shard did while the counted titles were fetched.
#[derive(Debug)]
struct Work {
    allocations: u64,
    requests: u64,
    trains: u64,
}

impl Work {
    fn of(shard: &Shard) -> Self {
        Self {
            allocations: allocations(),
            requests: shard.core.endpoint.counters().requests,
            trains: shard.core.endpoint.counters().trains,
        }
    }
}

fn work_of_serving(io: IoKind) -> Work {
    let directory = tempfile::tempdir().expect("tempdir");
    let catalogue = store(directory.path());
    let identity = Arc::new(EdgeIdentity::new(StaticSecret::new([6; 32])));
    let center = SigningKey::from_seed(&[9; 32]);
    let (mut shard, _pool, to) = shard(io, catalogue, &identity, &center);
    let (socket, mut session) = client(to, *identity.public(), &center);
    let (warm, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..WARM).for_each(|_| fetch_title(&socket, &mut session));
            warm.store(true, Ordering::Release);
            (0..COUNTED).for_each(|_| fetch_title(&socket, &mut session));
            done.store(true, Ordering::Release);
        });
        while !warm.load(Ordering::Acquire) {
            shard.turn().expect("turn");
        }
        let before = Work::of(&shard);
        while !done.load(Ordering::Acquire) {
            shard.turn().expect("turn");
        }
        let after = Work::of(&shard);
        Work {
            allocations: after.allocations - before.allocations,
            requests: after.requests - before.requests,
            trains: after.trains - before.trains,
        }
    })
}

/// Receiving, opening, queueing, sealing, sending, timers and publishing allocate nothing once a shard is warm.
fn trains_allocate_nothing(io: IoKind) {
    let work = work_of_serving(io);
    // Some of the first counted title may have been asked for before the counting began.
    assert!(work.requests >= u64::from((COUNTED - 1) * SEGMENTS), "{work:?}");
    assert!(work.trains > 4 * work.requests, "several trains for each request: {work:?}");
    assert_eq!(work.allocations, 0, "{work:?}");
}

#[test]
fn trains_allocate_nothing_with_the_ring() {
    if let Err(error) = segcast_sysio::probe::choose(Some(IoKind::Ring)) {
        let required = std::env::var("SEGCAST_REQUIRE_ALL").is_ok_and(|value| value == "1");
        assert!(!required, "needs io_uring ({error})");
        // Not by a macro: what macros print libtest keeps to itself.
        let skipped = "skipped: trains_allocate_nothing_with_the_ring: needs io_uring";
        writeln!(std::io::stderr(), "{skipped} ({error})").expect("standard error");
        return;
    }
    trains_allocate_nothing(IoKind::Ring);
}

#[test]
fn trains_allocate_nothing_with_mmsg() {
    trains_allocate_nothing(IoKind::Mmsg);
}
