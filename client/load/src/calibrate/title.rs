//! A small signed title in memory, made from a seed as the center makes one, and what sessions need to fetch it.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_client::access::Access;
use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::segment::digest::Digester;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};
use segcast_proto::session::server::{Object, SegmentSource};
use segcast_proto::time::Duration;
use segcast_proto::token::{self, Claims};
use segcast_sysio::clock::unix_seconds;
use zeroize::Zeroizing;

/// Playing time of a segment, for plans that ask; calibration never plays.
const SEGMENT_TIME: Duration = Duration::from_secs(1);
/// A token outlives the longest calibration, and hardly more.
const TOKEN_SECONDS: u64 = 3600;
/// Of all clients: the responder is as open as the loopback.
const CLIENT_SECRET: [u8; 32] = [0x5A; 32];

/// The title and all keys that belong to it. They are drawn from the seed: nothing here is worth a secret.
pub(super) struct Title {
    set: SetId,
    pages: Vec<Vec<u8>>,
    segments: Vec<Vec<u8>>,
    manifest: Manifest,
    center: SigningKey,
    edge: [u8; 32],
}

impl Title {
    /// A title of `segments` segments of `segment_bytes`, clear: what is measured is the session.
    pub(super) fn new(seed: u64, segments: u32, segment_bytes: u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut key = || {
            let mut bytes = [0; 32];
            random.fill_bytes(&mut bytes);
            bytes
        };
        let (center, edge, set) = (SigningKey::from_seed(&key()), key(), key());
        let set = SetId::new(set[..12].try_into().expect("12 bytes"), 1);
        let length = u64::from(segments) * u64::from(segment_bytes);
        let geometry =
            Geometry::new(length, segment_bytes, false).expect("a size that the caller chose");
        let description = Description {
            set,
            geometry,
            protection: Protection::Clear,
            running_time: SEGMENT_TIME * segments,
            name: "calibration".to_owned(),
        };
        let mut builder = ManifestBuilder::new(description).expect("a short name");
        let mut digester = Digester::new(&geometry, set);
        let stored = (0..segments).map(|number| {
            let mut bytes = vec![0; segment_bytes as usize];
            random.fill_bytes(&mut bytes);
            builder.push(&digester.entry(number, &bytes));
            bytes
        });
        let segments = stored.collect();
        let pages = builder.sign(&center);
        let manifest =
            Manifest::from_pages(&pages, &[center.public()]).expect("a manifest just signed");
        Self { set, pages, segments, manifest, center, edge }
    }

    /// Its manifest.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The key that signs tokens and manifests.
    pub(super) fn center_key(&self) -> [u8; 32] {
        self.center.public()
    }

    /// The static secret of the responder.
    pub(super) fn edge_secret(&self) -> StaticSecret {
        StaticSecret::new(self.edge)
    }

    /// What a client needs to fetch it.
    pub(super) fn access(&self) -> Access {
        let secret = CLIENT_SECRET;
        let now = unix_seconds();
        let claims = Claims {
            expires: now + TOKEN_SECONDS,
            not_before: now,
            token_id: [1; 8],
            client_public: StaticSecret::new(secret).public(),
            sets: vec![self.set],
            rate_cap_kbits: None,
            sessions: None,
            grace: None,
            plays: vec![],
        };
        let grant = Grant {
            token: token::mint(&claims, &self.center).expect("claims within their bounds"),
            center_key: self.center.public(),
            titles: vec![GrantedTitle { set: self.set, key: None }],
            client_secret: Some(Zeroizing::new(secret)),
        };
        Access::new(grant, None).expect("the grant holds the secret")
    }
}

impl SegmentSource for Title {
    fn find_set(&self, id: &SetId) -> Option<SetIndex> {
        (*id == self.set).then_some(SetIndex::FIRST)
    }

    fn object(&self, _: SetIndex, object: ObjectNumber) -> Object<'_> {
        let bytes = match object.as_page() {
            Some(page) => self.pages.get(usize::from(page)),
            None => self.segments.get(object.0 as usize),
        };
        bytes.map_or(Object::PastEnd, |bytes| Object::Ready(bytes))
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::ids::SetHandle;

    use super::*;

    #[test]
    fn a_seed_gives_one_title_whose_segments_are_what_its_manifest_says() {
        let (one, again) = (Title::new(7, 3, 73_728), Title::new(7, 3, 73_728));
        assert_eq!(one.segments, again.segments);
        assert_ne!(one.segments, Title::new(8, 3, 73_728).segments);
        for (number, bytes) in (0..).zip(&one.segments) {
            one.manifest.verify_segment(number, bytes).expect("its own bytes");
        }
        assert_eq!(one.access().title(None).expect("one title").0, SetHandle::FIRST);
    }
}
