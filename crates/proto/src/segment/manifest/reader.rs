//! A manifest as a client or an edge holds it: a root, and the pages that have come so far.

use std::collections::BTreeMap;

use super::page::PageError;
use super::{Page, Root, RootError};
use crate::crypto::hash::sha256;
use crate::crypto::sign::PUBLIC_KEY_LEN;
use crate::segment::geometry::{DIGEST, LEAF};

/// Why a manifest cannot be read, or cannot vouch for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The root is not accepted.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A page is not accepted.
    #[error(transparent)]
    Page(#[from] PageError),
    /// No page at all, or more pages than the root says.
    #[error("{found} manifest pages instead of {expected}")]
    PageCount {
        /// Pages given, with the root.
        found: usize,
        /// Pages that the root says, with itself.
        expected: usize,
    },
    /// Past the end of the title.
    #[error("the title has {segments} segments: there is no segment {segment}")]
    NoSuchSegment {
        /// The segment asked for.
        segment: u32,
        /// The segments there are.
        segments: u32,
    },
    /// The page that describes it is not there yet.
    #[error("manifest page {page}, which describes segment {segment}, is not there yet")]
    PageMissing {
        /// The segment asked for.
        segment: u32,
        /// Its page.
        page: u16,
    },
    /// Bytes that are not the segment.
    #[error("segment {segment} is not what the manifest says ({found} of {expected} bytes)")]
    Segment {
        /// The segment.
        segment: u32,
        /// Bytes given.
        found: usize,
        /// The segment size.
        expected: usize,
    },
}

/// A checked root and those pages that have come, all checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    root: Root,
    pages: BTreeMap<u16, Page>,
}

impl Manifest {
    /// A manifest of which nothing but the root is there.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self { root, pages: BTreeMap::new() }
    }

    /// A whole manifest: all its pages, the root first.
    ///
    /// # Errors
    /// [`ManifestError`] when a page is missing, too much, or not accepted.
    pub fn from_pages<B: AsRef<[u8]>>(
        pages: &[B],
        center_keys: &[[u8; PUBLIC_KEY_LEN]],
    ) -> Result<Self, ManifestError> {
        let none = ManifestError::PageCount { found: 0, expected: 1 };
        let (root, others) = pages.split_first().ok_or(none)?;
        let root = Root::decode_and_verify(root.as_ref(), center_keys)?;
        let expected = root.geometry().pages() as usize + 1;
        if pages.len() != expected {
            return Err(ManifestError::PageCount { found: pages.len(), expected });
        }
        let mut manifest = Self::new(root);
        for (number, bytes) in (1..=u16::MAX).zip(others) {
            manifest.insert(number, bytes.as_ref())?;
        }
        Ok(manifest)
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Takes page `page` (1 to P) when it is the one that the root names.
    ///
    /// # Errors
    /// [`PageError`]; the manifest is then unchanged.
    pub fn insert(&mut self, page: u16, bytes: &[u8]) -> Result<(), PageError> {
        let decoded = Page::decode(bytes, &self.root, page)?;
        self.pages.insert(page, decoded);
        Ok(())
    }

    /// The page that must come before `segment` can be checked; none when it is there, or past the end.
    #[must_use]
    pub fn missing_page_for(&self, segment: u32) -> Option<u16> {
        self.root.geometry().page_of(segment).filter(|page| !self.pages.contains_key(page))
    }

    /// Whether all pages are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pages.len() == self.root.geometry().pages() as usize
    }

    /// SHA-256 of stored `segment`.
    ///
    /// # Errors
    /// [`ManifestError::NoSuchSegment`], [`ManifestError::PageMissing`].
    pub fn segment_digest(&self, segment: u32) -> Result<&[u8; DIGEST], ManifestError> {
        let (page, missing) = self.page_for(segment)?;
        page.segment_digest(segment).ok_or(missing)
    }

    /// The digest of LEAVES payload `group` of `segment`; none when it has no such group.
    ///
    /// # Errors
    /// [`ManifestError::NoSuchSegment`], [`ManifestError::PageMissing`].
    pub fn group_digest(
        &self,
        segment: u32,
        group: u32,
    ) -> Result<Option<&[u8; LEAF]>, ManifestError> {
        let (page, _) = self.page_for(segment)?;
        Ok(page.group_digest(segment, group))
    }

    /// Checks `stored` to be the whole stored segment number `segment`.
    ///
    /// # Errors
    /// [`ManifestError::Segment`] when it is not; else as [`Self::segment_digest`].
    pub fn verify_segment(&self, segment: u32, stored: &[u8]) -> Result<(), ManifestError> {
        let digest = self.segment_digest(segment)?;
        let expected = self.root.geometry().segment_bytes() as usize;
        if stored.len() != expected || sha256(&[stored]) != *digest {
            return Err(ManifestError::Segment { segment, found: stored.len(), expected });
        }
        Ok(())
    }

    /// The page of `segment`, and the error for when it turns out not to describe it.
    fn page_for(&self, segment: u32) -> Result<(&Page, ManifestError), ManifestError> {
        let geometry = self.root.geometry();
        let past_end = ManifestError::NoSuchSegment { segment, segments: geometry.segments() };
        let page = geometry.page_of(segment).ok_or(past_end)?;
        let missing = ManifestError::PageMissing { segment, page };
        self.pages.get(&page).map(|found| (found, missing)).ok_or(missing)
    }
}
