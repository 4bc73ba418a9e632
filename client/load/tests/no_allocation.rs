//! What a thread records of a segment allocates nothing, once each cause has come up: figures of memory and time are then
//! the program's, not the records'.

use segcast_lab::counting_allocator::{CountingAllocator, assert_no_allocation};
use segcast_load::record::{Class, Failure, Interval, Unoffered};
use segcast_proto::time::Duration;
use segcast_proto::wire::code::Code;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn segment(interval: &mut Interval, class: Class, time: Duration) {
    let ledger = &mut interval.ledger;
    ledger.intended += 3;
    ledger.complete += 1;
    *ledger.refused.entry(Code::Busy).or_default() += 1;
    *ledger.failed.entry(Failure::SessionLost).or_default() += 1;
    *ledger.never_offered.entry(Unoffered::SessionFull).or_default() += 1;
    let times = interval.times.class_mut(class);
    times.send_lag.record(time / 100);
    for pair in [&mut times.ttfb, &mut times.ttlb] {
        pair.service.record(time);
        pair.response.record(time * 2);
    }
    interval.playout.startup.record(time);
}

#[test]
fn recording_allocates_nothing() {
    let mut interval = Interval::default();
    segment(&mut interval, Class::Start, Duration::from_millis(1));
    let mut sum = Interval::default();
    sum.ledger.add(&interval.ledger);
    assert_no_allocation("records of a million segments and their sums", || {
        for n in 0..1_000_000_u64 {
            let class = if n % 7 == 0 { Class::Start } else { Class::Next };
            segment(&mut interval, class, Duration::from_nanos(n * n));
        }
        sum.times.add(&interval.times);
        sum.ledger.add(&interval.ledger);
        sum.wire += interval.wire;
        sum.playout.add(&interval.playout);
        sum.health += interval.health;
        interval.times.clear();
        interval.playout.clear();
    });
    assert_eq!(sum.ledger.complete, 1_000_002);
    assert_eq!(sum.times.start.send_lag.histogram().len(), 142_858 + 1);
}
