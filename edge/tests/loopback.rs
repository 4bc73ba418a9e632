//! The whole edge on loopback, with real sockets: every driver that is built, both families, every order it takes.

use std::time::Duration;

use segcast_config::{ExitCode, RateCap, Size};
use segcast_edge::config::{Config, Cookie, Io, Sets};
use segcast_edge::{Server, StartError};
use segcast_kit::metrics::get;
use segcast_kit::needs;
use segcast_kit::server::{
    SEGMENT, SEGMENTS, World, end, fetch_everything, metric, page, segment_file, wait_for,
};
use segcast_kit::session::client::Client;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::session::client::ClientEvent;
use segcast_proto::wire::code::Code;

/// One client per family fetches everything that the store has.
fn everything_arrives_unaltered(io: Io) {
    let world = World::new();
    let server = Server::start(world.config(io)).expect("start");
    for (number, address) in (1..).zip(server.local_addresses().to_vec()) {
        let mut client = world.client(&world.center, &server, address, number);
        fetch_everything(&mut client);
        client.finish();
    }
    wait_for(&server, "segcast_edge_sessions_closed_total{code=\"CLIENT_DONE\"}", |n| n == 2);
    let name = format!("segcast_edge_io_driver{{driver=\"{}\"}}", word(io));
    assert_eq!(metric(&server, &name), 1);
    let sent = metric(&server, "segcast_edge_data_bytes_total");
    assert!(sent >= 2 * u64::from(SEGMENT) * u64::from(SEGMENTS), "{sent}");
    end(server);
}

fn word(io: Io) -> &'static str {
    match io {
        Io::Auto => "auto",
        Io::Ring => "ring",
        Io::Mmsg => "mmsg",
        Io::TokioUring => "tokio-uring",
        Io::Glommio => "glommio",
    }
}

#[test]
fn everything_arrives_by_the_mmsg_driver() {
    everything_arrives_unaltered(Io::Mmsg);
}

#[cfg(feature = "tokio-uring")]
#[test]
fn everything_arrives_by_tokio_uring() {
    everything_arrives_unaltered(Io::TokioUring);
}

#[cfg(feature = "glommio")]
#[test]
fn everything_arrives_by_glommio() {
    everything_arrives_unaltered(Io::Glommio);
}

/// A driver that was not built in is refused by the edge, with the feature to build with.
#[cfg(not(feature = "glommio"))]
#[test]
fn a_driver_that_was_not_built_in_is_refused() {
    let world = World::new();
    let error = Server::start(world.config(Io::Glommio)).err().expect("it is not there");
    assert!(error.to_string().contains("--features glommio"), "{error}");
}

#[test]
fn everything_arrives_by_the_ring_driver() {
    if !needs::missing("everything_arrives_by_the_ring_driver", &[needs::io_uring]) {
        everything_arrives_unaltered(Io::Ring);
    }
}

#[test]
fn settings_reach_the_shards() {
    let world = World::new();
    let config = Config {
        cookie: Cookie::Always,
        gso: false,
        datagram_max: Size(1200),
        egress_max: RateCap::BitsPerSecond(2_000_000_000),
        shards: 3,
        ..world.config(Io::Auto)
    };
    let server = Server::start(config).expect("start");
    let mut client = world.client(&world.center, &server, server.local_addresses()[0], 1);
    fetch_everything(&mut client);
    assert_eq!(client.session.stats().datagram_bytes.0, 1200);
    client.finish();
    wait_for(&server, "segcast_edge_sessions_closed_total{code=\"CLIENT_DONE\"}", |n| n == 1);
    assert!(metric(&server, "segcast_edge_cookies_total") > 0);
    assert_eq!(metric(&server, "segcast_edge_sent_trains_total"), 0);
    assert_eq!(metric(&server, "segcast_edge_shards"), 3);
    end(server);
}

#[test]
fn sessions_beyond_the_limits_are_refused_with_the_reason() {
    let world = World::new();
    let config =
        Config { sessions_max: 3, sessions_per_client: 1, shards: 1, ..world.config(Io::Auto) };
    let server = Server::start(config).expect("start");
    let address = server.local_addresses()[0];
    let open = |number| {
        let mut client = world.client(&world.center, &server, address, number);
        // A session begins with its first sealed packet, here a REQUEST.
        client.fetch(ObjectNumber::page(0), None);
        loop {
            match client.event() {
                ClientEvent::Open => {}
                ClientEvent::Object(_) => return Ok(client),
                ClientEvent::Refused { code, .. } => return Err(code),
                other => panic!("{other:?}"),
            }
        }
    };
    let mut sessions: Vec<_> = (1..=2).map(|number| open(number).expect("room")).collect();
    assert_eq!(open(1).err(), Some(Code::TooManySessions));
    sessions.push(open(3).expect("room"));
    assert_eq!(open(4).err(), Some(Code::Busy));
    sessions.iter_mut().for_each(Client::finish);
    end(server);
}

