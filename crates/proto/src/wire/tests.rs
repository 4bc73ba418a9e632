//! Round trips of every message, and any bytes into every decoder.

use core::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::ids::{ChannelId, ObjectNumber, ReceiverIndex, SetHandle};

fn packet_types() -> impl Strategy<Value = PacketType> {
    proptest::sample::select(PacketType::ALL)
}

fn clear_headers() -> impl Strategy<Value = ClearHeader> {
    (0..16_u8, packet_types(), 0..=16_u8, any::<u8>(), any::<u32>(), any::<u64>()).prop_map(
        |(flags, packet_type, extension_words, epoch, receiver, sequence)| ClearHeader {
            flags,
            packet_type,
            extension_words,
            epoch,
            receiver: ReceiverIndex(receiver),
            sequence,
        },
    )
}

fn requests() -> impl Strategy<Value = Request> {
    let points = proptest::collection::btree_set(any::<u32>(), 0..130);
    (any::<u32>(), any::<u16>(), points).prop_map(|(deadline_ms, flags, points)| {
        let points: Vec<_> = points.into_iter().collect();
        let mut ranges = ByteRanges::WHOLE;
        for pair in points.chunks_exact(2) {
            let _ = ranges.push(pair[0]..pair[1]);
        }
        Request { deadline_ms, flags, ranges }
    })
}

fn reports() -> impl Strategy<Value = Report> {
    let steps = vec((1..=u32::MAX, 1..=u32::MAX), 0..20);
    (any::<[u32; 5]>(), any::<u64>(), steps).prop_map(|(fields, highest, steps)| {
        let mut ranges = SequenceRanges::new();
        assert!(ranges.push(highest, highest));
        let mut low = Some(highest);
        for (gap, length) in steps {
            let high = low.and_then(|low| low.checked_sub(u64::from(gap) + 1));
            low = high.and_then(|high| high.checked_sub(u64::from(length) - 1));
            if let (Some(low), Some(high)) = (low, high) {
                assert_eq!(ranges.push(low, high), ranges.len() < 16 || ranges.contains(high));
            }
        }
        let [echo, echo_delay_us, room_kib, ce_count, received_count] = fields;
        Report { echo, echo_delay_us, room_kib, ce_count, received_count, ranges }
    })
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u16; 8]>().prop_map(IpAddr::from)]
        .prop_map(|address| address.to_canonical())
}

fn group_keys() -> impl Strategy<Value = GroupKey> {
    let cuts = proptest::collection::btree_set(0..=ObjectNumber::SEGMENTS_MAX, 0..65);
    let fields = (any::<[u8; 2]>(), any::<u16>(), any::<u32>(), any::<[u8; 32]>());
    (fields, addresses(), 1..=u16::MAX, cuts, 1..=u32::MAX).prop_map(
        |(fields, source, port, cuts, pace_kbit)| {
            let ([epoch, suite], report_interval_ms, members, secret) = fields;
            let cuts: Vec<_> = cuts.into_iter().collect();
            let channels = (0..).zip(cuts.chunks_exact(2)).map(|(number, cut)| GroupChannel {
                id: ChannelId::new(number, epoch),
                group: [232, 1, epoch, number as u8].into(),
                first: cut[0],
                end: cut[1],
                pace_kbit,
            });
            let (secret, channels) = (GroupSecret::new(secret), channels.collect());
            GroupKey { epoch, suite, report_interval_ms, members, secret, source, port, channels }
        },
    )
}

fn group_reports() -> impl Strategy<Value = GroupReport> {
    let states = [0, 1, 2, 3].map(|byte| ChannelState::try_from(byte).unwrap());
    let state = proptest::sample::select(states.to_vec());
    let channel = (any::<[u32; 2]>(), state, 0..=group_report::LOSS_ALL).prop_map(
        |([id, verified], state, loss)| ChannelReport { id: ChannelId(id), state, loss, verified },
    );
    (any::<[u32; 3]>(), vec(channel, 0..=32)).prop_map(|([serial, rate_kbit, window], channels)| {
        GroupReport { serial, rate_kbit, window, channels }
    })
}

fn group_probes() -> impl Strategy<Value = GroupProbe> {
    let states = [1, 2, 3, 4].map(|byte| ProbeState::try_from(byte).unwrap());
    let state = proptest::sample::select(states.to_vec());
    let entry = (any::<[u32; 2]>(), state, any::<u16>()).prop_map(
        |([segment, time_ms], state, symbols)| ProbeEntry { segment, state, symbols, time_ms },
    );
    (any::<u32>(), any::<u16>(), vec(entry, 0..=16))
        .prop_map(|(members, back_off_ms, entries)| GroupProbe { members, back_off_ms, entries })
}

