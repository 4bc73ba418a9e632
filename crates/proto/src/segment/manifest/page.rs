//! A manifest page other than the root: the entries of up to E segments.

use core::ops::Range;

use super::{Fields, Root};
use crate::crypto::hash::sha256;
use crate::ids::SetId;
use crate::limits::MANIFEST_PAGE_MAX;
use crate::segment::geometry::{DIGEST, LEAF, PAGE_HEADER};

const MAGIC: [u8; 4] = *b"SGCP";

/// Why a page is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The root has no such page.
    #[error("the manifest has no page {0}")]
    NoSuchPage(u16),
    /// Not the length that its entries need.
    #[error("manifest page {page} has {found} bytes instead of {expected}")]
    Length {
        /// The page number.
        page: u16,
        /// Bytes given.
        found: usize,
        /// Bytes that the geometry asks for.
        expected: usize,
    },
    /// Not the page whose digest stands in the root.
    #[error("manifest page {0} is not the one that the root names")]
    Digest(u16),
    /// A field that contradicts the root.
    #[error("manifest page {page}: the field `{field}` contradicts the root")]
    Field {
        /// The page number.
        page: u16,
        /// The field.
        field: &'static str,
    },
}

/// A checked page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    segments: Range<u32>,
    entry_bytes: usize,
    entries: Vec<u8>,
}

impl Page {
    /// Checks `bytes` to be page `page` (1 to P) of `root`.
    ///
    /// # Errors
    /// [`PageError`] for anything but that page.
    pub fn decode(bytes: &[u8], root: &Root, page: u16) -> Result<Self, PageError> {
        let geometry = root.geometry();
        let no_such_page = PageError::NoSuchPage(page);
        let segments = geometry.segments_on(page).ok_or(no_such_page)?;
        let digest = root.page_digest(page).ok_or(no_such_page)?;
        let entry_bytes = geometry.entry_bytes();
        let expected = PAGE_HEADER + segments.len() * entry_bytes;
        let length = PageError::Length { page, found: bytes.len(), expected };
        if bytes.len() != expected {
            return Err(length);
        }
        if sha256(&[bytes]) != *digest {
            return Err(PageError::Digest(page));
        }
        let mut fields = Fields(bytes);
        let f = &mut fields;
        let expect = |field, holds| {
            if holds { Ok(()) } else { Err(PageError::Field { page, field }) }
        };
        expect("magic", f.take().ok_or(length)? == MAGIC)?;
        expect("set", f.take().ok_or(length)? == root.set().0)?;
        expect("page number", f.u32().ok_or(length)? == u32::from(page))?;
        expect("number of entries", f.u32().ok_or(length)? as usize == segments.len())?;
        expect("reserved", f.u32().ok_or(length)? == 0)?;
        Ok(Self { segments, entry_bytes, entries: fields.0.to_vec() })
    }

    /// The segments that this page describes.
    #[must_use]
    pub fn segments(&self) -> Range<u32> {
        self.segments.clone()
    }

    /// SHA-256 of stored `segment`; none when the page does not describe it.
    #[must_use]
    pub fn segment_digest(&self, segment: u32) -> Option<&[u8; DIGEST]> {
        self.entry(segment)?.first_chunk()
    }

    /// The digest of LEAVES payload `group` of `segment`; none when there is no such group.
    #[must_use]
    pub fn group_digest(&self, segment: u32, group: u32) -> Option<&[u8; LEAF]> {
        let groups = self.entry(segment)?.get(DIGEST..)?;
        groups.as_chunks().0.get(group as usize)
    }

    fn entry(&self, segment: u32) -> Option<&[u8]> {
        if !self.segments.contains(&segment) {
            return None;
        }
        let index = (segment - self.segments.start) as usize;
        self.entries.chunks_exact(self.entry_bytes).nth(index)
    }
}

/// The header of page `page`; its entries follow.
pub(super) fn encode_header(set: SetId, page: u32, entries: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(MANIFEST_PAGE_MAX);
    out.extend(MAGIC);
    out.extend(set.0);
    out.extend(page.to_be_bytes());
    out.extend(entries.to_be_bytes());
    out.extend([0; 4]);
    debug_assert_eq!(out.len(), PAGE_HEADER);
    out
}
