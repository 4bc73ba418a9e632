//! `Noise_IK_25519_AESGCM_SHA256` from the Noise specification (revision 34, sections 4, 5, 7.5), the client's side, without
//! the library that the product uses: so that the vectors are those of Noise, not of one program.

use segcast_proto::crypto::hash::{hmac256, sha256};
use segcast_proto::handshake::StaticSecret;

use crate::oracle;

/// X25519 (RFC 7748) by aws-lc; snow uses another implementation.
fn dh(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
    let secret = PrivateKey::from_private_key(&X25519, secret).unwrap();
    let public = UnparsedPublicKey::new(&X25519, public);
    agree(&secret, public, "X25519", |shared| Ok(shared.try_into().unwrap())).unwrap()
}

/// The client's static and ephemeral private keys, and the edge's public key.
pub(crate) struct Keys {
    pub(crate) client: [u8; 32],
    pub(crate) ephemeral: [u8; 32],
    pub(crate) edge_public: [u8; 32],
}

/// SymmetricState and CipherState in one.
struct Symmetric {
    hash: [u8; 32],
    chaining: [u8; 32],
    key: [u8; 32],
    counter: u64,
}

impl Symmetric {
    fn new(prologue: &[u8], edge_public: &[u8; 32]) -> Self {
        let mut name = [0; 32];
        name[..28].copy_from_slice(b"Noise_IK_25519_AESGCM_SHA256");
        let mut state = Self { hash: name, chaining: name, key: [0; 32], counter: 0 };
        state.mix_hash(prologue);
        state.mix_hash(edge_public);
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = sha256(&[&self.hash, data]);
    }

    fn mix_key(&mut self, material: &[u8; 32]) {
        (self.chaining, self.key) = hkdf(&self.chaining, material);
        self.counter = 0;
    }

    fn nonce(&mut self) -> [u8; 12] {
        self.counter += 1;
        oracle::nonce([0; 12], self.counter - 1)
    }

    fn encrypt(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let ciphertext = oracle::seal(&self.key, nonce, &self.hash, plaintext);
        self.mix_hash(&ciphertext);
        ciphertext
    }

    fn decrypt(&mut self, ciphertext: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let plaintext = oracle::open(&self.key, nonce, &self.hash, ciphertext).unwrap();
        self.mix_hash(ciphertext);
        plaintext
    }
}

/// Two outputs of Noise's HKDF.
fn hkdf(chaining: &[u8; 32], material: &[u8]) -> ([u8; 32], [u8; 32]) {
    let temporary = hmac256(chaining, &[material]);
    let first = hmac256(&temporary, &[&[1]]);
    (first, hmac256(&temporary, &[&first, &[2]]))
}

/// Noise message 1 with `payload`; then, of the given message 2, its payload; and the two secrets of the split.
pub(crate) fn handshake(
    keys: &Keys,
    prologue: &[u8],
    payload: &[u8],
    message_2: &[u8],
) -> (Vec<u8>, Vec<u8>, [u8; 32], [u8; 32]) {
    let mut state = Symmetric::new(prologue, &keys.edge_public);
    // e, es, s, ss
    let mut message_1 = StaticSecret::new(keys.ephemeral).public().to_vec();
    state.mix_hash(&message_1);
    state.mix_key(&dh(&keys.ephemeral, &keys.edge_public));
    message_1.extend(state.encrypt(&StaticSecret::new(keys.client).public()));
    state.mix_key(&dh(&keys.client, &keys.edge_public));
    message_1.extend(state.encrypt(payload));
    // e, ee, se
    let (edge_ephemeral, ciphertext) = message_2.split_first_chunk().unwrap();
    state.mix_hash(edge_ephemeral);
    state.mix_key(&dh(&keys.ephemeral, edge_ephemeral));
    state.mix_key(&dh(&keys.client, edge_ephemeral));
    let payload_2 = state.decrypt(ciphertext);
    let (to_server, to_client) = hkdf(&state.chaining, &[]);
    (message_1, payload_2, to_server, to_client)
}
