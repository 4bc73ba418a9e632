//! An edge that sends to groups, on the loopback, which is its own way to every member: viewers of one title who ask at
//! about the same time get each segment by one train to the group, and all of it verified.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket as Plain};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use segcast_edge::Server;
use segcast_edge::config::{
    BitRate, Config, InterfaceName, Io, Multicast, MulticastGroups, MulticastSource,
};
use segcast_kit::process::PATIENCE;
use segcast_kit::server::{World, end, metric};
use segcast_kit::session::{self, now};
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle, SetId};
use segcast_proto::limits::SEGMENT_UNIT;
use segcast_proto::rate::Rate;
use segcast_proto::segment::digest::Digester;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};
use segcast_proto::session::client::groups::{Groups, GroupsConfig, GroupsEvent};
use segcast_proto::session::client::{ClientEvent, ClientSession, GroupEvent};
use segcast_proto::token::mint;
use segcast_proto::wire::group_report::WINDOW_ALL;
use segcast_store::{Options, Store};
use segcast_sysio::clock::unix_seconds;
use segcast_sysio::udp::multicast::{Interface, Membership};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

const SET: SetId = SetId([0x61; 16]);
/// 128 symbols.
const SEGMENT: usize = 2 * SEGMENT_UNIT;
const SEGMENTS: u32 = 12;
const VIEWERS: u8 = 3;
/// A quarter of a second each.
const RUNNING_TIME: Duration = Duration::from_secs(3);

fn segment(number: u32) -> Vec<u8> {
    (0..SEGMENT).map(|at| (at / 1152 * 31 + at + number as usize) as u8).collect()
}

/// Writes the title into the world's store, sealed by the word of its manifest.
fn pack(world: &World) -> Manifest {
    let geometry = Geometry::new(u64::from(SEGMENTS) * SEGMENT as u64, SEGMENT as u32, true);
    let geometry = geometry.expect("a geometry");
    let mut builder = ManifestBuilder::new(Description {
        set: SET,
        geometry,
        protection: Protection::Sealed { salt: [1; 16], commitment: [2; 32] },
        running_time: RUNNING_TIME,
        name: "a title".to_owned(),
    })
    .expect("a manifest");
    let store = Store::open(&world.path("store"), &Options::default()).expect("store");
    let mut writer = store.begin_set(SET, SEGMENT as u32, SEGMENTS).expect("set");
    let mut digester = Digester::new(&geometry, SET);
    for number in 0..SEGMENTS {
        let stored = segment(number);
        let (entry, leaves) = digester.entry_and_leaves(number, &stored);
        builder.push(&entry);
        writer.write_segment(number, &stored).expect("segment");
        writer.write_leaves(number, leaves.as_bytes()).expect("leaves");
    }
    let pages = builder.sign(&world.center);
    writer.commit(&pages).expect("commit");
    Manifest::from_pages(&pages, &[world.center.public()]).expect("a manifest")
}

/// An edge with groups on the loopback, at a port of its own.
fn config(world: &World, io: Io) -> Config {
    let free = Plain::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let range = segcast_config::Field::read(&segcast_config::Value::Text("232.99.0.0/24".into()));
    Config {
        multicast: Multicast::On,
        multicast_interface: InterfaceName("lo".to_owned()),
        multicast_source: MulticastSource::Auto,
        multicast_groups: range.unwrap_or(MulticastGroups::None),
        multicast_port: free.port(),
        multicast_rate: BitRate(400_000_000),
        ..world.config(io)
    }
}

/// A client with the groups of its title.
struct Viewer<'a> {
    session: ClientSession,
    socket: Plain,
    groups: Groups,
    manifest: &'a Manifest,
    /// Made with the first membership.
    group: Option<(UdpSocket, Plain)>,
    got: BTreeMap<u32, Vec<u8>>,
    promised: u32,
}

impl<'a> Viewer<'a> {
    fn new(world: &World, server: &Server, manifest: &'a Manifest, number: u8) -> Self {
        let secret = StaticSecret::new([number; 32]);
        let claims = session::claims(&secret, vec![SET], unix_seconds());
        let token = mint(&claims, &world.center).expect("token");
        let config = session::config(server.public_key(), secret, token);
        let to = server.local_addresses()[0];
        let socket = Plain::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        socket.connect(to).expect("connect");
        socket.set_nonblocking(true).expect("nonblocking");
        let groups = GroupsConfig { sources: vec![to.ip()], rate: Rate::MAX, window: WINDOW_ALL };
        Self {
            session: ClientSession::new(config, [number; 32], now()).expect("session"),
            socket,
            groups: Groups::new(groups, manifest, [number; 32]),
            manifest,
            group: None,
            got: BTreeMap::new(),
            promised: 0,
        }
    }

