//! Building a manifest: entries one after another, then the signature over all of it.

use super::page::encode_header;
use super::root::{NAME_MAX, encode_root};
use super::{Description, RootError};
use crate::crypto::sign::SigningKey;
use crate::segment::digest::Entry;

/// A manifest being built. Its memory is that of the finished manifest (about 0.03 % of the title).
#[derive(Debug)]
pub struct ManifestBuilder {
    description: Description,
    pages: Vec<Vec<u8>>,
    pushed: u32,
}

impl ManifestBuilder {
    /// Begins the manifest of the set that `description` describes.
    ///
    /// # Errors
    /// [`RootError::Field`] when the name is longer than [`NAME_MAX`] bytes.
    pub fn new(description: Description) -> Result<Self, RootError> {
        if description.name.len() > NAME_MAX {
            return Err(RootError::Field("name"));
        }
        Ok(Self { description, pages: Vec::new(), pushed: 0 })
    }

    /// What the manifest will say of the set.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Adds the entry of the next segment.
    ///
    /// # Panics
    /// When the entry was made for another geometry, or the segments are all there already.
    pub fn push(&mut self, entry: &Entry) {
        let geometry = &self.description.geometry;
        assert_eq!(entry.0.len(), geometry.entry_bytes(), "an entry of this geometry");
        assert!(self.pushed < geometry.segments(), "an entry past the last segment");
        let per_page = geometry.entries_per_page();
        if self.pushed.is_multiple_of(per_page) {
            let count = per_page.min(geometry.segments() - self.pushed);
            let number = self.pushed / per_page + 1;
            self.pages.push(encode_header(self.description.set, number, count));
        }
        let page = self.pages.last_mut().expect("the first entry of a page pushes the page");
        page.extend_from_slice(&entry.0);
        self.pushed += 1;
    }

    /// Signs the manifest and returns its pages, the root first.
    ///
    /// # Panics
    /// When entries are missing.
    #[must_use]
    pub fn sign(self, center: &SigningKey) -> Vec<Vec<u8>> {
        let segments = self.description.geometry.segments();
        assert_eq!(self.pushed, segments, "one entry for each segment");
        let root = encode_root(&self.description, &self.pages, center);
        let mut pages = self.pages;
        pages.insert(0, root);
        pages
    }
}
