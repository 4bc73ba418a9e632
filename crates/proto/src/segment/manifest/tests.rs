//! Round trips, alterations at every byte, and hostile roots that carry a valid signature.

use proptest::prelude::*;

use super::page::PageError;
use super::root::FIXED;
use super::*;
use crate::crypto::sign::SigningKey;
use crate::ids::SetId;
use crate::limits::{MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX};
use crate::segment::digest::Entry;
use crate::segment::geometry::{Geometry, GeometryError, LARGEST, UNIT};
use crate::time::Duration;

const SET: SetId = SetId([7; 16]);

fn center() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn sealed() -> Protection {
    Protection::Sealed { salt: [2; 16], commitment: [3; 32] }
}

fn description(geometry: Geometry, protection: Protection) -> Description {
    let running_time = Duration::from_millis(5_400_123);
    Description { set: SET, geometry, protection, running_time, name: "Ein Titel, ü".to_owned() }
}

/// A manifest with made-up entries: segment i's digest is i, its group g's is i + g.
fn manifest(geometry: Geometry, protection: Protection) -> Vec<Vec<u8>> {
    let mut builder = ManifestBuilder::new(description(geometry, protection)).unwrap();
    for segment in 0..geometry.segments() {
        let groups = (0..geometry.leaf_groups()).map(|g| [(segment + g) as u8; 16]);
        builder.push(&Entry::new(&[segment as u8; 32], groups));
    }
    builder.sign(&center())
}

fn small() -> Vec<Vec<u8>> {
    manifest(Geometry::new(3 * u64::from(UNIT) - 5, UNIT, true).unwrap(), sealed())
}

fn decode(root: &[u8]) -> Result<Root, RootError> {
    Root::decode_and_verify(root, &[[9; 32], center().public()])
}

/// Signs `root` again after a change: what a hostile or broken center could say.
fn resign(root: &mut Vec<u8>) {
    root.truncate(root.len() - 64);
    let signature = center().sign(&[SIGNATURE_CONTEXT, root].concat());
    root.extend(signature);
}

#[test]
fn manifests_read_back_what_was_written() {
    let u = u64::from(UNIT);
    let cuts = [
        (0, UNIT, true),
        (1, UNIT, true),
        (u, UNIT, false),
        (u + 1, UNIT, true),
        (1023 * u, UNIT, true),
        (1024 * u, UNIT, true),
        (17 * u64::from(LARGEST), LARGEST, true),
        (2048 * u, UNIT, false),
    ];
    for (length, size, parity) in cuts {
        let geometry = Geometry::new(length, size, parity).unwrap();
        for protection in [sealed(), Protection::Clear] {
            let pages = manifest(geometry, protection);
            assert!(pages[1..].iter().all(|page| page.len() <= MANIFEST_PAGE_MAX));
            let read = Manifest::from_pages(&pages, &[center().public()]).unwrap();
            assert_eq!(*read.root().description(), description(geometry, protection));
            assert!(read.is_complete());
            for segment in 0..geometry.segments() {
                assert_eq!(read.segment_digest(segment), Ok(&[segment as u8; 32]));
                let groups = geometry.leaf_groups();
                for group in 0..groups {
                    let digest = [(segment + group) as u8; 16];
                    assert_eq!(read.group_digest(segment, group), Ok(Some(&digest)));
                }
                assert_eq!(read.group_digest(segment, groups), Ok(None));
            }
        }
    }
}

#[test]
fn pages_come_in_any_order_and_are_asked_for_when_they_are_missing() {
    let geometry = Geometry::new(20 * u64::from(LARGEST), LARGEST, true).unwrap();
    let pages = manifest(geometry, sealed());
    assert_eq!(pages.len(), 4);
    let mut read = Manifest::new(decode(&pages[0]).unwrap());
    assert_eq!(read.missing_page_for(19), Some(3));
    let missing = ManifestError::PageMissing { segment: 19, page: 3 };
    assert_eq!(read.segment_digest(19), Err(missing));
    assert_eq!(read.insert(2, &pages[3]), Err(length_error(2, &pages[3], pages[2].len())));
    assert_eq!(read.insert(2, &pages[1]), Err(PageError::Digest(2)));
    assert_eq!(read.insert(0, &pages[0]), Err(PageError::NoSuchPage(0)));
    assert_eq!(read.insert(4, &pages[1]), Err(PageError::NoSuchPage(4)));
    for page in [3, 1, 2] {
        assert!(!read.is_complete());
        read.insert(page, &pages[usize::from(page)]).unwrap();
    }
    assert!(read.is_complete());
    assert_eq!(read.missing_page_for(19), None);
    let past_end = ManifestError::NoSuchSegment { segment: 20, segments: 20 };
    assert_eq!(read.segment_digest(20), Err(past_end));
}

