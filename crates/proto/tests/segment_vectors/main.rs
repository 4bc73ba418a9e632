//! `tests/vectors/segment.json`, `manifest.json` and `parity.json`, reproduced byte for byte (docs/protocol, sections 12,
//! 13, 15).
//!
//! `SEGCAST_BLESS=1` writes the files anew: only for a change of the protocol.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

/// Parity of small segments.
mod parity;
/// The parity code written from its description.
mod written;

use std::path::Path;
use std::time::Duration;

use segcast_proto::crypto::hash::{hkdf_expand, hkdf_extract, sha256};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::limits::SYMBOL;
use segcast_proto::segment::cipher::{SegmentCipher, TitleKey};
use segcast_proto::segment::digest::Digester;
use segcast_proto::segment::geometry::{Geometry, UNIT};
use segcast_proto::segment::leaves::{SegmentLeaves, leaf};
use segcast_proto::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};
use segcast_proto::segment::parity::ParityEncoder;
use serde_json::{Map, Value, json};

const TITLE_KEY: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
const SALT: [u8; 16] = [0x5A; 16];
const CENTER_SEED: [u8; 32] = [0xC0; 32];

fn set() -> SetId {
    SetId::new(*b"twelve bytes", 3)
}

fn cipher() -> SegmentCipher {
    SegmentCipher::new(&TitleKey::new(TITLE_KEY), &SALT, set())
}

/// Compares `vectors` with the stored file, or writes it.
pub(crate) fn check(file: &str, vectors: &[Value]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(file);
    let ours = Value::Array(vectors.to_vec());
    if std::env::var_os("SEGCAST_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&ours).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(stored == ours, "{file} differs from what this code makes");
}

/// One stored segment, with everything that is computed on the way.
fn segment_vector(name: &str, segment: u32, plain: &[u8], sealed: bool, parity: bool) -> Value {
    let geometry = Geometry::new(plain.len() as u64, UNIT, parity).unwrap();
    let mut out = Map::new();
    let mut put = |field: &str, bytes: &[u8]| {
        out.insert(field.to_owned(), Value::String(hex::encode(bytes)));
    };
    put("set", &set().0);
    put("segment", &segment.to_be_bytes());
    put("segment_size", &UNIT.to_be_bytes());
    // The rest of the plain segment is zeros.
    put("plain", plain);
    let mut stored = plain.to_vec();
    stored.resize(UNIT as usize, 0);
    if sealed {
        let prk = hkdf_extract(&SALT, &TITLE_KEY);
        let mut segment_key = [0; 16];
        let info: [&[u8]; 3] = [b"segcast v1 segment", &set().0, &segment.to_be_bytes()];
        hkdf_expand(&prk, &info, &mut segment_key);
        put("title_key", &TITLE_KEY);
        put("salt", &SALT);
        put("prk", &prk);
        put("segment_key", &segment_key);
        put("key_commitment", &cipher().commitment());
        cipher().apply(segment, &mut stored);
    }
    put("stored_first_64", &stored[..64]);
    put("stored_last_64", &stored[stored.len() - 64..]);
    put("stored_sha256", &sha256(&[&stored]));
    if parity {
        let mut symbols = Vec::new();
        ParityEncoder::new(&geometry).encode(&stored, &mut symbols);
        put("first_parity_symbol", &symbols[..SYMBOL]);
        put("parity_sha256", &sha256(&[&symbols]));
        put("leaf_0", &leaf(set(), segment, 0, &stored[..SYMBOL]));
        put("leaf_64", &leaf(set(), segment, 64, &symbols[..SYMBOL]));
        let leaves = SegmentLeaves::new(set(), segment, &stored, &symbols);
        put("leaves_payload_1", leaves.groups().nth(1).unwrap());
    }
    let entry = Digester::new(&geometry, set()).entry(segment, &stored);
    put("entry_digest", entry.digest());
    for group in 0..geometry.leaf_groups() as usize {
        put(&format!("entry_group_{group}"), entry.group(group).unwrap());
    }
    let mut named = Map::from_iter([("name".to_owned(), Value::String(name.to_owned()))]);
    named.append(&mut out);
    Value::Object(named)
}

#[test]
fn segments() {
    let text = b"Segments of a title lie encrypted on every edge.";
    check(
        "segment.json",
        &[
            segment_vector("sealed, with parity", 0, text, true, true),
            segment_vector("sealed, with parity, another segment", 0x0001_0203, text, true, true),
            segment_vector("sealed, without parity", 0, text, true, false),
            segment_vector("clear, without parity", 0, text, false, false),
            segment_vector("sealed, zeros: the key stream itself", 7, b"", true, false),
        ],
    );
}

/// A manifest of a title whose byte j is j modulo 251.
fn manifest_vector(name: &str, true_length: u64, sealed: bool) -> Value {
    let center = SigningKey::from_seed(&CENTER_SEED);
    let geometry = Geometry::new(true_length, UNIT, sealed).unwrap();
    let protection = if sealed {
        Protection::Sealed { salt: SALT, commitment: cipher().commitment() }
    } else {
        Protection::Clear
    };
    let millis = if sealed { 5_400_000_u64 } else { 0 };
    let running_time = Duration::from_millis(millis);
    let title = "Der Große Film".to_owned();
    let mut builder = ManifestBuilder::new(Description {
        set: set(),
        geometry,
        protection,
        running_time,
        name: title.clone(),
    })
    .unwrap();
    let mut digester = Digester::new(&geometry, set());
    for segment in 0..geometry.segments() {
        let range = geometry.title_range(segment).unwrap();
        let mut stored: Vec<u8> = range.map(|j| (j % 251) as u8).collect();
        stored.resize(UNIT as usize, 0);
        if sealed {
            cipher().apply(segment, &mut stored);
        }
        builder.push(&digester.entry(segment, &stored));
    }
    let pages = builder.sign(&center);
    let read = Manifest::from_pages(&pages, &[center.public()]).unwrap();
    assert!(read.is_complete());
    json!({
        "name": name,
        "center_seed": hex::encode(CENTER_SEED),
        "center_public_key": hex::encode(center.public()),
        "title_key": if sealed { hex::encode(TITLE_KEY) } else { String::new() },
        "true_length": hex::encode(true_length.to_be_bytes()),
        "running_time": hex::encode(millis.to_be_bytes()),
        "title_name": hex::encode(title),
        "pages": pages.iter().map(hex::encode).collect::<Vec<_>>(),
    })
}

#[test]
fn manifests() {
    let unit = u64::from(UNIT);
    check(
        "manifest.json",
        &[
            manifest_vector("sealed, three segments, the last one short", 2 * unit + 1, true),
            manifest_vector("clear, one whole segment", unit, false),
            manifest_vector("sealed, empty title", 0, true),
        ],
    );
}
