//! Plans are what was asked for: numbers, spacing, bounds, and always the same.

use std::collections::BTreeMap;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn title(n: u8, segments: u32) -> Title {
    let (handle, segment_bytes) = (SetHandle(n.into()), 125_000);
    let length = u64::from(segments) * u64::from(segment_bytes);
    Title {
        set: SetId([n; 16]),
        handle,
        segments,
        segment_bytes,
        length,
        running_time: SECOND * segments,
    }
}

/// Viewers at 1 Mbit/s: a segment every second.
fn workload(arrivals: Arrivals) -> Workload {
    Workload {
        seed: 7,
        phases: vec![steady(100, 60)],
        sessions: 10,
        arrivals,
        pace: Pace::Bits(1_000_000),
        watch: None,
        zipf: 1.0,
        deadline: None,
        timeout: SECOND * 10,
        window: 8,
        verify_one_in: 1,
    }
}

fn steady(sessions: u32, seconds: u64) -> Phase {
    let duration = Duration::from_secs(seconds);
    Phase { kind: PhaseKind::Steady, duration, target: Target::Sessions(sessions) }
}

fn plan(workload: Workload) -> Plan {
    Plan::new(workload, vec![title(1, 20), title(2, 30)]).expect("a good workload")
}

/// Viewers at `at`.
fn present(plan: &Plan, at: Duration) -> usize {
    plan.viewings.iter().filter(|v| (v.at..v.until).contains(&at)).count()
}

#[test]
fn a_seed_gives_one_plan_and_another_seed_another() {
    let one = plan(workload(Arrivals::Poisson));
    assert_eq!(one.hash, plan(workload(Arrivals::Poisson)).hash);
    assert_eq!(one.hash.len(), 64);
    let other = plan(Workload { seed: 8, ..workload(Arrivals::Poisson) });
    assert_ne!(one.viewings, other.viewings);
    assert_ne!(one.hash, other.hash);
    let slower = plan(Workload { pace: Pace::Bits(999_999), ..workload(Arrivals::Poisson) });
    assert_ne!(one.hash, slower.hash, "the pace is part of it");
    let json = serde_json::to_value(&one).expect("JSON");
    assert_eq!((json["viewings"].as_u64(), json["end"].as_f64()), (Some(100), Some(60.0)));
    assert_eq!(json["titles"][0]["set"], "01".repeat(16));
}

#[test]
fn viewers_arrive_as_often_as_they_go_and_their_number_stays() {
    let watch = Some(SECOND * 5);
    let plan =
        plan(Workload { watch, phases: vec![steady(100, 300)], ..workload(Arrivals::Poisson) });
    // 100 at first, then 20 a second: 6000 expected, standard deviation 77.
    let later = plan.viewings.iter().filter(|v| v.at > SECOND).count() as f64;
    assert!((later - 20.0 * 299.0).abs() < 400.0, "{later}");
    for second in 2..300 {
        assert_eq!(present(&plan, SECOND * second), 100);
    }
    // Exponential: a standard deviation like the mean.
    let gaps: Vec<f64> =
        plan.viewings.windows(2).map(|w| (w[1].at - w[0].at).as_secs_f64()).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let spread = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((spread.sqrt() / mean - 1.0).abs() < 0.1, "{}", spread.sqrt() / mean);
}

#[test]
fn fixed_viewers_ask_once_in_a_playing_time_each_in_his_turn() {
    let plan = plan(workload(Arrivals::Fixed));
    assert_eq!(plan.viewings[50].at - plan.viewings[49].at, SECOND / 100);
    let one = &plan.viewings[49];
    assert_eq!(plan.time_of(one, 3), Some(one.at + SECOND * 3));
    assert_eq!(plan.time_of(one, 60), None, "the run is over");
    let segments = plan.titles[usize::from(one.title)].segments;
    assert_eq!(plan.segment_of(one, 3), (one.first + 3) % segments);
    assert_eq!(plan.deadline(0), SECOND * 2);
}

#[test]
fn live_viewers_ask_for_one_segment_at_one_time() {
    let jitter = SECOND / 10;
    let plan = plan(Workload { watch: Some(SECOND * 4), ..workload(Arrivals::Aligned { jitter }) });
    let mut at_boundaries = 0;
    for viewing in &plan.viewings {
        let times = (1..).map_while(|k| Some((k, plan.time_of(viewing, k)?)));
        assert_eq!(plan.count_of(viewing), Some(times.clone().count() as u32 + 1));
        for (k, at) in times {
            let after = Duration::from_nanos(at.subsec_nanos().into());
            assert!(after <= jitter, "{at:?}");
            let segments = u64::from(plan.titles[usize::from(viewing.title)].segments);
            assert_eq!(u64::from(plan.segment_of(viewing, k)), at.as_secs() % segments);
            at_boundaries += 1;
        }
    }
    assert!(at_boundaries > 3000, "{at_boundaries}");
    assert!(plan.viewings.iter().take(100).all(|v| v.at <= jitter), "they begin together");
}