fn length_error(page: u16, bytes: &[u8], expected: usize) -> PageError {
    PageError::Length { page, found: bytes.len(), expected }
}

#[test]
fn too_few_or_too_many_pages_are_no_manifest() {
    let mut pages = small();
    let keys = [center().public()];
    let count = |pages: &[Vec<u8>]| Manifest::from_pages(pages, &keys).unwrap_err();
    assert_eq!(count(&[]), ManifestError::PageCount { found: 0, expected: 1 });
    assert_eq!(count(&pages[..1]), ManifestError::PageCount { found: 1, expected: 2 });
    pages.push(pages[1].clone());
    assert_eq!(count(&pages), ManifestError::PageCount { found: 3, expected: 2 });
}

#[test]
fn every_altered_byte_and_every_cut_is_found() {
    let pages = small();
    let root = decode(&pages[0]).unwrap();
    for (number, page) in [(0, &pages[0]), (1, &pages[1])] {
        let accepted = |bytes: &[u8]| match number {
            0 => decode(bytes).is_ok(),
            n => Page::decode(bytes, &root, n).is_ok(),
        };
        assert!(accepted(page));
        for at in 0..page.len() {
            let mut altered = page.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(!accepted(&altered), "page {number}, byte {at}");
            assert!(!accepted(&page[..at]), "page {number} cut to {at}");
        }
        assert!(!accepted(&[page, &[0][..]].concat()));
    }
}

#[test]
fn only_the_centers_key_signs() {
    let pages = small();
    let stranger = SigningKey::from_seed(&[8; 32]).public();
    let id = crate::crypto::sign::key_id(&center().public());
    assert_eq!(Root::decode_and_verify(&pages[0], &[stranger]), Err(RootError::UnknownKey(id)));
    assert_eq!(Root::decode_and_verify(&pages[0], &[]), Err(RootError::UnknownKey(id)));
    assert_eq!(
        Root::decode_unverified(&pages[0]),
        decode(&pages[0]),
        "who keeps it asks for no key"
    );
    let mut signed_without_context = pages[0].clone();
    let len = signed_without_context.len() - 64;
    let signature = center().sign(&signed_without_context[..len]);
    signed_without_context[len..].copy_from_slice(&signature);
    assert_eq!(decode(&signed_without_context), Err(RootError::Signature));
    let mut forged = pages[0].clone();
    forged[100] ^= 1;
    assert_eq!(decode(&forged), Err(RootError::Signature));
}

#[test]
fn signed_roots_with_fields_out_of_bounds_are_refused() {
    let good = small().swap_remove(0);
    let changed = |at: usize, bytes: &[u8]| {
        let mut root = good.clone();
        root[at..at + bytes.len()].copy_from_slice(bytes);
        resign(&mut root);
        decode(&root).unwrap_err()
    };
    let cases: [(usize, &[u8], &str); 14] = [
        (0, b"SGCP", "magic"),
        (4, &[0, 2], "format version"),
        (6, &[0, 0], "flags"),
        (6, &[0, 3], "flags"),
        (6, &[0, 5], "flags"),
        (6, &[0, 2], "salt"),
        (36, &[255; 4], "number of segments"),
        (40, &[0, 64], "symbol size"),
        (42, &[0, 17], "parity symbols"),
        (44, &[0], "code id"),
        (46, &[1], "reserved"),
        (112, &[0; 4], "segments on each page"),
        (116, &[255; 4], "number of pages"),
        (FIXED + 1, &[0xFF], "name"),
    ];
    for (at, bytes, field) in cases {
        assert_eq!(changed(at, bytes), RootError::Field(field), "byte {at}");
    }
    assert_eq!(changed(FIXED, &[200]), RootError::Length);
    let size = GeometryError::SegmentSize { found: 0 };
    assert_eq!(changed(32, &[0; 4]), RootError::Geometry(size));
    let huge = changed(24, &[255; 8]);
    assert!(matches!(huge, RootError::Geometry(GeometryError::TooManySegments { .. })));
}

