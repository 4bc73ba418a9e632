//! Two ends that seal and open for each other across key changes, with a network between them that loses, alters,
//! repeats and reorders.

use segcast_proto::crypto::{OpenError, Opener, Sealer, Secret, Suite};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::{ClearHeader, FrameHeader, PacketType};

use super::script::{Script, Steps};
use super::seed::Seed;

/// Packets that the network remembers.
const MEMORY: usize = 64;
/// The longest payload.
const PAYLOAD_MAX: usize = 64;

/// A packet on its way.
struct Flight {
    datagram: Vec<u8>,
    frame: FrameHeader,
    payload: Vec<u8>,
    epoch: u64,
    opened: bool,
}

/// One direction.
struct Way {
    sealer: Sealer,
    opener: Opener,
    flights: Vec<Flight>,
    /// Epoch byte and sequence number of the last packet.
    last: Option<(u8, u64)>,
}

/// Runs the steps in `data` over both directions.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let suite = if script.flag() { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
    let epoch_packets = 1 + u64::from(script.byte());
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut ways = [1, 2].map(|secret| Way {
        sealer: Sealer::new(suite, Secret::new([secret; 32]), now)
            .with_epoch_packets(epoch_packets),
        opener: Opener::new(suite, Secret::new([secret; 32]), 128),
        flights: Vec::new(),
        last: None,
    });
    while !script.is_over() {
        let way = script.choose(2);
        match script.choose(8) {
            0 | 1 => seal(&mut ways[way], now, &mut script),
            2 | 3 => deliver(&mut ways, way, now, &mut script),
            4 => alter(&mut ways[way], now, &mut script),
            5 => now += Duration::from_millis(10) * (1 << (script.byte() % 17)),
            6 => {
                for _ in 0..script.number() % 4096 {
                    ways[way].sealer.skip();
                }
            }
            _ => {
                ways[way].sealer.hibernate();
                ways[way].opener.hibernate(now);
            }
        }
    }
}

fn seal(way: &mut Way, now: Instant, script: &mut Script<'_>) {
    let packet_type = PacketType::ALL[script.choose(PacketType::ALL.len())];
    let packet_type = if packet_type.is_sealed() { packet_type } else { PacketType::Data };
    let frame = FrameHeader {
        set_handle: SetHandle(script.byte().into()),
        object: ObjectNumber(script.byte().into()),
        offset: script.short().into(),
        send_time: now.wire_micros(),
    };
    let payload = script.counted();
    let payload = payload[..payload.len().min(PAYLOAD_MAX)].to_vec();
    let mut datagram = vec![0; 256];
    let receiver = ReceiverIndex::new(1, 0);
    let flags = script.byte() & 0x0F;
    let sealed =
        way.sealer.seal(now, flags, packet_type, receiver, &frame, &payload, &mut datagram);
    let (len, sequence) = sealed.expect("room, and far fewer packets than a key seals");
    datagram.truncate(len);
    let header = ClearHeader::decode(&datagram).expect("a sealed packet has a header");
    assert_eq!((header.sequence, header.epoch), (sequence, way.sealer.epoch() as u8));
    assert!(way.last.is_none_or(|(_, last)| sequence > last), "a number twice");
    way.last = Some((header.epoch, sequence));
    if way.flights.len() == MEMORY {
        way.flights.remove(0);
    }
    let epoch = way.sealer.epoch();
    way.flights.push(Flight { datagram, frame, payload, epoch, opened: false });
}

/// Delivers one that is remembered, as it was sent; it may have come before.
fn deliver(ways: &mut [Way; 2], number: usize, now: Instant, script: &mut Script<'_>) {
    let way = &mut ways[number];
    let at = script.choose(way.flights.len());
    let Some(flight) = way.flights.get_mut(at) else { return };
    let (before, mut datagram) = (way.opener.epoch(), flight.datagram.clone());
    match way.opener.open(now, &mut datagram) {
        Ok(opened) => {
            assert!(!flight.opened, "opened twice");
            assert_eq!((opened.frame, opened.payload), (flight.frame, flight.payload.as_slice()));
            assert_eq!(opened.header.encode(), flight.datagram[..16]);
            assert!(opened.epoch + 1 >= before && opened.epoch <= way.sealer.epoch());
            flight.opened = true;
            let epoch = opened.epoch;
            ways[1 - number].sealer.on_peer_epoch(now, epoch);
        }
        Err(OpenError::Replayed) => assert!(flight.opened, "a fresh packet taken for a replay"),
        Err(OpenError::TooOld) => {}
        // Whatever was lost before, what is of this epoch or a later one opens.
        Err(OpenError::UnknownEpoch | OpenError::Authentication) => {
            assert!(flight.epoch < before, "epoch {} does not open in {before}", flight.epoch);
            assert_eq!(way.opener.epoch(), before, "a refused packet changed the keys");
        }
        Err(error) => panic!("{error}"),
    }
}

/// Delivers an altered one: it must not open, and must not change what opens later.
fn alter(way: &mut Way, now: Instant, script: &mut Script<'_>) {
    let at = script.choose(way.flights.len());
    let Some(flight) = way.flights.get(at) else { return };
    let (before, highest) = (way.opener.epoch(), way.opener.highest());
    let mut datagram = flight.datagram.clone();
    if script.flag() {
        datagram.truncate(usize::from(script.byte()));
    }
    script.patch(&mut datagram);
    if datagram != flight.datagram {
        assert!(way.opener.open(now, &mut datagram).is_err(), "an altered packet opened");
        assert_eq!((way.opener.epoch(), way.opener.highest()), (before, highest));
    }
}

/// Packets each way, in order and not, over several epochs.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let send = |steps: Steps, way: u8| {
        steps.byte(way).byte(0).byte(7).bytes(&[1, 2, 0, 3]).counted(b"payload").byte(0)
    };
    let take = |steps: Steps, way: u8, at: u8| steps.byte(way).byte(2).byte(at);
    let begin = |epoch_packets: u8| Steps::new().byte(0).byte(epoch_packets);
    let in_order = (0..8).fold(begin(200), |steps, at| take(send(steps, 0), 0, at));
    let epochs = (0..20).fold(begin(1), |steps, at| {
        let steps = take(send(steps, at % 2), at % 2, at / 2);
        steps.byte(0).byte(5).byte(1)
    });
    let reordered = (0..6).fold(begin(2), |steps, _| send(steps, 1));
    let reordered = (0..6).rev().fold(reordered, |steps, at| take(steps, 1, at));
    let replayed = take(take(send(begin(9), 0), 0, 0), 0, 0);
    let altered = send(begin(9), 0).byte(0).byte(4).byte(0).byte(0).patch(&[(3, 1)]);
    let altered = take(altered.byte(0).byte(4).byte(0).byte(1).byte(20).patch(&[]), 0, 0);
    let skipped = send(begin(9), 0).byte(0).byte(6).number(300).byte(0).byte(7);
    let skipped = take(take(send(skipped, 0), 0, 1), 0, 0);
    [
        ("in-order", in_order),
        ("epochs", epochs),
        ("reordered", reordered),
        ("replayed", replayed),
        ("altered", altered),
        ("skipped", skipped),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
