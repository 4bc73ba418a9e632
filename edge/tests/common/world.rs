//! A store with one set, keys, and a configuration for an edge on loopback.

use std::path::PathBuf;
use std::time::Duration;

use segcast_edge::config::{Admin, Config, Io};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::keytext::{self, KeyKind};
use segcast_proto::limits::SEGMENT_UNIT;
use segcast_store::{Options, Store};

/// Two units: 147 456 bytes, three trains and a rest.
pub(crate) const SEGMENT: u32 = 2 * SEGMENT_UNIT as u32;
pub(crate) const SEGMENTS: u32 = 12;
/// Nothing here takes a second; the limit only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that differ between segments and positions.
pub(crate) fn content(number: u32, len: usize) -> Vec<u8> {
    let word = |i: u32| (i ^ (number << 24)).wrapping_mul(0x9E37_79B1).to_be_bytes();
    (0..).flat_map(word).take(len).collect()
}

pub(crate) fn segment(number: u32) -> Vec<u8> {
    content(number, SEGMENT as usize)
}

/// Pages need no manifest here: an edge serves bytes, whatever they mean.
pub(crate) fn page(number: u16) -> Vec<u8> {
    content(1000 + u32::from(number), 30_000 + usize::from(number))
}

/// Files and keys of one edge.
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) center: SigningKey,
    pub(crate) set: SetId,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let world =
            Self { center: SigningKey::from_seed(&[1; 32]), set: SetId([0x5E; 16]), directory };
        std::fs::create_dir(world.path("centers")).expect("directory");
        world.trust("one", &world.center);
        let secret = keytext::format(KeyKind::EdgeSecret, &[2; 32]);
        std::fs::write(world.path("edge.key"), secret.as_bytes()).expect("key");
        let options = Options { create: true, file_bytes: Some(64 << 20), ..Options::default() };
        let store = Store::open(&world.path("store"), &options).expect("store");
        let mut writer = store.begin_set(world.set, SEGMENT, SEGMENTS).expect("set");
        for number in 0..SEGMENTS {
            writer.write_segment(number, &segment(number)).expect("segment");
        }
        writer.commit(&[page(0), page(1)]).expect("commit");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a center's public key where the edge looks.
    pub(crate) fn trust(&self, name: &str, center: &SigningKey) {
        let text = keytext::format(KeyKind::CenterPublic, &center.public());
        std::fs::write(self.path("centers").join(format!("{name}.pub")), text.as_bytes())
            .expect("key");
    }

    /// An edge on loopback, two shards.
    pub(crate) fn config(&self, io: Io) -> Config {
        let any_port = |text: &str| text.parse().expect("address");
        Config {
            listen: vec![any_port("127.0.0.1:0"), any_port("[::1]:0")],
            store: self.path("store"),
            key_file: self.path("edge.key"),
            center_keys: vec![self.path("centers")],
            shards: 2,
            pin: false,
            io,
            admin: Admin::Listen(any_port("127.0.0.1:0")),
            drain_timeout: Duration::from_secs(20),
            ..Config::default()
        }
    }
}
