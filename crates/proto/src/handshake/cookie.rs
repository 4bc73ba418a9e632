//! Cookies: a busy server asks for a proof of the address before it does any Diffie–Hellman, and keeps
//! nothing to check it. Shards agree without talking: all derive the secret from one they share.

use core::net::{IpAddr, SocketAddr};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::hello::{HelloId, HelloView};
use crate::crypto::hash::{HmacKey, constant_time_eq, hmac256};
use crate::ids::ReceiverIndex;
use crate::limits::CLEAR_HEADER;
use crate::time::{Duration, Instant};
use crate::wire::{ClearHeader, DecodeError, PacketType};

/// A COOKIE packet.
pub const COOKIE_LEN: usize = CLEAR_HEADER + 16 + 16;
/// How long one secret makes cookies; it is accepted as long again.
pub const COOKIE_PERIOD: Duration = Duration::from_secs(120);

/// Makes and checks cookies.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CookieJar {
    shared: [u8; 32],
    /// The keys of this period and the last one, each where its number's lowest bit says.
    #[zeroize(skip)]
    keys: [Option<(u64, HmacKey)>; 2],
}

impl CookieJar {
    /// `shared` is random, drawn at start, the same in all shards.
    #[must_use]
    pub const fn new(shared: [u8; 32]) -> Self {
        Self { shared, keys: [None, None] }
    }

    /// The number of the two-minute period that `now` lies in. All shards must use one clock.
    #[must_use]
    pub const fn period(now: Instant) -> u64 {
        now.as_nanos() / COOKIE_PERIOD.as_nanos() as u64
    }

    /// The cookie for a HELLO from `address` in `period`: a hash of 34 bytes, so that a wrong one costs less than it does
    /// to receive it. Its lowest bit is the period's: which of two secrets made it need not be tried.
    fn make(&mut self, period: u64, address: SocketAddr, mac1: &[u8; 16]) -> [u8; 16] {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let parts = [&ip.octets()[..], &address.port().to_be_bytes(), mac1];
        let mut cookie = self.key(period).tag16(&parts);
        cookie[15] = cookie[15] & !1 | (period & 1) as u8;
        cookie
    }

    /// The key of `period`; derived when a period begins.
    fn key(&mut self, period: u64) -> &HmacKey {
        let derive = |shared: &[u8; 32]| {
            let mut secret = hmac256(shared, &[b"segcast v1 cookie", &period.to_be_bytes()]);
            let key = HmacKey::new(&secret);
            secret.zeroize();
            (period, key)
        };
        let place = &mut self.keys[usize::from(period % 2 == 1)];
        let kept = place.take().filter(|(of, _)| *of == period);
        &place.insert(kept.unwrap_or_else(|| derive(&self.shared))).1
    }

    /// Whether a HELLO carries the cookie of `address`, made in this period or the last one, for a HELLO with its mac1.
    /// That the mac1 is right was checked when the cookie was made, for whatever HELLO it came with.
    #[must_use]
    pub fn verify(&mut self, period: u64, address: SocketAddr, hello: &HelloView<'_>) -> bool {
        let cookie = &hello.cookie;
        let is_of_now = u64::from(cookie[15] & 1) == period & 1;
        let made_in = if is_of_now { Some(period) } else { period.checked_sub(1) };
        // Zeros are none; a cookie that came out as zeros would be asked for again.
        *cookie != [0; 16]
            && made_in.is_some_and(|period| {
                constant_time_eq(&self.make(period, address, &hello.id.mac1), cookie)
            })
    }

    /// The COOKIE packet that answers a HELLO.
    #[must_use]
    pub fn reply(&mut self, period: u64, address: SocketAddr, hello: &HelloId) -> [u8; COOKIE_LEN] {
        let header = super::clear_header(PacketType::Cookie, hello.suite, hello.sender_index);
        let mut out = [0; COOKIE_LEN];
        let (clear, rest) = out.split_at_mut(CLEAR_HEADER);
        let (mac1, cookie) = rest.split_at_mut(16);
        clear.copy_from_slice(&header.encode());
        mac1.copy_from_slice(&hello.mac1);
        cookie.copy_from_slice(&self.make(period, address, &hello.mac1));
        out
    }
}

/// What a client reads from a COOKIE.
pub(super) struct CookieView {
    pub(super) receiver: ReceiverIndex,
    pub(super) mac1: [u8; 16],
    pub(super) cookie: [u8; 16],
}

impl CookieView {
    pub(super) fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let header = ClearHeader::decode(datagram)?;
        if header.packet_type != PacketType::Cookie || header.extension_words != 0 {
            return Err(DecodeError::PacketType(header.packet_type as u8));
        }
        let datagram: &[u8; COOKIE_LEN] =
            datagram.try_into().map_err(|_| DecodeError::Bounds("length of COOKIE"))?;
        Ok(Self {
            receiver: header.receiver,
            mac1: core::array::from_fn(|i| datagram[CLEAR_HEADER + i]),
            cookie: core::array::from_fn(|i| datagram[CLEAR_HEADER + 16 + i]),
        })
    }
}