/// Writes a message with bytes after it, with padding and without, and reads it; then leaves too little
/// room for both.
fn round_trip<T: PartialEq + core::fmt::Debug>(
    message: &T,
    encode: impl Fn(&T, &mut [u8]) -> Result<usize, EncodeError>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) {
    let mut out = [0xAA; 1200];
    let len = encode(message, &mut out).unwrap();
    assert_eq!(decode(&out).as_ref(), Ok(message));
    out[len..].fill(0);
    assert_eq!(decode(&out).as_ref(), Ok(message));
    assert_eq!(decode(&out[..len]).as_ref(), Ok(message));
    let mut again = vec![0; len];
    assert_eq!(encode(message, &mut again), Ok(len));
    assert_eq!(again, out[..len]);
    for short in 0..len {
        assert!(matches!(decode(&out[..short]), Err(DecodeError::Truncated { .. })));
        assert!(matches!(encode(message, &mut again[..short]), Err(EncodeError::NoRoom { .. })));
    }
}

proptest! {
    #[test]
    fn clear_headers_survive(header in clear_headers()) {
        let mut datagram = header.encode().to_vec();
        datagram.resize(header.len(), 0x5A);
        prop_assert_eq!(ClearHeader::decode(&datagram), Ok(header));
        datagram.pop();
        prop_assert!(ClearHeader::decode(&datagram).is_err());
    }

    #[test]
    fn frame_headers_survive(bytes in any::<[u8; 16]>()) {
        prop_assert_eq!(FrameHeader::decode(&bytes).encode(), bytes);
    }

    #[test]
    fn messages_survive(
        request in requests(),
        report in reports(),
        maps in any::<[u64; 3]>(),
        code in any::<u16>().prop_map(Code::from),
        numbers in any::<[u32; 3]>(),
        load in 0..=10_000_u16,
        presence in proptest::sample::select(
            &[Presence::No, Presence::Yes, Presence::NotResident][..]
        ),
        proof in any::<[u8; 8]>(),
        reason in "[a-zäß€😀 ]{0,16}",
    ) {
        round_trip(&request, Request::encode, Request::decode);
        round_trip(&report, Report::encode, Report::decode);
        let [received, finished, next_sequence] = maps;
        round_trip(&Status { received, finished, next_sequence }, Status::encode, Status::decode);
        round_trip(&Refuse { code, retry_after_ms: numbers[0] }, Refuse::encode, Refuse::decode);
        let [echo, queue_ms, _] = numbers;
        round_trip(&PulseReply { echo, load, has_segment: presence, queue_ms }, PulseReply::encode, PulseReply::decode);
        round_trip(&Pulse, Pulse::encode, Pulse::decode);
        round_trip(&PathProof(proof), PathProof::encode, PathProof::decode);
        round_trip(&Close { code, reason }, Close::encode, Close::decode);
    }

    #[test]
    fn messages_about_groups_survive(
        key in group_keys(), report in group_reports(), probe in group_probes(),
    ) {
        round_trip(&key, GroupKey::encode, GroupKey::decode);
        round_trip(&report, GroupReport::encode, GroupReport::decode);
        round_trip(&probe, GroupProbe::encode, GroupProbe::decode);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..700)) {
        let _ = ClearHeader::decode(&bytes);
        let _ = Status::decode(&bytes);
        let _ = Refuse::decode(&bytes);
        let _ = Pulse::decode(&bytes);
        let _ = PulseReply::decode(&bytes);
        let _ = PathProof::decode(&bytes);
        if let Ok(close) = Close::decode(&bytes) {
            prop_assert!(close.reason.len() <= 3 * crate::limits::REASON_MAX);
        }
        let _ = Request::decode(&bytes);
        let _ = Report::decode(&bytes);
        let _ = GroupKey::decode(&bytes);
        let _ = GroupReport::decode(&bytes);
        let _ = GroupProbe::decode(&bytes);
    }

    /// Random bytes seldom have a small count; these reach the code behind it.
    #[test]
    fn ranges_of_any_bytes_keep_their_rules(
        mut bytes in vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 24..600),
        count in 0..20_u8,
    ) {
        bytes[6..8].copy_from_slice(&[0, count]);
        bytes[20..22].copy_from_slice(&[0, count]);
        if let Ok(request) = Request::decode(&bytes) {
            let mut floor = 0;
            for range in request.ranges.iter() {
                prop_assert!(floor <= range.start && range.start < range.end);
                floor = range.end;
            }
        }
        if let Ok(report) = Report::decode(&bytes) {
            let mut ceiling = None;
            for (low, high) in report.ranges.iter() {
                prop_assert!(low <= high);
                prop_assert!(ceiling.is_none_or(|ceiling| high + 1 < ceiling));
                ceiling = Some(low);
            }
        }
    }
}

#[test]
fn frame_fields_are_not_mixed_up() {
    let frame =
        FrameHeader { set_handle: SetHandle(1), object: ObjectNumber(2), offset: 3, send_time: 4 }
            .encode();
    assert_eq!(frame, [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
}
