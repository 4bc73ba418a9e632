//! Headers and messages from any bytes, and the sets of ranges that are built from them against simple models.

use std::collections::BTreeSet;
use std::fmt::Debug;

use segcast_proto::crypto::{ReplayWindow, Verdict};
use segcast_proto::ids::{ChannelId, ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::limits::{
    CLEAR_HEADER, FRAME_HEADER, RANGES_MAX, REASON_MAX, REPORT_RANGES_MAX,
};
use segcast_proto::session::client::Reports;
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::{
    ByteRanges, ChannelReport, ChannelState, ClearHeader, Close, Code, DecodeError, EncodeError,
    FrameHeader, GroupChannel, GroupKey, GroupProbe, GroupReport, GroupSecret, PacketType,
    PathProof, Presence, ProbeEntry, ProbeState, Pulse, PulseReply, Refuse, Report, Request,
    SequenceRanges, Status,
};

use super::script::{Script, Steps};
use super::seed::Seed;

/// Reads `data` as every message there is, or as steps for a set of ranges, a replay window, or a client's reports.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.choose(4) {
        0 => messages(script.rest()),
        1 => range_set(script),
        2 => replay_window(script),
        _ => reports(script),
    }
}

fn messages(bytes: &[u8]) {
    if let Ok(header) = ClearHeader::decode(bytes) {
        assert_eq!(header.encode(), bytes[..CLEAR_HEADER]);
        assert!(header.len() <= bytes.len());
    }
    if let Some(frame) = bytes.first_chunk::<FRAME_HEADER>() {
        assert_eq!(FrameHeader::decode(frame).encode(), *frame);
    }
    again(bytes, Status::decode, Status::encode);
    again(bytes, Refuse::decode, Refuse::encode);
    again(bytes, Pulse::decode, Pulse::encode);
    again(bytes, PulseReply::decode, PulseReply::encode);
    again(bytes, PathProof::decode, PathProof::encode);
    if let Some(request) = again(bytes, Request::decode, Request::encode) {
        assert!(request.ranges.len() <= RANGES_MAX);
        let mut floor = 0;
        for range in request.ranges.iter() {
            assert!(floor <= range.start && range.start < range.end);
            floor = range.end;
        }
    }
    if let Some(report) = again(bytes, Report::decode, Report::encode) {
        assert!((1..=REPORT_RANGES_MAX).contains(&report.ranges.len()));
        check_sequences(&report.ranges);
    }
    again(bytes, GroupReport::decode, GroupReport::encode);
    again(bytes, GroupProbe::decode, GroupProbe::encode);
    if let Some(key) = again(bytes, GroupKey::decode, GroupKey::encode) {
        let mut floor = 0;
        for channel in &key.channels {
            assert!(floor <= channel.first && channel.first < channel.end);
            floor = channel.end;
        }
    }
    if let Ok(close) = Close::decode(bytes) {
        // What was no UTF-8 takes three bytes for each of its own.
        assert!(close.reason.len() <= 3 * REASON_MAX && !close.reason.contains(char::is_control));
        let mut out = [0; Close::LEN_MAX];
        let len = close.encode(&mut out).expect("a CLOSE is cut to its room");
        let cut = Close::decode(&out[..len]).expect("what was encoded decodes");
        assert!(cut.code == close.code && close.reason.starts_with(&cut.reason));
    }
}

/// A message that decodes says the same when it is encoded and decoded again.
fn again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T, &mut [u8]) -> Result<usize, EncodeError>,
) -> Option<T> {
    let message = decode(bytes).ok()?;
    let mut out = [0; 1200];
    let len = encode(&message, &mut out).expect("a message that decoded encodes");
    assert_eq!(decode(&out[..len]).as_ref(), Ok(&message));
    Some(message)
}

fn check_sequences(ranges: &SequenceRanges) {
    let mut ceiling = None;
    for (low, high) in ranges.iter() {
        assert!(low <= high && ceiling.is_none_or(|ceiling| high + 1 < ceiling));
        ceiling = Some(low);
    }
}

