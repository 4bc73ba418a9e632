//! `ClientSession`: fetches, cancels and time on one side; on the other a server that answers handshakes as it likes and
//! sends whatever it likes, genuinely sealed.

mod fake;
mod model;
mod seeds;

use fake::Fake;
pub use seeds::seeds;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::SEGMENT_MAX;
use segcast_proto::time::Duration;
use segcast_proto::wire::status::Status;
use segcast_proto::wire::{
    Close, Code, FLAG_END, FrameHeader, PacketType, PathProof, Presence, PulseReply, Refuse,
};

use super::cast;
use super::script::Script;

/// One step of the input, by its first byte.
#[derive(Clone, Copy, strum::VariantArray)]
#[repr(u8)]
enum Op {
    Fetch,
    Cancel,
    Pulse,
    Room,
    Close,
    Wait,
    Welcome,
    Cookie,
    Data,
    Serve,
    Status,
    Refuse,
    Reply,
    Challenge,
    Probe,
    ServerClose,
    Odd,
    Epoch,
    Skip,
    Replay,
    Junk,
}

impl Op {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Steps in one run.
const STEPS_MAX: usize = 400;
/// Objects that are fetched, with the length that is said; the last one cannot be.
const OBJECTS: [(ObjectNumber, Option<u32>); 8] = [
    (ObjectNumber(0), Some(10_000)),
    (ObjectNumber(1), Some(1)),
    (ObjectNumber(2), Some(0)),
    (ObjectNumber(3), None),
    (ObjectNumber::page(0), None),
    (ObjectNumber::page(1), None),
    (ObjectNumber::page(2), Some(65_536)),
    (ObjectNumber(4), Some(SEGMENT_MAX as u32 + 1)),
];

/// Runs the steps in `data`.
pub fn run(data: &[u8]) {
    play(data);
}

fn play(data: &[u8]) -> Fake {
    let mut script = Script::new(data);
    let mut fake = Fake::new(&mut script);
    fake.settle();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut fake, &mut script);
        fake.settle();
    }
    fake
}

fn step(fake: &mut Fake, script: &mut Script<'_>) {
    match Op::ALL[script.choose(Op::ALL.len())] {
        Op::Fetch => {
            let (handle, at) = (SetHandle((script.byte() % 2).into()), script.choose(80));
            let (object, len) = match OBJECTS.get(at) {
                Some(known) => *known,
                None => (ObjectNumber(at as u32), Some(100)),
            };
            let deadline = Duration::from_millis(script.number().min(1 << 40));
            let answer = fake.session.fetch(fake.now, handle, object, len, deadline);
            fake.model.fetched((handle, object), len, answer);
        }
        Op::Cancel => {
            let at = script.choose(fake.model.wanted.len());
            if let Some(&key) = fake.model.wanted.keys().nth(at) {
                fake.session.cancel(key.0, key.1);
                fake.model.wanted.remove(&key);
            }
        }
        Op::Pulse => {
            fake.model.pulses += 1;
            fake.session.pulse(SetHandle(script.byte().into()), ObjectNumber(script.long()));
        }
        Op::Room => fake.session.set_room(fake.now, script.number()),
        Op::Close => fake.session.close(),
        Op::Wait => fake.now += cast::wait(script.byte()),
        Op::Welcome => fake.welcome(script),
        Op::Cookie => fake.cookie(script),
        Op::Replay => {
            let at = script.choose(fake.history.len());
            if let Some((_, mut datagram)) = fake.history.get(at).cloned() {
                script.patch(&mut datagram);
                // Whether it is taken: the first copy may have been altered on its way.
                fake.again(datagram);
            }
        }
        Op::Junk => {
            let taken = fake.hand(script.counted().to_vec(), script.byte() % 4);
            assert!(!taken, "junk was taken");
        }
        Op::Serve => serve(fake, script),
        Op::Epoch => {
            let (now, keys) = (fake.now, script.choose(fake.keys.len()));
            if let Some(keys) = fake.keys.get_mut(keys) {
                // A server that keeps to the protocol leads by one epoch at most.
                keys.rushed |= keys.sealer.epoch() > keys.opener.epoch();
                keys.sealer.on_peer_epoch(now, keys.sealer.epoch() + 1);
            }
        }
        Op::Skip => {
            let keys = script.choose(fake.keys.len());
            if let Some(keys) = fake.keys.get_mut(keys) {
                (0..script.number() % 20_000).for_each(|_| {
                    keys.sealer.skip();
                });
            }
        }
        message => say(fake, message, script),
    }
}

