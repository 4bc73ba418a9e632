//! A server that does what the input says, the client session it talks to, and what that session must keep to.

use std::collections::BTreeSet;

use segcast_proto::crypto::{OpenError, Opener, Sealer, Suite};
use segcast_proto::handshake::{CookieJar, ReceivedHello, WelcomePayload};
use segcast_proto::ids::ReceiverIndex;
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::session::client::{ClientSession, ClientStats};
use segcast_proto::time::Instant;
use segcast_proto::wire::{
    ClearHeader, Close, FrameHeader, PacketType, PathProof, Pulse, Report, Request,
};

use super::model::Model;
use crate::endpoint::check_hello;
use crate::fuzz::cast::{self, CLIENT_BUFFER, START};
use crate::fuzz::script::Script;

/// The client's receiver index.
const INDEX: u32 = 0x77;
/// Timers and datagrams at one moment, before it counts as spinning.
const TURNS_MAX: usize = 300;
/// Datagrams that can be replayed.
const MEMORY: usize = 32;

/// The keys that one WELCOME leads to.
pub(super) struct Keys {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    /// The server changed keys where the protocol does not allow it.
    pub(super) rushed: bool,
    /// Sequence numbers that the client took.
    taken: BTreeSet<u64>,
    /// Request ids that came.
    pub(super) requests: Vec<(u32, FrameHeader, Request)>,
}

/// Both ends.
pub(super) struct Fake {
    pub(super) session: ClientSession,
    pub(super) now: Instant,
    pub(super) model: Model,
    pub(super) keys: Vec<Keys>,
    /// Sealed datagrams that were sent, and the keys they were sealed with.
    pub(super) history: Vec<(usize, Vec<u8>)>,
    hello: Vec<u8>,
    suite: Suite,
    handed: u64,
}

fn dropped(stats: &ClientStats) -> u64 {
    stats.corrupt + stats.replayed + stats.stray
}

impl Fake {
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let mut config = cast::client(0, &cast::claims(0, 0), INDEX);
        config.suite = if script.flag() { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
        config.room_bytes = u64::from(script.short()) << 8;
        config.rtt_hint = script.flag().then(|| cast::wait(script.byte() % 16));
        config.epoch_packets = 1 + u64::from(script.byte());
        let suite = config.suite;
        let session = ClientSession::new(config, [8; 32], START).expect("a token that fits");
        Self {
            session,
            now: START,
            model: Model::default(),
            keys: Vec::new(),
            history: Vec::new(),
            hello: Vec::new(),
            suite,
            handed: 0,
        }
    }

    /// Hands the client a datagram; says whether it was taken.
    pub(super) fn hand(&mut self, mut datagram: Vec<u8>, ecn: u8) -> bool {
        let before = *self.session.stats();
        self.handed += 1;
        self.session.handle_datagram(self.now, ecn, &mut datagram);
        let after = self.session.stats();
        // An authentic packet of a type that no server sends counts as both.
        dropped(after) == dropped(&before) || after.datagrams_in > before.datagrams_in
    }

    /// Answers the last HELLO: a WELCOME with what is chosen in it, altered or not.
    pub(super) fn welcome(&mut self, script: &mut Script<'_>) {
        let Ok(view) = check_hello(&cast::identity(), &self.hello)
            .map(|view| ReceivedHello::read(&cast::identity(), &view, [self.keys.len() as u8; 32]))
        else {
            return;
        };
        let received = view.expect("a client's HELLO is genuine");
        let payload = WelcomePayload {
            code: u16::from(script.byte() % 9).into(),
            datagram_max: script.short(),
            requests_max: script.byte().into(),
            idle_timeout_s: script.short(),
            retry_after_ms: script.long(),
        };
        let index = ReceiverIndex::new(self.keys.len() as u32, 0);
        let mut out = [0; 256];
        let welcome = received.welcome(index, &payload, &mut out);
        let (len, from_client, to_client) = welcome.expect("room for a WELCOME");
        self.keys.push(Keys {
            sealer: Sealer::new(self.suite, to_client, self.now),
            opener: Opener::new(self.suite, from_client, 512),
            rushed: false,
            taken: BTreeSet::new(),
            requests: Vec::new(),
        });
        let mut datagram = out[..len].to_vec();
        script.patch(&mut datagram);
        self.hand(datagram, 0);
    }

    /// A COOKIE for the last HELLO, altered or not.
    pub(super) fn cookie(&mut self, script: &mut Script<'_>) {
        let hello = self.hello.clone();
        let Ok(view) = check_hello(&cast::identity(), &hello) else { return };
        let mut jar = CookieJar::new([script.byte(); 32]);
        let mut reply = jar.reply(1, cast::address(0), &view.id);
        script.patch(&mut reply);
        self.hand(reply.to_vec(), 0);
    }