#[test]
fn phases_bring_viewers_and_let_them_go() {
    let phase = |kind, sessions| Phase { kind, ..steady(sessions, 10) };
    let phases = vec![
        phase(PhaseKind::Ramp, 100),
        phase(PhaseKind::Steady, 100),
        phase(PhaseKind::Overload, 150),
        phase(PhaseKind::Recovery, 100),
        phase(PhaseKind::Ramp, 50),
    ];
    for arrivals in [Arrivals::Fixed, Arrivals::Poisson] {
        let plan = plan(Workload { phases: phases.clone(), ..workload(arrivals) });
        let at = |tenths: u32| present(&plan, SECOND * tenths / 10);
        assert!((40..=60).contains(&at(50)), "half-way up: {}", at(50));
        assert_eq!([at(150), at(250), at(350)], [100, 150, 100]);
        assert!((70..=80).contains(&at(450)), "half-way down: {}", at(450));
        let phase_at = |second| plan.phase_at(SECOND * second);
        assert_eq!([phase_at(0), phase_at(10), phase_at(39), phase_at(70)], [0, 1, 3, 4]);
        let seats: BTreeMap<u32, usize> = plan.viewings.iter().map(|v| (v.seat, 0)).collect();
        assert_eq!(seats.len(), 150, "keys are used again");
    }
}

#[test]
fn requests_come_at_their_rate_spread_over_sessions_and_titles() {
    let phase = |kind, rate, seconds| Phase {
        kind,
        target: Target::RequestsPerSecond(rate),
        ..steady(1, seconds)
    };
    let phases = vec![phase(PhaseKind::Ramp, 200.0, 20), phase(PhaseKind::Steady, 200.0, 100)];
    for (arrivals, tolerance) in [(Arrivals::Poisson, 500.0), (Arrivals::Fixed, 2.0)] {
        let pace = Pace::Full;
        let plan = plan(Workload { phases: phases.clone(), pace, ..workload(arrivals) });
        let within = |from: u64, to: u64| {
            let (from, to) =
                (plan.begins[0] + SECOND * from as u32, plan.begins[0] + SECOND * to as u32);
            plan.requests.iter().filter(|r| (from..to).contains(&r.at)).count() as f64
        };
        assert!((within(20, 120) - 20_000.0).abs() < tolerance, "{}", within(20, 120));
        assert!((within(0, 10) - 500.0).abs() < tolerance.min(100.0), "{}", within(0, 10));
        assert!((within(10, 20) - 1500.0).abs() < tolerance.min(150.0), "{}", within(10, 20));
        let first = plan.requests.iter().filter(|r| r.title == 0).count() as f64;
        let share = first / plan.requests.len() as f64;
        assert!((share - 2.0 / 3.0).abs() < 0.02, "Zipf with exponent 1: {share}");
        assert_eq!(plan.viewings.len(), 10);
        assert!(plan.viewings.iter().all(|v| v.at < plan.begins[0]));
        assert!(plan.requests.iter().all(|r| r.seat < 10 && r.segment < 30));
        assert!(plan.requests.is_sorted_by_key(|r| r.at));
    }
}

#[test]
fn what_cannot_be_planned_is_refused_with_its_value() {
    let refuse = |change: &dyn Fn(&mut Workload), message: &str| {
        let mut workload = workload(Arrivals::Fixed);
        change(&mut workload);
        let error = Plan::new(workload, vec![title(1, 20)]).expect_err(message).to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    };
    refuse(&|w| w.phases.clear(), "0 phases: 1 to 16");
    refuse(&|w| w.phases[0].duration = Duration::ZERO, "each needs some time");
    refuse(&|w| w.phases[0].target = Target::Sessions(0), "phase 1: 0 sessions");
    refuse(
        &|w| w.phases.push(Phase { target: Target::RequestsPerSecond(1.0), ..steady(1, 1) }),
        "@100/s",
    );
    refuse(&|w| w.pace = Pace::Bits(7), "7 bit/s: at least 1000");
    refuse(&|w| w.zipf = f64::NAN, "Zipf exponent of NaN");
    refuse(&|w| w.timeout = Duration::ZERO, "1 ms to 10 minutes");
    refuse(&|w| w.deadline = Some(SECOND * 11), "at most the timeout");
    refuse(&|w| w.window = 65, "65 requests under way");
    refuse(&|w| w.verify_one_in = 0, "1 (all of them) or more");
    refuse(&|w| w.watch = Some(SECOND / 2), "at least one segment's playing time");
    refuse(
        &|w| w.arrivals = Arrivals::Aligned { jitter: SECOND },
        "less than a segment's playing time",
    );
    refuse(
        &|w| (w.arrivals, w.pace) = (Arrivals::Aligned { jitter: SECOND }, Pace::Full),
        "give a bit rate",
    );
    let untimed = Title { running_time: Duration::ZERO, ..title(1, 20) };
    let playing = Workload { pace: Pace::Playing, ..workload(Arrivals::Fixed) };
    let error = Plan::new(playing.clone(), vec![untimed]).expect_err("no running time");
    assert!(error.to_string().contains("packed without its running time"), "{error}");
    let plan = Plan::new(playing, vec![title(1, 20)]).expect("20 segments of a second");
    assert_eq!(plan.titles[0].cadence(Pace::Playing), Some(SECOND));
    assert_eq!(Plan::new(workload(Arrivals::Fixed), vec![]).unwrap_err(), PlanError::Titles(0));
    let empty = Plan::new(workload(Arrivals::Fixed), vec![title(1, 0)]).unwrap_err();
    assert_eq!(empty, PlanError::Empty(SetId([1; 16])));
}
