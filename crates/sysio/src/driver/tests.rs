//! One body of tests for all drivers that are built, on loopback: what a caller may rely on whichever runs.

use std::net::UdpSocket as Plain;
use std::os::fd::AsFd;

use super::*;
use crate::udp::{CE, ECT0, UdpConfig, set_option};

const SMALL: DriverConfig = DriverConfig {
    receive_buffers: 16,
    receive_buffer_bytes: 2048,
    send_buffers: 4,
    send_buffer_bytes: 65_536,
    gso: true,
    zero_copy: ZeroCopy::Auto,
};

/// A datagram as the tests keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    socket: u16,
    from: SocketAddr,
    ecn: u8,
    bytes: Vec<u8>,
}

fn bind(address: &str, config: &UdpConfig) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), config).unwrap()
}

fn socket_v4() -> UdpSocket {
    let config = UdpConfig { receive_buffer_bytes: 1 << 22, ..UdpConfig::default() };
    bind("127.0.0.1:0", &config)
}

/// What a test runs with.
#[derive(Debug, Clone, Copy)]
struct Way {
    kind: IoKind,
    zero_copy: ZeroCopy,
}

impl Way {
    /// Whether the driver reads control messages: ECN bits and the count of what the kernel dropped.
    fn reads_control(self) -> bool {
        matches!(self.kind, IoKind::Ring | IoKind::Mmsg)
    }
}

const MMSG: Way = Way { kind: IoKind::Mmsg, zero_copy: ZeroCopy::Never };
const RING: Way = Way { kind: IoKind::Ring, zero_copy: ZeroCopy::Never };
const ZERO_COPY: Way = Way { kind: IoKind::Ring, zero_copy: ZeroCopy::Always };
#[cfg(feature = "tokio-uring")]
const TOKIO_URING: Way = Way { kind: IoKind::TokioUring, zero_copy: ZeroCopy::Never };
#[cfg(feature = "glommio")]
const GLOMMIO: Way = Way { kind: IoKind::Glommio, zero_copy: ZeroCopy::Never };

/// Says what is missing and returns `None` where this machine cannot run `way`.
fn driver(way: Way, sockets: Vec<UdpSocket>, config: DriverConfig) -> Option<Driver> {
    let Way { kind, zero_copy } = way;
    if let Err(missing) = crate::probe::choose(Some(kind)) {
        assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"), "{missing}");
        println!("not tested: {missing}");
        return None;
    }
    Some(Driver::new(kind, sockets, DriverConfig { zero_copy, ..config }).unwrap())
}

fn local(driver: &Driver) -> SocketAddr {
    driver.sockets()[0].local_addr()
}

/// Counters that stand still when nothing happens.
fn progress(driver: &Driver) -> DriverStats {
    DriverStats { system_calls: 0, ..driver.stats() }
}

/// Turns until `count` datagrams came. The 10 s are a watchdog: on loopback nothing is lost.
fn collect(driver: &mut Driver, count: usize) -> Vec<Kept> {
    let mut kept = Vec::new();
    while kept.len() < count {
        let before = (kept.len(), progress(driver));
        let turn = driver.turn(Some(Duration::from_secs(10)), &mut |datagram| {
            kept.push(Kept {
                socket: datagram.socket,
                from: datagram.from,
                ecn: datagram.ecn,
                bytes: datagram.bytes.to_vec(),
            });
        });
        let turn = turn.unwrap();
        assert_eq!(turn.datagrams as usize, kept.len() - before.0);
        assert!(progress(driver) != before.1, "{} of {count}: {:?}", kept.len(), driver.stats());
    }
    assert_eq!(kept.len(), count);
    kept
}

/// The datagrams' bytes, sorted: a busy kernel may deliver those of several sends out of order, when
/// the sender moves to another core.
fn sorted(kept: &[Kept]) -> Vec<&[u8]> {
    let mut bytes: Vec<&[u8]> = kept.iter().map(|datagram| &datagram.bytes[..]).collect();
    bytes.sort_unstable();
    bytes
}

/// `bytes` as datagrams of `size`, sorted likewise.
fn sorted_chunks(bytes: &[u8], size: usize) -> Vec<&[u8]> {
    let mut chunks: Vec<&[u8]> = bytes.chunks(size).collect();
    chunks.sort_unstable();
    chunks
}

/// Turns until all trains are over.
fn send_all(driver: &mut Driver, trains: u32) {
    let mut over = 0;
    while over < trains {
        let turn = driver.turn(Some(Duration::from_secs(10)), &mut |_| ()).unwrap();
        over += turn.trains_over;
    }
    assert_eq!(over, trains);
}

