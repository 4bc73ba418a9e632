//! A token that ends while its sessions are open: they go on for its grace, and no other one begins.

use std::time::Duration;

use segcast_edge::Server;
use segcast_edge::config::{Config, Io};
use segcast_kit::server::{World, end, fetch_segments};
use segcast_kit::session::claims;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::session::client::ClientEvent;
use segcast_proto::token::{Claims, mint};
use segcast_proto::wire::code::Code;
use segcast_sysio::clock::unix_seconds;

#[test]
fn sessions_go_on_for_the_grace_of_their_token_and_no_other_begins() {
    let world = World::new();
    let config = Config { sessions_per_client: 2, ..world.config(Io::Auto) };
    let server = Server::start(config).expect("start");
    let (address, begun) = (server.local_addresses()[0], unix_seconds());
    let open = |number, grace| {
        let claims = claims(&StaticSecret::new([number; 32]), vec![world.set], begun);
        // For the 30 s that clocks may differ by it is valid for 3 s more.
        let claims = Claims { expires: begun - 27, grace, ..claims };
        let token = mint(&claims, &world.center).expect("token");
        world.client_with(&token, &server, address, number)
    };
    let (mut graced, mut strict) = (open(1, Some(4)), open(2, None));
    for client in [&mut graced, &mut strict] {
        fetch_segments(client, 0..1);
    }
    while unix_seconds() < begun + 4 {
        std::thread::sleep(Duration::from_millis(20));
    }
    fetch_segments(&mut graced, 1..3);
    let refused = open(1, Some(4)).event();
    let is_expired = matches!(refused, ClientEvent::Refused { code: Code::TokenExpired, .. });
    assert!(is_expired, "{refused:?}");
    for client in [&mut strict, &mut graced] {
        let last = client.event();
        let has_ended = matches!(last, ClientEvent::Closed { code: Code::TokenEnded, .. });
        assert!(has_ended, "{last:?}");
    }
    assert!(unix_seconds() >= begun + 6, "the grace was cut");
    end(server);
}
