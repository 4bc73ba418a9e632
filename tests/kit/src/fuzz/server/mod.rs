//! `Endpoint`: the sessions of one or two shards under any sequence of handshakes, messages (genuinely sealed, true or
//! odd), replays, alterations, time, failures of disk and network.

mod seeds;
mod viewer;
mod world;

use std::sync::Arc;

pub use seeds::seeds;
use segcast_proto::crypto::Opener;
use segcast_proto::ids::{ChannelId, ObjectNumber, SetHandle, SetIndex};
use segcast_proto::session::server::SendFailure;
use segcast_proto::wire::{
    ByteRanges, Close, Code, FrameHeader, GroupChannel, GroupKey, PacketType, Pulse, Report,
    Request, SequenceRanges,
};
use world::{ADDRESSES, VICTIM, World};

use super::cast::{keyring, wait};
use super::script::Script;
use super::shelf::OBJECTS;
use crate::source::{State, set_id};

/// One step of the input, by its first byte.
#[derive(Clone, Copy, strum::VariantArray)]
#[repr(u8)]
enum Op {
    Hello,
    HelloAgain,
    Request,
    Report,
    Lie,
    Pulse,
    Cancel,
    Close,
    Respond,
    Odd,
    Replay,
    Junk,
    Wait,
    Object,
    SendFails,
    Move,
    Epoch,
    Skip,
    Keyring,
    Drain,
    Owner,
}

impl Op {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Steps in one run: what takes longer finds nothing that shorter ones do not.
const STEPS_MAX: usize = 400;

/// Runs the steps in `data`.
pub fn run(data: &[u8]) {
    play(data);
}

fn play(data: &[u8]) -> World {
    let mut script = Script::new(data);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut world, &mut script);
        world.settle();
    }
    world
}

fn step(world: &mut World, script: &mut Script<'_>) {
    let op = Op::ALL[script.choose(Op::ALL.len())];
    match op {
        Op::Hello => {
            let (key, from) = (script.byte() % 3, script.choose(ADDRESSES));
            if let Some(number) = world.begin(key, from, script) {
                let hello = world.viewers[number].client.hello();
                world.hand(from, &hello, false);
            }
        }
        Op::HelloAgain => {
            let (number, from) = (script.choose(world.viewers.len()), script.choose(ADDRESSES));
            if let Some(viewer) = world.viewers.get(number) {
                let hello = viewer.client.hello();
                world.hand(from, &hello, script.flag());
            }
        }
        Op::Replay => {
            let at = script.choose(world.history.len());
            if let Some((from, mut bytes)) = world.history.get(at).cloned() {
                let from = if script.flag() { VICTIM } else { from };
                script.patch(&mut bytes);
                world.hand(from, &bytes, script.flag());
            }
        }
        Op::Junk => {
            let (from, bytes) = (script.choose(ADDRESSES), script.counted());
            world.hand(from, bytes, false);
        }
        Op::Wait => world.now += wait(script.byte()),
        Op::Object => object(world, script),
        Op::Owner => owner(world, script),
        Op::SendFails => {
            let (at, too_large) = (script.choose(world.tickets.len()), script.flag());
            if let Some(&(shard, ticket)) = world.tickets.get(at) {
                let failure = if too_large { SendFailure::TooLarge } else { SendFailure::Other };
                world.shards[shard].handle_send_failure(world.now, ticket, failure);
            }
        }
        Op::Keyring => {
            let known = script.flag();
            world.shards.iter_mut().for_each(|shard| shard.set_keyring(keyring(known)));
        }
        Op::Drain => {
            let now = world.now;
            world.shards.iter_mut().for_each(|shard| shard.drain(now));
        }
        Op::Move | Op::Epoch | Op::Skip => {
            let number = script.choose(world.viewers.len());
            let Some(viewer) = world.viewers.get_mut(number) else { return };
            let heard = viewer.client.opener.as_ref().map_or(0, Opener::epoch);
            match (op, &mut viewer.client.sealer) {
                (Op::Move, _) => viewer.address = script.choose(ADDRESSES),
                (Op::Epoch, Some(sealer)) => {
                    let epoch = sealer.epoch() + 1 + u64::from(script.byte() % 2);
                    // Who keeps to the protocol leads by one epoch at most.
                    viewer.rushed |= epoch > heard + 1;
                    sealer.on_peer_epoch(world.now, epoch);
                }
                (_, Some(sealer)) => {
                    for _ in 0..script.number() % 1024 {
                        sealer.skip();
                    }
                }
                _ => {}
            }
        }
        message => say(world, message, script),
    }
}

/// The state of an object changes, and the endpoints may be told.
fn object(world: &mut World, script: &mut Script<'_>) {
    let (at, state, now) = (script.choose(OBJECTS.len()), script.choose(4), world.now);
    let told = script.choose(3);
    world.shelf.put(SetIndex::FIRST, OBJECTS[at].0, State::ALL[state]);
    for shard in &mut world.shards {
        match told {
            0 => shard.object_ready(now, SetIndex::FIRST, OBJECTS[at].0),
            1 => shard.object_failed(now, SetIndex::FIRST, OBJECTS[at].0),
            _ => {}
        }
    }
}

