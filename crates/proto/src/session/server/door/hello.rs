//! HELLO to WELCOME (section 5): the checks in the order of their cost.

use super::answers::{ANSWER_MAX, Answer};
use super::budget::HelloVerdict;
use super::pending::Pending;
use crate::crypto::{Opener, Sealer, hash};
use crate::faults::{Fault, planted};
use crate::handshake::{
    CookieJar, Defer, HelloView, ReceivedHello, WelcomePayload, carries_cookie,
};
use crate::ids::ReceiverIndex;
use crate::limits::{DATAGRAM_BASE, DATAGRAM_MAX, REQUESTS_MAX};
use crate::session::server::Endpoint;
use crate::session::server::event::{Disposition, DropReason, Handoff, Path};
use crate::time::{Duration, Instant};
use crate::token::{self, Claims};
use crate::wire::code::Code;

/// The server's replay window, packets (section 4).
const SERVER_WINDOW: usize = 512;
/// What a client that was refused for lack of room should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A HELLO from someone who knows the edge's key or was given a cookie.
struct Genuine<'a> {
    view: HelloView<'a>,
    /// Its cookie proves the address.
    proven: bool,
}

impl Endpoint {
    /// A datagram of type HELLO.
    pub(in crate::session::server) fn handle_hello(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        datagram: &[u8],
    ) -> Disposition {
        let Genuine { view, proven } = match self.look_at(now, path, datagram) {
            Ok(genuine) => genuine,
            Err(reason) => return self.dropped(reason),
        };
        // Before anything is spent: a HELLO that comes again costs a look into the table.
        if let Some(answered) = self.answer_again(path, &view.hello_hash) {
            return answered;
        }
        let verdict = self.budget.verdict(now);
        if (verdict != HelloVerdict::Work || self.config.cookie_always) && !proven {
            let reply = self.cookies.reply(CookieJar::period(now), path.remote, &view);
            self.counters.cookies += 1;
            self.answer(Answer::new(path, &reply));
            return self.dropped(DropReason::CookieDemanded);
        }
        if let Some(retry_after) = self.put_off(now, verdict) {
            return self.defer(path, &view, retry_after);
        }
        // Spent for a HELLO that fails, too: the computation is what is scarce.
        self.budget.spend();
        self.counters.handshakes += 1;
        let seed = self.seed();
        let Ok(hello) = ReceivedHello::read(&self.config.identity, &view, seed) else {
            return self.dropped(DropReason::HandshakeFailed);
        };
        let shard = self.shard_of(&hello.client_public);
        if shard != self.config.shard {
            self.counters.handoffs += 1;
            return Disposition::Handoff { shard, hello: Box::new(Handoff { hello, path }) };
        }
        self.welcome(now, unix_time, path, hello)
    }

