//! Viewers in virtual time: who gets everything in time, too late, or had some of it before.

use super::*;

const START_UP: Duration = Duration::from_secs(2);
const BEGUN: Instant = Instant::from_nanos(100_000_000_000);

/// `seconds` after the beginning of the fetch.
fn at(seconds: f64) -> Instant {
    BEGUN + Duration::from_secs_f64(seconds)
}

/// A title of `segments` of 3 s each.
fn playout(segments: u32, seed: u64) -> Playout {
    let running_time = Duration::from_secs(3) * segments;
    Playout::new(running_time, Bitmap::new(segments), BEGUN, START_UP, seed)
}

/// When each segment is asked for, in steps of 10 ms, if it is there `takes` after that.
fn watch(playout: &mut Playout, takes: Duration) -> Vec<(u32, Instant)> {
    let mut asked = Vec::new();
    let mut coming = BTreeSet::new();
    let mut now = BEGUN;
    while asked.len() < playout.segments as usize || !coming.is_empty() {
        while let Some((segment, deadline)) = playout.take_due(now) {
            assert_eq!(deadline, playout.deadline(segment));
            asked.push((segment, now));
            coming.insert((now + takes, segment));
        }
        while let Some(first) = coming.first().copied().filter(|(at, _)| *at <= now) {
            coming.remove(&first);
            playout.arrived(now, first.1);
        }
        now += Duration::from_millis(10);
    }
    asked
}

#[test]
fn the_reserve_is_a_tenth_of_what_was_played_and_at_most_half_a_minute() {
    let playout = playout(1000, 1);
    assert_eq!(playout.deadline(0), at(2.0));
    assert_eq!(playout.deadline(10), at(2.0 + 27.0));
    assert_eq!(playout.deadline(100), at(2.0 + 270.0));
    assert_eq!(playout.deadline(500), at(2.0 + 1470.0));
}

#[test]
fn segments_are_asked_for_8_to_16_s_ahead_each_once() {
    let mut playout = playout(500, 1);
    let asked = watch(&mut playout, Duration::from_millis(500));
    let mut numbers: Vec<_> = asked.iter().map(|(segment, _)| *segment).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    let mut ahead = Vec::new();
    for (segment, at) in asked.into_iter().filter(|(segment, _)| *segment > 5) {
        let left = playout.deadline(segment).saturating_since(at).as_secs_f64();
        assert!((7.98..=16.0).contains(&left), "segment {segment}: {left} s");
        ahead.push(left);
    }
    let mean = ahead.iter().sum::<f64>() / ahead.len() as f64;
    assert!((11.0..13.0).contains(&mean), "{mean} s");
    let PlayReport { start_up_us, stalls, missed, deadlines, .. } = playout.report();
    assert_eq!((start_up_us, stalls, missed, deadlines), (2_000_000, 0, 0, 500));
}

#[test]
fn the_same_seed_asks_at_the_same_times() {
    let times = |seed| watch(&mut playout(50, seed), Duration::ZERO);
    assert_eq!(times(7), times(7));
    assert_ne!(times(7), times(8));
}

#[test]
fn a_first_segment_that_is_late_delays_the_start_and_nothing_else() {
    let mut playout = playout(3, 1);
    playout.arrived(at(5.0), 0);
    playout.arrived(at(7.9), 1);
    playout.arrived(at(8.0), 2);
    let report = playout.report();
    assert_eq!((report.start_up_us, report.stalls, report.stalled_us), (5_000_000, 0, 0));
    // Segment 0, and segment 1 because of its tenth of 3 s.
    assert_eq!(report.missed, 2);
}

#[test]
fn the_picture_stands_still_until_what_is_missing_comes() {
    let mut playout = playout(4, 1);
    playout.arrived(at(1.0), 0);
    // Segment 1 would play at 5 s.
    playout.arrived(at(6.0), 2);
    playout.arrived(at(7.5), 1);
    // All after it play 2.5 s later: segment 3 at 13.5 s.
    playout.arrived(at(13.4), 3);
    let report = playout.report();
    assert_eq!((report.start_up_us, report.stalls, report.stalled_us), (2_000_000, 1, 2_500_000));
    assert_eq!(report.missed, 2, "segment 1, and segment 3 by its reserve");
}

#[test]
fn what_an_earlier_fetch_left_is_not_asked_for_unless_it_fails_the_check() {
    let mut there = Bitmap::new(4);
    (0..3).for_each(|segment| assert!(there.insert(segment)));
    let mut playout = Playout::new(Duration::from_secs(4), there, BEGUN, START_UP, 1);
    assert_eq!(playout.take_due(BEGUN), Some((3, at(2.0 + 2.7))));
    assert_eq!(playout.take_due(BEGUN), None);
    playout.recheck_failed(1);
    playout.arrived(at(4.0), 1);
    playout.arrived(at(4.0), 3);
    let report = playout.report();
    assert_eq!((report.stalls, report.stalled_us, report.deadlines), (1, 1_000_000, 2));
}
