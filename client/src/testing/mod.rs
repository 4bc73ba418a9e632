//! Small titles for the tests of this crate, made as the center makes them.

/// An edge inside the test.
pub(crate) mod edge;

use std::time::Duration;

use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::{SegmentCipher, TitleKey};
use segcast_proto::segment::digest::Digester;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};

use crate::fetch::title::Title;

/// Bytes of a segment: the least the format allows.
pub(crate) const SEGMENT: usize = 73_728;
/// The set of every title here.
pub(crate) const SET: SetId = SetId([0x42; 16]);
const CENTER_SEED: [u8; 32] = [1; 32];

/// The key of every title here.
pub(crate) fn title_key() -> TitleKey {
    TitleKey::new([3; 16])
}

/// A title, stored and plain.
#[derive(Clone)]
pub(crate) struct Packed {
    pub(crate) pages: Vec<Vec<u8>>,
    pub(crate) stored: Vec<Vec<u8>>,
    pub(crate) plain: Vec<u8>,
}

/// A title of `length` bytes, each of another value than its neighbours.
pub(crate) fn title(length: u64, sealed: bool) -> Packed {
    let set = SET;
    let geometry = Geometry::new(length, SEGMENT as u32, false).unwrap();
    let salt = [5; 16];
    let cipher = SegmentCipher::new(&title_key(), &salt, set);
    let protection = if sealed {
        Protection::Sealed { salt, commitment: cipher.commitment() }
    } else {
        Protection::Clear
    };
    let name = "a test".to_owned();
    let description = Description { set, geometry, protection, running_time: Duration::ZERO, name };
    let plain: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
    let mut builder = ManifestBuilder::new(description).unwrap();
    let mut digester = Digester::new(&geometry, set);
    let mut stored = Vec::new();
    for (number, chunk) in (0..).zip(plain.chunks(SEGMENT)) {
        let mut segment = chunk.to_vec();
        segment.resize(SEGMENT, 0);
        if sealed {
            cipher.apply(number, &mut segment);
        }
        builder.push(&digester.entry(number, &segment));
        stored.push(segment);
    }
    Packed { pages: builder.sign(&signing_key()), stored, plain }
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(&CENTER_SEED)
}

impl Packed {
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::from_pages(&self.pages, &[signing_key().public()]).unwrap()
    }

    pub(crate) fn open(&self) -> Title {
        Title::new(self.manifest(), Some(&title_key())).unwrap()
    }

    pub(crate) fn plain_segment(&self, segment: u32) -> Vec<u8> {
        let start = segment as usize * SEGMENT;
        let end = (start + SEGMENT).min(self.plain.len());
        let mut bytes = self.plain[start..end].to_vec();
        bytes.resize(SEGMENT, 0);
        bytes
    }
}
