//! A handshake between its WELCOME and the first sealed packet.

use crate::crypto::{Opener, Sealer};
use crate::handshake::HelloId;
use crate::session::server::event::Path;
use crate::time::Instant;
use crate::token::Claims;

/// A handshake that was answered and waits for its first sealed packet.
pub(in crate::session::server) struct Pending {
    pub(in crate::session::server) hello: HelloId,
    /// Where WELCOME went.
    pub(in crate::session::server) path: Path,
    pub(in crate::session::server) client_public: [u8; 32],
    pub(in crate::session::server) sealer: Sealer,
    pub(in crate::session::server) opener: Opener,
    pub(in crate::session::server) claims: Claims,
    pub(in crate::session::server) datagram_max: usize,
    pub(in crate::session::server) room: u64,
    pub(super) welcome: Box<[u8]>,
    pub(in crate::session::server) welcomed: Instant,
    /// Answered more than once: the round trip cannot be told.
    pub(in crate::session::server) repeated: bool,
}

impl Pending {
    /// Whether WELCOME went to `path`, so that a sealed packet from there proves it. It goes to one address only: sent to
    /// two, it would prove neither, as who reads it at one of them can use the other's name. The same HELLO from another
    /// address that is proven begins another handshake, with keys of its own.
    pub(in crate::session::server) fn was_welcomed_at(&self, path: Path) -> bool {
        self.path == path
    }
}
