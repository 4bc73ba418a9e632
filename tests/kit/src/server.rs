//! An edge inside the test's own process: a store with one set, keys, a configuration, and clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use segcast_config::ExitCode;
use segcast_edge::Server;
use segcast_edge::config::{Admin, Config, Io};
use segcast_keys::file;
use segcast_keys::keytext::KeyKind;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::limits::SEGMENT_UNIT;
use segcast_proto::segment::cipher::{COMMITMENT_LEN, SALT_LEN};
use segcast_proto::segment::digest::Digester;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::manifest::{Description, ManifestBuilder, Protection};
use segcast_proto::session::client::ClientConfig;
use segcast_proto::token::mint;
use segcast_store::{Options, Store};
use segcast_sysio::clock::unix_seconds;

use crate::metrics;
use crate::process::PATIENCE;
use crate::session::client::Client;
use crate::session::{claims, config};

/// Bytes of a segment: two units, three trains and a rest.
pub const SEGMENT: u32 = 2 * SEGMENT_UNIT as u32;
/// Segments of the set.
pub const SEGMENTS: u32 = 12;

/// Bytes that differ between segments and positions.
fn content(number: u32, len: usize) -> Vec<u8> {
    let word = |i: u32| (i ^ (number << 24)).wrapping_mul(0x9E37_79B1).to_be_bytes();
    (0..).flat_map(word).take(len).collect()
}

/// The bytes of a segment.
#[must_use]
pub fn segment(number: u32) -> Vec<u8> {
    content(number, SEGMENT as usize)
}

/// The leaves of a segment, as far as an edge knows: 16 bytes for each of its symbols and of their parity.
#[must_use]
pub fn leaves(number: u32) -> Vec<u8> {
    content(2000 + number, 160 * 16)
}

/// The bytes of a page. Pages need no manifest here: an edge serves bytes, whatever they mean.
#[must_use]
pub fn page(number: u16) -> Vec<u8> {
    content(1000 + u32::from(number), 30_000 + usize::from(number))
}

/// The pages of a manifest of the segments.
fn manifest(world: &World, running_time: Duration) -> Vec<Vec<u8>> {
    let (set, length) = (world.set, u64::from(SEGMENT) * u64::from(SEGMENTS));
    let geometry = Geometry::new(length, SEGMENT, true).expect("two units");
    let protection = Protection::Sealed { salt: [3; SALT_LEN], commitment: [4; COMMITMENT_LEN] };
    let name = "a title".to_owned();
    let description = Description { set, geometry, protection, running_time, name };
    let mut builder = ManifestBuilder::new(description).expect("a short name");
    let mut digester = Digester::new(&geometry, set);
    (0..SEGMENTS).for_each(|number| builder.push(&digester.entry(number, &segment(number))));
    builder.sign(&world.center)
}

