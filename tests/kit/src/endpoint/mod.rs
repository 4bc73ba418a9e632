//! An edge's endpoint, the center it trusts and clients with tokens, without a network between them.
//!
//! [`Cast`] makes them for a test that has a world of its own; [`Rig`] is such a world: virtual time, no delay, and
//! clients of any kind.

/// A server, clients of any kind, and a network without delay.
pub mod rig;

use std::sync::Arc;

use rand_core::RngCore;
pub use rig::Rig;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{EdgeIdentity, HelloError, HelloView, StaticSecret};
use segcast_proto::session::client::ClientConfig;
use segcast_proto::session::server::{Endpoint, EndpointConfig};
use segcast_proto::time::Instant;
use segcast_proto::token::{Claims, Keyring, mint};

use crate::random::draw;
use crate::session;

/// Unix time when a run in virtual time begins, seconds.
pub const UNIX: u64 = 1_800_000_000;
/// The moment when a run in virtual time begins.
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// Checks a HELLO's length, version, suite and mac1: all that can be checked without Diffie–Hellman.
///
/// # Errors
///
/// What is wrong with it; an edge drops such a HELLO without an answer.
pub fn check_hello<'a>(
    identity: &EdgeIdentity,
    datagram: &'a [u8],
) -> Result<HelloView<'a>, HelloError> {
    let view = HelloView::read(datagram)?;
    view.check_mac1(identity)?;
    Ok(view)
}

/// Who takes part: one center, and one edge that trusts it.
pub struct Cast {
    /// Signs tokens.
    pub center: SigningKey,
    /// The edge's key pair.
    pub identity: Arc<EdgeIdentity>,
}

impl Cast {
    /// With the edge's static secret and the center's seed.
    #[must_use]
    pub fn new(edge: [u8; 32], center: [u8; 32]) -> Self {
        let identity = Arc::new(EdgeIdentity::new(StaticSecret::new(edge)));
        Self { center: SigningKey::from_seed(&center), identity }
    }

    /// With keys from `rng`: first the edge's, then the center's.
    pub fn draw(rng: &mut impl RngCore) -> Self {
        let edge = draw(rng);
        Self::new(edge, draw(rng))
    }

    /// The center's key.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::new(Keyring::new([self.center.public()]))
    }

    /// The settings of an endpoint, all as the product has them unless told otherwise.
    #[must_use]
    pub fn settings(&self) -> EndpointConfig {
        EndpointConfig::new(Arc::clone(&self.identity))
    }

    /// An endpoint that trusts the center. `shared`: the secret of all shards of one edge; `seed`: its own.
    #[must_use]
    pub fn endpoint(
        &self,
        settings: EndpointConfig,
        shared: [u8; 32],
        seed: [u8; 32],
        now: Instant,
    ) -> Endpoint {
        Endpoint::new(settings, self.keyring(), shared, seed, now)
    }

    /// A token that says `claims`.
    ///
    /// # Panics
    /// When they do not fit into one.
    #[must_use]
    pub fn token(&self, claims: &Claims) -> Vec<u8> {
        mint(claims, &self.center).expect("claims within their bounds")
    }

    /// A client of the edge, all as [`session::config`] has it.
    ///
    /// # Panics
    /// When `claims` do not fit into a token.
    #[must_use]
    pub fn client(&self, secret: StaticSecret, claims: &Claims) -> ClientConfig {
        session::config(*self.identity.public(), secret, self.token(claims))
    }
}