    fn ask(&mut self, number: u32, deadline: Duration) {
        let mut room = vec![0; SEGMENT];
        let object = ObjectNumber(number);
        self.session
            .fetch_hearing(now(), SetHandle::FIRST, object, &mut room, deadline)
            .expect("fetch");
    }

    fn turn(&mut self) {
        let mut buffer = vec![0; 65_536];
        while let Some(len) = self.session.poll_transmit(now(), &mut buffer) {
            self.socket.send(&buffer[..len]).expect("send");
        }
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.session.handle_datagram(now(), 0, &mut buffer[..len]);
        }
        while let Some(len) = self.group.as_ref().and_then(|(_, plain)| heard(plain, &mut buffer)) {
            self.groups.handle_datagram(now(), self.manifest, &mut buffer[..len]);
        }
        self.session.handle_timeout(now());
        self.groups.handle_timeout(now());
        while let Some(event) = self.session.poll_event() {
            self.on_session(event);
        }
        while let Some(event) = self.session.poll_group_event() {
            match event {
                GroupEvent::Key { serial, key, .. } => {
                    self.groups.on_group_key(now(), serial, &key);
                }
                GroupEvent::Promised { object, .. } => {
                    self.promised += 1;
                    let is_there = self.got.contains_key(&object.0);
                    assert!(self.groups.promised(now(), object.0) || is_there, "{object:?}");
                }
            }
        }
        while let Some(event) = self.groups.poll_event() {
            self.on_groups(event);
        }
        if let Some(report) = self.groups.poll_report(now()) {
            self.session.send_group_report(SetHandle::FIRST, report);
        }
    }

    fn on_session(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Object(fetched) => match fetched.object.as_leaves() {
                Some(segment) => {
                    self.groups.on_leaves(now(), self.manifest, segment, &fetched.bytes);
                }
                None => {
                    let mut bytes = fetched.bytes;
                    self.groups.complete(fetched.object.0, &mut bytes);
                    self.take(fetched.object.0, bytes);
                }
            },
            ClientEvent::Open => {}
            other => panic!("{other:?}"),
        }
    }

    fn on_groups(&mut self, event: GroupsEvent) {
        match event {
            GroupsEvent::Join(route) => {
                let config = UdpConfig { receive_buffer_bytes: 4 << 20, ..UdpConfig::default() };
                let (socket, _) = self.group.get_or_insert_with(|| {
                    let socket = UdpSocket::bind_group_receiver(route.group, route.port, &config);
                    let socket = socket.expect("a socket");
                    let plain = Plain::from(socket.as_fd().try_clone_to_owned().expect("a clone"));
                    plain.set_nonblocking(true).expect("nonblocking");
                    (socket, plain)
                });
                let interface = Interface::named("lo").expect("the loopback");
                let (source, group) = (route.source, route.group);
                socket.join(&Membership { interface, source, group }).expect("joined");
            }
            GroupsEvent::Segment { segment, bytes } => self.take(segment, bytes),
            GroupsEvent::Rest { object, mut bytes, have } => {
                let deadline = Duration::from_secs(1);
                self.session
                    .fetch_rest(now(), SetHandle::FIRST, object, &mut bytes, have, deadline)
                    .expect("fetch");
            }
            GroupsEvent::Leave(_) => {}
            GroupsEvent::Refused(why) => panic!("{why}"),
        }
    }

    fn take(&mut self, number: u32, bytes: Vec<u8>) {
        assert!(bytes == segment(number), "segment {number} came altered");
        self.groups.set_wanted(number, false);
        self.got.insert(number, bytes);
        let position = (0..SEGMENTS).find(|number| !self.got.contains_key(number));
        self.groups.set_position(now(), position.unwrap_or(SEGMENTS));
    }
}

/// One datagram, if there is one.
fn heard(socket: &Plain, buffer: &mut [u8]) -> Option<usize> {
    match socket.recv_from(buffer) {
        Ok((len, from)) => {
            assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
            Some(len)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            None
        }
    }
}

