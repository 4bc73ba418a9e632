//! What is watched: a title with a running time, as a center packs it, and keys for everybody who watches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use segcast_center::grant::{Client, Limits, issue_grant, issue_token};
use segcast_center::ingest::{PackOptions, pack_reader};
use segcast_center::keys::KeyDir;
use segcast_client::access::Access;
use segcast_keys::grant::Grant;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::segment::geometry::UNIT;
use segcast_store::{Options, Store};
use segcast_sysio::clock::unix_seconds;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::sink::Title;

/// Of tokens: longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A packed title, with its keys.
pub(super) struct Watched {
    folder: TempDir,
    center: SigningKey,
    pub(super) set: SetId,
    /// Its length, bytes.
    pub(super) length: u64,
    pub(super) segment_bytes: u32,
}

impl Watched {
    /// A title that plays for `playing` at `bits_per_second`, in segments of about `segment_bytes`.
    pub(super) fn new(
        playing: Duration,
        bits_per_second: f64,
        segment_bytes: u32,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let segment_bytes = segment_bytes.div_ceil(UNIT).max(1) * UNIT;
        let segments = (playing.as_secs_f64() * bits_per_second / 8.0) as u64;
        let length = segments.div_ceil(segment_bytes.into()).max(1) * u64::from(segment_bytes);
        let folder = TempDir::new().context("a temporary folder")?;
        let keys = KeyDir::open(&folder.path().join("keys"))?;
        let options = Options { create: true, ..Options::default() };
        let store = Store::open(&folder.path().join("store"), &options)?;
        let options = PackOptions {
            segment_bytes: Some(segment_bytes),
            running_time: Some(playing),
            name: "audience".into(),
            ..PackOptions::default()
        };
        let (label, reader) = (Path::new("the bench's title"), Title::new(seed).reader(length));
        let packed = pack_reader(reader, (label, length), &options, &keys, &store, |_| ())?;
        Ok(Self { center: keys.center()?, set: packed.set, length, segment_bytes, folder })
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Keys and a token for each of `viewers`.
    pub(super) fn access(&self, viewers: u32, seed: u64) -> anyhow::Result<Vec<Access>> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut secret = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            StaticSecret::new(bytes)
        };
        let limits = Limits { lifetime: LIFETIME, rate_cap_kbits: None, sessions: None };
        let (sets, now) = ([self.set], unix_seconds());
        let keys = KeyDir::open(&self.keys())?;
        let first = issue_grant(&keys, &Client::Secret(secret()), &sets, &limits, now)?;
        let one = |_| {
            let secret = secret();
            let token = issue_token(&self.center, &secret.public(), &sets, &limits, now)?;
            let client_secret = Some(Zeroizing::new(*secret.expose()));
            Ok(Access::new(Grant { token, client_secret, ..first.clone() }, None)?)
        };
        (0..viewers).map(one).collect()
    }
}
