//! A title in memory with all that groups need: manifest, stored segments, and the leaves of each.

use segcast_proto::crypto::hash::sha256;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::digest::Entry;
use segcast_proto::segment::geometry::{Geometry, UNIT};
use segcast_proto::segment::leaves::SegmentLeaves;
use segcast_proto::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};
use segcast_proto::segment::parity::ParityEncoder;
use segcast_proto::time::Duration;

/// A title of segments of 64 symbols, with 16 of parity.
pub struct Title {
    /// All pages of it.
    pub manifest: Manifest,
    /// The stored segments.
    pub stored: Vec<Vec<u8>>,
    /// The leaves objects of the segments.
    pub leaves: Vec<Vec<u8>>,
}

impl Title {
    /// The set `set` of `segments` segments, each what `content` gives, that plays for `running_time`.
    ///
    /// # Panics
    /// When a segment is not one of [`UNIT`] bytes.
    #[must_use]
    pub fn new(
        set: SetId,
        segments: u32,
        running_time: Duration,
        content: impl Fn(u32) -> Vec<u8>,
    ) -> Self {
        let geometry = Geometry::new(u64::from(segments) * u64::from(UNIT), UNIT, true);
        let geometry = geometry.expect("a title that can be cut");
        let protection = Protection::Sealed { salt: [2; 16], commitment: [3; 32] };
        let name = "a title".to_owned();
        let description = Description { set, geometry, protection, running_time, name };
        let mut builder = ManifestBuilder::new(description).expect("a short name");
        let (mut encoder, mut parity) = (ParityEncoder::new(&geometry), Vec::new());
        let (mut stored, mut leaves) = (Vec::new(), Vec::new());
        for number in 0..segments {
            let segment = content(number);
            encoder.encode(&segment, &mut parity);
            let of_segment = SegmentLeaves::new(set, number, &segment, &parity);
            builder.push(&Entry::new(&sha256(&[&segment]), of_segment.group_digests(set, number)));
            leaves.push(of_segment.groups().flatten().copied().collect());
            stored.push(segment);
        }
        let center = SigningKey::from_seed(&[1; 32]);
        let pages = builder.sign(&center);
        let manifest = Manifest::from_pages(&pages, &[center.public()]).expect("our own manifest");
        Self { manifest, stored, leaves }
    }
}
