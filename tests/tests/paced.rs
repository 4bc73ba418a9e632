//! A server whose pacing leaves gaps longer than round trips: its client asks for nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;

use segcast_kit::endpoint::rig::{MS, Rig, SEGMENT_BYTES, SEGMENTS, address};
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::rate::Rate;
use segcast_proto::session::client::{ClientEvent, ClientSession, ClientStats};
use segcast_proto::session::server::{EgressCap, EndpointConfig};
use segcast_proto::time::Duration;

/// Fetches `count` segments, `window` at once, over a path of no delay, in virtual time.
fn fetch(change: impl FnOnce(&mut EndpointConfig), count: u32, window: usize) -> ClientStats {
    let mut rig = Rig::new(70, change);
    let seed = rig.draw();
    let mut session = ClientSession::new(rig.config(1), seed, rig.now).expect("a session");
    let mut todo: VecDeque<_> = (0..count).map(|n| ObjectNumber(n % SEGMENTS)).collect();
    let (mut done, mut out) = (0, [0; 2048]);
    for _ in 0..100_000 {
        while session.outstanding() < window
            && let Some(object) = todo.pop_front()
        {
            let (len, deadline) = (Some(SEGMENT_BYTES as u32), Duration::from_secs(1));
            session.fetch(rig.now, SetHandle::FIRST, object, len, deadline).expect("room");
        }
        while let Some(len) = session.poll_transmit(rig.now, &mut out) {
            rig.hand(address(1), &out[..len]);
        }
        for (_, mut bytes) in rig.drain() {
            session.handle_datagram(rig.now, 0, &mut bytes);
        }
        while let Some(event) = session.poll_event() {
            match event {
                ClientEvent::Object(_) => done += 1,
                ClientEvent::Open => {}
                other => panic!("{other:?}"),
            }
        }
        if done == count {
            return *session.stats();
        }
        rig.pass(MS);
        session.handle_timeout(rig.now);
    }
    panic!("{done} of {count} segments: {:?}", session.stats());
}

#[test]
fn the_gaps_that_pacing_makes_are_no_silence() {
    for (mbit, count) in [(25, 448), (5, 90)] {
        let rate = Rate::new(mbit * 1_000_000 / 8);
        for window in [1, 3] {
            let change = |config: &mut EndpointConfig| {
                config.egress_max = Some(Arc::new(EgressCap::new(rate)));
                config.egress_queue = Duration::from_secs(60);
            };
            let stats = fetch(change, count, window);
            println!("{mbit} Mbit/s, {window} at once: {stats:?}");
            assert!(stats.timeouts <= 5, "{mbit} Mbit/s, {window}: {} probes", stats.timeouts);
            assert!(stats.requests <= u64::from(count) + 5, "{} requests", stats.requests);
        }
    }
}