/// Queues `bytes` as a train with ticket 7.
fn queue(driver: &mut Driver, bytes: &[u8], datagram_bytes: usize, to: SocketAddr) {
    let mut buffer = driver.send_buffer().unwrap();
    buffer[..bytes.len()].copy_from_slice(bytes);
    let len = bytes.len();
    driver.send(Outgoing { buffer, len, datagram_bytes, socket: 0, to, ticket: 7 });
}

/// `length` bytes that differ from datagram to datagram.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 + at / 1000) as u8).collect()
}

fn echo(way: Way, address: &str) {
    let Some(mut server) = driver(way, vec![bind(address, &UdpConfig::default())], SMALL) else {
        return;
    };
    let to = local(&server);
    let client = Plain::bind((to.ip(), 0)).unwrap();
    for round in 0..100_u8 {
        client.send_to(&[round; 64], to).unwrap();
        let [datagram] = &collect(&mut server, 1)[..] else { panic!("one datagram") };
        assert_eq!(datagram.from, client.local_addr().unwrap());
        assert_eq!((datagram.socket, &datagram.bytes[..]), (0, &[round; 64][..]));
        queue(&mut server, &datagram.bytes, 1200, datagram.from);
        send_all(&mut server, 1);
        let mut reply = [0; 100];
        let (length, from) = client.recv_from(&mut reply).unwrap();
        assert_eq!((&reply[..length], from), (&[round; 64][..], to));
    }
    let stats = server.stats();
    assert_eq!((stats.datagrams_in, stats.datagrams_out), (100, 100));
    assert_eq!((stats.bytes_in, stats.bytes_out, stats.trains_out), (6400, 6400, 0));
}

/// Sends `length` bytes as one train and checks every datagram at the receiving driver.
fn train(way: Way, length: usize, size: usize, gso: bool, gro: bool) -> Option<DriverStats> {
    let options = UdpConfig { gro, receive_buffer_bytes: 1 << 22, ..UdpConfig::default() };
    let config = if gro { DriverConfig::CLIENT } else { SMALL };
    let mut receiver = driver(way, vec![bind("127.0.0.1:0", &options)], config)?;
    let mut sender = driver(way, vec![socket_v4()], DriverConfig { gso, ..SMALL })?;
    let bytes = pattern(length);
    queue(&mut sender, &bytes, size, local(&receiver));
    send_all(&mut sender, 1);
    let expected: Vec<&[u8]> = bytes.chunks(size).collect();
    let kept = collect(&mut receiver, expected.len());
    let ecn = if way.reads_control() { ECT0 } else { 0 };
    assert!(kept.iter().all(|got| (got.from, got.ecn) == (local(&sender), ecn)));
    assert_eq!(sorted(&kept), sorted_chunks(&bytes, size));
    if sender.stats().trains_out == 1 {
        assert!(kept.iter().zip(expected).all(|(got, wanted)| got.bytes == wanted), "in order");
    }
    assert_eq!(sender.take_failure(), None);
    let stats = sender.stats();
    assert_eq!(stats.bytes_out, length as u64);
    // Loopback copies whatever it is asked, but later.
    let without_copying = if way.zero_copy == ZeroCopy::Always { stats.trains_out } else { 0 };
    assert_eq!(
        (stats.zero_copy_trains, stats.zero_copy_copied),
        (without_copying, without_copying)
    );
    Some(stats)
}

fn trains(way: Way) {
    // The largest trains, a short last datagram, and receive offload, which is cut apart again.
    for (length, gro) in [(46 * 1416, false), (46 * 1416, true), (10 * 1200 + 1, true)] {
        let Some(stats) = train(way, length, 1416, true, gro) else { return };
        assert_eq!((stats.trains_out, stats.gso_refused), (1, 0));
        assert_eq!(stats.datagrams_out, length.div_ceil(1416) as u64);
    }
    // Without trains, and with more datagrams than one may have.
    assert_eq!(train(way, 46 * 1416, 1416, false, false).unwrap().trains_out, 0);
    assert_eq!(train(way, 65 * 100, 100, true, false).unwrap().trains_out, 0);
    assert_eq!(train(way, 64 * 100, 100, true, false).unwrap().trains_out, 1);
    assert_eq!(train(way, 65_536, 1424, true, false).unwrap().trains_out, 0);
}

