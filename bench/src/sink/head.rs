//! Reads the frame header of a packet of which only the first bytes are there.
//!
//! AES-GCM encrypts in counter mode, so 16 bytes of ciphertext are enough to see the 16 bytes of frame header: what is
//! sent, from where in the title, and when. Nothing is authenticated by that; the trains that pass whole are. The
//! generator needs it for the send-time echo of its REPORTs, and to see that every byte of a request is sent once. The
//! keys are derived here from the secret as docs/protocol, section 3, says, by another AES than the product's.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockEncrypt as _, KeyInit as _};
use segcast_proto::crypto::Secret;
use segcast_proto::crypto::hash::hkdf_expand;
use segcast_proto::limits::FRAME_HEADER;
use segcast_proto::wire::{ClearHeader, FrameHeader};

/// Key and IV of one epoch.
struct Epoch {
    cipher: Aes128,
    iv: [u8; 12],
}

impl Epoch {
    fn new(secret: &Secret) -> Self {
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        hkdf_expand(secret.expose(), &[b"segcast v1 key"], &mut key);
        hkdf_expand(secret.expose(), &[b"segcast v1 iv"], &mut iv);
        Self { cipher: Aes128::new(&key.into()), iv }
    }
}

/// The server's direction of one AES-128-GCM session.
pub(super) struct HeadReader {
    number: u64,
    current: Epoch,
    next_secret: Secret,
}

impl HeadReader {
    /// From epoch 0 on, with `secret` as secret\[0\] of the server's direction.
    pub(super) fn new(secret: &Secret) -> Self {
        Self { number: 0, current: Epoch::new(secret), next_secret: secret.next() }
    }

    /// The frame header behind `ciphertext`. `None` when the epoch is neither this nor the next one.
    pub(super) fn read(
        &mut self,
        header: &ClearHeader,
        ciphertext: &[u8; FRAME_HEADER],
    ) -> Option<FrameHeader> {
        match header.epoch.wrapping_sub(self.number as u8) {
            0 => {}
            1 => self.advance(),
            _ => return None,
        }
        // The counter block of the first 16 bytes: the nonce and 2 (NIST SP 800-38D, 7.1: J0 has 1, and is for the tag).
        let mut block = [0; 16];
        block[..12].copy_from_slice(&self.current.iv);
        for (byte, number) in block[4..12].iter_mut().zip(header.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        block[15] = 2;
        let mut block = block.into();
        self.current.cipher.encrypt_block(&mut block);
        let plain: [u8; FRAME_HEADER] = std::array::from_fn(|at| block[at] ^ ciphertext[at]);
        Some(FrameHeader::decode(&plain))
    }

    fn advance(&mut self) {
        self.current = Epoch::new(&self.next_secret);
        self.next_secret = self.next_secret.next();
        self.number += 1;
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::crypto::{Sealer, Suite};
    use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
    use segcast_proto::time::Instant;
    use segcast_proto::wire::PacketType;

    use super::*;

    #[test]
    fn the_head_of_what_the_product_seals_is_read_in_every_epoch() {
        let secret = || Secret::new([3; 32]);
        let mut sealer =
            Sealer::new(Suite::Aes128Gcm, secret(), Instant::ZERO).with_epoch_packets(5);
        let mut reader = HeadReader::new(&secret());
        for number in 0..40 {
            sealer.on_peer_epoch(Instant::ZERO, sealer.epoch());
            let frame = FrameHeader {
                set_handle: SetHandle(1),
                object: ObjectNumber(number),
                offset: 3 * number,
                send_time: 77 + number,
            };
            let mut out = [0; 100];
            let (kind, to) = (PacketType::Data, ReceiverIndex(9));
            sealer.seal(Instant::ZERO, 0, kind, to, &frame, b"bytes", &mut out).unwrap();
            let header = ClearHeader::decode(&out).unwrap();
            let head = out[16..].first_chunk().unwrap();
            assert_eq!(reader.read(&header, head), Some(frame), "packet {number}");
        }
        assert!(reader.number > 5);
    }
}
