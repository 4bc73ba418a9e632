//! What each train and each frame does to a session, and what must be true of it.

use std::time::Duration;

use anyhow::Context as _;
use segcast_proto::crypto::Opened;
use segcast_proto::ids::SetHandle;
use segcast_proto::limits::OVERHEAD;
use segcast_proto::time::Instant;
use segcast_proto::wire::close::Close;
use segcast_proto::wire::code::Code;
use segcast_proto::wire::refuse::Refuse;
use segcast_proto::wire::status::Status;
use segcast_proto::wire::{ClearHeader, FrameHeader, PacketType};

use super::{Open, Plan, REPEAT, Session};

/// A train as the filter saw it.
pub(in crate::sink) struct Train<'a> {
    pub(in crate::sink) header: ClearHeader,
    /// The first bytes of the first datagram's ciphertext.
    pub(in crate::sink) head: &'a [u8; 16],
    /// Bytes of UDP payload of all datagrams, and of each but the last.
    pub(in crate::sink) payload_bytes: usize,
    pub(in crate::sink) datagram_bytes: usize,
}

impl Session {
    /// A train left the server, whether it passed or was dropped.
    pub(in crate::sink) fn on_train(
        &mut self,
        now: Instant,
        plan: &Plan,
        train: &Train<'_>,
    ) -> anyhow::Result<()> {
        let number = self.number;
        let open = self.open()?;
        let header = &train.header;
        let is_data = header.packet_type == PacketType::Data && header.extension_words == 0;
        anyhow::ensure!(is_data, "session {number}: a train of {}", header.packet_type.name());
        let frame = open.head.read(header, train.head).context("a train of an unknown epoch")?;
        let datagrams = train.payload_bytes.div_ceil(train.datagram_bytes);
        let bytes = train.payload_bytes - datagrams * OVERHEAD;
        for sequence in header.sequence..header.sequence + datagrams as u64 {
            open.arrived(now, sequence, frame.send_time, number)?;
        }
        open.data(now, plan, datagrams as u32, &frame, bytes as u32)
            .with_context(|| format!("session {number}"))?;
        let wait = open.waited(now);
        self.tally.trains += 1;
        self.tally.datagrams += datagrams as u64;
        self.tally.bytes += bytes as u64;
        self.tally.longest_wait = self.tally.longest_wait.max(wait);
        Ok(())
    }

    /// A train passed whole: every datagram must be authentic, and every byte the title's.
    pub(in crate::sink) fn check_train(
        &mut self,
        now: Instant,
        plan: &Plan,
        payload: &mut [u8],
        datagram_bytes: usize,
    ) -> anyhow::Result<()> {
        let number = self.number;
        let open = self.open()?;
        for datagram in payload.chunks_mut(datagram_bytes) {
            let opened = open.opener.open(now, datagram);
            let opened = opened.with_context(|| format!("session {number}: in a train"))?;
            let sequence = opened.header.sequence;
            anyhow::ensure!(
                open.seen.contains(sequence),
                "session {number}: packet {sequence} came in a train that the filter did not see"
            );
            open.sealer.on_peer_epoch(now, opened.epoch);
            compare(plan, &opened).with_context(|| format!("session {number}"))?;
        }
        Ok(())
    }

    /// A single datagram came.
    pub(in crate::sink) fn on_datagram(
        &mut self,
        now: Instant,
        plan: &Plan,
        datagram: &mut [u8],
    ) -> anyhow::Result<()> {
        let header = ClearHeader::decode(datagram).context("not a packet")?;
        if let Some(opening) = &mut self.opening {
            if header.packet_type == PacketType::Cookie {
                opening.cookie(now, datagram);
                return Ok(());
            }
            let (welcomed, order) = (opening.welcome(datagram)?, opening.order);
            return self.welcomed(now, welcomed, order);
        }
        if !header.packet_type.is_sealed() {
            // The answer to a HELLO that was repeated.
            return Ok(());
        }
        let number = self.number;
        self.on_sealed(now, plan, datagram).with_context(|| format!("session {number}"))
    }

