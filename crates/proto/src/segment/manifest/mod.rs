//! The manifest of a set: a signed root and pages of digests (section 13).
//!
//! What a client accepts is what the manifest says, whoever sent it. The root is checked by the center's
//! signature before anything in it is read, every other page by its digest in the root.

/// Pages other than the root.
pub mod page;
/// A manifest that grows page by page, and checks segments.
pub mod reader;
/// Page 0.
pub mod root;
/// Building and signing.
pub mod writer;

pub use page::Page;
pub use reader::{Manifest, ManifestError};
pub use root::{Description, Protection, Root, RootError};
pub use writer::ManifestBuilder;

/// The context of the center's signature.
pub(super) const SIGNATURE_CONTEXT: &[u8] = b"segcast v1 manifest";

/// Reads fields of fixed size one after another; past the end there are none.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
