//! `sets/<set>.set`: the manifest pages of a set. A set is committed when this file stands under its name.

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::limits::{MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX};

use super::fields::{Fields, append_checksum, strip_checksum};
use super::{FORMAT_VERSION, FormatError, GENERATIONS};
use crate::limits::PAGES_MAX;

const MAGIC: &str = "SGCSETFL";
/// Bytes before the page lengths.
pub const SET_HEADER_BYTES: usize = 48;

/// The contents of a `.set` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFile {
    /// The set.
    pub set: SetId,
    /// The generation of its slots.
    pub generation: u64,
    /// The size of a segment.
    pub segment_bytes: u32,
    /// How many segments it has.
    pub segments: u32,
    /// The manifest's pages; the root first.
    pub pages: Vec<Box<[u8]>>,
}

/// Manifest pages that a set cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPages {
    /// None, or more than page numbers reach.
    #[error("a set has 1 to {PAGES_MAX} manifest pages, not {count}")]
    Count {
        /// How many were given.
        count: usize,
    },
    /// A page is larger than the protocol allows.
    #[error("manifest page {page} has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Which page.
        page: usize,
        /// Its size.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
}

/// The largest that page number `page` may be (docs/protocol, section 13).
const fn page_limit(page: usize) -> usize {
    if page == 0 { MANIFEST_ROOT_MAX } else { MANIFEST_PAGE_MAX }
}

/// Checks the number and sizes of pages and returns the sum of the sizes.
///
/// # Errors
/// What is out of bounds.
pub fn check_pages<P: AsRef<[u8]>>(pages: &[P]) -> Result<u64, BadPages> {
    if pages.is_empty() || pages.len() > PAGES_MAX {
        return Err(BadPages::Count { count: pages.len() });
    }
    let mut sum = 0;
    for (page, bytes) in pages.iter().enumerate() {
        let (bytes, limit) = (bytes.as_ref().len(), page_limit(page));
        if bytes > limit {
            return Err(BadPages::TooLarge { page, bytes, limit });
        }
        sum += bytes as u64;
    }
    Ok(sum)
}

impl SetFile {
    /// The bytes of the file.
    ///
    /// # Panics
    /// If the pages are not within the bounds that [`check_pages`] checks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let sum = check_pages(&self.pages).expect("pages were checked before");
        let mut bytes = Vec::with_capacity(
            SET_HEADER_BYTES + 4 * self.pages.len() + usize::try_from(sum).unwrap_or(0) + 4,
        );
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&length_field(self.pages.len()));
        bytes.extend_from_slice(&self.set.0);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.segment_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.segments.to_be_bytes());
        for page in &self.pages {
            bytes.extend_from_slice(&length_field(page.len()));
        }
        for page in &self.pages {
            bytes.extend_from_slice(page);
        }
        append_checksum(&mut bytes);
        bytes
    }

    /// The generation in the head of a file, whose checksum is at its end and not looked at.
    ///
    /// # Errors
    /// If it is no such head, or no generation.
    pub fn generation_in(head: &[u8; SET_HEADER_BYTES]) -> Result<u64, FormatError> {
        let mut fields = Fields::new(head, SET_HEADER_BYTES as u64);
        fields.opening(MAGIC)?;
        fields.u32()?;
        fields.take(16)?;
        checked_generation(fields.u64()?)
    }

    /// Reads the bytes of the file of set `set`.
    ///
    /// # Errors
    /// Any difference from what [`encode`](Self::encode) writes for that set.
    pub fn decode(bytes: &[u8], set: SetId) -> Result<Self, FormatError> {
        Fields::new(bytes, SET_HEADER_BYTES as u64 + 4).opening(MAGIC)?;
        let body = strip_checksum(bytes)?;
        let mut fields = Fields::new(body, SET_HEADER_BYTES as u64);
        fields.opening(MAGIC)?;
        let count = fields.u32()?;
        if count == 0 || count as usize > PAGES_MAX {
            return Err(FormatError::Value { field: "the number of pages", found: count.into() });
        }
        if fields.take(16)? != set.0 {
            return Err(FormatError::OtherSet);
        }
        let (generation, segment_bytes, segments) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let generation = checked_generation(generation)?;
        if segments > ObjectNumber::SEGMENTS_MAX {
            let field = "the number of segments";
            return Err(FormatError::Value { field, found: segments.into() });
        }
        let lengths = fields.take(4 * count as usize)?;
        let rest = body.get(SET_HEADER_BYTES + lengths.len()..).unwrap_or(&[]);
        let pages = split_pages(lengths, rest)?;
        Ok(Self { set, generation, segment_bytes, segments, pages })
    }
}

