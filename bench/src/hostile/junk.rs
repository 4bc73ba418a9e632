//! The kinds of junk, and their datagrams: all are made before anything is measured.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use segcast_client::access::EdgeAddress;
use segcast_client::connection::now;
use segcast_proto::handshake::{HELLO_LEN, StaticSecret};
use segcast_proto::limits::{CLEAR_HEADER, DATAGRAM_MAX};
use segcast_proto::session::client::ClientSession;

use super::record::{Recording, config};
use crate::sink::world::Packed;

/// Datagrams of each kind; they are sent again and again. With more of them the attacker's cache would be measured.
const POOL: usize = 1024;
/// Bytes of an oversized datagram: more than any receive buffer of an edge. With 8192 the attacker's own work filled the
/// core that it shares with the clients.
const OVERSIZED: usize = 2400;
/// So many of random length are as long as each other: a burst can be made of them.
const ALIKE: usize = 4;
/// Where a HELLO has its cookie (docs/protocol, section 5).
pub(super) const COOKIE: usize = HELLO_LEN - 16;
/// Most bits flipped in one datagram.
const FLIPS: u32 = 8;

/// A kind of junk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Random bytes of random length, 16 to 1440
    Random,
    /// Datagrams of a real session, one to eight bits of each flipped; the session is open meanwhile
    Mutated,
    /// HELLOs of real handshakes again
    ReplayedHello,
    /// HELLOs that anyone can make who knows the edge's public key: mac1 and Noise are right, the token's signature is
    /// not
    SpoofedHello,
    /// The same, with 16 bytes of nothing for a cookie
    JunkCookie,
    /// One such HELLO again and again from one address, with the cookie that the edge gave it
    ProvenHello,
    /// A real session's REQUESTs and REPORTs again; the session is open meanwhile
    ReplayedData,
    /// Larger than anything that an edge takes: 2400 bytes
    Oversized,
    /// Too small for a header: 0 to 15 bytes
    Tiny,
}

impl Kind {
    /// How it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Random => "random bytes",
            Self::Mutated => "mutated packets",
            Self::ReplayedHello => "replayed HELLO",
            Self::SpoofedHello => "spoofed HELLO",
            Self::JunkCookie => "junk cookie",
            Self::ProvenHello => "proven HELLO",
            Self::ReplayedData => "replayed data",
            Self::Oversized => "oversized",
            Self::Tiny => "tiny",
        }
    }
}

/// Makes the datagrams of `kind`.
///
/// # Errors
/// When a HELLO cannot be made.
pub(super) fn datagrams(
    kind: Kind,
    recording: &Recording,
    packed: &Packed,
    edge: EdgeAddress,
    seed: u64,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ (kind as u64) << 32);
    let mut bytes = |length: usize| {
        let mut datagram = vec![0; length];
        rng.fill_bytes(&mut datagram);
        datagram
    };
    Ok(match kind {
        Kind::Random => (0..POOL).map(|i| bytes(CLEAR_HEADER + i / ALIKE * 29 % 1425)).collect(),
        Kind::Oversized => (0..16).map(|_| bytes(OVERSIZED)).collect(),
        Kind::Tiny => (0..CLEAR_HEADER * ALIKE).map(|i| bytes(i / ALIKE)).collect(),
        Kind::ReplayedHello => recording.hellos.clone(),
        Kind::ReplayedData => recording.packets.clone(),
        Kind::Mutated => mutated(recording, &mut rng),
        Kind::JunkCookie => {
            let mut hellos = all_spoofed(packed, edge, &mut rng)?;
            hellos.iter_mut().for_each(|hello| rng.fill_bytes(&mut hello[COOKIE..]));
            hellos
        }
        // Those that the attacker tries until it has a cookie for one.
        Kind::SpoofedHello | Kind::ProvenHello => all_spoofed(packed, edge, &mut rng)?,
    })
}

fn mutated(recording: &Recording, rng: &mut ChaCha20Rng) -> Vec<Vec<u8>> {
    let real: Vec<&Vec<u8>> = recording.packets.iter().chain(&recording.hellos).collect();
    let flip = |real: &Vec<u8>| {
        let mut datagram = real.clone();
        // Different bits: the same one twice would be no change.
        let first = rng.next_u32() as usize % (datagram.len() * 8);
        for flip in 0..1 + rng.next_u32() % FLIPS {
            let bit = (first + flip as usize * 31) % (datagram.len() * 8);
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        datagram
    };
    real.iter().copied().cycle().take(POOL.max(real.len())).map(flip).collect()
}

fn all_spoofed(
    packed: &Packed,
    edge: EdgeAddress,
    rng: &mut ChaCha20Rng,
) -> anyhow::Result<Vec<Vec<u8>>> {
    (0..POOL).map(|_| spoofed(packed, edge, rng)).collect()
}

/// A HELLO that costs the edge most: everything before the signature of the token is right.
fn spoofed(packed: &Packed, edge: EdgeAddress, rng: &mut ChaCha20Rng) -> anyhow::Result<Vec<u8>> {
    let [mut secret, mut seed] = [[0; 32]; 2];
    rng.fill_bytes(&mut secret);
    rng.fill_bytes(&mut seed);
    let mut token = packed.token(rng.next_u64(), &StaticSecret::new(secret), None)?;
    if let Some(last) = token.last_mut() {
        *last ^= 1;
    }
    let config = config(edge, secret, token, rng.next_u32());
    let mut session = ClientSession::new(config, seed, now())?;
    let mut hello = [0; DATAGRAM_MAX];
    let length = session.poll_transmit(now(), &mut hello).unwrap_or(0);
    Ok(hello[..length].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutated_datagrams_are_no_real_ones() {
        let packets = (0..20).map(|n| vec![n; 60]).collect();
        let recording = Recording { hellos: vec![vec![99; 1200]], packets };
        let changed = mutated(&recording, &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(changed.len(), POOL);
        for (index, datagram) in changed.iter().enumerate() {
            let real = recording.packets.iter().chain(&recording.hellos).nth(index % 21).unwrap();
            let bits: u32 = real.iter().zip(datagram).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!((1..=FLIPS).contains(&bits), "{bits}");
        }
    }
}
