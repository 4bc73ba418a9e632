//! A viewer whose edge never answers: everything he intends has an end all the same.

use std::collections::BTreeMap;

use segcast_client::access::{Access, EdgeAddress};
use segcast_keys::grant::Grant;
use segcast_proto::ids::{SetHandle, SetId};
use segcast_proto::time::{Duration, Instant};

use super::exchange::Desk;
use super::setting::Setting;
use super::tally::Tally;
use super::viewer::Viewer;
use super::{Observer, RunConfig, Subject};
use crate::plan::{Pace, Phase, PhaseKind, Plan, Target, Title, Workload};
use crate::record::{Interval, Ledger, Unoffered};

const SECOND: Duration = Duration::from_secs(1);

/// One viewer for a minute, who asks once a second for what he needs two seconds later.
fn plan(pace: Pace) -> Plan {
    let (kind, target) = (PhaseKind::Steady, Target::Sessions(1));
    let phase = Phase { kind, duration: SECOND * 60, target };
    let workload = Workload {
        seed: 1,
        pace,
        deadline: Some(SECOND * 2),
        window: 2,
        ..Workload::at_full_speed(vec![phase], 1, SECOND * 10)
    };
    let (set, length, running_time) = (SetId([1; 16]), 1_250_000, SECOND * 10);
    let title = Title {
        set,
        handle: SetHandle::FIRST,
        segments: 10,
        segment_bytes: 125_000,
        length,
        running_time,
    };
    Plan::new(workload, vec![title]).expect("a good workload")
}

#[derive(Default)]
struct Sum(Ledger);

impl Observer for Sum {
    fn interval(&mut self, interval: &Interval) {
        self.0.add(&interval.ledger);
    }
}

/// Lets the viewer live until `stop`, then ends the run; gives the ledger.
fn ledger(pace: Pace, stop: Duration) -> Ledger {
    let plan = plan(pace);
    let secret = zeroize::Zeroizing::new([3; 32]);
    let grant = Grant {
        token: vec![1; 100],
        center_key: [2; 32],
        titles: Vec::new(),
        client_secret: Some(secret),
    };
    let access = [Access::new(grant, None).expect("a secret")];
    let edge = EdgeAddress { address: ([127, 0, 0, 1], 9).into(), public_key: [9; 32] };
    let subject = Subject { edge, manifests: &[], access: &access };
    let config = RunConfig::default();
    let begin = Instant::from_nanos(1_000_000_000);
    let setting = Setting::new(&plan, &subject, &config, begin);
    let mut desk = Desk::new(1, 1);
    let mut tally = Tally::new(desk.thread(0, 1), 1, begin, begin);
    desk.close();
    let session = setting.session(0, 0).expect("a session");
    let mut viewer = Viewer::new(&setting, plan.viewings[0], (session, 0), begin, &mut tally);
    let mut now = begin;
    let mut turns = 0;
    while now < begin + stop {
        viewer.on_time(&setting, (now, now), &mut tally);
        viewer.work(&setting, now, &mut tally);
        if viewer.has_left() {
            break;
        }
        let mut buffer = [0; 2048];
        while viewer.session.poll_transmit(now, &mut buffer).is_some() {}
        let due = viewer.due();
        assert!(due > now, "it would be looked at again and again at {now:?}");
        now = due;
        turns += 1;
    }
    assert!(turns < 1000, "{turns} turns for a minute of nothing");
    viewer.stop(now, &mut tally);
    viewer.work(&setting, now, &mut tally);
    assert!(viewer.has_left());
    tally.finish(now);
    let mut sum = Sum::default();
    desk.collect(&mut sum);
    assert_eq!(sum.0.in_flight(), 0, "{:?}", sum.0);
    sum.0
}

#[test]
fn what_an_edge_that_never_answers_is_not_asked_is_counted() {
    let ledger = ledger(Pace::Bits(1_000_000), SECOND * 100);
    assert_eq!(ledger.intended, 60);
    assert_eq!(ledger.never_offered, BTreeMap::from([(Unoffered::NoSession, 60)]));
}

#[test]
fn what_waits_when_the_run_is_stopped_says_so() {
    let ledger = ledger(Pace::Bits(1_000_000), SECOND * 5 + SECOND / 2);
    let ends = [(Unoffered::NoSession, 4), (Unoffered::Stopped, 2)];
    assert_eq!(ledger.never_offered, BTreeMap::from(ends), "two are not late yet");
}

#[test]
fn at_full_speed_an_edge_that_never_answers_is_not_asked_again_and_again() {
    let ledger = ledger(Pace::Full, SECOND * 100);
    // Two places; the handshake lasts ten seconds, and what waits for it two.
    assert!((2..=20).contains(&ledger.intended), "{ledger:?}");
    assert_eq!(ledger.never_offered.keys().collect::<Vec<_>>(), [&Unoffered::NoSession]);
}
