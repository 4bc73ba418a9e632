//! The server's side of the handshake: reads Noise message 1, later writes message 2. What lies between
//! may happen on another shard.

use core::fmt;

use snow::HandshakeState;

use super::client::HandshakeError;
use super::hello::{HelloError, HelloId, HelloParams, HelloView, PARAMS};
use super::identity::EdgeIdentity;
use super::noise;
use super::welcome::{self, WELCOME_LEN, WelcomePayload};
use crate::crypto::Secret;
use crate::ids::ReceiverIndex;
use crate::limits::{CLEAR_HEADER, TOKEN_MAX};
use crate::wire::PacketType;

/// A HELLO whose Noise message has been read: its sender once had the private key of `client_public`. It may be a
/// replay; only the first sealed packet proves that the client is there now.
pub struct ReceivedHello {
    /// The client's static key.
    pub client_public: [u8; 32],
    /// What the client says of itself.
    pub params: HelloParams,
    /// The access token, not verified yet, at most 700 bytes.
    pub token: Vec<u8>,
    /// Names the HELLO.
    pub id: HelloId,
    state: HandshakeState,
}

// Shards hand it over to each other.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<ReceivedHello>();
};

impl ReceivedHello {
    /// Reads Noise message 1: two Diffie–Hellmans. `seed` is 32 fresh random bytes: the ephemeral key
    /// comes from it.
    ///
    /// # Errors
    ///
    /// When the message does not decrypt or its parameters are out of bounds.
    pub fn read(
        identity: &EdgeIdentity,
        hello: &HelloView<'_>,
        seed: [u8; 32],
    ) -> Result<Self, HelloError> {
        let mut state = noise::responder(hello.id.suite, identity, hello.id.sender_index, seed)
            .map_err(|_| HelloError::Noise)?;
        let mut payload = [0; PARAMS + TOKEN_MAX];
        let len = state.read_message(hello.message, &mut payload).map_err(|_| HelloError::Noise)?;
        let (params, token) = payload[..len].split_first_chunk().ok_or(HelloError::Noise)?;
        let client_public = state
            .get_remote_static()
            .and_then(|key| key.try_into().ok())
            .ok_or(HelloError::Noise)?;
        Ok(Self {
            client_public,
            params: HelloParams::decode(*params)?,
            token: token.to_vec(),
            id: hello.id,
            state,
        })
    }

    /// Writes the WELCOME into `out`: two more Diffie–Hellmans. Returns its length ([`WELCOME_LEN`]) and secret\[0\] of
    /// the client's and of the server's direction.
    ///
    /// # Errors
    ///
    /// When `out` is too small.
    pub fn welcome(
        mut self,
        server_index: ReceiverIndex,
        payload: &WelcomePayload,
        out: &mut [u8],
    ) -> Result<(usize, Secret, Secret), HandshakeError> {
        let got = out.len();
        let out = out
            .get_mut(..WELCOME_LEN)
            .ok_or(HandshakeError::NoRoom { needed: WELCOME_LEN, got })?;
        let header = super::clear_header(PacketType::Welcome, self.id.suite, self.id.sender_index);
        let (clear, rest) = out.split_at_mut(CLEAR_HEADER);
        let (fields, message) = rest.split_at_mut(welcome::NOISE - CLEAR_HEADER);
        clear.copy_from_slice(&header.encode());
        let len = self
            .state
            .write_message(&payload.encode(server_index), message)
            .map_err(|_| HandshakeError::Noise)?;
        fields[..2].copy_from_slice(&(len as u16).to_be_bytes());
        fields[2..].fill(0);
        let (from_client, to_client) = noise::split(&mut self.state);
        Ok((WELCOME_LEN, from_client, to_client))
    }
}

impl fmt::Debug for ReceivedHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedHello")
            .field("id", &self.id)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
