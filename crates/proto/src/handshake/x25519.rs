//! X25519 for Noise by aws-lc, which is several times as fast as snow's own and rejects points of low order.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use snow::Error;
use snow::types::{Dh, Random};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A private key, a public key, and the secret that two of them share, bytes (RFC 7748).
pub(super) const KEY: usize = 32;

/// One key pair of a handshake, empty until it is set or generated.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub(super) struct KeyPair {
    /// aws-lc overwrites its own copy.
    #[zeroize(skip)]
    key: Option<PrivateKey>,
    private: [u8; KEY],
    public: [u8; KEY],
}

impl Dh for KeyPair {
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
        self.private.copy_from_slice(private);
        let key = PrivateKey::from_private_key(&X25519, private)
            .expect("every 32 bytes are an X25519 private key");
        let public = key.compute_public_key().expect("the key has just been made");
        self.public.copy_from_slice(public.as_ref());
        self.key = Some(key);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = [0; KEY];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        private.zeroize();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let (Some(key), Some(public)) = (&self.key, public.get(..KEY)) else {
            return Err(Error::Dh);
        };
        agree(key, UnparsedPublicKey::new(&X25519, public), Error::Dh, |shared| {
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

    fn pairs(private: [u8; KEY]) -> (KeyPair, Box<dyn Dh>) {
        let (mut ours, mut theirs) =
            (KeyPair::default(), DefaultResolver.resolve_dh(&DHChoice::Curve25519).unwrap());
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
        assert!(KeyPair::default().dh(ours.pubkey(), &mut out).is_err());
    }
}