/// The owner of the set says something of its groups.
fn owner(world: &mut World, script: &mut Script<'_>) {
    let (what, at, now) = (script.choose(4), script.choose(OBJECTS.len()), world.now);
    let segment = OBJECTS[at].0.0;
    for shard in &mut world.shards {
        match what {
            0 => shard.set_groups(now, set_id(0), None),
            1 => shard.set_groups(now, set_id(0), Some(Arc::new(groups(segment)))),
            2 => shard.group_begun(now, set_id(0), segment),
            _ => shard.group_alone(now, set_id(0), segment),
        }
    }
}

/// Groups for the segments up to one.
fn groups(last: u32) -> GroupKey {
    let (id, group) = (ChannelId::new(1, 0), [232, 1, 1, 1].into());
    let channel = GroupChannel { id, group, first: 0, end: last.clamp(1, 4), pace_kbit: 1000 };
    GroupKey { report_interval_ms: 1000, port: 1, channels: vec![channel], ..GroupKey::closed() }
}

/// One of the clients says something, sealed with its own keys.
fn say(world: &mut World, op: Op, script: &mut Script<'_>) {
    let (number, now) = (script.choose(world.viewers.len()), world.now);
    let Some(viewer) = world.viewers.get_mut(number) else { return };
    let mut frame = FrameHeader::default();
    let mut payload = [0; 1024];
    let (packet_type, len) = match op {
        Op::Request => {
            let request = request(&mut frame, script);
            (PacketType::Request, request.encode(&mut payload).unwrap_or(0))
        }
        Op::Report => {
            let Some(report) = viewer.honest_report(now, script.short().into()) else { return };
            viewer.reports += 1;
            frame.offset = viewer.reports;
            (PacketType::Report, report.encode(&mut payload).unwrap_or(0))
        }
        Op::Lie => {
            viewer.lied = true;
            frame.offset = viewer.reports.wrapping_add(script.byte().into());
            let report = lie(viewer.highest(), script);
            (PacketType::Report, report.encode(&mut payload).unwrap_or(0))
        }
        Op::Pulse => {
            frame = odd_frame(script);
            (PacketType::Pulse, Pulse.encode(&mut payload).unwrap_or(0))
        }
        Op::Cancel => {
            frame.offset = script.number() as u32;
            (PacketType::Cancel, 0)
        }
        Op::Close => {
            let close = Close::new(Code::from(script.short()));
            // The record of a session that its client closed has the client's word.
            viewer.lied |= close.code == Code::LyingReport;
            (PacketType::Close, close.encode(&mut payload).unwrap_or(0))
        }
        Op::Respond => {
            let len = viewer.challenge.len();
            payload[..len].copy_from_slice(&viewer.challenge);
            payload[0] ^= script.byte();
            (PacketType::PathResponse, len)
        }
        _ => {
            frame = odd_frame(script);
            let packet_type = PacketType::ALL[script.choose(PacketType::ALL.len())];
            viewer.lied |= packet_type == PacketType::Report;
            let bytes = script.counted();
            payload[..bytes.len()].copy_from_slice(bytes);
            (if packet_type.is_sealed() { packet_type } else { PacketType::Data }, bytes.len())
        }
    };
    let (from, astray) = (viewer.address, script.flag());
    if let Some(datagram) = viewer.seal(now, packet_type, frame, &payload[..len]) {
        world.hand(from, &datagram, astray);
    }
}

fn odd_frame(script: &mut Script<'_>) -> FrameHeader {
    let object = match script.choose(OBJECTS.len() + 1) {
        known if known < OBJECTS.len() => OBJECTS[known].0,
        _ => ObjectNumber(script.long()),
    };
    let set_handle = SetHandle((script.byte() % 3).into());
    FrameHeader { set_handle, object, offset: script.number() as u32, send_time: 0 }
}

fn request(frame: &mut FrameHeader, script: &mut Script<'_>) -> Request {
    *frame = odd_frame(script);
    let mut ranges = ByteRanges::WHOLE;
    let mut at = 0_u32;
    for _ in 0..script.byte() % 65 {
        let start = at.saturating_add(script.number() as u32);
        at = start.saturating_add(script.number() as u32);
        // Ranges that no request can have are left out; `Op::Odd` writes them all the same.
        let _ = ranges.push(start..at);
    }
    Request { deadline_ms: script.number() as u32, flags: script.byte().into(), ranges }
}

fn lie(highest: u64, script: &mut Script<'_>) -> Report {
    let mut ranges = SequenceRanges::new();
    let mut high = highest.saturating_add(script.number()).saturating_sub(script.number());
    for _ in 0..=script.byte() % 16 {
        let low = high.saturating_sub(script.number());
        if !ranges.push(low, high) {
            break;
        }
        high = low.saturating_sub(2).saturating_sub(script.number());
    }
    Report {
        echo: script.long(),
        echo_delay_us: script.number() as u32,
        room_kib: script.number() as u32,
        ce_count: script.byte().into(),
        received_count: script.long(),
        ranges,
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::session::server::Counters;

    use super::*;

    fn after(name: &str) -> Counters {
        let seed = seeds().into_iter().find(|seed| seed.name == name).expect("a seed");
        play(&seed.bytes).shards[0].counters().clone()
    }

    #[test]
    fn seeds_reach_what_they_are_named_after() {
        assert_eq!(after("session").data_bytes, 20_000);
        assert_eq!(after("cookie").cookies, 1);
        assert!(after("lie").lies == 1 && after("drained").sessions_closed == 1);
        assert!(after("moved").path_changes == 1 && after("victim").challenges > 0);
        assert!(after("cold").waits > 0 && after("failed").objects_failed == 1);
        assert_eq!(after("closed").sessions_closed, 1);
    }
}