    /// Seals a message with the keys of one WELCOME and hands it over, altered or not.
    pub(super) fn send(
        &mut self,
        keys: usize,
        (packet_type, flags): (PacketType, u8),
        frame: FrameHeader,
        payload: &[u8],
        script: &mut Script<'_>,
    ) {
        let now = self.now;
        let Some(used) = self.keys.get_mut(keys) else { return };
        let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
        let mut datagram = vec![0; payload.len() + 64];
        let index = ReceiverIndex(INDEX);
        let sealed =
            used.sealer.seal(now, flags, packet_type, index, &frame, payload, &mut datagram);
        let (len, sequence) = sealed.expect("room and keys");
        datagram.truncate(len);
        if self.history.len() == MEMORY {
            self.history.remove(0);
        }
        self.history.push((keys, datagram.clone()));
        let (altered, ecn) = (script.patch(&mut datagram), script.byte() % 4);
        let was_open = self.session.is_open();
        let scattered = self.session.stats().scattered;
        if self.hand(datagram, ecn) {
            assert!(was_open && !altered, "an altered packet, or one without a session, was taken");
            assert!(self.keys[keys].taken.insert(sequence), "number {sequence} taken twice");
            if packet_type == PacketType::Data && self.session.stats().scattered == scattered {
                self.model.data(&frame, payload, flags);
            }
            if packet_type == PacketType::Refuse {
                self.model.refused_may_come();
            }
            // What comes after the last byte of an object is not of it any more.
            self.events();
        }
    }

    /// Hands over a datagram that was sent before, altered or not: it counts once at most.
    pub(super) fn again(&mut self, datagram: Vec<u8>) {
        let found = self.history.iter().find(|(_, sent)| *sent == datagram);
        let genuine = found.map(|(keys, sent)| {
            (*keys, ClearHeader::decode(sent).expect("a sealed packet").sequence)
        });
        let taken = match genuine {
            Some((keys, sequence)) => self.keys[keys].taken.contains(&sequence),
            None => true,
        };
        if taken {
            assert!(!self.hand(datagram, 0), "an altered packet, or one that came, was taken");
        }
    }

    /// Lets timers fire and everything go out, and looks at all of it.
    pub(super) fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "the client spins");
            self.drain();
            if self.session.poll_timeout().is_none_or(|at| at > self.now) {
                break;
            }
            self.session.handle_timeout(self.now);
        }
        self.events();
        assert_eq!(self.session.outstanding(), self.model.wanted.len());
        assert!(dropped(self.session.stats()) <= self.handed);
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.model.event(&event, &self.session);
        }
    }

    fn drain(&mut self) {
        let mut out = [0; CLIENT_BUFFER];
        for sent in 0.. {
            assert!(sent < TURNS_MAX, "the client floods");
            let Some(len) = self.session.poll_transmit(self.now, &mut out) else { break };
            assert!(len <= DATAGRAM_BASE, "{len} bytes are more than any path carries");
            self.look(&mut out[..len]);
        }
    }

    /// A datagram of the client's.
    fn look(&mut self, datagram: &mut [u8]) {
        let header = ClearHeader::decode(datagram).expect("a client sends packets");
        if header.packet_type == PacketType::Hello {
            check_hello(&cast::identity(), datagram).expect("a client's HELLO is genuine");
            self.hello = datagram.to_vec();
            return;
        }
        let keys = self.keys.get_mut(header.receiver.slot() as usize);
        let keys = keys.expect("the index of a WELCOME");
        let opened = match keys.opener.open(self.now, datagram) {
            // A server that ran ahead of its client cannot read what follows it.
            Err(OpenError::UnknownEpoch) if keys.rushed => return,
            opened => opened.expect("opens, and was never sent before"),
        };
        let (frame, payload) = (opened.frame, opened.payload);
        match opened.header.packet_type {
            PacketType::Request => {
                let request = Request::decode(payload).expect("a REQUEST");
                assert!(frame.offset > 0, "0 is no request id");
                self.model.requested(&frame, &request);
                keys.requests.push((frame.offset, frame, request));
            }
            PacketType::Report => {
                let report = Report::decode(payload).expect("a REPORT");
                for (low, high) in report.ranges.iter() {
                    let came = keys.taken.range(low..=high).count() as u64;
                    assert_eq!(came, high - low + 1, "reported what never came");
                }
            }
            PacketType::Cancel => {
                let known = keys.requests.iter().any(|(id, ..)| *id == frame.offset);
                assert!(known, "cancelled what was never asked for");
            }
            PacketType::PathResponse => {
                let proof = PathProof::decode(payload).expect("a PATH_RESPONSE");
                assert!(self.model.challenges.contains(&proof.0), "no challenge was answered");
            }
            PacketType::Pulse => {
                Pulse::decode(payload).expect("a PULSE");
                self.model.pulses = self.model.pulses.checked_sub(1).expect("not more than asked");
            }
            PacketType::Close => assert!(Close::decode(payload).is_ok() && !self.session.is_open()),
            other => panic!("{} from a client", other.name()),
        }
    }
}
