//! Runs that a fuzzer of the server begins with: whole sessions, and one of each kind of trouble.

use super::Op;
use crate::fuzz::script::Steps;
use crate::fuzz::seed::Seed;

/// Two shards or one, and limits that leave room.
fn world(shards: u8, cookies: u8) -> Steps {
    let steps = Steps::new().byte(shards - 1).byte(cookies).byte(7).byte(7).byte(3).byte(60);
    steps.byte(200).byte(200).byte(0).byte(2)
}

fn op(steps: Steps, op: Op) -> Steps {
    steps.byte(op as u8)
}

/// A HELLO of client `key` from address `from` with a good token.
fn hello(steps: Steps, key: u8, from: u8) -> Steps {
    let steps = op(steps, Op::Hello).byte(key).byte(from).byte(0).byte(0).patch(&[]);
    steps.byte(0).short(8952).short(20_000).byte(200)
}

/// The frame of segment `object`, with `offset` as its offset or id.
fn frame(steps: Steps, object: u8, offset: u64) -> Steps {
    steps.byte(object).byte(0).number(offset)
}

fn pulse(steps: Steps, viewer: u8) -> Steps {
    frame(op(steps, Op::Pulse).byte(viewer), 0, 0).byte(0)
}

/// Asks for ranges, each a gap and a length; none for the whole object.
fn request(steps: Steps, viewer: u8, id: u64, object: u8, ranges: &[(u64, u64)]) -> Steps {
    let steps = frame(op(steps, Op::Request).byte(viewer), object, id);
    let count = u8::try_from(ranges.len()).unwrap_or(64);
    let steps = ranges.iter().fold(steps.byte(count), |s, &(gap, len)| s.number(gap).number(len));
    steps.number(100).byte(0).byte(0)
}

fn report(steps: Steps, viewer: u8) -> Steps {
    op(steps, Op::Report).byte(viewer).short(20_000).byte(0)
}

/// Waits 50 µs times 2 to the `power`.
fn wait(steps: Steps, power: u8) -> Steps {
    op(steps, Op::Wait).byte(power)
}

fn session(shards: u8) -> Steps {
    pulse(hello(world(shards, 0), 0, 0), 0)
}

/// Asks for an object and reports until it has come.
fn transfer(steps: Steps, viewer: u8, id: u64, object: u8) -> Steps {
    let steps = request(steps, viewer, id, object, &[]);
    (0..12).fold(steps, |steps, _| report(wait(steps, 5), viewer))
}

/// Whole sessions, and one of each kind of trouble.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let cookie = op(hello(world(1, 1), 0, 0), Op::HelloAgain).byte(0).byte(0).byte(0);
    let many = (0..6).fold(world(2, 0), |steps, at| pulse(hello(steps, at % 3, at % 3), at));
    let many = (0..6).fold(many, |steps, at| request(steps, at, 1, at % 5, &[]));
    let moved = op(transfer(session(1), 0, 1, 1), Op::Move).byte(0).byte(1);
    let moved = op(pulse(moved, 0), Op::Respond).byte(0).byte(0).byte(0);
    let victim = op(session(1), Op::Move).byte(0).byte(3);
    let victim = (0..5).fold(victim, |steps, _| wait(pulse(steps, 0), 11));
    let cold = op(session(1), Op::Object).byte(0).byte(1).byte(2);
    let cold = op(request(cold, 0, 1, 0, &[]), Op::Object).byte(0).byte(0).byte(0);
    let failed = op(session(1), Op::Object).byte(1).byte(1).byte(2);
    let failed = op(request(failed, 0, 1, 1, &[]), Op::Object).byte(1).byte(2).byte(1);
    let lie = op(transfer(session(1), 0, 1, 0), Op::Lie).byte(0).byte(1);
    let lie =
        lie.number(1000).number(0).byte(0).number(50).long(0).number(0).number(9).byte(0).long(9);
    let replay =
        op(request(session(2), 0, 1, 1, &[]), Op::Replay).byte(2).byte(0).patch(&[]).byte(0);
    let replay = op(replay, Op::Replay).byte(2).byte(1).patch(&[(20, 1)]).byte(1);
    let odd = op(session(1), Op::Odd).byte(0);
    let odd = frame(odd, 0, 5).byte(7).counted(&[0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9]).byte(0);
    let epochs = (0..3).fold(session(1), |steps, _| pulse(op(steps, Op::Epoch).byte(0).byte(0), 0));
    let sends = op(transfer(session(1), 0, 1, 0), Op::SendFails).byte(5).byte(1);
    let closed = op(session(1), Op::Close).byte(0).short(32).byte(0);
    let drained = wait(op(request(session(1), 0, 1, 0, &[]), Op::Drain), 18);
    let cancelled = op(request(session(1), 0, 1, 0, &[]), Op::Cancel).byte(0).number(1).byte(0);
    let junk = op(session(1), Op::Junk).byte(0).counted(&[0x10, 0x20, 0, 0, 0, 0, 0, 0]);
    let keys = hello(op(world(1, 0), Op::Keyring).byte(0), 0, 0);
    let skips = pulse(op(session(1), Op::Skip).byte(0).number(600), 0);
    let ranges = request(session(1), 0, 3, 0, &[(0, 100), (1000, 3000), (0, 1), (9000, 90_000)]);
    [
        ("session", transfer(session(1), 0, 1, 0)),
        ("two-objects", transfer(transfer(session(2), 0, 1, 4), 0, 2, 1)),
        ("cookie", pulse(cookie, 0)),
        ("many", wait(many, 10)),
        ("moved", report(wait(moved, 10), 0)),
        ("victim", victim),
        ("cold", report(wait(cold, 8), 0)),
        ("failed", wait(failed, 8)),
        ("lie", lie),
        ("replay", replay),
        ("odd", odd),
        ("epochs", epochs),
        ("sends", report(wait(sends, 10), 0)),
        ("closed", closed),
        ("drained", drained),
        ("cancelled", cancelled),
        ("junk", junk),
        ("keys", keys),
        ("skips", skips),
        ("ranges", report(wait(ranges, 9), 0)),
        ("idle", wait(session(1), 23)),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