#[test]
fn a_root_that_promises_pages_it_does_not_have_is_refused() {
    // The largest title: 65 535 pages promised, the digest of one page there.
    let mut root = small().swap_remove(0);
    let segments = 0xFFFF_u32 * 1023;
    root[24..32].copy_from_slice(&(u64::from(segments) * u64::from(UNIT)).to_be_bytes());
    root[36..40].copy_from_slice(&segments.to_be_bytes());
    root[116..120].copy_from_slice(&0xFFFF_u32.to_be_bytes());
    resign(&mut root);
    assert_eq!(decode(&root), Err(RootError::Length));
    let large = MANIFEST_ROOT_MAX + 1;
    assert_eq!(decode(&vec![0; large]), Err(RootError::TooLarge(large)));
}

#[test]
fn a_page_that_contradicts_its_root_is_refused() {
    let pages = small();
    for (at, field) in [(3, "magic"), (4, "set"), (23, "page number"), (27, "number of entries")] {
        let mut page = pages[1].clone();
        page[at] ^= 0x10;
        let mut root = pages[0].clone();
        let digest_at = root.len() - 64 - 32;
        root[digest_at..][..32].copy_from_slice(&crate::crypto::hash::sha256(&[&page]));
        resign(&mut root);
        let root = decode(&root).unwrap();
        assert_eq!(Page::decode(&page, &root, 1), Err(PageError::Field { page: 1, field }));
    }
}

#[test]
fn a_segment_is_accepted_only_as_it_was_packed() {
    let geometry = Geometry::new(10, UNIT, false).unwrap();
    let stored = vec![5; UNIT as usize];
    let mut builder = ManifestBuilder::new(description(geometry, sealed())).unwrap();
    builder.push(&Entry::new(&crate::crypto::hash::sha256(&[&stored]), []));
    let pages = builder.sign(&center());
    let read = Manifest::from_pages(&pages, &[center().public()]).unwrap();
    assert_eq!(read.verify_segment(0, &stored), Ok(()));
    let mut altered = stored.clone();
    altered[70_000] ^= 1;
    assert!(read.verify_segment(0, &altered).is_err());
    assert!(read.verify_segment(0, &stored[1..]).is_err());
    assert!(read.verify_segment(1, &stored).is_err());
}

#[test]
fn names_are_bounded() {
    let geometry = Geometry::new(0, UNIT, true).unwrap();
    let named = |n| Description { name: "n".repeat(n), ..description(geometry, sealed()) };
    let root = ManifestBuilder::new(named(255)).unwrap().sign(&center()).swap_remove(0);
    assert_eq!(decode(&root).unwrap().description().name.len(), 255);
    assert_eq!(ManifestBuilder::new(named(256)).unwrap_err(), RootError::Field("name"));
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes: Vec<u8>, page: u16) {
        prop_assert!(decode(&bytes).is_err());
        let root = decode(&small()[0]).unwrap();
        prop_assert!(Page::decode(&bytes, &root, page).is_err());
    }

    #[test]
    fn signed_nonsense_is_an_error_or_a_root(
        patch in proptest::collection::vec(any::<u8>(), 0..40), at in 0..FIXED + 60, cut in 0..200_usize,
    ) {
        let mut root = small().swap_remove(0);
        let body = root.len() - 64;
        for (byte, new) in root[..body].iter_mut().skip(at).zip(&patch) {
            *byte = *new;
        }
        root.drain(body.saturating_sub(cut)..body);
        // The key id is left alone, else only the first check would be tried.
        if let Some(id) = root.get_mut(104..112) {
            id.copy_from_slice(&crate::crypto::sign::key_id(&center().public()));
        }
        resign(&mut root);
        if let Ok(root) = decode(&root) {
            let g = root.geometry();
            prop_assert_eq!(root.page_digest(g.pages() as u16).is_some(), g.pages() > 0);
        }
    }
}