/// The server says something, sealed with the keys of one of its WELCOMEs.
fn say(fake: &mut Fake, op: Op, script: &mut Script<'_>) {
    let keys = fake.keys.len().saturating_sub(1 + script.choose(4));
    let mut frame = FrameHeader::default();
    let mut out = [0; 2048];
    let (packet_type, len) = match op {
        Op::Data => {
            frame = object_frame(script);
            let end = script.byte() & FLAG_END;
            let payload = vec![script.byte(); usize::from(script.short() % 1500)];
            return fake.send(keys, (PacketType::Data, end), frame, &payload, script);
        }
        Op::Status => {
            frame.offset = script.number() as u32;
            let (received, finished) = (script.wide(), script.wide());
            let status = Status { received, finished, next_sequence: script.number() };
            (PacketType::Status, status.encode(&mut out))
        }
        Op::Refuse => {
            frame.offset = script.number() as u32;
            let refuse = Refuse { code: script.short().into(), retry_after_ms: script.long() };
            (PacketType::Refuse, refuse.encode(&mut out))
        }
        Op::Reply => {
            let presence = [Presence::No, Presence::Yes, Presence::NotResident];
            let echo = fake.now.wire_micros().wrapping_sub(script.number() as u32);
            let (load, has_segment) = (script.short() % 10_001, presence[script.choose(3)]);
            let reply = PulseReply { echo, load, has_segment, queue_ms: script.long() };
            (PacketType::PulseReply, reply.encode(&mut out))
        }
        Op::Challenge => {
            let proof = PathProof(script.array());
            fake.model.challenges.insert(proof.0);
            (PacketType::PathChallenge, proof.encode(&mut out))
        }
        Op::Probe => (PacketType::SizeProbe, Ok(usize::from(script.short() % 2048))),
        Op::ServerClose => {
            let reason = String::from_utf8_lossy(script.counted()).into_owned();
            let close = Close { code: Code::from(script.short()), reason };
            (PacketType::Close, close.encode(&mut out))
        }
        _ => {
            frame = object_frame(script);
            let packet_type = PacketType::ALL[script.choose(PacketType::ALL.len())];
            let odd = !matches!(packet_type, PacketType::Data | PacketType::PathChallenge);
            let bytes = script.counted();
            out[..bytes.len()].copy_from_slice(bytes);
            let sealed = packet_type.is_sealed() && odd;
            (if sealed { packet_type } else { PacketType::Leaves }, Ok(bytes.len()))
        }
    };
    let len = len.expect("a message fits");
    fake.send(keys, (packet_type, 0), frame, &out[..len], script);
}

fn object_frame(script: &mut Script<'_>) -> FrameHeader {
    let at = script.choose(80);
    let object = OBJECTS.get(at).map_or(ObjectNumber(at as u32), |(object, _)| *object);
    let set_handle = SetHandle((script.byte() % 2).into());
    FrameHeader { set_handle, object, offset: script.number() as u32, send_time: 0 }
}

/// Serves a request that came, in pieces, and says in a STATUS that it is finished.
fn serve(fake: &mut Fake, script: &mut Script<'_>) {
    let Some(keys) = fake.keys.len().checked_sub(1) else { return };
    let at = script.choose(fake.keys[keys].requests.len());
    let Some((id, frame, request)) = fake.keys[keys].requests.get(at).copied() else { return };
    let told = OBJECTS.iter().find(|(object, _)| *object == frame.object);
    let len = told.map_or(Some(100), |(_, len)| *len).unwrap_or(3000);
    let fill = script.byte();
    let lose = script.byte();
    let whole = request.ranges.is_empty().then_some(0..len);
    for range in request.ranges.iter().chain(whole) {
        let mut from = range.start;
        while from < range.end.min(len) {
            let to = range.end.min(len).min(from + 1152);
            if u32::from(lose) != from / 1152 + 1 {
                let end = u8::from(to == len);
                let payload = vec![fill; (to - from) as usize];
                let piece = FrameHeader { offset: from, ..frame };
                fake.send(keys, (PacketType::Data, end), piece, &payload, &mut Script::new(&[]));
            }
            from = to;
        }
    }
    let next_sequence = fake.keys[keys].sealer.next_sequence();
    let status = Status { received: u64::MAX, finished: 1, next_sequence };
    let mut out = [0; Status::LEN];
    let len = status.encode(&mut out).expect("a STATUS fits");
    let frame = FrameHeader { offset: id, ..FrameHeader::default() };
    fake.send(keys, (PacketType::Status, 0), frame, &out[..len], &mut Script::new(&[]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str) -> Fake {
        let seed = seeds().into_iter().find(|seed| seed.name == name).expect("a seed");
        play(&seed.bytes)
    }

    #[test]
    fn seeds_reach_what_they_are_named_after() {
        for (name, bytes) in [("transfer", 10_000), ("lossy", 10_000), ("page", 3000)] {
            let fake = after(name);
            assert_eq!(
                (fake.session.stats().data_bytes, fake.session.outstanding()),
                (bytes, 0),
                "{name}"
            );
        }
        assert!(after("lossy").session.stats().repair_bytes > 0);
        assert!(after("no-answer").session.has_ended());
        let silent = after("silent").session;
        assert!(silent.stats().handshakes > 1 && silent.outstanding() == 0);
        assert!(after("closed").session.has_ended() && after("refused").session.outstanding() == 0);
    }
}
