//! Addresses in a namespace: one that comes later than the edge, as on a box whose network takes its time; and ports
//! that the kernel chooses.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use segcast_edge::Server;
use segcast_edge::config::{Config, Io};
use segcast_kit::needs;
use segcast_kit::server::{World, end, fetch_segments};
use segcast_lab::netns::Namespace;
use segcast_sysio::udp::UdpConfig;
use segcast_sysio::udp::steering::{Steering, bind_reuseport_group};

#[test]
fn an_address_that_comes_later_is_served_then_and_the_others_meanwhile() {
    let name = "an_address_that_comes_later_is_served_then_and_the_others_meanwhile";
    if needs::missing(name, &[needs::namespaces, needs::iproute2]) {
        return;
    }
    let namespace = Namespace::new().expect("a namespace");
    namespace.ip_batch("link set lo up").expect("a loopback");
    for io in [Io::Auto, Io::Mmsg] {
        namespace.run(|| serve_both(&namespace, io)).expect("a thread");
    }
}

fn serve_both(namespace: &Namespace, io: Io) {
    let world = World::new();
    // TEST-NET-1 (RFC 5737), and its like (RFC 3849).
    let late = ["192.0.2.1:4870", "[2001:db8::1]:4870"];
    let late: Vec<SocketAddr> = late.iter().map(|text| text.parse().expect("address")).collect();
    let listen = ["127.0.0.1:0".parse().expect("address"), late[0], late[1]].to_vec();
    let server = Server::start(Config { listen, ..world.config(io) }).expect("start");
    let fetch = |address, number| {
        let mut client = world.client(&world.center, &server, address, number);
        fetch_segments(&mut client, 0..2);
        client.finish();
    };
    fetch(server.local_addresses()[0], 1);
    let change = |what: &str| {
        let v6 = format!("address {what} 2001:db8::1/128 dev lo");
        namespace.ip_batch(&format!("address {what} 192.0.2.1/32 dev lo\n{v6}")).expect("lo");
    };
    change("add");
    late.iter().zip(2..).for_each(|(&address, number)| fetch(address, number));
    change("del");
    end(server);
}

#[test]
fn two_edges_on_port_0_never_share_a_port() {
    let name = "two_edges_on_port_0_never_share_a_port";
    if needs::missing(name, &[needs::namespaces, needs::iproute2]) {
        return;
    }
    let namespace = Namespace::new().expect("a namespace");
    namespace.ip_batch("link set lo up").expect("a loopback");
    namespace.run(eight_groups_on_eight_ports).expect("a thread");
}

fn eight_groups_on_eight_ports() {
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40007").expect("sysctl");
    let steering = Steering { type_offset: 1, hashed_type: 1, shard_offset: 7 };
    let address = "127.0.0.1:0".parse().expect("address");
    let groups: Vec<_> = (0..8)
        .map(|_| bind_reuseport_group(address, 2, steering, &UdpConfig::default()).expect("bind"))
        .collect();
    let ports: BTreeSet<u16> = groups.iter().map(|group| group[0].local_addr().port()).collect();
    assert_eq!(ports.len(), 8, "{ports:?}");
    assert!(groups.iter().all(|group| group[0].local_addr() == group[1].local_addr()));
}
