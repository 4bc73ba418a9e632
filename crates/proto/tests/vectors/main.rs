//! `tests/vectors/{key_schedule,packets,groups,handshake,token,ticket,keyset}.json`, reproduced byte for byte and checked with independent
//! implementations (docs/protocol, section 15).
//!
//! `SEGCAST_BLESS=1` writes the files anew: only for a change of the protocol.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

/// Packets of groups.
mod groups;
/// HELLO, COOKIE, DEFER, WELCOME.
mod handshake;
/// Secrets, keys and IVs of epochs.
mod key_schedule;
/// Noise IK written from its specification.
mod noise;
/// AES-GCM by RustCrypto, with the nonces of section 3.
mod oracle;
/// Every sealed packet.
mod packets;
/// Tickets, certificates and keysets, good and bad.
mod ticket;
/// Access tokens, good and bad.
mod token;

use std::path::Path;

use serde_json::{Map, Value};

/// One object of a file: a name and hex fields.
#[derive(Clone)]
struct Vector(Map<String, Value>);

impl Vector {
    fn new(name: &str) -> Self {
        Self(Map::from_iter([("name".to_owned(), Value::String(name.to_owned()))]))
    }

    fn put(&mut self, field: &str, bytes: &[u8]) -> &mut Self {
        let previous = self.0.insert(field.to_owned(), Value::String(hex::encode(bytes)));
        assert!(previous.is_none(), "field {field} twice");
        self
    }

    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.0[field].as_str().unwrap()).unwrap()
    }

    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    /// A field of up to 8 bytes as a number.
    fn number(&self, field: &str) -> u64 {
        self.bytes(field).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Compares what this code makes with the stored file, or writes it; returns what is stored.
fn check(file: &str, ours: Vec<Vector>) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(file);
    let ours = Value::Array(ours.into_iter().map(|vector| Value::Object(vector.0)).collect());
    let text = serde_json::to_string_pretty(&ours).unwrap() + "\n";
    if std::env::var_os("SEGCAST_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(stored == text, "{file} differs from what this code makes");
    let stored: Vec<Map<String, Value>> = serde_json::from_str(&stored).unwrap();
    stored.into_iter().map(Vector).collect()
}
