//! Runs that a fuzzer of the client begins with: whole transfers, and one of each kind of trouble.

use super::Op;
use crate::fuzz::script::Steps;
use crate::fuzz::seed::Seed;

/// A client with 16 MiB of room and no idea of the round trip.
fn begin() -> Steps {
    Steps::new().byte(0).short(0xFFFF).byte(0).byte(200)
}

fn op(steps: Steps, op: Op) -> Steps {
    steps.byte(op as u8)
}

fn welcome(steps: Steps, code: u8) -> Steps {
    op(steps, Op::Welcome).byte(code).short(8952).byte(64).short(180).long(0).patch(&[])
}

fn fetch(steps: Steps, object: u8) -> Steps {
    op(steps, Op::Fetch).byte(0).byte(object).number(100)
}

/// Serves the request at `at`; the piece number `lose` is lost, 0: none.
fn serve(steps: Steps, at: u8, lose: u8) -> Steps {
    op(steps, Op::Serve).byte(at).byte(0xAA).byte(lose)
}

fn wait(steps: Steps, power: u8) -> Steps {
    op(steps, Op::Wait).byte(power)
}

/// The frame of an object.
fn frame(steps: Steps, object: u8, offset: u64) -> Steps {
    steps.byte(object).byte(0).number(offset)
}

/// What follows every message: no alteration, no ECN mark.
fn plain(steps: Steps) -> Steps {
    steps.patch(&[]).byte(0)
}

fn data(steps: Steps, object: u8, offset: u64, len: u16, end: u8) -> Steps {
    plain(frame(op(steps, Op::Data).byte(0), object, offset).byte(end).byte(7).short(len))
}

/// Whole transfers, and one of each kind of trouble.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let open = || welcome(begin(), 0);
    let lossy = wait(serve(fetch(open(), 0), 0, 3), 8);
    let page = serve(wait(fetch(open(), 4), 3), 0, 0);
    let many = (0..7).fold(open(), fetch);
    let many = (0..7).fold(many, |steps, at| serve(steps, at, 0));
    let silent = (0..14).fold(fetch(open(), 0), |steps, _| wait(steps, 12));
    let silent = serve(welcome(silent, 0), 0, 0);
    let refused = op(fetch(open(), 0), Op::Refuse).byte(0).number(1).short(17).long(100);
    let status = op(fetch(open(), 0), Op::Status).byte(0).number(1).wide(1).wide(1).number(9);
    let challenge = op(open(), Op::Challenge).byte(0).bytes(&[9; 8]);
    let pulse = op(open(), Op::Pulse).byte(0).long(3);
    let pulse = op(pulse, Op::Reply).byte(0).number(500).short(100).byte(1).long(2);
    let closed = op(fetch(open(), 0), Op::ServerClose).byte(0).counted(b"ok").short(33);
    let odd = frame(op(open(), Op::Odd).byte(0), 0, 5).byte(9).counted(&[1, 2, 3]);
    let epochs = (0_u8..3).fold(fetch(open(), 0), |steps, at| {
        data(op(steps, Op::Epoch).byte(0), 0, u64::from(at) * 100, 100, 0)
    });
    let replay = op(data(fetch(open(), 0), 0, 0, 1000, 0), Op::Replay).byte(0).patch(&[]);
    let replay = op(replay, Op::Replay).byte(0).patch(&[(30, 1)]);
    let cookie = welcome(op(begin(), Op::Cookie).byte(5).patch(&[]), 0);
    let ends = data(data(fetch(open(), 5), 5, 5000, 100, 1), 5, 0, 1000, 1);
    let skips = data(op(fetch(open(), 0), Op::Skip).byte(0).number(300), 0, 0, 100, 0);
    let room = op(op(open(), Op::Room).number(0), Op::Room).number(1 << 20);
    [
        ("transfer", serve(fetch(open(), 0), 0, 0)),
        ("lossy", serve(lossy, 1, 0)),
        ("page", page),
        ("many", many),
        ("refused-session", welcome(begin(), 6)),
        ("no-answer", (0..10).fold(begin(), |steps, _| wait(steps, 15))),
        ("silent", silent),
        ("refused", plain(refused)),
        ("status", wait(plain(status), 8)),
        ("challenge", plain(challenge)),
        ("pulse", plain(pulse)),
        ("closed", plain(closed)),
        ("close", op(fetch(open(), 0), Op::Close)),
        ("cancel", op(fetch(open(), 0), Op::Cancel).byte(0)),
        ("probe", plain(op(open(), Op::Probe).byte(0).short(1392))),
        ("odd", plain(odd)),
        ("epochs", epochs),
        ("replay", replay),
        ("cookie", cookie),
        ("ends", ends),
        ("skips", skips),
        ("room", room),
        ("junk", op(open(), Op::Junk).counted(&[0x10, 0x10, 0, 0, 0, 0, 0, 0x77]).byte(0)),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
