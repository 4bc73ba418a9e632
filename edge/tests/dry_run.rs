//! A dry run beside real sessions: what it says was sent is what the edge sent, and what groups would save adds up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use segcast_edge::Server;
use segcast_edge::config::{Config, Io, Multicast};
use segcast_kit::metrics::{get, get_as};
use segcast_kit::process::PATIENCE;
use segcast_kit::server::{SEGMENT, SEGMENTS, World, end, metric};
use segcast_kit::session::client::Client;
use segcast_kit::session::now;
use segcast_proto::ids::{ObjectNumber, SetHandle};

const VIEWERS: u8 = 8;
/// How long before they need them viewers ask.
const AHEAD: Duration = Duration::from_secs(3);

/// The first segment at once, the others in time to be shared.
fn view(mut client: Client) {
    let ask = |client: &mut Client, number, deadline| {
        let asked = client.session.fetch(
            now(),
            SetHandle::FIRST,
            ObjectNumber(number),
            Some(SEGMENT),
            deadline,
        );
        asked.expect("room for a request");
    };
    ask(&mut client, 0, Duration::ZERO);
    client.take(1, |_, _| {});
    // A session is a member half a second after its first request.
    std::thread::sleep(Duration::from_millis(700));
    (1..SEGMENTS).for_each(|number| ask(&mut client, number, AHEAD));
    client.take(SEGMENTS as usize - 1, |_, _| {});
    client.finish();
}

/// The sum of a column: an hour may end while the test runs.
fn sum(page: &serde_json::Value, name: &str) -> u64 {
    let lines = page["titles"].as_array().expect("a list");
    lines.iter().map(|line| line[name].as_u64().unwrap_or_else(|| panic!("{name}: {line}"))).sum()
}

fn report(admin: SocketAddr) -> serde_json::Value {
    let (status, body) = get_as(admin, "/multicast", "application/json");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn a_dry_run_says_what_groups_would_save_of_what_the_edge_sent() {
    // A second for each segment.
    let world = World::titled(Duration::from_secs(SEGMENTS.into()));
    let server = Server::start(Config { multicast: Multicast::DryRun, ..world.config(Io::Mmsg) });
    let server = server.expect("start");
    let (address, admin) = (server.local_addresses()[0], server.admin_address().expect("admin"));
    std::thread::scope(|scope| {
        for number in 1..=VIEWERS {
            let client = world.client(&world.center, &server, address, number);
            scope.spawn(move || view(client));
        }
    });
    // Unicast is done; the groups would send just before the deadlines.
    let begun = Instant::now();
    let page = loop {
        let page = report(admin);
        if sum(&page, "group_sends") >= u64::from(SEGMENTS) - 1 {
            break page;
        }
        assert!(begun.elapsed() < PATIENCE, "{page}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let number = |name| sum(&page, name);
    let title = u64::from(SEGMENTS) * u64::from(SEGMENT);
    assert_eq!(
        (&page["dropped"], &page["titles"][0]["title"]),
        (&0.into(), &world.set.to_string().into())
    );
    assert_eq!(number("starts"), 8);
    // Bytes that went twice, for what was lost on the way, are in both.
    let sent = number("sent_bytes");
    assert_eq!(sent, metric(&server, "segcast_edge_data_bytes_total"));
    assert!(sent >= 8 * title, "{page}");
    assert_eq!(number("group_sends"), u64::from(SEGMENTS) - 1);
    assert_eq!(number("group_served"), 8 * (u64::from(SEGMENTS) - 1));
    // 128 symbols and 2 LEAVES of 1200 bytes; the last GROUP_PROBE may not have been counted yet.
    let group = number("would_group_bytes");
    assert!((11 * 130 * 1200..=11 * 131 * 1200).contains(&group), "{page}");
    // Each one's first segment, and repairs.
    let unicast = number("would_unicast_bytes");
    assert_eq!(unicast, sent - 8 * 11 * u64::from(SEGMENT), "{page}");
    if let [line] = &page["titles"].as_array().expect("a list")[..] {
        let saved = 1.0 - (group + unicast) as f64 / sent as f64;
        assert!((line["saved"].as_f64().expect("a share") - saved).abs() < 1e-9, "{page}");
    }
    let (status, table) = get(admin, "/multicast");
    assert!(status == 200 && table.contains(&world.set.to_string()), "{table}");
    end(server);
}
