//! Packs of real files: what lies in the store, decrypted, is the file; keys are fresh; failures leave nothing.

use std::fs;
use std::io;
use std::sync::Arc;

use segcast_proto::ids::ObjectNumber;
use segcast_proto::segment::geometry::UNIT;
use segcast_proto::segment::leaves::group_digest;
use segcast_proto::segment::manifest::Manifest;
use segcast_store::layer::WriteLayer;
use segcast_store::{Options, Stored};

use super::*;

/// A folder with keys and a store.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) keys: KeyDir,
    pub(super) store: Store,
}

impl Bench {
    fn new() -> Self {
        Self::with_layer(None)
    }

    /// A store that writes through `layer`.
    pub(super) fn with_layer(layer: Option<Arc<dyn WriteLayer>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyDir::open(&folder.path().join("keys")).unwrap();
        let file_bytes = Some(4 << 20);
        let options = Options { create: true, file_bytes, layer, ..Options::default() };
        let store = Store::open(&folder.path().join("store"), &options).unwrap();
        Self { folder, keys, store }
    }

    pub(super) fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("title.bin");
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn pack(&self, bytes: &[u8], options: &PackOptions) -> PackReport {
        pack(&self.file(bytes), options, &self.keys, &self.store, |_| {}).unwrap()
    }

    /// The manifest in the store, checked with the center's public key.
    fn manifest(&self, set: SetId) -> Manifest {
        let catalogue = self.store.catalogue();
        let index = catalogue.find_set(&set).unwrap();
        let mut pages = Vec::new();
        while let Stored::Page(page) =
            catalogue.object(index, ObjectNumber::page(pages.len() as u16))
        {
            pages.push(page.to_vec());
        }
        Manifest::from_pages(&pages, &[self.keys.center().unwrap().public()]).unwrap()
    }

    fn stored(&self, set: SetId, segment: u32) -> Vec<u8> {
        let catalogue = self.store.catalogue();
        let index = catalogue.find_set(&set).unwrap();
        match catalogue.object(index, ObjectNumber(segment)) {
            Stored::Mapped(bytes) => bytes.to_vec(),
            _ => panic!("segment {segment} is not in the store"),
        }
    }

    /// The title as a client makes it of what is stored: verified, decrypted, cut to its length.
    pub(super) fn title(&self, set: SetId) -> Vec<u8> {
        let manifest = self.manifest(set);
        let description = manifest.root().description();
        let cipher = match (description.protection, self.keys.title(set).unwrap()) {
            (Protection::Sealed { salt, commitment }, TitleRecord::Sealed(key)) => {
                let cipher = SegmentCipher::new(&key, &salt, set);
                assert!(cipher.matches(&commitment));
                Some(cipher)
            }
            (Protection::Clear, TitleRecord::Clear) => None,
            mixed => panic!("manifest and keys disagree: {mixed:?}"),
        };
        let mut title = Vec::new();
        for segment in 0..description.geometry.segments() {
            let mut bytes = self.stored(set, segment);
            manifest.verify_segment(segment, &bytes).unwrap();
            if let Some(cipher) = &cipher {
                cipher.apply(segment, &mut bytes);
            }
            let data = description.geometry.data_len(segment).unwrap() as usize;
            assert!(bytes[data..].iter().all(|byte| *byte == 0), "padding of zeros");
            title.extend_from_slice(&bytes[..data]);
        }
        title
    }
}

pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub(super) fn small() -> PackOptions {
    PackOptions { segment_bytes: Some(UNIT), name: "a title".to_owned(), ..PackOptions::default() }
}

#[test]
fn what_is_stored_is_the_file() {
    let bench = Bench::new();
    let unit = UNIT as usize;
    for length in [0, 1, unit - 1, unit, unit + 1, 9 * unit + 77] {
        let title = bytes(length);
        for clear in [false, true] {
            let report = bench.pack(&title, &PackOptions { clear, ..small() });
            assert!(bench.title(report.set) == title, "{length} bytes, clear: {clear}");
            assert_eq!(report.geometry.segments() as usize, length.div_ceil(unit));
            assert_eq!(report.title_key.is_some(), !clear);
        }
    }
}

#[test]
fn the_manifest_says_what_was_asked_for() {
    let bench = Bench::new();
    let running_time = Duration::from_millis(4001);
    let options = PackOptions {
        running_time: Some(running_time),
        version: 9,
        segment_bytes: None,
        ..small()
    };
    let report = bench.pack(&bytes(400_000), &options);
    let manifest = bench.manifest(report.set);
    let description = manifest.root().description();
    assert_eq!(description.name, "a title");
    assert_eq!(description.running_time, running_time);
    assert_eq!(description.geometry.segment_bytes(), 4 * UNIT, "3 s of 100 kB/s");
    assert_eq!(description.set.0[12..], [0, 0, 0, 9]);
    assert_eq!(description.geometry, report.geometry);
}