fn checked_generation(found: u64) -> Result<u64, FormatError> {
    let wrong = FormatError::Value { field: "the generation", found };
    if found < GENERATIONS { Ok(found) } else { Err(wrong) }
}

/// Cuts `rest` into pages of the given lengths (four bytes each), of which nothing may be left.
fn split_pages(lengths: &[u8], rest: &[u8]) -> Result<Vec<Box<[u8]>>, FormatError> {
    let mut wanted = 0;
    let mut sizes = Fields::new(lengths, 0);
    let mut content = Fields::new(rest, 0);
    let mut pages = Vec::with_capacity(lengths.len() / 4);
    for page in 0..lengths.len() / 4 {
        let length = sizes.u32()?;
        wanted += u64::from(length);
        if length as usize > page_limit(page) {
            return Err(FormatError::Value { field: "a page's length", found: length.into() });
        }
        pages.push(content.take(length as usize)?.into());
    }
    if wanted != rest.len() as u64 {
        return Err(FormatError::Length { found: rest.len() as u64, wanted });
    }
    Ok(pages)
}

/// A length in four bytes; lengths of pages were checked against limits far below 2^32.
fn length_field(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a checked length").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(pages: Vec<Vec<u8>>) -> SetFile {
        SetFile {
            set: SetId([7; 16]),
            generation: 12,
            segment_bytes: 73_728,
            segments: 3,
            pages: pages.into_iter().map(Into::into).collect(),
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(
            pages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
            cut in 0..1000_usize, bit in 0..10_000_usize,
        ) {
            let file = sample(pages);
            let bytes = file.encode();
            let head = bytes.first_chunk().expect("a whole head");
            prop_assert_eq!(SetFile::generation_in(head), Ok(file.generation));
            prop_assert_eq!(SetFile::decode(&bytes, SetId([7; 16])), Ok(file));
            prop_assert!(SetFile::decode(&bytes, SetId([8; 16])).is_err());
            prop_assert!(SetFile::decode(&bytes[..cut % bytes.len()], SetId([7; 16])).is_err());
            let mut flipped = bytes.clone();
            flipped[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
            prop_assert!(SetFile::decode(&flipped, SetId([7; 16])).is_err());
        }

        #[test]
        fn any_body_under_a_right_checksum_is_an_error_or_a_set(
            tail in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut bytes = sample(vec![vec![1]]).encode()[..12].to_vec();
            bytes.extend_from_slice(&tail);
            append_checksum(&mut bytes);
            let _ = SetFile::decode(&bytes, SetId([7; 16]));
        }
    }

    #[test]
    fn pages_out_of_bounds_are_refused() {
        assert_eq!(check_pages::<Vec<u8>>(&[]), Err(BadPages::Count { count: 0 }));
        let pages = [vec![0; MANIFEST_ROOT_MAX], vec![0; MANIFEST_PAGE_MAX]];
        assert_eq!(check_pages(&pages), Ok((MANIFEST_ROOT_MAX + MANIFEST_PAGE_MAX) as u64));
        let pages = [vec![], vec![0; MANIFEST_PAGE_MAX + 1]];
        assert!(matches!(check_pages(&pages), Err(BadPages::TooLarge { page: 1, .. })));
    }
}
