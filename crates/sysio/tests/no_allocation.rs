//! Neither shipped driver allocates once it is made (the two on runtimes do, for each operation): receiving, sending, failing and waking are all done in
//! memory of the construction (`docs/internals/invariants.md`).

use std::net::SocketAddr;
use std::time::Duration;

use segcast_lab::counting_allocator::{CountingAllocator, assert_no_allocation};
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, ZeroCopy};
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// One round of all that a shard does with its driver.
fn round(driver: &mut Driver, to: SocketAddr, received: &mut usize) {
    let mut bytes = 0;
    for (len, size) in [(20 * 1200, 1200), (3 * 1000 + 1, 1000), (65_520, 65_520), (0, 1)] {
        let buffer = driver.send_buffer().expect("all came back");
        driver.send(Outgoing { buffer, len, datagram_bytes: size, socket: 0, to, ticket: 1 });
        bytes += if len < 65_508 { len } else { 0 };
    }
    let unused = driver.send_buffer().expect("one is left");
    driver.release(unused);
    driver.waker().wake();
    let (mut over, mut woken, mut got) = (0, false, 0);
    while over < 4 || !woken || got < bytes {
        let turn = driver.turn(Some(Duration::from_secs(10)), &mut |datagram| {
            got += datagram.bytes.len();
            *received += 1;
        });
        let turn = turn.expect("loopback works");
        over += turn.trains_over;
        woken |= turn.woken;
    }
    while driver.take_failure().is_some() {}
}

fn allocates_nothing(kind: IoKind, gso: bool, zero_copy: ZeroCopy) {
    if let Err(missing) = probe::choose(Some(kind)) {
        let all = std::env::var_os("SEGCAST_REQUIRE_ALL");
        assert!(all.is_none_or(|all| all != "1"), "{missing}");
        println!("not tested: {missing}");
        return;
    }
    let options = UdpConfig { receive_buffer_bytes: 1 << 20, ..UdpConfig::default() };
    let address = "127.0.0.1:0".parse().expect("an address");
    let socket = UdpSocket::bind(address, &options).expect("a free port");
    let to = socket.local_addr();
    // Few receive buffers, so that the ring runs out of them and arms receives anew.
    let config = DriverConfig { receive_buffers: 8, gso, zero_copy, ..DriverConfig::EDGE };
    let mut driver = Driver::new(kind, vec![socket], config).expect("a driver");
    let mut received = 0;
    assert_no_allocation("turns of a driver", || {
        for _ in 0..200 {
            round(&mut driver, to, &mut received);
        }
    });
    assert!(received >= 200 * 24, "{received}");
    let failures = driver.stats().failed_too_large;
    assert_eq!(failures, 200);
    let trains = if zero_copy == ZeroCopy::Always { 2 * 200 } else { 0 };
    let wanted = zero_copy == ZeroCopy::Auto || driver.stats().zero_copy_trains == trains;
    assert!(wanted, "{:?}", driver.stats());
}

#[test]
fn the_ring_allocates_nothing() {
    allocates_nothing(IoKind::Ring, true, ZeroCopy::Never);
    allocates_nothing(IoKind::Ring, false, ZeroCopy::Never);
}

#[test]
fn the_ring_allocates_nothing_when_it_does_not_copy() {
    allocates_nothing(IoKind::Ring, true, ZeroCopy::Always);
    allocates_nothing(IoKind::Ring, true, ZeroCopy::Auto);
}

#[test]
fn the_epoll_driver_allocates_nothing() {
    allocates_nothing(IoKind::Mmsg, true, ZeroCopy::Never);
    allocates_nothing(IoKind::Mmsg, false, ZeroCopy::Never);
}
