//! Every liar beside an honest session and beside CUBIC: what it gets, beside what an honest client gets in its place.
//!
//! `SEGCAST_FULL=1`: at 10, 40 and 100 ms, for longer and with more seeds.

use super::liar::Lie;
use super::link::{LinkConfig, Nanos};
use super::sim::{Flow, Sim};
use super::{MS, SECOND};

/// No liar may get more of the link than this times what an honest client gets in its place, or than this times half.
const GAIN_MAX: f64 = 1.1;

/// How often it is looked whether a liar was caught.
const STEP: Nanos = 10 * MS;

/// Where the liars are tried.
struct World {
    link: LinkConfig,
    seeds: std::ops::RangeInclusive<u64>,
    seconds: Nanos,
}

fn worlds() -> Vec<World> {
    if std::env::var_os("SEGCAST_FULL").is_none() {
        return vec![World { link: LinkConfig::new(20.0, 20.0), seeds: 1..=12, seconds: 25 }];
    }
    let full = |rtt| World { link: LinkConfig::new(100.0, rtt), seeds: 1..=5, seconds: 60 };
    [10.0, 40.0, 100.0].map(full).into()
}

/// Bytes that arrive of both flows after 5 s, until the end or until the first one is caught.
fn received(link: LinkConfig, seed: u64, seconds: Nanos, flows: [Flow; 2]) -> [u64; 2] {
    let mut sim = Sim::new(link, seed, flows.into());
    sim.run(5 * SECOND);
    let bytes = |sim: &Sim| [0, 1].map(|flow: usize| sim.flows[flow].received());
    let before = bytes(&sim);
    let mut after = before;
    while sim.now < seconds * SECOND && !sim.flows[0].is_caught() {
        sim.run(sim.now + STEP);
        after = bytes(&sim);
    }
    [0, 1].map(|flow| after[flow] - before[flow])
}

/// What `first` makes gets of what arrives with all seeds, beside an honest session and beside CUBIC; `None`: it was
/// caught within 5 s each time.
fn shares(world: &World, first: impl Fn(Nanos, u8) -> Flow) -> [Option<f64>; 2] {
    [false, true].map(|is_cubic| {
        let World { link, seconds, seeds } = world;
        let received = |seed: u64| {
            let key = seed as u8 * 20;
            let other = if is_cubic { Flow::cubic() } else { Flow::segcast(link.rtt, key + 1) };
            received(*link, seed, *seconds, [first(link.rtt, key), other])
        };
        let add = |sum: [u64; 2], bytes: [u64; 2]| [sum[0] + bytes[0], sum[1] + bytes[1]];
        let [first, second] = seeds.clone().map(received).fold([0; 2], add);
        (first + second > 0).then(|| first as f64 / (first + second) as f64)
    })
}

fn honest(world: &World) -> [f64; 2] {
    shares(world, Flow::segcast).map(|share| share.expect("honest"))
}

/// Whether what a liar got is more than it may, beside what is `fair`.
fn is_too_much(got: [Option<f64>; 2], fair: [f64; 2]) -> bool {
    got.iter().zip(fair).any(|(got, fair)| got.is_some_and(|got| got > fair.max(0.5) * GAIN_MAX))
}

fn try_out(world: &World, lies: &[Lie]) {
    let fair = honest(world);
    println!("{:?}: honest {fair:.3?}", world.link);
    let mut too_much = Vec::new();
    for &lie in lies {
        let got = shares(world, |rtt, key| Flow::lying(rtt, key, lie));
        println!("{lie:?}: {got:.3?}");
        if is_too_much(got, fair) {
            too_much.push((lie, got));
        }
    }
    assert!(too_much.is_empty(), "{too_much:.3?} of {fair:.3?}");
}

#[test]
fn no_lie_pays_beside_an_honest_session_and_beside_cubic() {
    for world in worlds() {
        let rtt = world.link.rtt;
        try_out(
            &world,
            &[
                Lie::All,
                Lie::WithinTrains,
                Lie::Often,
                Lie::Ahead(1),
                Lie::Ahead(64),
                Lie::Echo(-50_000),
                Lie::Echo(50_000),
                Lie::Held(rtt / 2),
                Lie::Held(rtt - MS / 10),
                Lie::Parts(1, MS),
                Lie::Parts(16, rtt / 5),
                Lie::Parts(16, rtt),
                Lie::Parts(64, 3 * rtt),
                Lie::LateControl,
            ],
        );
    }
}

/// A client that tells everything late cannot be told from one that is far away, and gets no more than that one does.
#[test]
fn who_reports_late_gets_what_a_longer_path_gives() {
    for world in worlds() {
        for late in [1, 4, 10].map(|times| times * world.link.rtt) {
            let far = shares(&world, |rtt, key| Flow::far(rtt, key, late))
                .map(|share| share.expect("honest"));
            let got = shares(&world, |rtt, key| Flow::lying(rtt, key, Lie::Late(late)));
            println!("{:?}, {} ms more: far {far:.3?}, late {got:.3?}", world.link, late / MS);
            assert!(!is_too_much(got, far), "{got:?} of {far:?}");
        }
    }
}

/// Reports come so late that more is in flight than the server remembers skips for.
#[test]
fn nothing_is_gained_by_what_the_server_has_forgotten() {
    let link = LinkConfig::new(400.0, 10.0);
    let sent_to = |lie| {
        let mut sim = Sim::new(link, 1, vec![Flow::lying(link.rtt, 20, lie)]);
        sim.run(12 * SECOND);
        sim.link.offered as f64 / 12.0 / link.rate
    };
    let (late, lying) = (sent_to(Lie::Late(400 * MS)), sent_to(Lie::LateAndAll(400 * MS)));
    println!("sent, of the link's rate: late {late:.2}, lying {lying:.2}");
    assert!(lying < GAIN_MAX * late, "{lying} of the link, {late} without the lie");
}

/// Marks that are hidden cannot be seen to be missing: whoever hides them gets what a client has that cannot read them,
/// beside CUBIC as much as where there are none.
#[test]
fn hidden_marks_leave_a_cubic_flow_its_share() {
    for mut world in worlds() {
        let unmarked = honest(&world);
        world.link.mark_above = world.link.buffer / 4.0;
        let fair = honest(&world);
        let got = shares(&world, |rtt, key| Flow::lying(rtt, key, Lie::Marks));
        println!("{:?}: honest {fair:.3?}, hiding {got:.3?}", world.link);
        let [_, beside_cubic] = got;
        assert!(!is_too_much([None, beside_cubic], unmarked), "{got:?} of {unmarked:?}");
    }
}
