//! The rate that a sender keeps to.

use super::*;

/// Large datagrams on a short path: at the cap, one takes far longer than a round trip.
#[test]
fn a_cap_holds_where_a_datagram_takes_longer_than_a_round_trip() {
    const RTT: Duration = Duration::from_millis(1);
    const CAP: u64 = 100_000;
    let config = SenderConfig {
        initial_rtt: Some(RTT),
        datagram_bytes: 8952,
        rate_cap: Some(CAP),
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
