//! The client's side of the handshake: one HELLO, any number of COOKIEs, one WELCOME.

use core::fmt;

use snow::HandshakeState;

use super::cookie::CookieView;
use super::defer::{Defer, DeferView};
use super::hello::{self, HELLO_LEN, HelloParams};
use super::identity::StaticSecret;
use super::noise;
use super::welcome::{self, WelcomePayload};
use crate::crypto::{Secret, Suite};
use crate::ids::ReceiverIndex;
use crate::limits::{CLEAR_HEADER, DATAGRAM_BASE, TOKEN_MAX};
use crate::wire::{ClearHeader, DecodeError, PacketType};

/// Why a handshake step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The access token is too long for a HELLO.
    #[error("an access token of {0} bytes; 700 is the most")]
    TokenTooLong(usize),
    /// The datagram is no WELCOME for this handshake.
    #[error("not a WELCOME for this handshake")]
    NotWelcome,
    /// It is no packet, or its fields are out of bounds.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Noise refused: the message is forged, altered or of another handshake.
    #[error("the Noise message does not decrypt")]
    Noise,
    /// The buffer is too small for a WELCOME.
    #[error("{needed} bytes needed for a WELCOME, {got} there")]
    NoRoom {
        /// Bytes of the WELCOME.
        needed: usize,
        /// Bytes of the buffer.
        got: usize,
    },
}

/// What a WELCOME brings.
#[derive(Debug)]
pub struct Welcomed {
    /// What the server says; look at its code first.
    pub payload: WelcomePayload,
    /// The receiver index for packets to the server.
    pub server_index: ReceiverIndex,
    /// secret\[0\] of the client's direction.
    pub to_server: Secret,
    /// secret\[0\] of the server's direction.
    pub from_server: Secret,
}

/// A handshake with one ephemeral key, waiting for its WELCOME.
pub struct ClientHandshake {
    state: HandshakeState,
    hello: [u8; HELLO_LEN],
    suite: Suite,
    sender_index: u32,
}

impl ClientHandshake {
    /// Makes the HELLO. `seed` is 32 fresh random bytes: the ephemeral key comes from it. `sender_index` is
    /// the receiver index that the server shall use.
    ///
    /// # Errors
    ///
    /// When `token` has more than 700 bytes.
    pub fn new(
        suite: Suite,
        edge_public: &[u8; 32],
        secret: &StaticSecret,
        params: HelloParams,
        token: &[u8],
        sender_index: u32,
        seed: [u8; 32],
    ) -> Result<Self, HandshakeError> {
        if token.len() > TOKEN_MAX {
            return Err(HandshakeError::TokenTooLong(token.len()));
        }
        let mut state = noise::initiator(suite, edge_public, secret, sender_index, seed)
            .map_err(|_| HandshakeError::Noise)?;
        let payload = [&params.encode(), token].concat();
        let hello = hello::build(suite, edge_public, sender_index, |out| {
            state.write_message(&payload, out).map_err(|_| HandshakeError::Noise)
        })?;
        Ok(Self { state, hello, suite, sender_index })
    }

    /// The HELLO to send, and to send again unchanged.
    #[must_use]
    pub const fn hello(&self) -> &[u8; HELLO_LEN] {
        &self.hello
    }

    /// Takes a COOKIE. True: it answers the last HELLO; send [`Self::hello`] again, which now carries it.
    #[must_use]
    pub fn on_cookie(&mut self, datagram: &[u8]) -> bool {
        let Ok(view) = CookieView::decode(datagram) else { return false };
        let is_ours = view.receiver.0 == self.sender_index
            && view.mac1 == self.hello[hello::MAC1..hello::COOKIE];
        if is_ours {
            self.hello[hello::COOKIE..].copy_from_slice(&view.cookie);
        }
        is_ours
    }

    /// Reads a DEFER; none: it does not answer the last HELLO.
    #[must_use]
    pub fn on_defer(&self, datagram: &[u8]) -> Option<Defer> {
        let view = DeferView::decode(datagram).ok()?;
        let is_ours = view.receiver.0 == self.sender_index
            && view.mac1 == self.hello[hello::MAC1..hello::COOKIE];
        is_ours.then_some(view.defer)
    }

    /// Takes a WELCOME.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] for a datagram that is forged, altered or of another handshake; the handshake is as it
    /// was, and a genuine WELCOME may still come.
    pub fn on_welcome(&mut self, datagram: &[u8]) -> Result<Welcomed, HandshakeError> {
        let header = ClearHeader::decode(datagram)?;
        let is_ours = header.packet_type == PacketType::Welcome
            && header.extension_words == 0
            && header.epoch == self.suite as u8
            && header.receiver.0 == self.sender_index;
        if !is_ours {
            return Err(HandshakeError::NotWelcome);
        }
        let truncated = |needed| DecodeError::Truncated { needed, got: datagram.len() };
        let (fields, rest) = datagram[CLEAR_HEADER..]
            .split_first_chunk::<{ welcome::NOISE - CLEAR_HEADER }>()
            .ok_or(truncated(welcome::NOISE))?;
        let len = usize::from(u16::from_be_bytes([fields[0], fields[1]]));
        let message = rest.get(..len).ok_or(truncated(welcome::NOISE + len))?;

        let mut payload = [0; DATAGRAM_BASE];
        if message.len() > payload.len() {
            return Err(DecodeError::Bounds("length of Noise message 2").into());
        }
        // A failed read leaves snow's state as it was before (handshake::tests::forged_welcomes_do_no_harm).
        let len =
            self.state.read_message(message, &mut payload).map_err(|_| HandshakeError::Noise)?;
        let (payload, server_index) = WelcomePayload::decode(&payload[..len])?;
        let (to_server, from_server) = noise::split(&mut self.state);
        Ok(Welcomed { payload, server_index, to_server, from_server })
    }
}

impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("suite", &self.suite)
            .field("sender_index", &self.sender_index)
            .finish_non_exhaustive()
    }
}
