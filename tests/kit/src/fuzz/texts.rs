//! What people and files write: key texts, set ids, grants.

use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_keys::keytext::{self, KeyKind};
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;

use super::script::{Script, Steps};
use super::seed::Seed;

/// Reads `data` as a key of every kind, a set id, or a grant.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.choose(3);
    let text = String::from_utf8_lossy(script.rest());
    match kind {
        0 => keys(&text),
        1 => set_id(&text),
        _ => grant(&text),
    }
}

/// A text is a key of one kind at most, and the key's own text says the same.
fn keys(text: &str) {
    let kinds = KeyKind::ALL.into_iter().filter(|&kind| {
        let key = if kind.len() == 16 {
            keytext::parse::<16>(kind, text).map(|key| key.to_vec())
        } else {
            keytext::parse::<32>(kind, text).map(|key| key.to_vec())
        };
        match key {
            Ok(key) => {
                let again = keytext::format(kind, &key);
                let line = text.trim_end_matches('\n');
                assert_eq!(again.trim_end(), line.strip_suffix('\r').unwrap_or(line));
                true
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                false
            }
        }
    });
    assert!(kinds.count() <= 1, "a key of two kinds");
}

fn set_id(text: &str) {
    if let Ok(set) = text.parse::<SetId>() {
        assert_eq!(set.to_string(), text.to_ascii_lowercase());
    }
}

fn grant(text: &str) {
    if let Ok(grant) = Grant::from_json(text) {
        let again = Grant::from_json(&grant.to_json()).expect("a grant that was written reads");
        assert_eq!(again, grant);
    }
}

/// A key of every kind, a set id, grants.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let seed = |name: &str, kind: u8, text: &str| {
        Seed::new(name, Steps::new().byte(kind).bytes(text.as_bytes()))
    };
    let mut seeds = vec![seed("set", 1, &SetId::new([0xAB; 12], 7).to_string())];
    for kind in KeyKind::ALL {
        let text = keytext::format(kind, &vec![0xA5; kind.len()]);
        seeds.push(seed(kind.prefix(), 0, &text));
    }
    let clear = GrantedTitle { set: SetId([3; 16]), key: None };
    let sealed = GrantedTitle { set: SetId([1; 16]), key: Some(TitleKey::new([2; 16])) };
    let small = Grant {
        token: vec![0xFE; 40],
        center_key: [5; 32],
        titles: vec![clear.clone()],
        client_secret: None,
    };
    let large = Grant {
        token: vec![0xFE; 300],
        titles: vec![sealed, clear],
        client_secret: Some([6; 32].into()),
        ..small.clone()
    };
    seeds.push(seed("grant-small", 2, &small.to_json()));
    seeds.push(seed("grant-large", 2, &large.to_json()));
    seeds
}
