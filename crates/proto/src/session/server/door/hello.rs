//! HELLO to WELCOME (section 5): the checks in the order of their cost.

use super::answers::{ANSWER_MAX, Answer};
use super::budget::{HANDSHAKE, HelloVerdict, STEP};
use super::flood::CookieSays;
use super::pending::Pending;
use crate::crypto::{Opener, Sealer, hash};
use crate::faults::{Fault, planted};
use crate::handshake::{
    CookieJar, Defer, HelloId, HelloView, ReceivedHello, WELCOME_LEN, WelcomePayload,
};
use crate::ids::ReceiverIndex;
use crate::limits::{DATAGRAM_BASE, DATAGRAM_MAX, REQUESTS_MAX};
use crate::session::server::Endpoint;
use crate::session::server::event::{Disposition, DropReason, Handoff, Path};
use crate::time::{Duration, Instant};
use crate::token::Claims;
use crate::wire::code::Code;

/// The server's replay window, packets (section 4).
const SERVER_WINDOW: usize = 512;
/// What a client that was refused for lack of room should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Pending handshakes that a client may always have, however few sessions: it may have begun anew and lost the answer.
const PENDING_MIN: usize = 4;
/// At most this part of the pending handshakes of a shard is one client's.
const PENDING_PART: usize = 4;

impl Endpoint {
    /// A datagram of type HELLO.
    pub(in crate::session::server) fn handle_hello(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        datagram: &[u8],
    ) -> Disposition {
        let (view, proven) = match self.look_at(now, path, datagram) {
            Ok(genuine) => genuine,
            Err(reason) => return self.dropped(reason),
        };
        if let Some(answered) = self.answer_early(now, path, &view.id, proven, HANDSHAKE) {
            return answered;
        }
        // Spent for a HELLO that fails, too: the computation is what is scarce.
        self.budget.spend_step(now, path.remote.ip());
        self.counters.handshakes += 1;
        let seed = self.seed();
        let Ok(hello) = ReceivedHello::read(&self.config.identity, &view, seed) else {
            return self.dropped(DropReason::HandshakeFailed);
        };
        let shard = self.shard_of(&hello.client_public);
        if shard != self.config.shard {
            self.counters.handoffs += 1;
            return Disposition::Handoff {
                shard,
                hello: Box::new(Handoff { hello, path, proven }),
            };
        }
        self.welcome(now, unix_time, path, hello)
    }

    /// Takes over a handshake from another shard. That one has paid for its first half only, and this one sees the HELLO
    /// for the first time.
    pub fn handle_handoff(
        &mut self,
        now: Instant,
        unix_time: u64,
        handoff: Handoff,
    ) -> Disposition {
        let Handoff { hello, path, proven } = handoff;
        match self.answer_early(now, path, &hello.id, proven, STEP) {
            Some(answered) => answered,
            None => self.welcome(now, unix_time, path, hello),
        }
    }

