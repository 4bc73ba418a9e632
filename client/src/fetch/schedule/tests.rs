//! The schedule against edges that are fast, slow, refusing, lying or gone.

use super::*;

const SEGMENT: u32 = 1 << 20;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn open(segments: u32, edges: usize) -> Schedule {
    let firsts: Vec<_> = (0..edges).collect();
    let mut schedule = Schedule::new(segments, SEGMENT, &firsts, 64 << 20);
    (0..edges).for_each(|edge| schedule.opened(edge, 64));
    schedule
}

/// Gives `edge` a rate of `bytes` per second and a round trip of `rtt` milliseconds.
fn speed(schedule: &mut Schedule, edge: usize, bytes: u64, rtt: u64) {
    let meter = schedule.meter(edge);
    meter.observe(at(0), 0, true);
    meter.observe(at(1000), bytes, false);
    meter.set_rtt(Duration::from_millis(rtt));
}

fn deliver(schedule: &mut Schedule, ask: Ask) {
    assert!(schedule.arrived(ask.segment, ask.edge));
    schedule.verified(ask.segment);
}

#[test]
fn every_segment_is_asked_once_and_in_order() {
    let mut schedule = open(300, 1);
    let mut asked = Vec::new();
    while let Some(ask) = schedule.ask(at(0)) {
        asked.push(ask.segment);
        deliver(&mut schedule, ask);
    }
    assert_eq!(asked, (0..300).collect::<Vec<_>>());
    assert!(schedule.is_complete());
}

#[test]
fn a_title_without_segments_is_complete_at_once() {
    let mut schedule = open(0, 1);
    assert!(schedule.is_complete());
    assert_eq!(schedule.ask(at(0)), None);
}

#[test]
fn the_window_bounds_what_is_in_memory() {
    let mut schedule = Schedule::new(100, SEGMENT, &[0], 5 << 20);
    schedule.opened(0, 64);
    speed(&mut schedule, 0, 1 << 30, 100);
    let asks: Vec<Ask> = std::iter::from_fn(|| schedule.ask(at(0))).collect();
    assert_eq!(asks.len(), 5);
    assert!(schedule.arrived(asks[0].segment, 0));
    assert_eq!(schedule.ask(at(0)), None, "a segment being checked is still in memory");
    schedule.verified(asks[0].segment);
    assert!(schedule.ask(at(0)).is_some());
}

#[test]
fn a_segment_larger_than_the_window_is_still_fetched() {
    let mut schedule = Schedule::new(2, 32 << 20, &[0], 1 << 20);
    schedule.opened(0, 64);
    assert!(schedule.ask(at(0)).is_some());
}

#[test]
fn the_faster_edge_gets_more_and_the_slower_one_some() {
    let mut schedule = open(1000, 2);
    speed(&mut schedule, 0, 100 << 20, 1);
    speed(&mut schedule, 1, 20 << 20, 1);
    let mut share = [0, 0];
    while let Some(ask) = schedule.ask(at(0)) {
        share[ask.edge] += 1;
    }
    assert!(share[0] > 3 * share[1] && share[1] > 0, "{share:?}");
}

#[test]
fn a_slow_edge_is_not_asked_while_waiting_for_the_fast_one_is_sooner() {
    let mut schedule = open(1000, 2);
    speed(&mut schedule, 0, 100 << 20, 1);
    speed(&mut schedule, 1, 1 << 20, 1);
    let asks: Vec<Ask> = std::iter::from_fn(|| schedule.ask(at(0))).collect();
    assert!(!asks.is_empty() && asks.iter().all(|ask| ask.edge == 0), "{asks:?}");
    schedule.lost(0);
    assert_eq!(schedule.ask(at(0)).map(|ask| ask.edge), Some(1), "better than nobody");
}

#[test]
fn the_edges_limit_on_requests_holds() {
    let mut schedule = open(1000, 1);
    schedule.opened(0, 3);
    speed(&mut schedule, 0, 1 << 30, 100);
    assert_eq!(std::iter::from_fn(|| schedule.ask(at(0))).count(), 3);
}