fn mixed_sizes(way: Way) {
    let options = UdpConfig { receive_buffer_bytes: 1 << 22, ..UdpConfig::default() };
    let config = DriverConfig { receive_buffer_bytes: 65_536, ..SMALL };
    let receiver = driver(way, vec![bind("127.0.0.1:0", &options)], config);
    let Some(mut receiver) = receiver else { return };
    let mut sender = driver(way, vec![socket_v4()], SMALL).unwrap();
    let bytes = pattern(20_000);
    // Trains of several sizes beside single datagrams larger than some of them: each is cut by its
    // own size only, whatever the socket was set to for the one before.
    let sizes = [1200, 8952, 1440, 20_000, 1200, 1201, 20_000, 65_000];
    for round in 0..20 {
        let mut expected = Vec::new();
        for number in 0..usize::from(SMALL.send_buffers) {
            let size = sizes[(round + number) % sizes.len()];
            queue(&mut sender, &bytes, size, local(&receiver));
            expected.extend(bytes.chunks(size));
        }
        send_all(&mut sender, SMALL.send_buffers.into());
        expected.sort_unstable();
        assert_eq!(sorted(&collect(&mut receiver, expected.len())), expected, "round {round}");
    }
    assert_eq!(sender.take_failure(), None);
    // The others say the size with each send.
    let on_socket = matches!(way.kind, IoKind::Ring | IoKind::Glommio);
    assert_eq!(sender.stats().size_changes > 0, on_socket);
}

fn empty_datagrams(way: Way) {
    let Some(mut server) = driver(way, vec![socket_v4()], SMALL) else { return };
    let to = local(&server);
    queue(&mut server, &[], 1200, to);
    assert_eq!(collect(&mut server, 1)[0].bytes, []);
}

fn congestion_marks(way: Way) {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let socket = bind(address, &UdpConfig::default());
        let Some(mut server) = driver(way, vec![socket], SMALL) else { return };
        let to = local(&server);
        let client = Plain::bind((to.ip(), 0)).unwrap();
        for (mark, expected) in [(0, 0), (CE, 3), (ECT0 | 0xB8, 2)] {
            let (level, name) = match to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            set_option(client.as_fd(), level, name, i32::from(mark)).unwrap();
            client.send_to(b"x", to).unwrap();
            let expected = if way.reads_control() { expected } else { 0 };
            assert_eq!(collect(&mut server, 1)[0].ecn, expected, "{address}");
        }
    }
}

fn waking(way: Way) {
    let Some(mut driver) = driver(way, vec![socket_v4()], SMALL) else { return };
    let waker = driver.waker();
    for _ in 0..3 {
        // Before the wait: not lost. Twice: counts as one or two, but ends.
        waker.wake();
        waker.wake();
        assert!(driver.turn(None, &mut |_| ()).unwrap().woken);
        while driver.turn(Some(Duration::ZERO), &mut |_| ()).unwrap().woken {}
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        while !driver.turn(None, &mut |_| ()).unwrap().woken {}
        thread.join().unwrap();
        while driver.turn(Some(Duration::ZERO), &mut |_| ()).unwrap().woken {}
    }
    drop(driver);
    waker.wake();
}

fn timeouts(way: Way) {
    let Some(mut driver) = driver(way, vec![socket_v4()], SMALL) else { return };
    for wait in [Duration::ZERO, Duration::from_micros(200), Duration::from_millis(3)] {
        let begin = std::time::Instant::now();
        let turn = driver.turn(Some(wait), &mut |_| panic!("nothing was sent")).unwrap();
        assert_eq!(turn, Turn::default());
        assert!(begin.elapsed() >= wait, "a wait does not end before its time");
    }
}

fn failures(way: Way) {
    let Some(mut sender) = driver(way, vec![socket_v4()], SMALL) else { return };
    let receiver = Plain::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    queue(&mut sender, &pattern(65_510), 65_510, to);
    send_all(&mut sender, 1);
    let failure = sender.take_failure();
    assert_eq!(failure, Some(SendFailure { ticket: 7, kind: FailureKind::TooLarge }));
    // Broadcast is not allowed without SO_BROADCAST: a train is refused once, not per datagram.
    queue(&mut sender, &pattern(5000), 1000, "255.255.255.255:9".parse().unwrap());
    queue(&mut sender, b"after", 1000, to);
    send_all(&mut sender, 2);
    let failure = sender.take_failure().unwrap();
    assert_eq!(failure.kind, FailureKind::Other(libc::EACCES));
    assert_eq!(sender.take_failure(), None);
    let mut bytes = [0; 16];
    assert_eq!(receiver.recv(&mut bytes).unwrap(), 5);
    let stats = sender.stats();
    assert_eq!((stats.failed_too_large, stats.failed_other, stats.gso_refused), (1, 1, 0));
    // The list is bounded.
    for _ in 0..300 {
        queue(&mut sender, &pattern(65_510), 65_510, to);
        send_all(&mut sender, 1);
    }
    assert_eq!(std::iter::from_fn(|| sender.take_failure()).count(), trains::failure::MAX_FAILURES);
    assert_eq!(sender.stats().failures_dropped, 300 - trains::failure::MAX_FAILURES as u64);
}

