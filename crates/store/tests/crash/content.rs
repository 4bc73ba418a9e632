//! What the children write: bytes that follow from the set, so that the parent can tell them.

use segcast_proto::ids::SetId;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The sets that the children write.
pub(crate) fn pool() -> Vec<SetId> {
    (0..6).map(|number| SetId::new([b's'; 12], number)).collect()
}

/// One attempt to write a set. Attempts at the same set differ in their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) incarnation: u64,
    pub(crate) segment_bytes: u32,
    pub(crate) segments: u32,
    pub(crate) pages: u16,
    /// The leaves of each segment; 0: none are written.
    pub(crate) leaves_bytes: u32,
}

impl Spec {
    pub(crate) fn random(random: &mut Random) -> Self {
        const SIZES: [u32; 4] = [1, 3000, 4096, 20_000];
        let size = usize::try_from(random.below(4)).unwrap();
        Self {
            incarnation: random.next(),
            segment_bytes: SIZES[size],
            segments: u32::try_from(random.below(8)).unwrap(),
            pages: u16::try_from(1 + random.below(3)).unwrap(),
            leaves_bytes: [0, 16, 1280, 5000][usize::try_from(random.below(4)).unwrap()],
        }
    }

    fn bytes(&self, number: u32, length: usize) -> Vec<u8> {
        let mut random = Random::new(self.incarnation ^ u64::from(number) << 32);
        (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
    }

    pub(crate) fn segment(&self, number: u32) -> Vec<u8> {
        self.bytes(number, self.segment_bytes as usize)
    }

    pub(crate) fn leaves(&self, number: u32) -> Vec<u8> {
        self.bytes(1 << 31 | number, self.leaves_bytes as usize)
    }

    pub(crate) fn all_pages(&self) -> Vec<Vec<u8>> {
        let length = |page: u16| usize::from(page) * 3001;
        (0..self.pages).map(|page| self.bytes(u32::MAX - u32::from(page), length(page))).collect()
    }

    pub(crate) fn print(&self) -> String {
        let Self { incarnation, segment_bytes, segments, pages, leaves_bytes } = self;
        format!("{incarnation} {segment_bytes} {segments} {pages} {leaves_bytes}")
    }

    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let [incarnation, segment_bytes, segments, pages, leaves_bytes] = words else {
            return None;
        };
        Some(Self {
            incarnation: incarnation.parse().ok()?,
            segment_bytes: segment_bytes.parse().ok()?,
            segments: segments.parse().ok()?,
            pages: pages.parse().ok()?,
            leaves_bytes: leaves_bytes.parse().ok()?,
        })
    }
}
