//! Byte accounting, merging, echoes and vanished trains.

use super::*;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

fn push(trains: &mut Trains, first: u64, count: u64, sent: u64) {
    trains.push((first, count), count * 1200, 1200, at(sent), Snapshot::default());
}

fn settle(trains: &mut Trains, low: u64, high: u64, delivered: bool) -> u64 {
    let mut bytes = 0;
    trains.settle((low, high), delivered, |taken| bytes += taken.bytes);
    bytes
}

#[test]
fn the_bytes_of_a_train_add_up_however_it_is_settled() {
    let mut trains = Trains::new(1200);
    trains.push((0, 7), 6 * 1200 + 17, 1200, at(0), Snapshot::default());
    push(&mut trains, 8, 4, 1);
    let parts = settle(&mut trains, 0, 2, true)
        + settle(&mut trains, 4, 5, false)
        + settle(&mut trains, 6, 8, true)
        + settle(&mut trains, 3, 3, true);
    assert_eq!(parts, 6 * 1200 + 17 + 1200);
    assert_eq!(settle(&mut trains, 7, 7, true), 0, "a skipped number has no bytes");
    assert_eq!(settle(&mut trains, 100, u64::MAX, true), 0);
}

#[test]
fn a_full_ring_merges_and_loses_no_byte() {
    let mut trains = Trains::new(1200);
    let count = 5 * KEPT as u64;
    for n in 0..count {
        push(&mut trains, n * 2, 2, n * 100);
    }
    assert!(trains.ring.len() <= KEPT);
    assert_eq!(trains.ring.capacity(), VecDeque::<Train>::with_capacity(KEPT).capacity());
    let oldest = trains.find(1).unwrap();
    assert!(oldest.was_sent_at(0) && oldest.was_sent_at(100) && !oldest.was_sent_at(100_000));
    assert_eq!(settle(&mut trains, 0, count * 2 - 1, true), count * 2 * 1200);
}

#[test]
fn settled_records_make_room_first() {
    let mut trains = Trains::new(1200);
    for n in 0..KEPT as u64 {
        push(&mut trains, n, 1, n);
    }
    settle(&mut trains, 0, KEPT as u64 - 10, true);
    push(&mut trains, KEPT as u64, 1, 0);
    assert_eq!(trains.ring.len(), KEPT / 2 + 1);
    assert!(trains.ring.iter().all(|train| train.count == 1));
    assert!(trains.find(0).is_none());
}

#[test]
fn an_echo_may_be_off_by_one_unit_and_wraps() {
    let mut trains = Trains::new(1200);
    push(&mut trains, 0, 1, 1 << 32);
    let train = trains.find(0).unwrap();
    for echo in [u32::MAX, 0, 1] {
        assert!(train.was_sent_at(echo), "{echo}");
    }
    assert!(!train.was_sent_at(2) && !train.was_sent_at(u32::MAX - 1));
}

#[test]
fn only_whole_trains_after_the_last_arrival_count_as_vanished() {
    let mut trains = Trains::new(1440);
    for n in 0..6 {
        trains.push((n * 2, 2), 2880, 1440, at(n), Snapshot::default());
    }
    settle(&mut trains, 0, 1, false);
    assert_eq!(trains.vanished(None), 1);
    settle(&mut trains, 3, 3, true);
    assert_eq!(trains.vanished(None), 0);
    settle(&mut trains, 2, 2, false);
    assert_eq!(trains.vanished(None), 0, "half of it arrived");
    settle(&mut trains, 4, 9, false);
    assert_eq!(trains.vanished(None), 3);
    assert_eq!(trains.vanished(Some(at(5))), 4, "and one is not heard of");
    trains.watch(1200);
    assert_eq!(trains.vanished(Some(at(5))), 0);
}

#[test]
fn a_search_finds_the_same_from_wherever_it_begins() {
    let mut trains = Trains::new(1200);
    (0..37).for_each(|n| push(&mut trains, n * 10, 9, n));
    // Miri takes a second for each.
    for near in (0..40).step_by(if cfg!(miri) { 13 } else { 1 }) {
        trains.near = near;
        for number in 0..380 {
            let found = trains.find(number).map(|train| train.first);
            let expected = Some(number / 10 * 10).filter(|_| number < 370 && number % 10 != 9);
            assert_eq!(found, expected, "{number} from {near}");
        }
    }
}