fn closed_ports(way: Way) {
    let Some(mut driver) = driver(way, vec![socket_v4()], SMALL) else { return };
    let closed = Plain::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for _ in 0..5 {
        queue(&mut driver, &pattern(3000), 1000, closed);
        send_all(&mut driver, 1);
    }
    let to = local(&driver);
    queue(&mut driver, b"alive", 1000, to);
    assert_eq!(collect(&mut driver, 1)[0].bytes, b"alive");
}

fn refused_trains(way: Way) {
    let socket = socket_v4();
    // Without checksums the kernel sends datagrams but refuses trains (EINVAL): a real refusal.
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let Some(mut sender) = driver(way, vec![socket], SMALL) else { return };
    let mut receiver = driver(way, vec![socket_v4()], SMALL).unwrap();
    for round in 0..3 {
        let bytes = pattern(46 * 1416 - round);
        queue(&mut sender, &bytes, 1416, local(&receiver));
        send_all(&mut sender, 1);
        let kept = collect(&mut receiver, 46);
        assert_eq!(sorted(&kept), sorted_chunks(&bytes, 1416));
    }
    assert_eq!(sender.take_failure(), None);
    let stats = sender.stats();
    assert_eq!((stats.gso_refused, stats.trains_out, stats.datagrams_out), (1, 0, 3 * 46));
}

fn bursts(way: Way) {
    let config = DriverConfig { receive_buffers: 4, ..SMALL };
    let Some(mut server) = driver(way, vec![socket_v4()], config) else { return };
    let to = local(&server);
    let client = Plain::bind("127.0.0.1:0").unwrap();
    for round in 0..3_u32 {
        for number in 0..500_u32 {
            client.send_to(&(round * 1000 + number).to_be_bytes(), to).unwrap();
        }
        let sent: Vec<_> = (0..500).map(|number| (round * 1000 + number).to_be_bytes()).collect();
        assert_eq!(sorted(&collect(&mut server, 500)), sent);
    }
    // Larger than a buffer: dropped and counted, and the buffer is used again.
    for _ in 0..20 {
        client.send_to(&[1; 2049], to).unwrap();
    }
    client.send_to(&[2; 2048], to).unwrap();
    assert_eq!(collect(&mut server, 1)[0].bytes, [2; 2048]);
    let stats = server.stats();
    assert_eq!(stats.truncated, 20);
    assert_eq!(stats.receive_buffers_exhausted > 0, way.kind != IoKind::Mmsg, "{stats:?}");
}

fn full_socket_buffers(way: Way) {
    // Loopback takes everything at once; run in a namespace whose loopback has a delay (netem), and
    // this fills the send buffer: the trains stay queued and none is lost or fails.
    let small = UdpConfig { send_buffer_bytes: 4608, ..UdpConfig::default() };
    let socket = bind("127.0.0.1:0", &small);
    let Some(mut sender) = driver(way, vec![socket], SMALL) else { return };
    let mut receiver = driver(way, vec![socket_v4()], SMALL).unwrap();
    for round in 0..5 {
        let bytes = pattern(20 * 1200 + round);
        for _ in 0..SMALL.send_buffers {
            queue(&mut sender, &bytes, 1200, local(&receiver));
        }
        send_all(&mut sender, SMALL.send_buffers.into());
        let datagrams = bytes.len().div_ceil(1200) * usize::from(SMALL.send_buffers);
        let kept = collect(&mut receiver, datagrams);
        let mut expected = bytes.chunks(1200).collect::<Vec<_>>().repeat(SMALL.send_buffers.into());
        expected.sort_unstable();
        assert_eq!(sorted(&kept), expected);
    }
    assert_eq!(sender.take_failure(), None);
}

