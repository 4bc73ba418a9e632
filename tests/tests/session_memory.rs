//! What an idle open session costs an endpoint, in heap: at most 1 KiB, with its share of every table
//! (`docs/internals/invariants.md`). Exact, alike in every run and in virtual time, so it shows what `memory`, which weighs a whole
//! process, cannot: that every byte a session took for its work is given back, at the worst size of every table.
#![forbid(unsafe_code)]

use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_lab::counting_allocator::{CountingAllocator, live_bytes};
use segcast_proto::ids::ObjectNumber;
use segcast_proto::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// So many that growing vectors are seen: a power of two plus one is the worst case for doubling.
const SESSIONS: u32 = 2049;
/// What an idle session may cost, bytes.
const IDLE_MAX: i64 = 1024;

#[test]
fn an_endpoint_keeps_at_most_a_kibibyte_for_an_idle_session() {
    let mut rig = Rig::new(60, |config| config.handshakes_per_second = u32::MAX);
    let before = live_bytes();
    for number in 0..SESSIONS {
        let mut client = rig.open(number);
        // Each session works: what work takes must be given back.
        let request = client.request(rig.now, 1, 0, ObjectNumber(0));
        rig.hand(address(number), &request);
        rig.drain();
        rig.pass(MS);
        drop(rig.closed());
    }
    let working = (live_bytes() - before) / i64::from(SESSIONS);
    // Senders without reports stop, the sessions fall silent and rest.
    for _ in 0..400 {
        rig.pass(MS * 100);
        rig.drain();
    }
    assert_eq!(rig.server.sessions(), SESSIONS as usize);
    let idle = (live_bytes() - before) / i64::from(SESSIONS);
    println!("{working} bytes after work, {idle} idle");
    assert!(working > IDLE_MAX, "the sessions did work: {working}");
    assert!(idle <= IDLE_MAX, "{idle} bytes");
    assert!(idle > 300, "all of it was counted: {idle}");
}

#[test]
fn an_endpoint_keeps_nothing_of_sessions_that_went() {
    let timeout = Duration::from_secs(10);
    let mut rig = Rig::new(61, |config| {
        (config.handshakes_per_second, config.idle_timeout) = (u32::MAX, timeout);
    });
    let mut live = Vec::with_capacity(40);
    for round in 0..40 {
        for number in 0..32 {
            // Each client comes once.
            let number = round * 32 + number;
            let mut client = rig.open(number);
            let request = client.request(rig.now, 1, 0, ObjectNumber(number % 3));
            rig.hand(address(number), &request);
            rig.drain();
            if number % 4 != 0 {
                let close = client.close(rig.now);
                rig.hand(address(number), &close);
            }
            rig.pass(MS);
            drop(rig.closed());
        }
        // The others said nothing.
        for _ in 0..40 {
            rig.pass(timeout / 20);
            rig.drain();
            drop(rig.closed());
        }
        assert_eq!(rig.server.sessions(), 0);
        live.push(live_bytes());
    }
    println!("{live:?} bytes after each round");
    // Tables have found their size after a few rounds.
    assert_eq!(live[8], live[39], "{live:?}");
}
