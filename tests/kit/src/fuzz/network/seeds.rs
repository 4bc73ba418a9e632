//! Runs that a fuzzer of both ends begins with: transfers over a good network, and one of each kind of trouble.

use super::Op;
use crate::fuzz::script::Steps;
use crate::fuzz::seed::Seed;

fn begin(cookies: u8) -> Steps {
    Steps::new().byte(cookies).byte(100).byte(0).byte(100).byte(1).byte(0)
}

fn op(steps: Steps, op: Op) -> Steps {
    steps.byte(op as u8)
}

fn fetch(steps: Steps, handle: u8, object: u8) -> Steps {
    op(steps, Op::Fetch).byte(handle).byte(object)
}

fn flow(steps: Steps, turns: u8) -> Steps {
    op(steps, Op::Flow).byte(turns)
}

fn wait(steps: Steps, power: u8) -> Steps {
    op(steps, Op::Wait).byte(power)
}

/// Transfers over a good network, and one of each kind of trouble.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let all = |steps: Steps| (0..5).fold(steps, |steps, object| fetch(steps, 0, object));
    let lossy = (0..12).fold(flow(all(begin(0)), 2), |steps, at| {
        let steps = op(op(steps, Op::Lose).byte(at), Op::Lose).byte(at * 2);
        wait(flow(steps, 1), 8)
    });
    let reordered = (0..8).fold(flow(all(begin(0)), 2), |steps, at| {
        op(wait(steps, 7), Op::Deliver).byte(6).bytes(&[at * 3, 5, 1, 7, 2, 2, 0])
    });
    let repeated = (0..8).fold(flow(fetch(begin(0), 0, 0), 2), |steps, at| {
        flow(op(op(steps, Op::Repeat).byte(at), Op::Repeat).byte(0), 1)
    });
    let altered = (0..8).fold(flow(fetch(begin(0), 0, 0), 2), |steps, at| {
        flow(op(steps, Op::Alter).byte(at).patch(&[(at.into(), 1), (40, 4)]), 1)
    });
    let moved = flow(op(flow(all(begin(0)), 3), Op::Move).byte(1), 4);
    let restarted = flow(op(flow(all(begin(0)), 3), Op::Restart), 30);
    let cold = flow(all(op(op(begin(0), Op::Cold).byte(0), Op::Cold).byte(4)), 6);
    let spoofed = op(flow(fetch(begin(0), 0, 0), 2), Op::Pulse).byte(0).byte(0);
    let spoofed = flow(op(spoofed, Op::Spoof).byte(0), 3);
    let room = op(op(flow(fetch(begin(0), 0, 0), 2), Op::Room).number(0), Op::Room).number(1 << 20);
    let refused = fetch(fetch(fetch(begin(0), 1, 0), 2, 0), 0, 5);
    [
        ("transfer", all(begin(0))),
        ("cookie", fetch(begin(1), 0, 0)),
        ("flow", flow(all(begin(0)), 20)),
        ("lossy", lossy),
        ("reordered", reordered),
        ("repeated", repeated),
        ("altered", altered),
        ("moved", moved),
        ("restarted", restarted),
        ("cold", cold),
        ("spoofed", spoofed),
        ("room", flow(room, 3)),
        ("refused", flow(refused, 3)),
        ("cancelled", flow(op(flow(all(begin(0)), 3), Op::Cancel).byte(0), 3)),
        ("late", wait(wait(flow(all(begin(0)), 3), 17), 17)),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
