//! Sends without copying on real paths: loopback, which copies; a path that takes pages; and a
//! queue that holds trains, so that their buffers must not be used again. And what happens where
//! no memory may be locked.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use segcast_lab::netns::Namespace;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, SendBuffer, ZeroCopy};
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

const DATAGRAM: usize = 1440;
const TRAIN: usize = 45 * DATAGRAM;

/// Says what is missing, or fails where nothing may be.
fn skip(missing: &str) {
    assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"), "{missing}");
    println!("not tested: {missing}");
}

fn has_ring() -> bool {
    probe::ring().map_err(|missing| skip(&missing.to_string())).is_ok()
}

fn driver(address: &str, zero_copy: ZeroCopy, send_buffers: u16) -> Driver {
    let options = UdpConfig { receive_buffer_bytes: 1 << 22, ..UdpConfig::default() };
    let socket =
        UdpSocket::bind(address.parse().expect("an address"), &options).expect("a free port");
    let config = DriverConfig { zero_copy, send_buffers, ..DriverConfig::EDGE };
    Driver::new(IoKind::Ring, vec![socket], config).expect("a driver")
}

fn local(driver: &Driver) -> SocketAddr {
    driver.sockets()[0].local_addr()
}

/// Queues a train whose datagrams are numbered from `first`.
fn queue(driver: &mut Driver, mut buffer: SendBuffer, to: SocketAddr, first: u8) {
    for (number, datagram) in buffer[..TRAIN].chunks_mut(DATAGRAM).enumerate() {
        datagram.fill(first.wrapping_add(number as u8));
    }
    let (len, datagram_bytes) = (TRAIN, DATAGRAM);
    driver.send(Outgoing { buffer, len, datagram_bytes, socket: 0, to, ticket: 0 });
}

/// Trains that ended in one turn.
fn turn(driver: &mut Driver) -> u32 {
    let turn = driver.turn(Some(Duration::from_secs(10)), &mut |_| ());
    turn.expect("a turn").trains_over
}

/// Sends a train and waits for its end.
fn send(driver: &mut Driver, to: SocketAddr, first: u8) {
    let buffer = driver.send_buffer().expect("a free buffer");
    queue(driver, buffer, to, first);
    while turn(driver) == 0 {}
}

/// Receives trains with these first numbers and checks every byte of them.
fn receive(driver: &mut Driver, firsts: &[u8]) {
    let datagrams = TRAIN / DATAGRAM;
    let mut got: Vec<u8> = Vec::new();
    while got.len() < firsts.len() * datagrams {
        let turn = driver.turn(Some(Duration::from_secs(10)), &mut |received| {
            assert_eq!(received.bytes.len(), DATAGRAM);
            assert!(received.bytes.iter().all(|byte| *byte == received.bytes[0]));
            got.push(received.bytes[0]);
        });
        assert!(turn.expect("a turn").datagrams > 0, "{} of {firsts:?}", got.len());
    }
    let train = |&first: &u8| (0..datagrams).map(move |number| first.wrapping_add(number as u8));
    let mut expected: Vec<u8> = firsts.iter().flat_map(train).collect();
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected);
}

/// Runs `ip` or `tc` in the namespace of the calling thread.
fn configure(command: &str) -> Result<(), String> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().expect("a word")).args(words).output();
    match output.map_err(|e| e.to_string()) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command}: {error}")),
    }
}

/// Runs a test on a thread in a namespace of its own, after `commands`.
fn in_namespace(commands: &[&str], test: fn()) {
    let Ok(namespace) = Namespace::new() else {
        return skip("namespaces (CAP_SYS_ADMIN)");
    };
    let run = || match commands.iter().try_for_each(|command| configure(command)) {
        Ok(()) => test(),
        Err(missing) => skip(&missing),
    };
    namespace.run(run).expect("entered");
}

#[test]
fn loopback_is_found_to_copy_and_is_tried_again_rarely() {
    if !has_ring() {
        return;
    }
    let mut receiver = driver("127.0.0.1:0", ZeroCopy::Never, 1);
    let mut sender = driver("127.0.0.1:0", ZeroCopy::Auto, 1);
    assert!(sender.no_zero_copy().is_none());
    // One window of 8 trains, a pause of 512, another window.
    for (train, expected) in [(1, 1), (8, 8), (9, 8), (520, 8), (521, 9), (528, 16), (600, 16)] {
        while sender.stats().trains_out < train {
            send(&mut sender, local(&receiver), train as u8);
            receive(&mut receiver, &[train as u8]);
        }
        let stats = sender.stats();
        let found = (stats.zero_copy_trains, stats.zero_copy_copied, stats.zero_copy_refused);
        assert_eq!(found, (expected, expected, 0), "after {train} trains");
    }
}

#[test]
fn a_path_that_takes_pages_gets_them() {
    if !has_ring() {
        return;
    }
    // What the queue drops has taken the whole way of a send and was never copied, as with a
    // network card.
    let commands = ["ip link set lo up", "tc qdisc replace dev lo root blackhole"];
    in_namespace(&commands, || {
        let mut sender = driver("127.0.0.1:0", ZeroCopy::Auto, 4);
        let to = "127.0.0.2:9".parse().unwrap();
        for train in 0..100 {
            send(&mut sender, to, train);
        }
        let stats = sender.stats();
        assert_eq!((stats.zero_copy_trains, stats.zero_copy_copied), (100, 0), "{stats:?}");
        assert_eq!(stats.size_changes, 1);
    });
}

