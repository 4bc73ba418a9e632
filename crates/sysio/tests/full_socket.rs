//! Trains into a socket that is full, since its device is slow: with every driver they stay queued, go out whole and in no
//! other pieces, and nothing fails. glommio's own way through a full socket would send one byte of each datagram.

use std::time::Duration;

use segcast_lab::netns::Namespace;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, ZeroCopy};
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

const DATAGRAM: usize = 1200;
const TRAIN: usize = 40 * DATAGRAM;
/// 48 KB at this rate take 38 ms: each train waits for the one before.
const SLOW: &[&str] = &["rate", "10mbit", "burst", "70k", "limit", "10m"];

/// Says what is missing, or fails where nothing may be.
fn skip(missing: &str) {
    assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"), "{missing}");
    println!("not tested: {missing}");
}

/// A namespace whose loopback takes only so much a second.
fn slow_loopback() -> Result<Namespace, String> {
    let namespace = Namespace::new().map_err(|error| format!("namespaces, as root ({error})"))?;
    namespace.ip_batch("link set lo up").map_err(|error| error.to_string())?;
    let mut tc = namespace.command("tc").map_err(|error| error.to_string())?;
    tc.args(["qdisc", "add", "dev", "lo", "root", "tbf"]).args(SLOW);
    let output = tc.output().map_err(|error| format!("tc, of iproute2 ({error})"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(namespace) } else { Err(format!("tc: {said}")) }
}

fn driver(kind: IoKind, options: &UdpConfig) -> Driver {
    let socket = UdpSocket::bind("127.0.0.1:0".parse().expect("an address"), options);
    let config = DriverConfig { zero_copy: ZeroCopy::Never, ..DriverConfig::EDGE };
    Driver::new(kind, vec![socket.expect("a free port")], config).expect("a driver")
}

/// Sends six trains through the slow device and checks every datagram.
fn trains_through_a_full_socket(kind: IoKind) {
    let small = UdpConfig { send_buffer_bytes: 4608, ..UdpConfig::default() };
    let large = UdpConfig { receive_buffer_bytes: 1 << 22, ..UdpConfig::default() };
    let (mut sender, mut receiver) = (driver(kind, &small), driver(IoKind::Mmsg, &large));
    let to = receiver.sockets()[0].local_addr();
    let mut expected = Vec::new();
    for number in 0..6_u8 {
        let mut buffer = sender.send_buffer().expect("a free buffer");
        buffer[..TRAIN].fill(number);
        let (len, datagram_bytes) = (TRAIN, DATAGRAM);
        sender.send(Outgoing { buffer, len, datagram_bytes, socket: 0, to, ticket: 0 });
        expected.extend(vec![vec![number; DATAGRAM]; 40]);
    }
    let (mut over, mut got, mut turns) = (0, Vec::new(), 0);
    while over < 6 || got.len() < expected.len() {
        let turn = sender.turn(Some(Duration::from_millis(20)), &mut |_| ()).expect("a turn");
        over += turn.trains_over;
        turns += 1;
        let keep = &mut |received: segcast_sysio::driver::Received<'_>| {
            got.push(received.bytes.to_vec());
        };
        receiver.turn(Some(Duration::ZERO), keep).expect("a turn");
        // At most 250 ms are on the way: this is some seconds.
        assert!(turns < 5000, "{kind:?}: {over} trains, {} datagrams", got.len());
    }
    got.sort_unstable();
    assert!(got == expected, "{kind:?}: other datagrams than were sent");
    assert!(turns > 1, "{kind:?}: the socket was never full");
    assert_eq!(sender.take_failure(), None, "{kind:?}");
}

#[test]
fn full_sockets_hold_trains_back_and_change_none() {
    let namespace = match slow_loopback() {
        Ok(namespace) => namespace,
        Err(missing) => return skip(&missing),
    };
    for kind in IoKind::ALL.iter().copied().filter(|kind| kind.is_built()) {
        match probe::choose(Some(kind)) {
            Ok(_) => namespace.run(|| trains_through_a_full_socket(kind)).expect("a thread"),
            Err(missing) => skip(&missing.to_string()),
        }
    }
}