#[test]
fn wrong_bytes_send_the_segment_to_another_edge_and_never_count() {
    let mut schedule = open(1, 2);
    let first = schedule.ask(at(0)).unwrap();
    assert!(schedule.arrived(0, first.edge));
    assert_eq!(schedule.wrong(0), (Some(first.edge), true));
    assert!(!schedule.is_complete());
    let second = schedule.ask(at(0)).unwrap();
    assert_ne!(second.edge, first.edge);
    assert!(schedule.arrived(0, second.edge));
    assert_eq!(schedule.wrong(0), (Some(second.edge), false), "no edge is left");
    assert_eq!(schedule.ask(at(0)), None);
}

/// Gives what is asked for: edge 0 wrong bytes, the others right ones. How much was asked of edge 0?
fn beside_a_liar(edges: usize, speeds: &[u64]) -> usize {
    let mut schedule = open(1000, edges);
    for (edge, bytes) in speeds.iter().enumerate() {
        speed(&mut schedule, edge, *bytes, 1);
    }
    let mut lies = 0;
    while let Some(ask) = schedule.ask(at(0)) {
        if ask.edge == 0 {
            lies += 1;
            assert!(schedule.arrived(ask.segment, 0));
            assert_eq!(schedule.wrong(ask.segment), (Some(0), true));
        } else {
            deliver(&mut schedule, ask);
        }
    }
    assert!(schedule.is_complete());
    lies
}

#[test]
fn an_edge_that_sends_wrong_bytes_again_and_again_is_banned_however_fast_it_is() {
    assert_eq!(beside_a_liar(2, &[1000 << 20, 10 << 20]), 3);
}

#[test]
fn the_last_edge_is_never_banned_for_wrong_bytes() {
    let mut schedule = open(9, 2);
    schedule.ban(1);
    for _ in 0..9 {
        let ask = schedule.ask(at(0)).unwrap();
        assert!(schedule.arrived(ask.segment, 0));
        assert_eq!(schedule.wrong(ask.segment), (Some(0), false));
    }
    assert!(!schedule.is_banned(0));
}

#[test]
fn an_edge_with_wrong_segments_is_not_banned_for_one_that_is_gone() {
    let mut schedule = open(10, 2);
    schedule.lost(1);
    for _ in 0..4 {
        let ask = schedule.ask(at(0)).unwrap();
        assert!(schedule.arrived(ask.segment, 0));
        assert_eq!(schedule.wrong(ask.segment), (Some(0), true), "edge 1 may come back");
    }
    while let Some(ask) = schedule.ask(at(0)) {
        deliver(&mut schedule, ask);
    }
    assert_eq!((schedule.have(), schedule.is_banned(0)), (6, false));
    schedule.opened(1, 64);
    while let Some(ask) = schedule.ask(at(0)) {
        assert_eq!(ask.edge, 1);
        deliver(&mut schedule, ask);
    }
    assert!(schedule.is_complete());
}

/// Address 1 is another one of edge 0.
#[test]
fn what_an_edge_did_counts_at_all_its_addresses() {
    let mut schedule = Schedule::new(9, SEGMENT, &[0, 0, 2], 64 << 20);
    let wrong_at = |schedule: &mut Schedule, address| {
        schedule.opened(address, 64);
        let ask = schedule.ask(at(0)).unwrap();
        assert!(ask.edge == address && schedule.arrived(ask.segment, address));
        schedule.lost(address);
        schedule.wrong(ask.segment)
    };
    assert_eq!(wrong_at(&mut schedule, 0), (Some(0), true), "edge 2 is another");
    assert_eq!(wrong_at(&mut schedule, 1), (Some(1), true));
    schedule.opened(2, 64);
    schedule.hold(2, at(1));
    assert_eq!(wrong_at(&mut schedule, 0), (Some(0), true));
    assert!(schedule.is_banned(0) && schedule.is_banned(1) && !schedule.is_banned(2));
    assert!(!schedule.refused(8, 2), "none is left for it");
}

#[test]
fn a_refused_segment_goes_elsewhere_and_the_edge_keeps_the_others() {
    let mut schedule = open(2, 2);
    let first = schedule.ask(at(0)).unwrap();
    assert!(schedule.refused(first.segment, first.edge));
    let again = schedule.ask(at(0)).unwrap();
    assert_eq!((again.segment, again.edge), (first.segment, 1 - first.edge));
    assert!(schedule.ask(at(0)).is_some_and(|ask| ask.segment == 1));
}

