//! Lies, room, reordering, path changes, silence: what the simulation does not single out.

use super::*;

const RTT_MS: u64 = 20;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn sender() -> Sender {
    let config = SenderConfig {
        initial_rtt: Some(Duration::from_millis(RTT_MS)),
        datagram_bytes: 1200,
        rate_cap: None,
        skip_key: [3; 16],
    };
    Sender::new(at(0), config)
}

/// Sends `count` trains of two datagrams, a millisecond apart from `from_ms` on.
fn send(sender: &mut Sender, first: u64, count: u64, from_ms: u64) {
    for n in 0..count {
        sender.on_sent(at(from_ms + n), first + 2 * n, 2, 2400, false);
    }
}

fn view(echo_ms: u64, ranges: &[(u64, u64)]) -> FeedbackView<'_> {
    FeedbackView {
        echo: at(echo_ms).wire_micros(),
        echo_delay: Duration::ZERO,
        room_bytes: 1 << 20,
        ce_count: 0,
        ranges,
    }
}

#[test]
fn a_true_report_delivers_and_gives_the_round_trip() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    assert_eq!(sender.in_flight(), 5 * 2400);
    let report = FeedbackView { echo_delay: Duration::from_millis(3), ..view(4, &[(0, 9)]) };
    let outcome = sender.on_report(at(30), &report).unwrap();
    assert_eq!(outcome.newly_delivered_bytes, 5 * 2400);
    assert_eq!(outcome.rtt_sample, Some(Duration::from_millis(23)));
    assert_eq!((sender.in_flight(), sender.rtt()), (0, Duration::from_millis(23)));
    assert_eq!(sender.on_report(at(31), &report).unwrap(), ReportOutcome::default());
}

#[test]
fn numbers_never_sent_or_skipped_are_lies() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    assert_eq!(sender.on_report(at(30), &view(4, &[(0, 10)])), Err(Lie::NeverSent(10)));
    let skipped = (10..).step_by(2).find(|&n| sender.should_skip(n)).unwrap();
    assert_eq!(sender.on_report(at(30), &view(4, &[(0, skipped)])), Err(Lie::Skipped(0, skipped)));
    sender.on_sent(at(6), skipped + 1, 1, 1200, false);
    let ranges = [(skipped + 1, skipped + 1), (0, skipped)];
    assert_eq!(sender.on_report(at(30), &view(6, &ranges)), Err(Lie::Skipped(0, skipped)));
    assert_eq!(sender.in_flight(), 11 * 1200, "a lie changes nothing");
    let honest = [(skipped + 1, skipped + 1), (0, 9)];
    assert!(sender.on_report(at(30), &view(6, &honest)).is_ok());
}

#[test]
fn a_false_echo_is_a_lie_and_rounding_is_not() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    let lie = sender.on_report(at(30), &view(3, &[(0, 9)]));
    assert_eq!(lie, Err(Lie::BadEcho { number: 9, echo: 3000 }));
    let rounded = FeedbackView { echo: 4001, ..view(4, &[(0, 9)]) };
    assert!(sender.on_report(at(30), &rounded).is_ok());
}

#[test]
fn ranges_out_of_order_are_refused() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    for ranges in [&[][..], &[(9, 8)], &[(5, 9), (5, 5)], &[(2, 3), (8, 9)], &[(4, 9), (1, 4)]] {
        let echo = ranges.first().map_or(0, |&(_, high)| high / 2);
        assert_eq!(
            sender.on_report(at(30), &view(echo, ranges)),
            Err(Lie::Malformed),
            "{ranges:?}"
        );
    }
}

#[test]
fn room_bounds_what_is_in_flight_and_opens_again() {
    let mut sender = sender();
    sender.set_room(3 * 1200 + 100);
    let mut next = 0;
    for ms in 0..50 {
        if let Some(bytes) = sender.train_budget(at(ms)) {
            sender.on_sent(at(ms), next, (bytes / 1200) as u32, bytes as u64, false);
            next += bytes as u64 / 1200;
        }
    }
    assert_eq!((sender.in_flight(), next), (3600, 3));
    assert_eq!(sender.next_send_time(), None);
    let sent = sender.trains.find(2).unwrap().sent;
    let closed = FeedbackView { echo: sent.wire_micros(), room_bytes: 0, ..view(0, &[(0, 2)]) };
    sender.on_report(at(60), &closed).unwrap();
    assert_eq!((sender.train_budget(at(90)), sender.in_flight()), (None, 0));
    sender.on_report(at(95), &FeedbackView { room_bytes: 2400, ..closed }).unwrap();
    assert!(sender.train_budget(at(95)).is_some(), "the same numbers, but room");
}

