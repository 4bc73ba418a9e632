//! What could not be done better by anybody who knows no arrival before it happens and needs no time to send: each segment
//! is sent when the most urgent of those who lack it needs it, to all who are there.

use super::crowd::Crowd;
use super::plan::{Plan, SEGMENTS, deadline};

/// Sends in the time that counts.
pub(super) fn sends(plan: &Plan, crowd: &Crowd) -> u64 {
    let window = plan.from()..plan.from() + plan.window();
    let mut sends = 0;
    let mut lacking = Vec::new();
    for segment in 0..SEGMENTS {
        lacking.clear();
        let viewers = crowd.0.iter().filter(|viewer| viewer.first <= segment);
        lacking.extend(viewers.map(|viewer| {
            let due = deadline(viewer.at, viewer.first, segment);
            (due, viewer.at)
        }));
        lacking.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut last = f64::NEG_INFINITY;
        for (due, came) in &lacking {
            if *came > last {
                last = *due;
                sends += u64::from(window.contains(due));
            }
        }
    }
    sends
}

#[cfg(test)]
mod tests {
    use super::super::crowd::Arrival;
    use super::*;

    fn sends_for(arrivals: &[(f64, u32)]) -> u64 {
        let arrivals = arrivals.iter().map(|&(at, first)| Arrival { at, first });
        sends(&Plan::crowd(2), &Crowd(arrivals.collect()))
    }

    #[test]
    fn who_is_there_before_it_is_due_shares_it() {
        let all = u64::from(SEGMENTS);
        assert_eq!(sends_for(&[(0.0, 0)]), all);
        assert_eq!(sends_for(&[(0.0, 0), (1.9, 0)]), all);
        // What was due before the second came is sent again: two segments.
        let again = sends_for(&[(0.0, 0), (5.0, 0)]) - all;
        assert_eq!(again, 2);
        // Who begins at the end needs the last one at once, and who will need it in two hours is there.
        assert_eq!(sends_for(&[(0.0, 0), (0.1, SEGMENTS - 1)]), all);
    }
}