#[test]
fn a_lost_session_hands_its_segments_to_the_others() {
    let mut schedule = open(8, 2);
    let asks: Vec<Ask> = std::iter::from_fn(|| schedule.ask(at(0))).collect();
    let gone = asks[0].edge;
    schedule.lost(gone);
    assert!(!schedule.arrived(asks[0].segment, gone), "late bytes of a lost session");
    for ask in asks.iter().filter(|ask| ask.edge != gone) {
        deliver(&mut schedule, *ask);
    }
    while let Some(ask) = schedule.ask(at(0)) {
        assert_ne!(ask.edge, gone);
        deliver(&mut schedule, ask);
    }
    assert!(schedule.is_complete());
}

#[test]
fn an_edge_that_comes_back_is_asked_again() {
    let mut schedule = open(1, 1);
    let ask = schedule.ask(at(0)).unwrap();
    schedule.lost(0);
    assert_eq!(schedule.ask(at(0)), None);
    schedule.opened(0, 64);
    assert_eq!(schedule.ask(at(0)).map(|again| again.segment), Some(ask.segment));
}

#[test]
fn an_overdue_segment_moves_only_when_another_edge_can_serve_it() {
    let mut alone = open(1, 1);
    alone.ask(at(0)).unwrap();
    assert_eq!(alone.take_overdue(at(60_000)), []);
    let mut two = open(1, 2);
    let ask = two.ask(at(0)).unwrap();
    assert_eq!(two.take_overdue(at(500)), []);
    assert_eq!(two.take_overdue(at(60_000)), [ask]);
    assert_eq!(two.ask(at(60_000)).map(|again| again.edge), Some(1 - ask.edge));
}

/// At a byte a second it would take ten days, and four times that to be overdue.
#[test]
fn a_segment_of_an_edge_that_trickles_moves_when_a_better_one_is_back() {
    let mut schedule = open(1, 2);
    speed(&mut schedule, 0, 1, 1);
    speed(&mut schedule, 1, 10 << 20, 1);
    schedule.lost(1);
    let ask = schedule.ask(at(0)).unwrap();
    assert_eq!((ask.edge, schedule.take_overdue(at(60_000)).len()), (0, 0), "better than nobody");
    schedule.opened(1, 64);
    assert_eq!(schedule.take_overdue(at(1000)), []);
    assert_eq!(schedule.take_overdue(at(1001)), [ask]);
    assert_eq!(schedule.ask(at(1001)).map(|again| again.edge), Some(1));
}

#[test]
fn a_slower_edge_keeps_what_it_has_begun() {
    let mut schedule = open(1000, 2);
    speed(&mut schedule, 0, 500 << 10, 1);
    speed(&mut schedule, 1, 200 << 10, 1);
    let asks: Vec<Ask> = std::iter::from_fn(|| schedule.ask(at(0))).collect();
    assert!(asks.iter().any(|ask| ask.edge == 1), "{asks:?}");
    assert_eq!(schedule.take_overdue(at(1001)), []);
}

#[test]
fn what_the_part_file_holds_is_not_asked_for_unless_it_fails_the_check() {
    let mut schedule = open(3, 1);
    schedule.assume(0);
    schedule.assume(2);
    assert_eq!(schedule.ask(at(0)).map(|ask| ask.segment), Some(1));
    schedule.recheck_failed(2);
    assert_eq!(schedule.ask(at(0)).map(|ask| ask.segment), Some(2));
    assert_eq!(schedule.have(), 1);
}

#[test]
fn an_edge_on_hold_is_not_asked_until_then() {
    let mut schedule = open(1, 1);
    let ask = schedule.ask(at(0)).unwrap();
    schedule.postponed(ask.segment, ask.edge, at(100));
    assert_eq!(schedule.ask(at(99)), None);
    assert!(schedule.ask(at(100)).is_some());
}

#[test]
fn a_segment_that_must_wait_does_not_hold_up_the_others() {
    let mut schedule = open(2, 2);
    schedule.lost(1);
    assert_eq!(schedule.ask(at(0)).map(|ask| ask.edge), Some(0));
    assert!(schedule.refused(0, 0), "edge 1 may come back");
    assert_eq!(schedule.ask(at(0)).map(|ask| ask.segment), Some(1));
}