#[test]
fn what_is_missing_is_lost_after_the_window_and_widens_it_when_late() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    let gap = [(4, 9), (0, 1)];
    let outcome = sender.on_report(at(24), &view(4, &gap)).unwrap();
    assert_eq!((outcome.newly_lost_bytes, sender.in_flight()), (0, 2400));
    assert_eq!(sender.next_timeout(), Some(at(29)), "a quarter of 20 ms later");
    sender.on_timer(at(29));
    assert_eq!(sender.in_flight(), 0);
    let outcome = sender.on_report(at(30), &view(4, &[(0, 9)])).unwrap();
    assert_eq!(outcome.newly_delivered_bytes, 0, "it was given up");

    send(&mut sender, 10, 5, 40);
    sender.on_report(at(64), &view(44, &[(14, 19), (0, 11)])).unwrap();
    assert_eq!(sender.next_timeout(), Some(at(74)), "the window doubled");
}

#[test]
fn control_packets_are_numbered_and_carry_no_bytes() {
    let mut sender = sender();
    sender.on_control_sent(at(0), 0);
    assert_eq!((sender.in_flight(), sender.next_timeout()), (0, None));
    sender.on_sent(at(1), 1, 1, 1200, true);
    let outcome = sender.on_report(at(25), &view(1, &[(0, 1)])).unwrap();
    assert_eq!(outcome.newly_delivered_bytes, 1200);
}

#[test]
fn a_client_that_says_data_came_at_once_does_not_raise_its_rate() {
    let mut sender = sender();
    // 2400 bytes each millisecond are sent; all reports come in one burst.
    send(&mut sender, 0, 100, 0);
    for n in 0..100 {
        sender.on_report(at(120), &view(n, &[(0, 2 * n + 1)])).unwrap();
    }
    assert!(sender.rate() <= Rate::new(2_400_000), "{:?}", sender.rate());
}

#[test]
fn a_new_path_begins_anew_and_old_lies_stay_lies() {
    let mut sender = sender();
    send(&mut sender, 0, 50, 0);
    for n in 0..40 {
        sender.on_report(at(n + 20), &view(n, &[(0, 2 * n + 1)])).unwrap();
    }
    assert!(sender.rate() > Rate::ZERO);
    sender.path_changed(at(100));
    assert_eq!((sender.rate(), sender.in_flight(), sender.window()), (Rate::ZERO, 0, 12_000));
    assert_eq!(sender.phase(), Phase::Startup);
    let lie = sender.on_report(at(101), &view(3, &[(0, 99)]));
    assert_eq!(lie, Err(Lie::BadEcho { number: 99, echo: 3000 }));
    let outcome = sender.on_report(at(101), &view(49, &[(0, 99)])).unwrap();
    assert_eq!(outcome, ReportOutcome::default(), "the old path's data is of no account");
}

#[test]
fn silence_slows_probes_and_stops() {
    let mut sender = sender();
    send(&mut sender, 0, 5, 0);
    let rate = sender.pacing_rate();
    let first = sender.next_timeout().unwrap();
    sender.on_timer(first);
    assert_eq!(sender.pacing_rate(), rate.halved(1));
    assert_eq!(sender.train_budget(first), Some(1200), "one datagram past the full window");
    sender.on_sent(first, 10, 1, 1200, false);
    assert_eq!(sender.train_budget(first + Duration::from_millis(100)), None);
    while let Some(next) = sender.next_timeout() {
        sender.on_timer(next);
    }
    assert!(sender.is_stopped() && sender.train_budget(at(5000)).is_none());
    assert!(sender.lost_trains_in_a_row() >= 5);
    sender.on_peer_packet(at(6000));
    assert!(!sender.is_stopped() && sender.train_budget(at(6000)).is_some());
}