/// Files and keys of one edge.
pub struct World {
    directory: tempfile::TempDir,
    /// The center that the edge trusts.
    pub center: SigningKey,
    /// The set in the store: two pages and [`SEGMENTS`] segments.
    pub set: SetId,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Writes all of it to a temporary folder.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| vec![page(0), page(1)])
    }

    /// As [`new`](Self::new), but the pages are a manifest: the segments are a sealed title with parity that runs for
    /// `running_time`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn titled(running_time: Duration) -> Self {
        Self::with(|world| manifest(world, running_time))
    }

    fn with(pages: impl FnOnce(&Self) -> Vec<Vec<u8>>) -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let world =
            Self { center: SigningKey::from_seed(&[1; 32]), set: SetId([0x5E; 16]), directory };
        std::fs::create_dir(world.path("centers")).expect("directory");
        world.trust("one", &world.center);
        world.write_secret("edge.key", &[2; 32]);
        let options = Options { create: true, file_bytes: Some(64 << 20), ..Options::default() };
        let store = Store::open(&world.path("store"), &options).expect("store");
        let mut writer = store.begin_set(world.set, SEGMENT, SEGMENTS).expect("set");
        for number in 0..SEGMENTS {
            writer.write_segment(number, &segment(number)).expect("segment");
            writer.write_leaves(number, &leaves(number)).expect("leaves");
        }
        writer.commit(&pages(&world)).expect("commit");
        world
    }

    /// A file of the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes an edge's secret key, for its owner alone.
    fn write_secret(&self, name: &str, secret: &[u8; 32]) {
        file::create(&self.path(name), KeyKind::EdgeSecret, secret).expect("key");
    }

    /// Puts a center's public key where the edge looks.
    ///
    /// # Panics
    /// When that fails.
    pub fn trust(&self, name: &str, center: &SigningKey) {
        let path = self.path("centers").join(format!("{name}.pub"));
        file::create(&path, KeyKind::CenterPublic, &center.public()).expect("key");
    }

    /// An edge on loopback, two shards, ports that the kernel chooses: first IPv4, then IPv6.
    #[must_use]
    pub fn config(&self, io: Io) -> Config {
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

    /// A client of the edge at `to`, with a token that `center` signed; `number` makes its key.
    ///
    /// # Panics
    /// When there is no socket.
    #[must_use]
    pub fn client(
        &self,
        center: &SigningKey,
        server: &Server,
        to: SocketAddr,
        number: u8,
    ) -> Client {
        let secret = StaticSecret::new([number; 32]);
        let claims = claims(&secret, vec![self.set], unix_seconds());
        self.client_with(&mint(&claims, center).expect("token"), server, to, number)
    }

    /// [`World::client`] with a token of its own, for the key that `number` makes.
    ///
    /// # Panics
    /// When there is no socket.
    #[must_use]
    pub fn client_with(&self, token: &[u8], server: &Server, to: SocketAddr, number: u8) -> Client {
        let (secret, token) = (StaticSecret::new([number; 32]), token.to_vec());
        let config = config(server.public_key(), secret, token);
        let config = ClientConfig { datagram_max: 8952, sender_index: u32::from(number), ..config };
        Client::new(to, config, [number; 32])
    }
}

/// Fetches these segments, all at once, and compares every byte.
///
/// # Panics
/// When one does not come, or comes altered.
pub fn fetch_segments(client: &mut Client, segments: std::ops::Range<u32>) {
    segments.clone().for_each(|number| client.fetch(ObjectNumber(number), Some(SEGMENT)));
    client.take(segments.len(), |object, bytes| {
        assert!(bytes == segment(object.0), "{object:?} arrived altered");
    });
}

/// Fetches both pages and every segment, and compares every byte.
///
/// # Panics
/// When one does not come, or comes altered.
pub fn fetch_everything(client: &mut Client) {
    (0..2).for_each(|number| client.fetch(ObjectNumber::page(number), None));
    (0..SEGMENTS).for_each(|number| client.fetch(ObjectNumber(number), Some(SEGMENT)));
    client.fetch(ObjectNumber::leaves_of(3), None);
    client.take(3 + SEGMENTS as usize, |object, bytes| {
        let expected = match (object.as_page(), object.as_leaves()) {
            (Some(number), _) => page(number),
            (_, Some(number)) => leaves(number),
            (None, None) => segment(object.0),
        };
        assert!(bytes == expected, "{object:?} arrived altered");
    });
}

/// One number of the edge's `/metrics`, as [`metrics::metric`] names it.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn metric(server: &Server, name: &str) -> u64 {
    metrics::metric(server.admin_address().expect("admin"), name)
}

/// Waits until `/metrics` shows what is expected: counters are published once per turn.
///
/// # Panics
/// After [`PATIENCE`].
pub fn wait_for(server: &Server, name: &str, expected: impl Fn(u64) -> bool) {
    let begun = Instant::now();
    while !expected(metric(server, name)) {
        assert!(begun.elapsed() < PATIENCE, "{name} stays {}", metric(server, name));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Drains the edge and expects a clean end.
///
/// # Panics
/// When it ends otherwise.
pub fn end(server: Server) {
    server.drain();
    assert_eq!(server.join(), ExitCode::Success);
}

/// The one file with segments in a store: the largest.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn segment_file(store: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut directories = vec![store.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("store") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push((std::fs::metadata(&path).expect("file").len(), path));
            }
        }
    }
    files.sort();
    files.pop().expect("a segment file").1
}