/// Turns all viewers until each is `done`.
fn until(viewers: &mut [Viewer<'_>], what: &str, done: impl Fn(&Viewer<'_>) -> bool) {
    let begun = Instant::now();
    while !viewers.iter().all(&done) {
        let stats = || viewers.iter().map(|viewer| *viewer.groups.stats()).collect::<Vec<_>>();
        assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", stats());
        viewers.iter_mut().for_each(Viewer::turn);
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn viewers_of_one_title_share_its_segments(io: Io) {
    let world = World::new();
    let manifest = pack(&world);
    let server = Server::start(config(&world, io)).expect("start");
    let mut viewers: Vec<_> =
        (1..=VIEWERS).map(|number| Viewer::new(&world, &server, &manifest, number)).collect();
    // The first segment comes by unicast; the second viewer who asks opens the title's group.
    viewers.iter_mut().for_each(|viewer| viewer.ask(0, Duration::from_secs(5)));
    until(&mut viewers, "a group", |v| v.got.contains_key(&0) && v.groups.hears(5));
    let counts = |names: [&str; 4]| names.map(|name| metric(&server, name));
    let members = || metric(&server, "segcast_edge_group_members");
    until(&mut viewers, "members", |_| members() == u64::from(VIEWERS));
    // Who asked last may have been served the first segment by the group already.
    let names = [
        "segcast_edge_group_sends_total",
        "segcast_edge_holds_total{end=\"group\"}",
        "segcast_edge_group_bytes_total",
        "segcast_edge_data_bytes_total",
    ];
    let before = counts(names);
    let promised = viewers.iter().map(|viewer| viewer.promised).sum::<u32>();
    for viewer in &mut viewers {
        (1..SEGMENTS).for_each(|number| viewer.ask(number, Duration::from_secs(2)));
    }
    until(&mut viewers, "all segments", |viewer| viewer.got.len() == SEGMENTS as usize);
    let after = counts(names);
    let [sends, by_group, bytes, rest]: [u64; 4] =
        std::array::from_fn(|number| after[number] - before[number]);
    assert_eq!(sends, u64::from(SEGMENTS) - 1, "each once");
    assert_eq!(by_group, sends * u64::from(VIEWERS), "for all of them");
    // 128 symbols and 2 LEAVES of 1200 bytes for each; probes beside them.
    let lost = metric(&server, "segcast_edge_group_lost_datagrams_total");
    let stats = || viewers.iter().map(|viewer| *viewer.groups.stats()).collect::<Vec<_>>();
    let range = sends * 130 * 1200..sends * 150 * 1200;
    assert!(range.contains(&bytes), "{bytes} to groups, {rest} not, {lost} lost: {:?}", stats());
    // By unicast only what the loopback lost.
    assert!(rest <= 2 * SEGMENT as u64, "{rest} bytes by unicast");
    let promised = viewers.iter().map(|viewer| viewer.promised).sum::<u32>() - promised;
    assert_eq!(u64::from(promised), by_group);
    assert!(viewers.iter().all(|viewer| viewer.groups.stats().forged == 0));
    assert_eq!(metric(&server, "segcast_edge_group_notes_dropped_total"), 0);
    // A drain closes the groups, and the edge ends in order.
    viewers.iter_mut().for_each(|viewer| viewer.session.close());
    viewers.iter_mut().for_each(Viewer::turn);
    end(server);
}

#[test]
fn viewers_of_one_title_share_its_segments_with_mmsg() {
    viewers_of_one_title_share_its_segments(Io::Mmsg);
}

#[test]
fn viewers_of_one_title_share_its_segments_with_the_ring() {
    if let Err(missing) = segcast_kit::needs::io_uring() {
        assert!(!segcast_kit::needs::all_required(), "{missing}");
        return println!("not tested: {missing}");
    }
    viewers_of_one_title_share_its_segments(Io::Ring);
}

#[test]
fn an_edge_without_groups_serves_who_would_hear_them_by_unicast() {
    let world = World::new();
    let manifest = pack(&world);
    let server = Server::start(world.config(Io::Mmsg)).expect("start");
    let mut viewers: Vec<_> =
        (1..=2).map(|number| Viewer::new(&world, &server, &manifest, number)).collect();
    viewers
        .iter_mut()
        .for_each(|viewer| (0..3).for_each(|n| viewer.ask(n, Duration::from_secs(5))));
    until(&mut viewers, "all segments", |viewer| viewer.got.len() == 3);
    assert!(viewers.iter().all(|viewer| viewer.group.is_none() && viewer.promised == 0));
    assert_eq!(metric(&server, "segcast_edge_group_bytes_total"), 0);
    end(server);
}