fn range_set(mut script: Script<'_>) {
    let (mut set, mut bitmap) = (RangeSet::default(), [false; 512]);
    while !script.is_over() {
        let (start, len) = (usize::from(script.byte()), usize::from(script.byte()));
        let cells = &mut bitmap[start..start + len];
        let new = cells.iter().filter(|cell| !**cell).count();
        cells.fill(true);
        let range = start as u32..(start + len) as u32;
        assert_eq!(set.insert(range, usize::MAX), Some(new as u32));
    }
    assert_eq!(set.len(), bitmap.iter().filter(|cell| **cell).count() as u64);
    assert_eq!(set.end(), bitmap.iter().rposition(|cell| *cell).map_or(0, |at| at as u32 + 1));
    let mut holes = [true; 512];
    for hole in set.missing(512) {
        holes[hole.start as usize..hole.end as usize].fill(false);
    }
    assert_eq!(holes, bitmap);
}

/// Against a set that forgets nothing.
fn replay_window(mut script: Script<'_>) {
    let bits = 64 * (1 + script.choose(8));
    let mut window = ReplayWindow::new(bits);
    let (mut seen, mut highest) = (BTreeSet::new(), None::<u64>);
    while !script.is_over() {
        let back = script.flag();
        let (base, distance) = (highest.unwrap_or(0), script.number());
        let sequence =
            if back { base.saturating_sub(distance) } else { base.saturating_add(distance) };
        let expected = match highest {
            _ if sequence == u64::MAX => Verdict::TooOld,
            Some(highest) if sequence <= highest && highest - sequence >= bits as u64 => {
                Verdict::TooOld
            }
            Some(highest) if sequence <= highest && seen.contains(&sequence) => Verdict::Replayed,
            Some(highest) if sequence <= highest => Verdict::Fresh { is_highest: false },
            _ => Verdict::Fresh { is_highest: true },
        };
        assert_eq!(window.record(sequence), expected, "{sequence} after {highest:?}");
        if sequence < u64::MAX {
            seen.insert(sequence);
            highest = highest.max(Some(sequence));
        }
        assert_eq!(window.highest(), highest);
    }
}

/// A client never reports what did not come, whatever the order was.
fn reports(mut script: Script<'_>) {
    let (mut reports, mut received) = (Reports::default(), BTreeSet::new());
    let (mut now, mut last) = (Instant::from_nanos(1), 0);
    while !script.is_over() {
        now += Duration::from_micros(script.number().min(1 << 40));
        match script.choose(3) {
            0 => {
                if let Some((number, report)) = reports.take(now, script.wide()) {
                    assert!(number > last, "report {number} after {last}");
                    last = number;
                    check_sequences(&report.ranges);
                    for (low, high) in report.ranges.iter() {
                        assert!((low..=high).all(|sequence| received.contains(&sequence)));
                    }
                    let mut out = [0; Report::LEN_MAX];
                    let len = report.encode(&mut out).expect("a report fits");
                    assert_eq!(Report::decode(&out[..len]), Ok(report));
                }
            }
            back => {
                let base: u64 = received.last().copied().unwrap_or(0);
                let distance = script.number();
                let sequence = if back == 1 {
                    base.saturating_sub(distance)
                } else {
                    base.saturating_add(distance)
                };
                // The session's replay window lets no number through twice, nor the last one.
                if sequence < u64::MAX && received.insert(sequence) {
                    reports.received(now, sequence, now.wire_micros(), false);
                    reports.data(now, Duration::from_millis(1));
                }
            }
        }
    }
}