#[test]
fn a_drain_that_takes_too_long_says_so_to_the_sessions_that_are_left() {
    let world = World::new();
    let config = Config {
        // A segment takes a second and more.
        egress_max: RateCap::BitsPerSecond(1_000_000),
        egress_queue: Duration::from_secs(60),
        drain_timeout: Duration::from_millis(100),
        ..world.config(Io::Auto)
    };
    let server = Server::start(config).expect("start");
    let mut client = world.client(&world.center, &server, server.local_addresses()[0], 1);
    (0..4).for_each(|number| client.fetch(ObjectNumber(number), Some(SEGMENT)));
    client.take(1, |_, _| {});
    let ending = std::thread::spawn(|| {
        server.drain();
        server.join()
    });
    let last = loop {
        match client.event() {
            ClientEvent::Object(_) => {}
            other => break other,
        }
    };
    assert!(matches!(last, ClientEvent::Closed { code: Code::Draining, .. }), "{last:?}");
    assert_eq!(ending.join().expect("no panic"), ExitCode::Success);
}

#[test]
fn many_clients_are_spread_over_the_shards_and_all_served() {
    let world = World::new();
    let server = Server::start(world.config(Io::Auto)).expect("start");
    let address = server.local_addresses()[0];
    std::thread::scope(|scope| {
        for number in 1..=16 {
            let (world, server) = (&world, &server);
            scope.spawn(move || {
                let mut client = world.client(&world.center, server, address, number);
                fetch_everything(&mut client);
                client.finish();
            });
        }
    });
    wait_for(&server, "segcast_edge_sessions_closed_total{code=\"CLIENT_DONE\"}", |n| n == 16);
    assert_eq!(metric(&server, "segcast_edge_sessions_opened_total"), 16);
    // The kernel spreads HELLOs by address, the edge by client key: that all 16 agree has odds of 2^-16.
    assert!(metric(&server, "segcast_edge_mail_total{kind=\"handoff\"}") > 0);
    end(server);
}

#[test]
fn a_token_of_a_stranger_is_refused_and_a_reload_makes_a_friend_of_him() {
    let world = World::new();
    let mut server = Server::start(world.config(Io::Auto)).expect("start");
    let address = server.local_addresses()[0];
    let stranger = SigningKey::from_seed(&[9; 32]);
    let refused = |server: &Server, number| {
        let mut client = world.client(&stranger, server, address, number);
        client.fetch(ObjectNumber(0), Some(SEGMENT));
        match client.event() {
            ClientEvent::Refused { code, .. } => Some(code),
            ClientEvent::Open => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&server, 1), Some(Code::TokenUnknownIssuer));

    // A mistake changes nothing.
    let broken = world.path("centers").join("broken.pub");
    std::fs::write(&broken, "segcast-center-public:AA\n").expect("write");
    world.trust("two", &stranger);
    let error = server.reload(&world.config(Io::Auto)).expect_err("broken key").to_string();
    assert!(error.contains("broken.pub"), "{error}");
    assert_eq!(refused(&server, 2), Some(Code::TokenUnknownIssuer));

    std::fs::remove_file(broken).expect("remove");
    let restart = server.reload(&world.config(Io::Mmsg)).expect("reload");
    assert_eq!(restart, ["io"]);
    // Orders reach the shards before what is received later; their turn may still be under way.
    let accepted = (3..100).find(|&number| {
        std::thread::sleep(Duration::from_millis(10));
        refused(&server, number).is_none()
    });
    assert!(accepted.is_some());
    end(server);
}

#[test]
fn a_set_that_is_no_longer_served_is_unknown() {
    let world = World::new();
    let config = world.config(Io::Auto);
    let other = Sets::Only([SetId([1; 16])].into());
    let mut server = Server::start(config.clone()).expect("start");
    let address = server.local_addresses()[0];
    let mut client = world.client(&world.center, &server, address, 1);
    fetch_everything(&mut client);
    server.reload(&Config { sets: other, ..config }).expect("reload");
    loop {
        client.fetch(ObjectNumber(0), Some(SEGMENT));
        match client.event() {
            ClientEvent::ObjectRefused { code, .. } => {
                assert_eq!(code, Code::UnknownSet);
                break;
            }
            // The shard had not taken the order yet.
            ClientEvent::Object(_) => {}
            other => panic!("{other:?}"),
        }
    }
    end(server);
}

