//! Sockets of groups between two network namespaces: who hears what, with every driver.

use std::net::{IpAddr, SocketAddr, UdpSocket as Plain};
use std::time::{Duration, Instant};

use segcast_lab::netns::Namespace;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, ZeroCopy};
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::udp::multicast::{GroupSending, Interface, Membership};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

const PORT: u16 = 4872;
const DATAGRAM: usize = 1200;
/// Datagrams of a train, and trains of a test.
const TRAIN: usize = 45;
const TRAINS: usize = 8;
const DEVICE: &str = "cast0";

/// What differs between the families.
#[derive(Debug, Clone, Copy)]
struct Family {
    source: &'static str,
    other_source: &'static str,
    group: &'static str,
    other_group: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family {
        source: "10.81.0.1",
        other_source: "10.81.0.2",
        group: "232.81.0.1",
        other_group: "232.81.0.2",
    },
    Family {
        source: "fd81::1",
        other_source: "fd81::2",
        group: "ff35::81:1",
        other_group: "ff35::81:2",
    },
];

/// Says what is missing, or fails where nothing may be.
fn skip(missing: &str) {
    assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"), "{missing}");
    println!("not tested: {missing}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Waits until IPv6 serves the device of this thread's namespace: the kernel tells it of a link that is up a moment later,
/// and then its groups have a route.
fn wait_for_groups() {
    let end = Instant::now() + Duration::from_secs(10);
    let routes = || std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    let is_there = |route: &str| route.starts_with("ff00") && route.ends_with(DEVICE);
    while !routes().lines().any(is_there) {
        assert!(Instant::now() < end, "{}", routes());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An edge's namespace with two addresses of each family, and a viewer's.
fn network() -> std::io::Result<[Namespace; 2]> {
    let [edge, viewer] = [Namespace::new()?, Namespace::new()?];
    edge.join(DEVICE, &viewer, DEVICE)?;
    let address = |ip: &str| format!("address add {ip} dev {DEVICE} nodad\n");
    let up = format!("link set lo up\nlink set {DEVICE} up\n");
    let own = ["10.81.0.1/24", "10.81.0.2/24", "fd81::1/64", "fd81::2/64"].map(address).concat();
    edge.ip_batch(&(own + &up))?;
    viewer.ip_batch(&(["10.81.0.3/24", "fd81::3/64"].map(address).concat() + &up))?;
    edge.run(wait_for_groups)?;
    viewer.run(wait_for_groups)?;
    Ok([edge, viewer])
}

/// Runs `test` for each driver that this machine can run, with both families.
fn with_each_driver(test: fn(IoKind, Family, &[Namespace; 2])) {
    let network = match network() {
        Ok(network) => network,
        Err(error) => return skip(&format!("namespaces, as root ({error})")),
    };
    for kind in IoKind::ALL.iter().copied().filter(|kind| kind.is_built()) {
        match probe::choose(Some(kind)) {
            Ok(_) => FAMILIES.into_iter().for_each(|family| test(kind, family, &network)),
            Err(missing) => skip(&missing.to_string()),
        }
    }
}

fn receiver(kind: IoKind, group: &str) -> Driver {
    let options = UdpConfig { gro: true, receive_buffer_bytes: 4 << 20, ..UdpConfig::default() };
    let socket = UdpSocket::bind_group_receiver(ip(group), PORT, &options).expect("a socket");
    Driver::new(kind, vec![socket], DriverConfig::CLIENT).expect("a driver")
}

fn sender(kind: IoKind, source: &str, looped: bool) -> Driver {
    let interface = Interface::named(DEVICE).expect("the interface");
    let sending = GroupSending { interface, hops: 1, looped };
    let socket = UdpSocket::bind_group_sender(ip(source), &sending, &UdpConfig::default());
    let config = DriverConfig { zero_copy: ZeroCopy::Never, ..DriverConfig::EDGE };
    Driver::new(kind, vec![socket.expect("a socket")], config).expect("a driver")
}

/// In the namespace of the calling thread.
fn membership(source: &str, group: &str) -> Membership {
    let interface = Interface::named(DEVICE).expect("the interface");
    Membership { interface, source: ip(source), group: ip(group) }
}

/// Sends trains of datagrams that begin with `mark`.
fn send(driver: &mut Driver, to: &str, mark: u8) {
    for _ in 0..TRAINS {
        let mut buffer = driver.send_buffer().expect("a free buffer");
        let len = TRAIN * DATAGRAM;
        buffer[..len].fill(mark);
        let to = SocketAddr::new(ip(to), PORT);
        driver.send(Outgoing { buffer, len, datagram_bytes: DATAGRAM, socket: 0, to, ticket: 0 });
        while driver.turn(Some(Duration::from_secs(10)), &mut |_| ()).expect("a turn").trains_over
            == 0
        {}
    }
    assert_eq!(driver.take_failure(), None);
}

/// What comes until as many datagrams of `mark` are there as [`send`] sends: the marks of all that came. What was sent
/// before the last of them has come before it.
fn hear(driver: &mut Driver, mark: u8) -> Vec<u8> {
    let mut marks = Vec::new();
    let end = Instant::now() + Duration::from_secs(10);
    while marks.iter().filter(|&&heard| heard == mark).count() < TRAINS * TRAIN {
        assert!(Instant::now() < end, "{} datagrams of {mark}: {driver:?}", marks.len());
        let keep = &mut |received: segcast_sysio::driver::Received<'_>| {
            assert_eq!(received.bytes.len(), DATAGRAM);
            marks.push(received.bytes[0]);
        };
        driver.turn(Some(Duration::from_millis(100)), keep).expect("a turn");
    }
    marks
}

/// One receiver that joins one group of one source, and leaves it.
fn only_what_was_joined_is_heard(kind: IoKind, family: Family, [edge, viewer]: &[Namespace; 2]) {
    let Family { source, other_source, group, other_group } = family;
    let send = |from: &'static str, to: &'static str, mark: u8| {
        edge.run(move || send(&mut sender(kind, from, false), to, mark)).expect("a thread");
    };
    let test = || {
        let mut driver = receiver(kind, group);
        // Another program of the machine has joined the other group: its membership is not ours.
        let elsewhere = receiver(IoKind::Mmsg, group);
        elsewhere.sockets()[0].join(&membership(source, other_group)).expect("joined");
        driver.sockets()[0].join(&membership(source, group)).expect("joined");
        send(other_source, group, 1);
        send(source, other_group, 2);
        send(source, group, 3);
        assert!(hear(&mut driver, 3).iter().all(|&mark| mark == 3), "{kind:?} {family:?}");
        // At any time: from one group to the other, and nothing of the first after that.
        driver.sockets()[0].leave(&membership(source, group)).expect("left");
        driver.sockets()[0].join(&membership(source, other_group)).expect("joined");
        send(source, group, 4);
        send(source, other_group, 5);
        assert!(hear(&mut driver, 5).iter().all(|&mark| mark == 5), "{kind:?} {family:?}");
    };
    viewer.run(test).expect("a thread");
}

#[test]
fn a_member_hears_whole_trains_of_its_source_and_nothing_else() {
    with_each_driver(only_what_was_joined_is_heard);
}

/// Two programs of one machine, one of them in the edge's own namespace.
fn every_member_hears(kind: IoKind, family: Family, [edge, viewer]: &[Namespace; 2]) {
    let Family { source, group, .. } = family;
    let joined = || {
        let driver = receiver(kind, group);
        driver.sockets()[0].join(&membership(source, group)).expect("joined");
        driver
    };
    let test = || {
        let mut drivers = [joined(), joined()];
        let at_the_edge = || {
            let mut near = joined();
            send(&mut sender(kind, source, false), group, 1);
            send(&mut sender(kind, source, true), group, 2);
            assert!(hear(&mut near, 2).iter().all(|&mark| mark == 2), "{kind:?}: not looped");
        };
        edge.run(at_the_edge).expect("a thread");
        for driver in &mut drivers {
            let marks = hear(driver, 2);
            assert_eq!(marks.len(), 2 * TRAINS * TRAIN, "{kind:?} {family:?}");
        }
    };
    viewer.run(test).expect("a thread");
}

#[test]
fn all_members_on_a_machine_hear_and_the_sender_s_own_only_if_it_wants() {
    with_each_driver(every_member_hears);
}

/// What is sent to the address of a sender is never handed over, and its driver sleeps through it.
fn a_sender_receives_nothing(kind: IoKind, family: Family, [edge, _]: &[Namespace; 2]) {
    let test = || {
        let mut driver = sender(kind, family.source, false);
        let to = driver.sockets()[0].local_addr();
        let plain = Plain::bind((to.ip(), 0)).expect("a socket");
        let mut turns = 0;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(120) {
            plain.send_to(b"anybody there?", to).expect("sent");
            let turn = driver.turn(Some(Duration::from_millis(40)), &mut |_| panic!("{kind:?}"));
            assert_eq!(turn.expect("a turn").datagrams, 0);
            turns += 1;
        }
        assert!(turns < 20, "{kind:?}: {turns} turns in 120 ms");
    };
    edge.run(test).expect("a thread");
}

#[test]
fn a_driver_does_not_receive_on_a_socket_that_only_sends() {
    with_each_driver(a_sender_receives_nothing);
}

#[test]
fn an_interface_without_multicast_is_refused_and_the_loopback_is_not() {
    let Ok(namespace) = Namespace::new() else {
        return skip("namespaces, as root");
    };
    let made = namespace
        .ip_batch("link add plain0 type veth peer name plain1\nlink set plain0 multicast off\n");
    made.expect("devices");
    let test = || {
        let error = Interface::named("plain0").expect_err("no multicast").to_string();
        assert!(error.contains("plain0") && error.contains("multicast on"), "{error}");
        Interface::named("plain1").expect("it has the flag");
        Interface::named("lo").expect("the loopback");
    };
    namespace.run(test).expect("a thread");
}