#[test]
fn leaves_lie_beside_a_sealed_set_as_the_manifest_says_and_can_be_made_again() {
    let bench = Bench::new();
    let title = bytes(3 * UNIT as usize + 5);
    let set = bench.pack(&title, &small()).set;
    let stored_leaves = |set: SetId, segment| {
        let catalogue = bench.store.catalogue();
        let index = catalogue.find_set(&set).unwrap();
        match catalogue.object(index, ObjectNumber::leaves_of(segment)) {
            Stored::Mapped(leaves) => leaves.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    let manifest = bench.manifest(set);
    for segment in 0..4 {
        let leaves = stored_leaves(set, segment);
        // 64 source and 16 parity symbols; 72 leaves are a payload.
        assert_eq!(leaves.len(), 80 * 16);
        for (group, payload) in (0..).zip(leaves.chunks(72 * 16)) {
            let digest = group_digest(set, segment, group, payload);
            assert_eq!(manifest.group_digest(segment, group), Ok(Some(&digest)));
        }
    }
    let path = bench.folder.path().join(format!("store/sets/{set}.leaves"));
    let written = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    bench.store.make_leaves(&set).unwrap();
    assert!(fs::read(&path).unwrap() == written, "the same bytes");
    let clear = bench.pack(&title, &PackOptions { clear: true, ..small() }).set;
    let refused = bench.store.make_leaves(&clear);
    assert!(matches!(refused, Err(StoreError::NoParity { .. })), "{refused:?}");
}

#[test]
fn every_run_draws_everything_anew() {
    let bench = Bench::new();
    let title = bytes(1000);
    let (one, two) = (bench.pack(&title, &small()), bench.pack(&title, &small()));
    assert_ne!(one.set, two.set);
    assert_ne!(bench.keys.title(one.set).unwrap(), bench.keys.title(two.set).unwrap());
    assert_ne!(bench.stored(one.set, 0), bench.stored(two.set, 0));
    let salt = |set| bench.manifest(set).root().description().protection;
    assert_ne!(salt(one.set), salt(two.set));
}

#[test]
fn sealed_segments_show_nothing_of_the_file_and_clear_ones_are_it() {
    let bench = Bench::new();
    let title = bytes(UNIT as usize);
    let sealed = bench.pack(&title, &small());
    assert_ne!(bench.stored(sealed.set, 0), title);
    let clear = bench.pack(&title, &PackOptions { clear: true, ..small() });
    assert_eq!(bench.stored(clear.set, 0), title);
}

#[test]
fn progress_counts_every_segment() {
    let bench = Bench::new();
    let path = bench.file(&bytes(5 * UNIT as usize));
    let mut seen = Vec::new();
    pack(&path, &small(), &bench.keys, &bench.store, |p| seen.push(p)).unwrap();
    let expected: Vec<_> = (1..=5).map(|stored| Progress { stored, segments: 5 }).collect();
    assert_eq!(seen, expected);
}

#[test]
fn any_number_of_workers_makes_the_same_title() {
    let bench = Bench::new();
    let title = bytes(20 * UNIT as usize + 5);
    for workers in [1, 2, 7, 100] {
        let options = PackOptions { workers: NonZeroUsize::new(workers), ..small() };
        let report = bench.pack(&title, &options);
        assert!(bench.title(report.set) == title, "{workers} workers");
    }
}

/// After a failed run the store holds no set and all its slots are free, and no key was written.
pub(super) fn assert_untouched(bench: &Bench) {
    let usage = bench.store.usage();
    assert_eq!((usage.sets, usage.free_slots), (0, usage.slots));
    // The first key of a title would make their folder.
    assert!(!bench.folder.path().join("keys/titles").exists());
}

#[test]
fn sources_of_another_length_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let title = bytes(3 * UNIT as usize);
    for promised in [title.len() as u64 - 1, title.len() as u64 + 1] {
        let label = (Path::new("title"), promised);
        let result = pack_reader(&title[..], label, &small(), &bench.keys, &bench.store, |_| {});
        let error = result.unwrap_err();
        assert!(matches!(error, PackError::Source(SourceError::Changed { .. })), "{error}");
        assert_untouched(&bench);
    }
}

#[test]
fn a_file_written_to_while_it_is_packed_is_refused() {
    let bench = Bench::new();
    let path = bench.file(&bytes(3 * UNIT as usize));
    let result = pack(&path, &small(), &bench.keys, &bench.store, |progress| {
        if progress.stored == 1 {
            fs::write(&path, bytes(3 * UNIT as usize + 1)).unwrap();
        }
    });
    let error = result.unwrap_err();
    assert!(matches!(error, PackError::Source(SourceError::Changed { .. })), "{error}");
    assert_untouched(&bench);
}

#[test]
fn a_source_that_fails_ends_the_run() {
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let bench = Bench::new();
    let label = (Path::new("title"), 100 * u64::from(UNIT));
    let result = pack_reader(Failing, label, &small(), &bench.keys, &bench.store, |_| {});
    let error = result.unwrap_err().to_string();
    assert!(error.contains("title: cannot read it: the disk is on fire"), "{error}");
    assert_untouched(&bench);
}

#[test]
fn what_cannot_be_packed_is_told_before_anything_is_done() {
    let bench = Bench::new();
    let path = bench.file(b"x");
    let attempt = |options: PackOptions| {
        pack(&path, &options, &bench.keys, &bench.store, |_| {}).unwrap_err().to_string()
    };
    let size = attempt(PackOptions { segment_bytes: Some(1000), ..small() });
    assert!(size.contains("1000") && size.contains("73728"), "{size}");
    let name = attempt(PackOptions { name: "n".repeat(256), ..small() });
    assert!(name.contains("256") && name.contains("255"), "{name}");
    assert_untouched(&bench);
}
