//! `packets.json`: every sealed packet of version 1, as we seal it, opened by RustCrypto's AES-GCM and by us.

use segcast_proto::crypto::{Opener, Sealer, Secret, Suite};
use segcast_proto::ids::{ChannelId, ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::limits::OVERHEAD;
use segcast_proto::time::Instant;
use segcast_proto::wire::request::FLAG_HEARS;
use segcast_proto::wire::{
    ByteRanges, ChannelReport, ChannelState, Close, Code, FLAG_END, FrameHeader, GroupChannel,
    GroupKey, GroupReport, GroupSecret, PacketType, PathProof, Presence, Pulse, PulseReply, Refuse,
    Report, Request, SequenceRanges, Status,
};

use crate::oracle::{self, key_and_iv};
use crate::{Vector, check};

const NOW: Instant = Instant::ZERO;
const RECEIVER: ReceiverIndex = ReceiverIndex::new(0x00AB_CDEF, 0x12);

/// What is in a packet.
struct Content {
    packet_type: PacketType,
    flags: u8,
    frame: FrameHeader,
    payload: Vec<u8>,
    /// Fields of the message, as section 7 names them.
    fields: Vec<(&'static str, Vec<u8>)>,
}

impl Content {
    fn new(packet_type: PacketType, payload: &[u8]) -> Self {
        let frame = FrameHeader { send_time: 0xFEDC_BA98, ..FrameHeader::default() };
        Self { packet_type, flags: 0, frame, payload: payload.to_vec(), fields: Vec::new() }
    }

    /// A message, written by its `encode`.
    fn message<E: core::fmt::Debug>(
        packet_type: PacketType,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Self {
        let mut out = [0; 1200];
        let len = encode(&mut out).unwrap();
        Self::new(packet_type, &out[..len])
    }

    fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    fn object(mut self, set_handle: SetHandle, object: ObjectNumber) -> Self {
        self.frame.set_handle = set_handle;
        self.frame.object = object;
        self
    }

    fn offset(mut self, offset: u32) -> Self {
        self.frame.offset = offset;
        self
    }

    fn field(mut self, name: &'static str, bytes: &[u8]) -> Self {
        self.fields.push((name, bytes.to_vec()));
        self
    }
}

/// Everything but how it was sealed.
fn describe(name: &str, suite: u8, secret: [u8; 32], epoch: u64, content: &Content) -> Vector {
    let mut epoch_secret = Secret::new(secret);
    for _ in 0..epoch {
        epoch_secret = epoch_secret.next();
    }
    let (key, iv) = key_and_iv(suite, epoch_secret.expose());
    let frame = content.frame;
    let mut vector = Vector::new(name);
    vector
        .put("suite", &[suite])
        .put("secret_0", &secret)
        .put("epoch", &epoch.to_be_bytes())
        .put("key", &key)
        .put("iv", &iv)
        .put("flags", &[content.flags])
        .put("type", &[content.packet_type as u8])
        .put("receiver_index", &RECEIVER.0.to_be_bytes())
        .put("set_handle", &frame.set_handle.0.to_be_bytes())
        .put("segment_number", &frame.object.0.to_be_bytes())
        .put("offset", &frame.offset.to_be_bytes())
        .put("send_time", &frame.send_time.to_be_bytes())
        .put("payload", &content.payload);
    for (name, bytes) in &content.fields {
        vector.put(&format!("payload_{name}"), bytes);
    }
    vector
}

/// A packet as this code seals it.
fn sealed(name: &str, suite: Suite, epoch: u64, sequence: u64, content: &Content) -> Vector {
    let secret = [0x40 | suite as u8; 32];
    let mut sealer = Sealer::new(suite, Secret::new(secret), NOW);
    while sealer.next_sequence() < sequence {
        sealer.skip();
    }
    sealer.on_peer_epoch(NOW, epoch);
    let mut datagram = vec![0; OVERHEAD + content.payload.len()];
    let Content { packet_type, flags, frame, payload, .. } = content;
    let result = sealer.seal(NOW, *flags, *packet_type, RECEIVER, frame, payload, &mut datagram);
    assert_eq!(result, Ok((datagram.len(), sequence)));
    let mut vector = describe(name, suite as u8, secret, epoch, content);
    vector
        .put("sequence_number", &sequence.to_be_bytes())
        .put("extension", &[])
        .put("datagram", &datagram);
    vector
}

/// A packet that this code never sends but must accept, sealed by the oracle.
fn foreign(name: &str, sequence: u64, extension: &[u8], content: &Content) -> Vector {
    let (suite, secret) = (Suite::Aes128Gcm, [0x43; 32]);
    let words = (extension.len() / 4) as u8;
    let mut datagram = vec![0x10 | content.flags, content.packet_type as u8, words, 0];
    datagram.extend(RECEIVER.0.to_be_bytes());
    datagram.extend(sequence.to_be_bytes());
    datagram.extend(extension);
    let mut vector = describe(name, suite as u8, secret, 0, content);
    let plaintext = [&content.frame.encode()[..], &content.payload].concat();
    let nonce = oracle::nonce(vector.array("iv"), sequence);
    let ciphertext = oracle::seal(&vector.bytes("key"), nonce, &datagram, &plaintext);
    datagram.extend(ciphertext);
    vector
        .put("sequence_number", &sequence.to_be_bytes())
        .put("extension", extension)
        .put("datagram", &datagram);
    vector
}

fn data() -> Content {
    let payload: Vec<u8> = (0..1152_u32).map(|i| (i * 7) as u8).collect();
    Content::new(PacketType::Data, &payload)
        .object(SetHandle(1), ObjectNumber(0x0001_0203))
        .offset(1152 * 9)
}

fn request() -> Content {
    let mut ranges = ByteRanges::WHOLE;
    assert!(ranges.push(1152..2304) && ranges.push(2304..2305) && ranges.push(0x10_0000..u32::MAX));
    let request = Request { deadline_ms: 1500, flags: 0, ranges };
    Content::message(PacketType::Request, |out| request.encode(out))
        .object(SetHandle(0), ObjectNumber(41))
        .offset(3)
        .field("deadline", &1500_u32.to_be_bytes())
        .field("range_0_start", &1152_u32.to_be_bytes())
        .field("range_0_end", &2304_u32.to_be_bytes())
        .field("range_1_start", &2304_u32.to_be_bytes())
        .field("range_1_end", &2305_u32.to_be_bytes())
        .field("range_2_start", &0x10_0000_u32.to_be_bytes())
        .field("range_2_end", &u32::MAX.to_be_bytes())
}

fn whole_request() -> Content {
    let request = Request { deadline_ms: 100, ..Request::default() };
    Content::message(PacketType::Request, |out| request.encode(out))
        .object(SetHandle(15), ObjectNumber::page(0))
        .offset(1)
        .field("deadline", &100_u32.to_be_bytes())
}

/// Received: 0x1_0000_0000 down to 0xFFFF_FFF0, then 0xFFFF_FF00 alone, then 0xFFFF_FEFE down to 0xFFFF_FE00.
fn report() -> Content {
    let mut ranges = SequenceRanges::new();
    assert!(ranges.push(0xFFFF_FFF0, 0x1_0000_0000));
    assert!(ranges.push(0xFFFF_FF00, 0xFFFF_FF00));
    assert!(ranges.push(0xFFFF_FE00, 0xFFFF_FEFE));
    let report = Report {
        echo: 0x0102_0304,
        echo_delay_us: 250,
        room_kib: 4096,
        ce_count: 7,
        received_count: 1_000_000,
        ranges,
    };
    Content::message(PacketType::Report, |out| report.encode(out))
        .offset(12)
        .field("echo", &0x0102_0304_u32.to_be_bytes())
        .field("echo_delay", &250_u32.to_be_bytes())
        .field("room", &4096_u32.to_be_bytes())
        .field("ce_count", &7_u32.to_be_bytes())
        .field("packets_received", &1_000_000_u32.to_be_bytes())
        .field("range_0_highest", &0x1_0000_0000_u64.to_be_bytes())
        .field("range_0_lowest", &0xFFFF_FFF0_u64.to_be_bytes())
        .field("range_1_highest", &0xFFFF_FF00_u64.to_be_bytes())
        .field("range_1_lowest", &0xFFFF_FF00_u64.to_be_bytes())
        .field("range_2_highest", &0xFFFF_FEFE_u64.to_be_bytes())
        .field("range_2_lowest", &0xFFFF_FE00_u64.to_be_bytes())
}

fn status() -> Content {
    let status = Status { received: 0b1011, finished: 0b1010, next_sequence: 5000 };
    Content::message(PacketType::Status, |out| status.encode(out))
        .offset(4)
        .field("received", &0b1011_u64.to_be_bytes())
        .field("finished", &0b1010_u64.to_be_bytes())
        .field("next_sequence", &5000_u64.to_be_bytes())
}

fn refuse() -> Content {
    let refuse = Refuse { code: Code::SegmentUnavailable, retry_after_ms: 2000 };
    Content::message(PacketType::Refuse, |out| refuse.encode(out))
        .object(SetHandle(2), ObjectNumber(77))
        .offset(9)
        .field("code", &18_u16.to_be_bytes())
        .field("retry_after", &2000_u32.to_be_bytes())
}

fn pulse_reply() -> Content {
    let reply = PulseReply {
        echo: 0xAABB_CCDD,
        load: 9000,
        has_segment: Presence::NotResident,
        queue_ms: 40,
    };
    Content::message(PacketType::PulseReply, |out| reply.encode(out))
        .object(SetHandle(2), ObjectNumber(77))
        .offset(1)
        .field("echo", &0xAABB_CCDD_u32.to_be_bytes())
        .field("load", &9000_u16.to_be_bytes())
        .field("has_segment", &[2])
        .field("queue", &40_u32.to_be_bytes())
}

fn hearing_request() -> Content {
    let request = Request { deadline_ms: 9000, flags: FLAG_HEARS, ..Request::default() };
    Content::message(PacketType::Request, |out| request.encode(out))
        .object(SetHandle(0), ObjectNumber(41))
        .offset(2)
        .field("deadline", &9000_u32.to_be_bytes())
        .field("flags", &1_u16.to_be_bytes())
}

fn group_key() -> Content {
    let channel = |number, group: &str, first, end| GroupChannel {
        id: ChannelId::new(number, 0x12),
        group: group.parse().unwrap(),
        first,
        end,
        pace_kbit: 40_000,
    };
    let channels =
        vec![channel(7, "232.1.2.3", 0, 8), channel(0x00AB_CDEF, "ff35::8000:1", 8, 2441)];
    let key = GroupKey {
        epoch: 3,
        suite: 1,
        report_interval_ms: 1000,
        members: 300,
        secret: GroupSecret::new([0x47; 32]),
        source: [192, 0, 2, 1].into(),
        port: 4872,
        channels,
    };
    Content::message(PacketType::GroupKey, |out| key.encode(out))
        .object(SetHandle(2), ObjectNumber(0))
        .offset(5)
        .field("epoch", &[3])
        .field("suite", &[1])
        .field("report_interval", &1000_u16.to_be_bytes())
        .field("members", &300_u32.to_be_bytes())
        .field("secret", &[0x47; 32])
        .field("source", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1])
        .field("port", &4872_u16.to_be_bytes())
        .field("channel_0", &0x0000_0712_u32.to_be_bytes())
        .field("channel_0_group", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 232, 1, 2, 3])
        .field("channel_0_first", &0_u32.to_be_bytes())
        .field("channel_0_end", &8_u32.to_be_bytes())
        .field("channel_0_pace", &40_000_u32.to_be_bytes())
        .field("channel_1", &0xABCD_EF12_u32.to_be_bytes())
        .field("channel_1_group", &[255, 53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 1])
        .field("channel_1_first", &8_u32.to_be_bytes())
        .field("channel_1_end", &2441_u32.to_be_bytes())
        .field("channel_1_pace", &40_000_u32.to_be_bytes())
}

fn group_report() -> Content {
    let report = GroupReport {
        serial: 5,
        rate_kbit: 45_000,
        window: u32::MAX,
        channels: vec![ChannelReport {
            id: ChannelId::new(7, 0x12),
            state: ChannelState::Listening,
            loss: 200,
            verified: 1568,
        }],
    };
    Content::message(PacketType::GroupReport, |out| report.encode(out))
        .object(SetHandle(2), ObjectNumber(41))
        .offset(12)
        .field("serial", &5_u32.to_be_bytes())
        .field("rate", &45_000_u32.to_be_bytes())
        .field("window", &u32::MAX.to_be_bytes())
        .field("channel_0", &0x0000_0712_u32.to_be_bytes())
        .field("channel_0_state", &[2])
        .field("channel_0_loss", &200_u16.to_be_bytes())
        .field("channel_0_verified", &1568_u32.to_be_bytes())
}

fn close() -> Content {
    let close = Close { code: Code::ClientDone, reason: "fertig, danke schön".to_owned() };
    Content::message(PacketType::Close, |out| close.encode(out))
        .field("code", &32_u16.to_be_bytes())
        .field("reason", close.reason.as_bytes())
}

fn vectors() -> Vec<Vector> {
    use Suite::{Aes128Gcm, Aes256Gcm};
    let proof = PathProof(*b"8 random");
    let challenge = Content::message(PacketType::PathChallenge, |out| proof.encode(out));
    let response = Content::message(PacketType::PathResponse, |out| proof.encode(out));
    let pulse = Content::message(PacketType::Pulse, |out| Pulse.encode(out));
    let pulse = pulse.object(SetHandle(2), ObjectNumber(77)).offset(1);
    let probe = Content::new(PacketType::SizeProbe, &[0; 1440 - OVERHEAD]);
    let page_end = Content::new(PacketType::Data, b"the end of a page")
        .flags(FLAG_END)
        .object(SetHandle(3), ObjectNumber::page(2))
        .offset(65_519);
    let empty = Content::new(PacketType::Data, b"").object(SetHandle(1), ObjectNumber(5));
    vec![
        sealed("DATA", Aes128Gcm, 0, 0, &data()),
        sealed("DATA, AES-256-GCM", Aes256Gcm, 0, 1, &data()),
        sealed("DATA, epoch 1", Aes128Gcm, 1, 2, &data()),
        sealed("DATA, epoch 258, whose byte is 2", Aes256Gcm, 258, 300, &data()),
        sealed("DATA with END: the end of a manifest page", Aes128Gcm, 0, 300, &page_end),
        sealed("REQUEST with ranges", Aes128Gcm, 0, 3, &request()),
        sealed("REQUEST for the whole manifest root", Aes256Gcm, 0, 4, &whole_request()),
        sealed("REPORT", Aes128Gcm, 0, 5, &report()),
        sealed("STATUS", Aes128Gcm, 0, 6, &status()),
        sealed("REFUSE", Aes128Gcm, 0, 7, &refuse()),
        sealed("PULSE", Aes128Gcm, 0, 8, &pulse),
        sealed("PULSE_REPLY", Aes128Gcm, 0, 9, &pulse_reply()),
        sealed("PATH_CHALLENGE", Aes128Gcm, 0, 10, &challenge),
        sealed("PATH_RESPONSE", Aes128Gcm, 0, 11, &response),
        sealed("SIZE_PROBE of 1440 bytes", Aes128Gcm, 0, 12, &probe),
        sealed("CANCEL", Aes128Gcm, 0, 13, &Content::new(PacketType::Cancel, b"").offset(3)),
        sealed("CLOSE", Aes128Gcm, 0, 14, &close()),
        sealed("REQUEST with HEARS", Aes128Gcm, 0, 19, &hearing_request()),
        sealed("GROUP_KEY", Aes128Gcm, 0, 20, &group_key()),
        sealed("GROUP_REPORT", Aes128Gcm, 0, 21, &group_report()),
        foreign("the smallest packet, 48 bytes", 15, &[], &empty),
        foreign("a sequence number of 8 bytes", 0x0102_0304_0506_0708, &[], &data()),
        foreign("an unknown extension of 2 words", 16, b"exten\0\0\0", &data()),
        foreign("unknown flags", 17, &[], &data().flags(0x0E)),
        foreign("CLOSE with padding", 18, &[], &padded(close())),
    ]
}

fn padded(mut content: Content) -> Content {
    content.payload.resize(200, 0);
    content
}

#[test]
fn packets() {
    for vector in check("packets.json", vectors()) {
        let datagram = vector.bytes("datagram");
        let (additional, ciphertext) = datagram.split_at(16 + vector.bytes("extension").len());
        let nonce = oracle::nonce(vector.array("iv"), vector.number("sequence_number"));
        let plaintext = oracle::open(&vector.bytes("key"), nonce, additional, ciphertext);
        let fields = ["set_handle", "segment_number", "offset", "send_time", "payload"];
        let expected: Vec<u8> = fields.iter().flat_map(|field| vector.bytes(field)).collect();
        assert_eq!(plaintext, Some(expected), "{}", vector.name());

        let opened_payload = open_with_ours(&vector, datagram);
        assert_eq!(opened_payload, vector.bytes("payload"), "{}", vector.name());
        check_message(&vector);
    }
}

/// Opens a packet of any epoch: an opener gets there by a packet of each epoch before.
fn open_with_ours(vector: &Vector, mut datagram: Vec<u8>) -> Vec<u8> {
    let suite = Suite::try_from(vector.number("suite") as u8).unwrap();
    let secret = Secret::new(vector.array("secret_0"));
    let mut opener = Opener::new(suite, secret.clone(), 1024);
    let mut sealer = Sealer::new(suite, secret, NOW);
    for epoch in 1..vector.number("epoch") {
        sealer.on_peer_epoch(NOW, epoch);
        let mut step = [0; OVERHEAD];
        let frame = FrameHeader::default();
        sealer.seal(NOW, 0, PacketType::Data, RECEIVER, &frame, &[], &mut step).unwrap();
        assert_eq!(opener.open(NOW, &mut step).unwrap().epoch, epoch);
    }
    let opened = opener.open(NOW, &mut datagram).unwrap();
    assert_eq!(opened.epoch, vector.number("epoch"));
    assert_eq!(opened.header.sequence, vector.number("sequence_number"));
    opened.payload.to_vec()
}

/// The payload must say what the fields beside it say.
fn check_message(vector: &Vector) {
    let payload = vector.bytes("payload");
    let field = |name: &str| vector.number(&format!("payload_{name}"));
    match PacketType::try_from(vector.number("type") as u8).unwrap() {
        PacketType::Request => {
            let request = Request::decode(&payload).unwrap();
            assert_eq!(u64::from(request.deadline_ms), field("deadline"));
            if request.flags != 0 {
                assert_eq!(u64::from(request.flags), field("flags"));
            }
            for (i, range) in request.ranges.iter().enumerate() {
                assert_eq!(u64::from(range.start), field(&format!("range_{i}_start")));
                assert_eq!(u64::from(range.end), field(&format!("range_{i}_end")));
            }
        }
        PacketType::Report => {
            let report = Report::decode(&payload).unwrap();
            assert_eq!(u64::from(report.echo), field("echo"));
            assert_eq!(u64::from(report.echo_delay_us), field("echo_delay"));
            assert_eq!(u64::from(report.room_kib), field("room"));
            assert_eq!(u64::from(report.ce_count), field("ce_count"));
            assert_eq!(u64::from(report.received_count), field("packets_received"));
            for (i, (low, high)) in report.ranges.iter().enumerate() {
                assert_eq!(high, field(&format!("range_{i}_highest")));
                assert_eq!(low, field(&format!("range_{i}_lowest")));
            }
        }
        PacketType::Status => {
            let status = Status::decode(&payload).unwrap();
            assert_eq!(status.received, field("received"));
            assert_eq!(status.finished, field("finished"));
            assert_eq!(status.next_sequence, field("next_sequence"));
        }
        PacketType::Refuse => {
            let refuse = Refuse::decode(&payload).unwrap();
            assert_eq!(u64::from(u16::from(refuse.code)), field("code"));
            assert_eq!(u64::from(refuse.retry_after_ms), field("retry_after"));
        }
        PacketType::PulseReply => {
            let reply = PulseReply::decode(&payload).unwrap();
            assert_eq!(u64::from(reply.echo), field("echo"));
            assert_eq!(u64::from(reply.load), field("load"));
            assert_eq!(reply.has_segment as u64, field("has_segment"));
            assert_eq!(u64::from(reply.queue_ms), field("queue"));
        }
        PacketType::Close => {
            let close = Close::decode(&payload).unwrap();
            assert_eq!(u64::from(u16::from(close.code)), field("code"));
            assert_eq!(close.reason.as_bytes(), vector.bytes("payload_reason"));
        }
        _ => check_group_message(vector),
    }
}

/// The same for messages about groups.
fn check_group_message(vector: &Vector) {
    let payload = vector.bytes("payload");
    let field = |name: &str| vector.number(&format!("payload_{name}"));
    match PacketType::try_from(vector.number("type") as u8).unwrap() {
        PacketType::GroupKey => {
            let key = GroupKey::decode(&payload).unwrap();
            let fields = [u16::from(key.epoch), key.suite.into(), key.report_interval_ms];
            assert_eq!(fields.map(u64::from), ["epoch", "suite", "report_interval"].map(&field));
            assert_eq!(u64::from(key.members), field("members"));
            assert_eq!(key.secret.expose(), &vector.array("payload_secret"));
            assert_eq!(u64::from(key.port), field("port"));
            for (i, channel) in key.channels.iter().enumerate() {
                assert_eq!(u64::from(channel.id.0), field(&format!("channel_{i}")));
                assert_eq!(u64::from(channel.first), field(&format!("channel_{i}_first")));
                assert_eq!(u64::from(channel.end), field(&format!("channel_{i}_end")));
                assert_eq!(u64::from(channel.pace_kbit), field(&format!("channel_{i}_pace")));
            }
        }
        PacketType::GroupReport => {
            let report = GroupReport::decode(&payload).unwrap();
            let fields = [report.serial, report.rate_kbit, report.window].map(u64::from);
            assert_eq!(fields, ["serial", "rate", "window"].map(&field));
            for (i, channel) in report.channels.iter().enumerate() {
                assert_eq!(u64::from(channel.id.0), field(&format!("channel_{i}")));
                assert_eq!(channel.state as u64, field(&format!("channel_{i}_state")));
                assert_eq!(u64::from(channel.loss), field(&format!("channel_{i}_loss")));
                assert_eq!(u64::from(channel.verified), field(&format!("channel_{i}_verified")));
            }
        }
        _ => {}
    }
}