fn overflow_is_counted(way: Way) {
    let small =
        UdpConfig { receive_buffer_bytes: 8192, count_overflow: true, ..UdpConfig::default() };
    let Some(mut server) = driver(way, vec![bind("127.0.0.1:0", &small)], SMALL) else { return };
    let client = Plain::bind("127.0.0.1:0").unwrap();
    let to = local(&server);
    for _ in 0..200 {
        client.send_to(&[1; 1000], to).unwrap();
    }
    if !way.reads_control() {
        while server.turn(Some(Duration::ZERO), &mut |_| ()).unwrap().datagrams > 0 {}
        assert_eq!(server.stats().receive_overflow, 0, "not known");
        return;
    }
    // The count comes with a datagram that is taken in after the loss.
    let mut sent = 200;
    while server.stats().receive_overflow == 0 {
        while server.turn(Some(Duration::ZERO), &mut |_| ()).unwrap().datagrams > 0 {}
        client.send_to(&[2; 10], to).unwrap();
        sent += 1;
        assert!(sent < 10_000, "{:?}", server.stats());
    }
    assert!(server.stats().receive_overflow + server.stats().datagrams_in <= sent);
}

fn many_sockets(way: Way) {
    let sockets: Vec<UdpSocket> = (0..100).map(|_| socket_v4()).collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(UdpSocket::local_addr).collect();
    let Some(mut driver) = driver(way, sockets, SMALL) else { return };
    let client = Plain::bind("127.0.0.1:0").unwrap();
    for (index, to) in addresses.iter().enumerate() {
        client.send_to(&[index as u8; 3], to).unwrap();
    }
    for datagram in collect(&mut driver, addresses.len()) {
        assert_eq!(datagram.bytes, [datagram.socket as u8; 3]);
    }
    for (index, &from) in addresses.iter().enumerate() {
        let buffer = driver.send_buffer().unwrap();
        let (socket, to) = (index as u16, client.local_addr().unwrap());
        driver.send(Outgoing { buffer, len: 1, datagram_bytes: 1, socket, to, ticket: 0 });
        send_all(&mut driver, 1);
        assert_eq!(client.recv_from(&mut [0; 9]).unwrap(), (1, from));
    }
}

fn buffers(way: Way) {
    let Some(mut driver) = driver(way, vec![socket_v4()], SMALL) else { return };
    let to = local(&driver);
    for _ in 0..50 {
        // All of them, most of them queued, one given back.
        let mut taken: Vec<SendBuffer> = std::iter::from_fn(|| driver.send_buffer()).collect();
        assert_eq!(taken.len(), usize::from(SMALL.send_buffers));
        let unused = taken.pop().unwrap();
        driver.release(unused);
        for mut buffer in taken {
            buffer[..2].fill(9);
            driver.send(Outgoing { buffer, len: 2, datagram_bytes: 1, socket: 0, to, ticket: 0 });
        }
        assert_eq!(collect(&mut driver, 6).len(), 6);
    }
    // Dropped with trains queued, receives armed, and a buffer out.
    let mut buffer = driver.send_buffer().unwrap();
    queue(&mut driver, &pattern(4000), 1000, to);
    drop(driver);
    buffer[0] = 1;
    // The port is free at once, for a restart and for the next reuseport group.
    bind(&to.to_string(), &UdpConfig::default());
}

#[test]
#[should_panic(expected = "another driver's")]
fn a_foreign_buffer_is_refused() {
    let new = || Driver::new(IoKind::Mmsg, vec![socket_v4()], SMALL).unwrap();
    let (mut one, mut other) = (new(), new());
    let buffer = other.send_buffer().unwrap();
    let to = local(&other);
    one.send(Outgoing { buffer, len: 1, datagram_bytes: 1, socket: 0, to, ticket: 0 });
}

macro_rules! for_each_way {
    ($($name:ident),*) => {
        for_each_way!(@ mmsg_driver MMSG $($name)*);
        for_each_way!(@ ring_driver RING $($name)*);
        for_each_way!(@ ring_without_copying ZERO_COPY $($name)*);
        #[cfg(feature = "tokio-uring")]
        for_each_way!(@ tokio_uring_driver TOKIO_URING $($name)*);
        #[cfg(feature = "glommio")]
        for_each_way!(@ glommio_driver GLOMMIO $($name)*);
    };
    (@ $module:ident $way:ident $($name:ident)*) => {
        mod $module {
            $(#[test] fn $name() { super::$name(super::$way) })*
            #[test] fn echo_v4() { super::echo(super::$way, "127.0.0.1:0") }
            #[test] fn echo_v6() { super::echo(super::$way, "[::1]:0") }
        }
    };
}

for_each_way!(
    trains,
    mixed_sizes,
    empty_datagrams,
    congestion_marks,
    waking,
    timeouts,
    failures,
    closed_ports,
    refused_trains,
    bursts,
    full_socket_buffers,
    overflow_is_counted,
    many_sockets,
    buffers
);