#[test]
fn a_drain_refuses_newcomers_closes_sessions_and_ends() {
    let world = World::new();
    let server = Server::start(world.config(Io::Auto)).expect("start");
    let (address, admin) = (server.local_addresses()[0], server.admin_address().expect("admin"));
    assert_eq!(get(admin, "/readyz").0, 200);
    let mut old = world.client(&world.center, &server, address, 1);
    fetch_everything(&mut old);
    server.drain();
    let mut new = world.client(&world.center, &server, address, 2);
    let ending = std::thread::spawn(move || server.join());
    let code = loop {
        match old.event() {
            ClientEvent::Closed { code, .. } => break code,
            ClientEvent::Unresponsive => panic!("the edge went without a word"),
            _ => {}
        }
    };
    assert_eq!(code, Code::Draining);
    assert_eq!(ending.join().expect("join"), segcast_config::ExitCode::Success);
    // The newcomer met a draining edge or none; never an open one.
    new.fetch(ObjectNumber(0), Some(SEGMENT));
    assert!(!new.session.is_open());
}

#[test]
fn a_segment_file_cut_short_costs_its_segments_and_nothing_else() {
    let world = World::new();
    let server = Server::start(world.config(Io::Auto)).expect("start");
    let address = server.local_addresses()[0];
    let mut client = world.client(&world.center, &server, address, 1);
    // Now every segment counts as resident, and the shard reads it without asking.
    fetch_everything(&mut client);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(segment_file(&world.path("store")))
        .expect("file");
    file.set_len(0).expect("cut");
    client.fetch(ObjectNumber(3), Some(SEGMENT));
    match client.event() {
        ClientEvent::ObjectRefused { code, .. } => assert_eq!(code, Code::SegmentUnavailable),
        other => panic!("{other:?}"),
    }
    client.fetch(ObjectNumber::page(1), None);
    match client.event() {
        ClientEvent::Object(fetched) => assert_eq!(fetched.bytes, page(1)),
        other => panic!("{other:?}"),
    }
    wait_for(&server, "segcast_edge_faulted_trains_total", |n| n > 0);
    let admin = server.admin_address().expect("admin");
    assert_eq!(get(admin, "/healthz").0, 200);
    end(server);
}

#[test]
fn cold_segments_are_read_in_by_the_helper_and_then_served() {
    use rustix::fs::{Advice, fadvise};
    if needs::missing("cold_segments_are_read_in", &[needs::disk]) {
        return;
    }
    let world = World::new();
    let file = std::fs::File::open(segment_file(&world.path("store"))).expect("file");
    let server = Server::start(world.config(Io::Auto)).expect("start");
    // Committed data is on the disk, so the page cache can let go of it. After the start, which may read ahead.
    fadvise(&file, 0, None, Advice::DontNeed).expect("fadvise");
    let address = server.local_addresses()[0];
    let mut client = world.client(&world.center, &server, address, 1);
    fetch_everything(&mut client);
    wait_for(&server, "segcast_edge_populated_total{result=\"ready\"}", |n| n > 0);
    wait_for(&server, "segcast_edge_populate_waiting", |n| n == 0);
    assert_eq!(metric(&server, "segcast_edge_populated_total{result=\"failed\"}"), 0);
    end(server);
}

#[test]
fn a_second_edge_serves_the_same_store_but_not_on_the_same_address() {
    let world = World::new();
    let config = world.config(Io::Auto);
    let server = Server::start(config.clone()).expect("start");
    end(Server::start(config.clone()).expect("the store is nobody's alone"));
    let config = Config { listen: server.local_addresses().to_vec(), ..config };
    let error = Server::start(config).err().expect("the address is taken");
    assert!(matches!(&error, StartError::Network(_)), "{error}");
    end(server);
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let world = World::new();
    let config = world.config(Io::Auto);
    let server = Server::start(config.clone()).expect("start");
    let listen = server.local_addresses().to_vec();
    drop(server);
    let config = Config { listen: listen.clone(), ..config };
    let server = Server::start(config).expect("start again, on the same addresses and store");
    assert_eq!(server.local_addresses(), listen);
    end(server);
}
