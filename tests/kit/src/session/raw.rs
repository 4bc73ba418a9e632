//! A client that keeps to no rule but the format: seals and opens whatever a test wants.

use segcast_proto::crypto::{Opener, Sealer};
use segcast_proto::handshake::{ClientHandshake, Defer, HelloParams, WelcomePayload, Welcomed};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::session::client::ClientConfig;
use segcast_proto::time::Instant;
use segcast_proto::wire::request::Request;
use segcast_proto::wire::{Code, FrameHeader, PacketType};

/// Replay window of a client, packets.
const WINDOW: usize = 16_384;
/// Room for any packet that a client sends.
const PACKET_MAX: usize = 2048;

/// A frame header of zeros.
pub const EMPTY_FRAME: FrameHeader =
    FrameHeader { set_handle: SetHandle::FIRST, object: ObjectNumber(0), offset: 0, send_time: 0 };

/// A handshake, and the keys it leads to.
pub struct RawClient {
    handshake: ClientHandshake,
    config: ClientConfig,
    /// The client's direction, once open.
    pub sealer: Option<Sealer>,
    /// Its receiving direction, once there is a session.
    pub opener: Option<Opener>,
    /// The server's index for the session, once WELCOME said it.
    pub server: ReceiverIndex,
    /// The WELCOME that came.
    pub welcome: Option<WelcomePayload>,
    /// Its code.
    pub code: Option<Code>,
}

/// A packet that was opened.
#[derive(Clone, Debug)]
pub struct RawPacket {
    /// Its type.
    pub packet_type: PacketType,
    /// Its flags.
    pub flags: u8,
    /// Its number.
    pub sequence: u64,
    /// Its frame header.
    pub frame: FrameHeader,
    /// What follows.
    pub payload: Vec<u8>,
}

impl RawClient {
    /// Makes a HELLO.
    ///
    /// # Panics
    /// When the configuration makes none.
    #[must_use]
    pub fn new(config: ClientConfig, seed: [u8; 32]) -> Self {
        let params = HelloParams {
            datagram_max: config.datagram_max as u16,
            room_kib: (config.room_bytes / 1024) as u32,
        };
        let handshake = ClientHandshake::new(
            config.suite,
            &config.edge_public,
            &config.secret,
            params,
            &config.token,
            config.sender_index,
            seed,
        )
        .expect("a HELLO");
        let server = ReceiverIndex(0);
        Self { handshake, config, sealer: None, opener: None, server, welcome: None, code: None }
    }

    /// The HELLO, with the last cookie.
    #[must_use]
    pub fn hello(&self) -> Vec<u8> {
        self.handshake.hello().to_vec()
    }

    /// Whether the handshake is done and accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sealer.is_some()
    }

    /// What a DEFER says, if the datagram is one for this HELLO.
    #[must_use]
    pub fn defer(&self, datagram: &[u8]) -> Option<Defer> {
        self.handshake.on_defer(datagram)
    }

    /// Takes a datagram: a COOKIE, a WELCOME, or a sealed packet, which is given back opened.
    pub fn take(&mut self, now: Instant, datagram: &mut [u8]) -> Option<RawPacket> {
        if let Some(opener) = &mut self.opener {
            let opened = opener.open(now, datagram).ok()?;
            let sealer = self.sealer.as_mut()?;
            sealer.on_peer_epoch(now, opened.epoch);
            return Some(RawPacket {
                packet_type: opened.header.packet_type,
                flags: opened.header.flags,
                sequence: opened.header.sequence,
                frame: opened.frame,
                payload: opened.payload.to_vec(),
            });
        }
        if self.handshake.on_cookie(datagram) {
            return None;
        }
        let Ok(welcomed) = self.handshake.on_welcome(datagram) else { return None };
        self.code = Some(welcomed.payload.code);
        self.welcome = Some(welcomed.payload);
        self.server = welcomed.server_index;
        if welcomed.payload.code == Code::Ok {
            self.open(now, welcomed);
        }
        None
    }

    fn open(&mut self, now: Instant, welcomed: Welcomed) {
        let sealer = Sealer::new(self.config.suite, welcomed.to_server, now);
        self.sealer = Some(sealer.with_epoch_packets(self.config.epoch_packets));
        self.opener = Some(Opener::new(self.config.suite, welcomed.from_server, WINDOW));
    }

    /// Seals a packet.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn seal(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut out = vec![0; PACKET_MAX];
        let sealer = self.sealer.as_mut().expect("an open session");
        let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
        let sealed = sealer.seal(now, 0, packet_type, self.server, &frame, payload, &mut out);
        out.truncate(sealed.expect("room and keys").0);
        out
    }

    /// A PULSE.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn pulse(&mut self, now: Instant) -> Vec<u8> {
        self.seal(now, PacketType::Pulse, EMPTY_FRAME, &[0; 16])
    }

    /// A CLOSE, without a reason.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn close(&mut self, now: Instant) -> Vec<u8> {
        self.seal(now, PacketType::Close, EMPTY_FRAME, &[])
    }

    /// A REQUEST for a whole object.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn request(&mut self, now: Instant, id: u32, handle: u32, object: ObjectNumber) -> Vec<u8> {
        let frame = FrameHeader { set_handle: SetHandle(handle), object, offset: id, send_time: 0 };
        self.ask(now, frame, &Request { deadline_ms: 1000, ..Request::default() })
    }

    /// A REQUEST for what `request` says of the object in `frame`, whose offset is the request's id.
    ///
    /// # Panics
    /// When the session is not open.
    pub fn ask(&mut self, now: Instant, frame: FrameHeader, request: &Request) -> Vec<u8> {
        let mut payload = [0; Request::LEN_MAX];
        let len = request.encode(&mut payload).expect("any request fits");
        self.seal(now, PacketType::Request, frame, &payload[..len])
    }

    /// A REPORT of these ranges (inclusive, newest first), with room for all there is.
    ///
    /// # Panics
    /// When the session is not open, or the ranges are not what a REPORT can say.
    pub fn report(
        &mut self,
        now: Instant,
        number: u32,
        echo: u32,
        ranges: &[(u64, u64)],
    ) -> Vec<u8> {
        self.report_with_room(now, number, echo, ranges, 65_536)
    }

    /// The same with room for `room_kib` KiB.
    ///
    /// # Panics
    /// As [`Self::report`].
    pub fn report_with_room(
        &mut self,
        now: Instant,
        number: u32,
        echo: u32,
        ranges: &[(u64, u64)],
        room_kib: u32,
    ) -> Vec<u8> {
        let mut said = segcast_proto::wire::ranges::SequenceRanges::new();
        for &(low, high) in ranges {
            assert!(said.push(low, high), "{low}..={high} cannot be reported");
        }
        let report = segcast_proto::wire::report::Report {
            echo,
            echo_delay_us: 0,
            room_kib,
            ce_count: 0,
            received_count: 0,
            ranges: said,
        };
        let mut payload = [0; 1024];
        let len = report.encode(&mut payload).expect("a report fits");
        let frame = FrameHeader { offset: number, ..EMPTY_FRAME };
        self.seal(now, PacketType::Report, frame, &payload[..len])
    }
}