/// One of every message, and some steps for each set.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds = vec![
        seed("range-set", Steps::new().byte(1).bytes(&[10, 10, 30, 10, 15, 20, 0, 10])),
        seed(
            "replay",
            Steps::new().byte(2).byte(0).bytes(&[0, 0, 0, 63, 1, 63, 0, 1, 1, 64, 1, 0]),
        ),
        seed(
            "replay-far",
            Steps::new().byte(2).byte(1).byte(0).number(1 << 40).bytes(&[1, 127, 1, 128]),
        ),
    ];
    let steps =
        (0..40).fold(Steps::new().byte(3), |steps, at| steps.number(100).byte(2).byte(at % 4));
    seeds.push(seed("reports", steps.number(1).byte(0).wide(1 << 20).number(1).byte(1).byte(2)));
    let mut out = [0; 1024];
    let mut add = |name: &str, len: Result<usize, EncodeError>, out: &[u8]| {
        let len = len.expect("a message fits");
        seeds.push(seed(name, Steps::new().byte(0).bytes(&out[..len])));
    };
    let mut ranges = ByteRanges::WHOLE;
    let request = Request { deadline_ms: 1000, flags: 2, ranges };
    add("request-whole", request.encode(&mut out), &out);
    assert!((0..8).all(|at| ranges.push(at * 3000..at * 3000 + 1440)), "ranges that ascend");
    add("request-ranges", Request { ranges, ..request }.encode(&mut out), &out);
    let mut ranges = SequenceRanges::new();
    assert!((1..10).all(|at| ranges.push(1000 - at * 50, 1010 - at * 50)), "ranges that descend");
    let fields = [1_000_000, 250, 65_536, 3, 900];
    let [echo, echo_delay_us, room_kib, ce_count, received_count] = fields;
    let report = Report { echo, echo_delay_us, room_kib, ce_count, received_count, ranges };
    add("report", report.encode(&mut out), &out);
    let status = Status { received: 0xFF0F, finished: 0x0F, next_sequence: 12_345 };
    add("status", status.encode(&mut out), &out);
    add("refuse", Refuse { code: Code::PastEnd, retry_after_ms: 100 }.encode(&mut out), &out);
    add("pulse", Pulse.encode(&mut out), &out);
    let reply = PulseReply { echo: 7, load: 5000, has_segment: Presence::Yes, queue_ms: 3 };
    add("pulse-reply", reply.encode(&mut out), &out);
    add("path", PathProof([9; 8]).encode(&mut out), &out);
    add("close", Close { code: Code::Idle, reason: "so still".into() }.encode(&mut out), &out);
    group_seeds(&mut add);
    for (name, packet_type) in
        [("header-data", PacketType::Data), ("header-hello", PacketType::Hello)]
    {
        let receiver = ReceiverIndex::new(5, 1);
        let header = ClearHeader {
            flags: 1,
            packet_type,
            extension_words: 1,
            epoch: 1,
            receiver,
            sequence: 99,
        };
        let frame = FrameHeader {
            set_handle: SetHandle(1),
            object: ObjectNumber::page(2),
            offset: 3,
            send_time: 4,
        };
        let bytes = [&header.encode()[..], &[0; 4], &frame.encode()].concat();
        seeds.push(seed(name, Steps::new().byte(0).bytes(&bytes)));
    }
    seeds
}

/// One of every message about groups.
fn group_seeds(add: &mut impl FnMut(&str, Result<usize, EncodeError>, &[u8])) {
    let mut out = [0; 1200];
    let channel = |number: u32| GroupChannel {
        id: ChannelId::new(number, 1),
        group: [232, 0, 0, number as u8].into(),
        first: number * 9,
        end: number * 9 + 9,
        pace_kbit: 8000,
    };
    let key = GroupKey {
        epoch: 1,
        suite: 1,
        report_interval_ms: 1000,
        members: 2,
        secret: GroupSecret::new([9; 32]),
        source: [192, 0, 2, 1].into(),
        port: 4872,
        channels: vec![channel(0), channel(1)],
    };
    add("group-key", key.encode(&mut out), &out);
    let state = ChannelState::Listening;
    let heard = ChannelReport { id: ChannelId::new(0, 1), state, loss: 20, verified: 64 };
    let channels = vec![heard, ChannelReport { state: ChannelState::Joining, ..heard }];
    let report = GroupReport { serial: 1, rate_kbit: 20_000, window: 9, channels };
    add("group-report", report.encode(&mut out), &out);
    let sent = ProbeEntry { segment: 3, state: ProbeState::Sent, symbols: 64, time_ms: 20 };
    let entries = vec![sent, ProbeEntry { state: ProbeState::Queued, ..sent }];
    let probe = GroupProbe { members: 2, back_off_ms: 10, entries };
    add("group-probe", probe.encode(&mut out), &out);
}

fn seed(name: &str, steps: Steps) -> Seed {
    Seed::new(name, steps)
}
