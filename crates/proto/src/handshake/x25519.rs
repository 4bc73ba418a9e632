//! X25519 for Noise by aws-lc, which is several times as fast as snow's own and rejects points of low order.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use snow::Error;
use snow::types::{Dh, Random};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::hash::constant_time_eq;

/// A private key, a public key, and the secret that two of them share, bytes (RFC 7748).
pub(super) const KEY: usize = 32;

/// A private key, and its public one, which costs a multiplication to make.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct KeyPair {
    /// aws-lc overwrites its own copy.
    #[zeroize(skip)]
    key: PrivateKey,
    private: [u8; KEY],
    public: [u8; KEY],
}

impl KeyPair {
    pub(super) fn new(private: &[u8; KEY]) -> Self {
        let key = PrivateKey::from_private_key(&X25519, private)
            .expect("every 32 bytes are an X25519 private key");
        let computed = key.compute_public_key().expect("the key has just been made");
        let mut public = [0; KEY];
        public.copy_from_slice(computed.as_ref());
        Self { key, private: *private, public }
    }

    pub(super) fn public(&self) -> &[u8; KEY] {
        &self.public
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(..)")
    }
}

/// A key pair's place in a handshake, empty until it is set or generated.
#[derive(Default)]
pub(super) struct Place {
    /// A pair that was made before, for when its private key is set.
    known: Option<Arc<KeyPair>>,
    pair: Option<Arc<KeyPair>>,
}

impl Place {
    /// An empty one. To set the private key of `known` makes no new pair.
    pub(super) fn new(known: Option<Arc<KeyPair>>) -> Self {
        Self { known, pair: None }
    }
}

impl Dh for Place {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        KEY
    }

    fn priv_len(&self) -> usize {
        KEY
    }

    fn set(&mut self, private: &[u8]) {
        let private: &[u8; KEY] = private.try_into().expect("snow sets keys of priv_len bytes");
        let known = self.known.take().filter(|known| constant_time_eq(&known.private, private));
        self.pair = Some(known.unwrap_or_else(|| Arc::new(KeyPair::new(private))));
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = [0; KEY];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        private.zeroize();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.pair.as_ref().map_or(&[0; KEY], |pair| &pair.public)
    }

    fn privkey(&self) -> &[u8] {
        self.pair.as_ref().map_or(&[0; KEY], |pair| &pair.private)
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let (Some(pair), Some(public)) = (&self.pair, public.get(..KEY)) else {
            return Err(Error::Dh);
        };
        agree(&pair.key, UnparsedPublicKey::new(&X25519, public), Error::Dh, |shared| {
            out.get_mut(..shared.len()).ok_or(Error::Dh)?.copy_from_slice(shared);
            Ok(())
        })
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use snow::params::DHChoice;
    use snow::resolvers::{CryptoResolver, DefaultResolver};

    use super::*;

    fn pairs(private: [u8; KEY]) -> (Place, Box<dyn Dh>) {
        let (mut ours, mut theirs) =
            (Place::default(), DefaultResolver.resolve_dh(&DHChoice::Curve25519).unwrap());
        ours.set(&private);
        theirs.set(&private);
        (ours, theirs)
    }

    #[test]
    fn it_computes_what_snow_computes() {
        let (_, peer) = pairs([0x77; KEY]);
        for fill in 0..32 {
            let (ours, theirs) = pairs([fill * 8 + 3; KEY]);
            assert_eq!((ours.pubkey(), ours.privkey()), (theirs.pubkey(), theirs.privkey()));
            let [mut a, mut b] = [[0; KEY]; 2];
            ours.dh(peer.pubkey(), &mut a).unwrap();
            theirs.dh(peer.pubkey(), &mut b).unwrap();
            assert_eq!(a, b);
        }
    }

    #[test]
    fn points_of_low_order_and_wrong_lengths_are_errors() {
        let (ours, _) = pairs([5; KEY]);
        let mut out = [0; KEY];
        assert!(ours.dh(&[0; KEY], &mut out).is_err());
        assert!(ours.dh(&[9; KEY - 1], &mut out).is_err());
        assert!(Place::default().dh(ours.pubkey(), &mut out).is_err());
    }
    #[test]
    fn a_pair_that_is_known_is_not_made_again() {
        let known = Arc::new(KeyPair::new(&[5; KEY]));
        for (private, is_known) in [(5, true), (6, false)] {
            let mut place = Place::new(Some(Arc::clone(&known)));
            place.set(&[private; KEY]);
            assert_eq!(place.privkey(), [private; KEY]);
            assert_eq!(place.pair.is_some_and(|pair| Arc::ptr_eq(&pair, &known)), is_known);
        }
    }
}