/// Rates of a token bucket: a byte a second, after a burst of one train; and as good as none. What is
/// queued stays until the rate is changed, so nothing depends on time.
const SLOW: &str = "tc qdisc replace dev lo root tbf rate 8bit burst 70000 limit 1000000";
const FAST: &str = "tc qdisc change dev lo root tbf rate 10gbit burst 70000 limit 1000000";

#[test]
fn a_buffer_that_the_kernel_still_reads_is_not_handed_out() {
    if !has_ring() {
        return;
    }
    in_namespace(&["ip link set lo up", SLOW], || {
        let mut receiver = driver("127.0.0.1:0", ZeroCopy::Never, 1);
        let mut sender = driver("127.0.0.1:0", ZeroCopy::Always, 3);
        let to = local(&receiver);
        send(&mut sender, to, 10);
        receive(&mut receiver, &[10]);
        let buffers: Vec<SendBuffer> = (0..2).map(|_| sender.send_buffer().unwrap()).collect();
        let held: Vec<*const u8> = buffers.iter().map(|buffer| buffer.as_ptr()).collect();
        for (first, buffer) in [60, 110].into_iter().zip(buffers) {
            queue(&mut sender, buffer, to, first);
        }
        while sender.stats().zero_copy_trains < 3 {
            assert_eq!(sender.turn(None, &mut |_| ()).unwrap().trains_over, 0);
        }
        for _ in 0..100 {
            assert_eq!(sender.turn(Some(Duration::ZERO), &mut |_| ()).unwrap().trains_over, 0);
            // Only the third is free, and scribbling on it harms nobody.
            let mut free = sender.send_buffer().unwrap();
            assert!(!held.contains(&free.as_ptr()) && sender.send_buffer().is_none());
            free.fill(0xEE);
        }
        assert_eq!(sender.stats().zero_copy_copied, 1);
        configure(FAST).unwrap();
        // The next one sets the queue moving.
        let buffer = sender.send_buffer().unwrap();
        queue(&mut sender, buffer, to, 160);
        let mut over = 0;
        while over < 3 {
            over += turn(&mut sender);
        }
        receive(&mut receiver, &[60, 110, 160]);
        assert_eq!([(); 3].map(|()| sender.send_buffer()).iter().flatten().count(), 3);
    });
}

#[test]
fn what_the_kernel_still_reads_outlives_the_driver() {
    if !has_ring() {
        return;
    }
    in_namespace(&["ip link set lo up", SLOW], || {
        let mut receiver = driver("127.0.0.1:0", ZeroCopy::Never, 1);
        let mut sender = driver("127.0.0.1:0", ZeroCopy::Always, 2);
        send(&mut sender, local(&receiver), 10);
        receive(&mut receiver, &[10]);
        let buffer = sender.send_buffer().unwrap();
        queue(&mut sender, buffer, local(&receiver), 60);
        while sender.stats().zero_copy_trains < 2 {
            assert_eq!(sender.turn(None, &mut |_| ()).unwrap().trains_over, 0);
        }
        // It waits for the notification for a while, and then leaves the memory.
        drop(sender);
        configure(FAST).unwrap();
        let mut next = driver("127.0.0.1:0", ZeroCopy::Always, 16);
        let all: Vec<SendBuffer> = std::iter::from_fn(|| next.send_buffer()).collect();
        for mut buffer in all {
            buffer.fill(0xEE);
        }
        send(&mut next, local(&receiver), 110);
        receive(&mut receiver, &[60, 110]);
    });
}

#[test]
fn without_locked_memory_trains_are_copied_and_the_reason_is_told() {
    if !has_ring() {
        return;
    }
    const LIMIT: u64 = 4 << 20;
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_none_or(|current| current > LIMIT) {
        let lower = Rlimit { current: Some(LIMIT), maximum: limit.maximum };
        setrlimit(Resource::Memlock, lower).unwrap();
    }
    let test = || {
        // The limit does not bind who may lock anyway. Capabilities belong to a thread.
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, sets).unwrap();
        let mut receiver = driver("127.0.0.1:0", ZeroCopy::Never, 1);
        for zero_copy in [ZeroCopy::Auto, ZeroCopy::Always] {
            // 128 × 64 KiB: twice the limit.
            let mut sender = driver("127.0.0.1:0", zero_copy, 128);
            let reason = sender.no_zero_copy().expect("refused").to_string();
            assert!(reason.contains("RLIMIT_MEMLOCK"), "{reason}");
            send(&mut sender, local(&receiver), 5);
            receive(&mut receiver, &[5]);
            let stats = sender.stats();
            assert_eq!((stats.trains_out, stats.zero_copy_trains), (1, 0));
        }
        assert!(driver("127.0.0.1:0", ZeroCopy::Never, 128).no_zero_copy().is_none());
    };
    std::thread::spawn(test).join().unwrap();
}
