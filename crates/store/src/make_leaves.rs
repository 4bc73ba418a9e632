//! Leaves for a set that was packed before there were any, or whose `.leaves` file is damaged.

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::segment::digest::{Digester, Entry};
use segcast_proto::segment::manifest::{Manifest, ManifestError, Root};

use crate::catalogue::{Catalogue, Stored};
use crate::error::StoreError;
use crate::format::leaves_file::LeavesHeader;
use crate::leaves::LeavesWriter;
use crate::store::Store;

impl Store {
    /// Computes the leaves of all segments of a set and writes its `.leaves` file, in place of any. Every segment, and every
    /// LEAVES payload, must have the digest that the set's manifest says; whose signature that has is for clients to check.
    ///
    /// Edges that read the store find the file with their next look; one that has mapped another for this set keeps that
    /// until it starts again.
    ///
    /// # Errors
    /// If the set is not served or has no parity, if its manifest or a segment is damaged, or if the system refuses.
    pub fn make_leaves(&self, set: &SetId) -> Result<(), StoreError> {
        let set = *set;
        let catalogue = self.catalogue();
        let index = catalogue.find_set(&set).ok_or(StoreError::NoSuchSet { set })?;
        let entry = catalogue.entry(index).ok_or(StoreError::NoSuchSet { set })?;
        let manifest = manifest(&entry.pages);
        let manifest = manifest.map_err(|reason| StoreError::Manifest { set, reason })?;
        let geometry = *manifest.root().geometry();
        if !geometry.has_parity() || geometry.segments() == 0 {
            return Err(StoreError::NoParity { set });
        }
        let mut digester = Digester::new(&geometry, set);
        let mut writer: Option<LeavesWriter> = None;
        for segment in 0..geometry.segments() {
            let wrong = StoreError::WrongSegment { set, segment };
            let Some(stored) = stored(&catalogue, index, segment, geometry.segment_bytes()) else {
                return Err(wrong);
            };
            let (found, leaves) = digester.entry_and_leaves(segment, stored);
            if !is_as_signed(&manifest, segment, &found) {
                return Err(wrong);
            }
            let leaves = leaves.as_bytes();
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(LeavesWriter::create(
                    &self.shared().layer,
                    &self.shared().sets_folder,
                    LeavesHeader {
                        set,
                        generation: entry.generation,
                        segments: geometry.segments(),
                        leaves_bytes: u32::try_from(leaves.len()).expect("1 MiB at most"),
                    },
                )?),
            };
            writer.write(segment, leaves)?;
        }
        writer.map_or(Ok(()), LeavesWriter::finish)?;
        // What hinders this process hinders no edge, and the next start tells.
        let _ = entry.map_leaves(&self.shared().sets_folder);
        Ok(())
    }
}

/// The manifest of a set, whoever signed it.
fn manifest(pages: &[Box<[u8]>]) -> Result<Manifest, ManifestError> {
    let none = ManifestError::PageCount { found: 0, expected: 1 };
    let (root, others) = pages.split_first().ok_or(none)?;
    let mut manifest = Manifest::new(Root::decode_unverified(root)?);
    for (number, page) in (1..=u16::MAX).zip(others) {
        manifest.insert(number, page)?;
    }
    Ok(manifest)
}

fn stored(catalogue: &Catalogue, index: u32, segment: u32, bytes: u32) -> Option<&[u8]> {
    match catalogue.object(index, ObjectNumber(segment)) {
        Stored::Mapped(stored) if stored.len() == bytes as usize => Some(stored),
        _ => None,
    }
}

/// Whether the manifest says of a segment what was found of it.
fn is_as_signed(manifest: &Manifest, segment: u32, found: &Entry) -> bool {
    let is_segment = |digest: &[u8; 32]| digest == found.digest();
    let groups = manifest.root().geometry().leaf_groups();
    manifest.segment_digest(segment).is_ok_and(is_segment)
        && (0..groups).all(|group| {
            let signed = manifest.group_digest(segment, group).ok().flatten();
            signed.map(|digest| &digest[..]) == found.group(group as usize)
        })
}