    fn on_sealed(&mut self, now: Instant, plan: &Plan, datagram: &mut [u8]) -> anyhow::Result<()> {
        let number = self.number;
        let open = self.open.as_mut().context("a sealed packet before WELCOME")?;
        let opened = open.opener.open(now, datagram)?;
        let (sequence, frame) = (opened.header.sequence, opened.frame);
        open.sealer.on_peer_epoch(now, opened.epoch);
        match opened.header.packet_type {
            PacketType::Data => {
                compare(plan, &opened)?;
                let bytes = opened.payload.len() as u32;
                open.arrived(now, sequence, frame.send_time, number)?;
                open.data(now, plan, 1, &frame, bytes)?;
                self.tally.singles += 1;
                self.tally.datagrams += 1;
                self.tally.bytes += u64::from(bytes);
                return Ok(());
            }
            PacketType::Status => {
                let status = Status::decode(opened.payload)?;
                open.status(now, plan, frame.offset, &status)?;
            }
            PacketType::PulseReply => open.pulse = None,
            PacketType::SizeProbe => open.report_due = Some(now),
            PacketType::Refuse => {
                let refuse = Refuse::decode(opened.payload)?;
                let for_now = matches!(refuse.code, Code::Overloaded | Code::TooManyRequests);
                anyhow::ensure!(for_now, "request {}: {}", frame.offset, refuse.code.name());
                let wait = Duration::from_millis(refuse.retry_after_ms.into());
                self.tally.refused += u64::from(open.refused(now, frame.offset, wait));
            }
            PacketType::Close => {
                let close = Close::decode(opened.payload)?;
                anyhow::bail!("the server closed it: {}", close.code.name());
            }
            other => anyhow::bail!("a packet that does not belong here: {}", other.name()),
        }
        open.arrived(now, sequence, frame.send_time, number)
    }
}

impl Open {
    /// Notes a packet that arrived. A number must never come twice: that would be a nonce used twice.
    fn arrived(
        &mut self,
        now: Instant,
        sequence: u64,
        send_time: u32,
        session: u32,
    ) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.seen.note(sequence),
            "session {session}: sequence number {sequence} was used twice under one key"
        );
        self.reports.received(now, sequence, send_time, false);
        self.heard = now;
        Ok(())
    }

    /// DATA arrived: a REPORT will be due.
    fn data(
        &mut self,
        now: Instant,
        plan: &Plan,
        datagrams: u32,
        frame: &FrameHeader,
        bytes: u32,
    ) -> anyhow::Result<()> {
        self.unreported += datagrams;
        self.patience = (self.patience * 7 / 8).max(REPEAT);
        let at_once = self.unreported >= plan.report_packets;
        let due = if at_once { now } else { now + plan.report_after };
        self.report_due = Some(self.report_due.map_or(due, |before| before.min(due)));
        anyhow::ensure!(frame.set_handle == SetHandle::FIRST, "DATA of set {}", frame.set_handle.0);
        self.cover(plan, frame.object.0, frame.offset, bytes)
    }

    /// How long it was since the last train.
    fn waited(&mut self, now: Instant) -> std::time::Duration {
        let before = self.last_train.replace(now);
        before.map_or(std::time::Duration::ZERO, |before| now.saturating_since(before))
    }
}

/// Whether the bytes of a DATA packet are the title's.
fn compare(plan: &Plan, opened: &Opened<'_>) -> anyhow::Result<()> {
    let frame = &opened.frame;
    anyhow::ensure!(
        opened.header.packet_type == PacketType::Data && frame.object.0 < plan.segments,
        "{} of object {}",
        opened.header.packet_type.name(),
        frame.object.0
    );
    let segment = u64::from(frame.object.0) * u64::from(plan.segment_bytes);
    let at = segment + u64::from(frame.offset);
    match plan.title.first_difference(at, opened.payload) {
        None => Ok(()),
        Some(at) => anyhow::bail!("byte {at} of the title is wrong"),
    }
}