/// Single datagrams with a message after each cannot be merged: the ring holds the last 512 records only.
#[test]
fn an_echo_that_cannot_be_checked_is_no_round_trip() {
    let mut sender = sender();
    for n in 0..300 {
        sender.on_sent(at(n), 2 * n, 1, 1200, false);
        sender.on_control_sent(at(n), 2 * n + 1);
    }
    assert!(sender.trains.find(2).is_none());
    let outcome = sender.on_report(at(310), &view(309, &[(2, 2)])).unwrap();
    assert_eq!(outcome.rtt_sample, None);
    let outcome = sender.on_report(at(311), &view(299, &[(598, 598)])).unwrap();
    assert_eq!(outcome.rtt_sample, Some(Duration::from_millis(12)));
}

#[test]
fn what_turns_up_late_is_not_delivered_a_second_time() {
    let mut sender = sender();
    // One datagram, and nineteen messages that are held back.
    sender.on_sent(at(0), 0, 1, 1200, false);
    (1..20).for_each(|n| sender.on_control_sent(at(0), n));
    sender.on_sent(at(1), 20, 1, 1200, false);
    sender.on_report(at(21), &view(1, &[(20, 20), (0, 0)])).unwrap();
    sender.on_timer(at(60));
    let delivered = sender.delivery.delivered;
    sender.on_report(at(61), &view(1, &[(0, 20)])).unwrap();
    assert_eq!((delivered, sender.delivery.delivered), (2400, 2400));
    assert_eq!(sender.reorder_shift, 0, "no data was late");
}

#[test]
fn a_hostile_report_never_panics() {
    let mut sender = sender();
    sender.on_sent(at(0), u64::MAX - 20, 10, 12_000, false);
    let extremes = [0, 1, u64::MAX - 20, u64::MAX - 11, u64::MAX - 1, u64::MAX];
    for low in extremes {
        for high in extremes {
            let view = FeedbackView {
                echo: u32::MAX,
                echo_delay: Duration::MAX,
                room_bytes: u64::MAX,
                ce_count: u32::MAX,
                ranges: &[(low, high), (0, low.wrapping_sub(2))],
            };
            let _ = sender.on_report(at(u64::MAX / 2_000_000), &view);
            let _ = sender.on_report(at(0), &FeedbackView { echo: 0, ..view });
        }
    }
}

/// Large datagrams on a short path: at the cap, one takes far longer than a round trip.
#[test]
fn a_cap_holds_where_a_datagram_takes_longer_than_a_round_trip() {
    const RTT: Duration = Duration::from_millis(1);
    const CAP: u64 = 100_000;
    let config = SenderConfig {
        initial_rtt: Some(RTT),
        datagram_bytes: 8952,
        rate_cap: Some(Rate::new(CAP)),
        skip_key: [7; 16],
    };
    let mut sender = Sender::new(Instant::ZERO, config);
    let (mut now, mut sequence, mut sent) = (Instant::ZERO, 0, 0);
    let end = Instant::ZERO + Duration::from_secs(10);
    while now < end {
        let Some(bytes) = sender.train_budget(now) else {
            now = sender.next_send_time().expect("nothing is in flight");
            continue;
        };
        if sender.should_skip(sequence) {
            sequence += 1;
        }
        let datagrams = (bytes / 8952) as u32;
        sender.on_sent(now, sequence, datagrams, bytes as u64, false);
        let (low, high) = (sequence, sequence + u64::from(datagrams) - 1);
        (sequence, sent) = (high + 1, sent + bytes as u64);
        let report = FeedbackView {
            echo: now.wire_micros(),
            echo_delay: Duration::ZERO,
            room_bytes: u64::MAX,
            ce_count: 0,
            ranges: &[(low, high)],
        };
        now += RTT;
        sender.on_report(now, &report).expect("an honest report");
    }
    // Ten seconds' worth, and the datagrams at both ends.
    assert!(sent <= 10 * CAP + 2 * 8952, "{sent} bytes in 10 s");
    assert!(sent >= 9 * CAP, "{sent} bytes in 10 s");
}