    /// Reads a HELLO as far as hashes go, if the shard has the time. Says whether its cookie proves the address.
    fn look_at<'a>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'a [u8],
    ) -> Result<(HelloView<'a>, bool), DropReason> {
        let view = HelloView::read(datagram).map_err(|_| DropReason::BadHello)?;
        let cookie = if view.cookie == [0; 16] {
            CookieSays::Nothing
        } else if !planted(Fault::CookieRefused)
            && self.cookies.verify(CookieJar::period(now), path.remote, &view)
        {
            CookieSays::Proven
        } else {
            CookieSays::Wrong
        };
        if !self.hello_limiter.take(now, path.remote.ip(), cookie) {
            let wrong = cookie == CookieSays::Wrong;
            return Err(if wrong { DropReason::WrongCookie } else { DropReason::HelloFlood });
        }
        view.check_mac1(&self.config.identity).map_err(|_| DropReason::BadHello)?;
        Ok((view, cookie == CookieSays::Proven))
    }

    /// All answers that cost no Diffie–Hellman, of which so many steps are left: what was said before, a COOKIE, a DEFER.
    fn answer_early(
        &mut self,
        now: Instant,
        path: Path,
        hello: &HelloId,
        proven: bool,
        steps: u64,
    ) -> Option<Disposition> {
        // Before anything is spent: a HELLO that comes again costs a look into two tables.
        if let Some(answered) = self.answer_again(now, path, hello) {
            return Some(answered);
        }
        let verdict = self.budget.verdict(now, path.remote.ip(), steps);
        // One of two addresses with the same HELLO has copied it: the place is for who can be reached where they say.
        let cookie_demanded = verdict != HelloVerdict::Work
            || self.config.cookie_always
            || self.table.is_pending(hello.mac1);
        if cookie_demanded && !proven {
            let reply = self.cookies.reply(CookieJar::period(now), path.remote, hello);
            self.counters.cookies += 1;
            self.answer(Answer::new(path, &reply));
            return Some(self.dropped(DropReason::CookieDemanded));
        }
        let retry_after = match verdict {
            HelloVerdict::Later => self.budget.put_off(now),
            HelloVerdict::LaterAlone => RETRY_AFTER,
            HelloVerdict::WithCookie if self.is_full() => RETRY_AFTER,
            HelloVerdict::Work | HelloVerdict::WithCookie => return None,
        };
        Some(self.defer(path, hello, retry_after))
    }

    /// The same WELCOME again, if this HELLO is pending at the same address or was refused lately.
    fn answer_again(&mut self, now: Instant, path: Path, hello: &HelloId) -> Option<Disposition> {
        let answer = if let Some(pending) = self.table.pending_for(hello.mac1, path) {
            // Which of the two the first sealed packet answers cannot be told, and so no round trip.
            pending.repeated = true;
            Answer::new(path, &pending.welcome)
        } else {
            Answer::new(path, self.refusals.find(now, &hello.mac1)?)
        };
        self.counters.repeats += 1;
        Some(self.answer(answer))
    }

    /// Whether there is no place for one more session. A pending handshake has one for as long as it lives: what
    /// WELCOME promised is kept.
    fn is_full(&self) -> bool {
        let taken = self.table.sessions() + self.table.pending();
        taken >= self.config.sessions_max as usize || self.table.pending_is_full()
    }

    /// Nobody vouches for a DEFER, so it ends nothing at the client; but it costs no Diffie–Hellman.
    fn defer(&mut self, path: Path, hello: &HelloId, retry_after: Duration) -> Disposition {
        let code = Code::Busy;
        self.counters.deferred.add(code);
        self.answer(Answer::new(path, &Defer { code, retry_after }.reply(hello)));
        self.dropped(DropReason::HandshakeOverload)
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
    fn welcome(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        hello: ReceivedHello,
    ) -> Disposition {
        self.budget.spend_step(now, path.remote.ip());
        let claims = match self.admit(unix_time, &hello) {
            Ok(claims) => claims,
            Err(code) => {
                if code == Code::TooManySessions {
                    self.clients.refused(&hello.client_public, now);
                }
                return self.refuse(now, path, hello, code);
            }
        };
        let most = self.pending_of_one(&claims);
        self.counters.pending_replaced += self.table.make_place_of_copy(hello.id.mac1, path);
        self.counters.pending_replaced += self.table.make_place(&hello.client_public, most);
        let Some(slot) = self.table.reserve() else {
            return self.refuse(now, path, hello, Code::Busy);
        };
        let index = ReceiverIndex::new(slot, self.config.shard);
        let (id, client_public, params) = (hello.id, hello.client_public, hello.params);
        let payload = self.accepted();
        let mut packet = [0; ANSWER_MAX];
        let Ok((len, from_client, to_client)) = hello.welcome(index, &payload, &mut packet) else {
            self.table.unreserve(slot);
            return self.dropped(DropReason::HandshakeFailed);
        };
        let datagram_max = usize::from(params.datagram_max).clamp(DATAGRAM_BASE, DATAGRAM_MAX);
        let pending = Pending {
            hello: id,
            path,
            client_public,
            sealer: Sealer::new(id.suite, to_client, now)
                .with_epoch_packets(self.config.epoch_packets),
            opener: Opener::new(id.suite, from_client, SERVER_WINDOW),
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
    fn admit(&mut self, unix_time: u64, hello: &ReceivedHello) -> Result<Claims, Code> {
        if self.draining {
            return Err(Code::Draining);
        }
        if self.is_full() {
            return Err(Code::Busy);
        }
        let claims = self
            .tokens
            .verify(&hello.token, &self.keyring, unix_time, &hello.client_public)
            .map_err(|error| error.code())?;
        match self.limit(&hello.client_public, &claims) {
            Some(code) => Err(code),
            None => Ok(claims),
        }
    }

    /// How many handshakes of a client with these claims may be pending at once. One more takes the place of the oldest:
    /// were it refused, who replays a client's old HELLOs could keep it out.
    fn pending_of_one(&self, claims: &Claims) -> usize {
        let sessions = claims.sessions.unwrap_or(self.config.sessions_per_client);
        let part = (self.config.pending_max as usize / PENDING_PART).max(1);
        usize::from(sessions).max(PENDING_MIN).min(part)
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

    /// A refusal in message 2: authenticated, and remembered for a while, as it was not cheap.
    fn refuse(
        &mut self,
        now: Instant,
        path: Path,
        hello: ReceivedHello,
        code: Code,
    ) -> Disposition {
        let retry = matches!(code, Code::Busy | Code::Draining | Code::TooManySessions);
        let retry_after_ms = if retry { RETRY_AFTER.as_millis() as u32 } else { 0 };
        let payload = WelcomePayload::refusal(code, retry_after_ms);
        let (mac1, mut packet) = (hello.id.mac1, [0; WELCOME_LEN]);
        match hello.welcome(ReceiverIndex(0), &payload, &mut packet) {
            Ok(_) => {
                self.counters.refusals.add(code);
                self.refusals.insert(now, mac1, packet);
                self.answer(Answer::new(path, &packet))
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
