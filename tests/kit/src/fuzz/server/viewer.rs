//! One handshake of a client without rules, and what the session that it leads to must keep to.

use std::collections::{BTreeMap, BTreeSet};

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::REPORT_RANGES_MAX;
use segcast_proto::time::Instant;
use segcast_proto::wire::status::Status;
use segcast_proto::wire::{
    ClearHeader, FLAG_END, FrameHeader, GroupKey, PacketType, PulseReply, Refuse, Report, Request,
    SequenceRanges,
};

use crate::fuzz::shelf::bytes_of;
use crate::session::raw::{RawClient, RawPacket};

/// A client's end of a session.
pub(super) struct Viewer {
    pub(super) client: RawClient,
    /// Index of the address that it sends from.
    pub(super) address: usize,
    /// Whether it ever reported what a correct client would not.
    pub(super) lied: bool,
    /// It changed keys where the protocol does not allow it: it may have no key for what follows it.
    pub(super) rushed: bool,
    /// The last challenge's secret.
    pub(super) challenge: Vec<u8>,
    pub(super) reports: u32,
    /// The most that each request id asked for, of each object.
    asked: BTreeMap<(u32, ObjectNumber), u64>,
    /// What all ids asked for, and what came, of each object.
    sums: BTreeMap<ObjectNumber, (u64, u64)>,
    /// Sequence numbers that came.
    received: BTreeSet<u64>,
    /// Send time and arrival of the highest.
    newest: (u32, Instant),
}

impl Viewer {
    pub(super) fn new(client: RawClient, address: usize, now: Instant) -> Self {
        Self {
            client,
            address,
            lied: false,
            rushed: false,
            challenge: Vec::new(),
            reports: 0,
            asked: BTreeMap::new(),
            sums: BTreeMap::new(),
            received: BTreeSet::new(),
            newest: (0, now),
        }
    }

    /// Seals a message, and notes what it asks for.
    pub(super) fn seal(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        if !self.client.is_open() {
            return None;
        }
        if packet_type == PacketType::Request
            && let (Ok(request), SetHandle::FIRST, Some(bytes)) =
                (Request::decode(payload), frame.set_handle, bytes_of(frame.object))
        {
            self.ask(frame.offset, frame.object, &request, bytes.len() as u32);
        }
        Some(self.client.seal(now, packet_type, frame, payload))
    }

    fn ask(&mut self, id: u32, object: ObjectNumber, request: &Request, len: u32) {
        let clipped = |range: core::ops::Range<u32>| range.end.min(len).saturating_sub(range.start);
        let ranges = request.ranges.iter().map(clipped).map(u64::from);
        let bytes = if request.ranges.is_empty() { u64::from(len) } else { ranges.sum() };
        let most = self.asked.entry((id, object)).or_default();
        let more = bytes.saturating_sub(*most);
        *most += more;
        self.sums.entry(object).or_default().0 += more;
    }

    /// Takes a datagram in; gives the bytes of data in it.
    pub(super) fn take(&mut self, now: Instant, mut datagram: Vec<u8>) -> u64 {
        let header = ClearHeader::decode(&datagram).expect("a server sends packets");
        if !header.packet_type.is_sealed() {
            self.client.take(now, &mut datagram);
            return 0;
        }
        assert!(self.client.is_open(), "a sealed packet before the session was open");
        assert!(self.received.insert(header.sequence), "number {} twice", header.sequence);
        let Some(packet) = self.client.take(now, &mut datagram) else {
            assert!(self.rushed, "a server's packets open");
            return 0;
        };
        if self.received.last() == Some(&header.sequence) {
            self.newest = (packet.frame.send_time, now);
        }
        self.check(&packet)
    }

    fn check(&mut self, packet: &RawPacket) -> u64 {
        let payload = packet.payload.as_slice();
        match packet.packet_type {
            PacketType::Data => return self.data(packet),
            PacketType::Status => {
                let status = Status::decode(payload).expect("a STATUS");
                assert_eq!(status.finished & !status.received, 0, "finished, not received");
                assert!(status.next_sequence <= packet.sequence + 1);
            }
            PacketType::Refuse => assert!(Refuse::decode(payload).is_ok()),
            PacketType::PulseReply => assert!(PulseReply::decode(payload).is_ok()),
            PacketType::GroupKey => assert!(GroupKey::decode(payload).is_ok()),
            PacketType::PathChallenge => self.challenge = payload.to_vec(),
            PacketType::SizeProbe | PacketType::Close => {}
            other => panic!("{} from a server", other.name()),
        }
        0
    }

    /// Data is what the object has there, was asked for, and comes no more often than it was asked for.
    fn data(&mut self, packet: &RawPacket) -> u64 {
        let frame = &packet.frame;
        assert_eq!(frame.set_handle, SetHandle::FIRST, "data of a set that is not there");
        let object = bytes_of(frame.object).expect("data of an object that there is");
        let (start, len) = (frame.offset as usize, packet.payload.len());
        assert!(len > 0 && object[start..start + len] == packet.payload, "other bytes");
        assert_eq!(packet.flags & FLAG_END != 0, start + len == object.len());
        let (asked, served) = self.sums.entry(frame.object).or_default();
        *served += len as u64;
        assert!(*served <= *asked, "{served} bytes of {:?}, {asked} were asked for", frame.object);
        len as u64
    }

    /// What a correct client would report now; none before anything came.
    pub(super) fn honest_report(&self, now: Instant, room_kib: u32) -> Option<Report> {
        let mut ranges = SequenceRanges::new();
        let mut run: Option<(u64, u64)> = None;
        for &sequence in self.received.iter().rev() {
            match &mut run {
                Some((low, _)) if sequence + 1 == *low => *low = sequence,
                _ => {
                    if let Some((low, high)) = run
                        && !ranges.push(low, high)
                    {
                        break;
                    }
                    run = Some((sequence, sequence));
                }
            }
        }
        if let Some((low, high)) = run
            && ranges.len() < REPORT_RANGES_MAX
        {
            // False where the list is full: older numbers are not told.
            let _ = ranges.push(low, high);
        }
        let held = now.saturating_since(self.newest.1).as_micros();
        let received_count = self.received.len() as u32;
        let echo_delay_us = u32::try_from(held).unwrap_or(u32::MAX);
        (!ranges.is_empty()).then_some(Report {
            echo: self.newest.0,
            echo_delay_us,
            room_kib,
            ce_count: 0,
            received_count,
            ranges,
        })
    }

    /// The highest number that came.
    pub(super) fn highest(&self) -> u64 {
        self.received.last().copied().unwrap_or(0)
    }
}