    /// Reads a HELLO as far as hashes go, if the shard has the time.
    fn look_at<'a>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'a [u8],
    ) -> Result<Genuine<'a>, DropReason> {
        let from = path.remote.ip();
        let carries_cookie = carries_cookie(datagram);
        let taken = if carries_cookie {
            self.hello_limiter.take_returning(now)
        } else {
            self.hello_limiter.take_stranger(now, from)
        };
        if !taken {
            return Err(DropReason::HelloFlood);
        }
        let view = HelloView::read(datagram).map_err(|_| DropReason::BadHello)?;
        let period = CookieJar::period(now);
        let proven = carries_cookie
            && !planted(Fault::CookieRefused)
            && self.cookies.verify(period, path.remote, &view);
        if proven {
            return Ok(Genuine { view, proven });
        }
        // Who guesses cookies is a stranger, and pays as one for the hash of its mac1, too.
        if carries_cookie && !self.hello_limiter.take_stranger(now, from) {
            return Err(DropReason::HelloFlood);
        }
        view.check_mac1(&self.config.identity).map_err(|_| DropReason::BadHello)?;
        Ok(Genuine { view, proven })
    }

    /// How long a handshake is to wait that would cost more than there is, or that would come to nothing.
    fn put_off(&mut self, now: Instant, verdict: HelloVerdict) -> Option<Duration> {
        match verdict {
            HelloVerdict::Later => Some(self.budget.put_off(now)),
            HelloVerdict::WithCookie if self.is_full() => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// Whether there is no place for one more session. A pending handshake has one for as long as it lives: what
    /// WELCOME promised is kept.
    fn is_full(&self) -> bool {
        let taken = self.table.sessions() + self.table.pending();
        taken >= self.config.sessions_max as usize || self.table.pending_is_full()
    }

    /// Nobody vouches for a DEFER, so it ends nothing at the client; but it costs no Diffie–Hellman.
    fn defer(&mut self, path: Path, view: &HelloView<'_>, retry_after: Duration) -> Disposition {
        let code = Code::Busy;
        self.counters.deferred.add(code);
        self.answer(Answer::new(path, &Defer { code, retry_after }.reply(view)));
        self.dropped(DropReason::HandshakeOverload)
    }

    /// The same WELCOME again for a HELLO that is pending already, at the same address; none for any other.
    fn answer_again(&mut self, path: Path, hello_hash: &[u8; 32]) -> Option<Disposition> {
        let pending = self.table.pending_for(hello_hash)?;
        if !pending.was_welcomed_at(path) {
            return Some(self.dropped(DropReason::HandshakeFailed));
        }
        // Which of the two the first sealed packet answers cannot be told, and so no round trip.
        pending.repeated = true;
        let answer = Answer::new(path, &pending.welcome);
        self.counters.repeats += 1;
        Some(self.answer(answer))
    }

    /// Which shard a client's sessions live on, so that its limits hold. Keyed, or clients could choose keys that all fall
    /// on one shard.
    fn shard_of(&self, client_public: &[u8; 32]) -> u8 {
        let digest = hash::hmac16(&self.steering_key, &[client_public]);
        let number = u64::from_be_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ]);
        (number % u64::from(self.config.shards.max(1))) as u8
    }

    /// Answers a HELLO that Noise accepted.
    pub(in crate::session::server) fn welcome(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        hello: ReceivedHello,
    ) -> Disposition {
        // Again: where another shard read it, this one sees it for the first time only now.
        if let Some(answered) = self.answer_again(path, &hello.hello_hash) {
            return answered;
        }
        let claims = match self.admit(unix_time, &hello) {
            Ok(claims) => claims,
            Err(code) => {
                if code == Code::TooManySessions {
                    self.clients.refused(&hello.client_public, now);
                }
                return self.refuse(path, hello, code);
            }
        };
        let Some(slot) = self.table.reserve() else {
            return self.refuse(path, hello, Code::Busy);
        };
        let index = ReceiverIndex::new(slot, self.config.shard);
        let (hello_hash, client_public) = (hello.hello_hash, hello.client_public);
        let (client_index, suite, params) = (hello.sender_index, hello.suite, hello.params);
        let payload = self.accepted();
        let mut packet = [0; ANSWER_MAX];
        let Ok((len, from_client, to_client)) = hello.welcome(index, &payload, &mut packet) else {
            self.table.unreserve(slot);
            return self.dropped(DropReason::HandshakeFailed);
        };
        let datagram_max = usize::from(params.datagram_max).clamp(DATAGRAM_BASE, DATAGRAM_MAX);
        let pending = Pending {
            hello_hash,
            path,
            client_index,
            client_public,
            sealer: Sealer::new(suite, to_client, now)
                .with_epoch_packets(self.config.epoch_packets),
            opener: Opener::new(suite, from_client, SERVER_WINDOW),
            claims,
            datagram_max,
            room: u64::from(params.room_kib) * 1024,
            welcome: packet[..len].into(),
            welcomed: now,
            repeated: false,
        };
        self.table.insert_pending(slot, pending);
        self.counters.welcomes += 1;
        self.answer(Answer::new(path, &packet[..len]))
    }

    /// Whether this client may have a session.
    fn admit(&self, unix_time: u64, hello: &ReceivedHello) -> Result<Claims, Code> {
        if self.draining {
            return Err(Code::Draining);
        }
        if self.is_full() {
            return Err(Code::Busy);
        }
        let claims = token::verify(&hello.token, &self.keyring, unix_time, &hello.client_public)
            .map_err(|error| error.code())?;
        match self.limit(&hello.client_public, &claims) {
            Some(code) => Err(code),
            None => Ok(claims),
        }
    }

    /// The limit that one more session of this client would break.
    pub(in crate::session::server) fn limit(
        &self,
        client_public: &[u8; 32],
        claims: &Claims,
    ) -> Option<Code> {
        let allowed = claims.sessions.unwrap_or(self.config.sessions_per_client);
        (self.clients.of(client_public) >= allowed).then_some(Code::TooManySessions)
    }

    /// A refusal in message 2: authenticated, and the server keeps nothing.
    fn refuse(&mut self, path: Path, hello: ReceivedHello, code: Code) -> Disposition {
        let retry = matches!(code, Code::Busy | Code::Draining | Code::TooManySessions);
        let retry_after_ms = if retry { RETRY_AFTER.as_millis() as u32 } else { 0 };
        let payload = WelcomePayload::refusal(code, retry_after_ms);
        let mut packet = [0; ANSWER_MAX];
        match hello.welcome(ReceiverIndex(0), &payload, &mut packet) {
            Ok((len, ..)) => {
                self.counters.refusals.add(code);
                self.answer(Answer::new(path, &packet[..len]))
            }
            Err(_) => self.dropped(DropReason::HandshakeFailed),
        }
    }

    /// What WELCOME says to those who get in.
    fn accepted(&self) -> WelcomePayload {
        WelcomePayload {
            code: Code::Ok,
            datagram_max: self.config.receive_max,
            requests_max: REQUESTS_MAX as u16,
            idle_timeout_s: self.config.idle_timeout.as_secs().min(u64::from(u16::MAX)) as u16,
            retry_after_ms: 0,
        }
    }

    fn answer(&mut self, answer: Answer) -> Disposition {
        if self.answers.push(answer) {
            Disposition::Done
        } else {
            self.dropped(DropReason::AnswerQueueFull)
        }
    }
}
