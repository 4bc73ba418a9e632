//! `key_schedule.json`: what follows from a direction's first secret.

use segcast_proto::crypto::Secret;

use crate::oracle::{key_and_iv, nonce};
use crate::{Vector, check};

#[test]
fn key_schedule() {
    let mut vectors = Vec::new();
    for (suite, suite_name) in [(1, "AES-128-GCM"), (2, "AES-256-GCM")] {
        let mut secret = Secret::new(core::array::from_fn(|i| i as u8 + suite));
        for epoch in 0..3_u64 {
            let (key, iv) = key_and_iv(suite, secret.expose());
            let sequence = 0x0102_0304_0506_0708_u64;
            let mut vector = Vector::new(&format!("{suite_name}, epoch {epoch}"));
            vector
                .put("suite", &[suite])
                .put("epoch", &epoch.to_be_bytes())
                .put("secret", secret.expose())
                .put("key", &key)
                .put("iv", &iv)
                .put("sequence_number", &sequence.to_be_bytes())
                .put("nonce", &nonce(iv, sequence))
                .put("next_secret", secret.next().expose());
            vectors.push(vector);
            secret = secret.next();
        }
    }
    let stored = check("key_schedule.json", vectors);
    for pair in stored.windows(2).filter(|pair| pair[1].number("epoch") > 0) {
        assert_eq!(pair[0].bytes("next_secret"), pair[1].bytes("secret"));
    }
}
