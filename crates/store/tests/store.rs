//! The store from outside: what is served, what is refused, what damage costs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::{FILE_BYTES, SEGMENT_BYTES, options, segment, served, set, write};
use segcast_proto::ids::ObjectNumber;
use segcast_store::error::BadSegment;
use segcast_store::{Damage, Options, Store, StoreError, Stored};

fn segment_file(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("segments/{number:08}.seg"))
}

fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_committed_set_is_served_now_and_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let before = store.catalogue();
    write(&store, set(1), 10);
    assert_eq!(before.find_set(&set(1)), None, "a catalogue does not change");
    let check = |store: &Store| {
        let catalogue = store.catalogue();
        let index = catalogue.find_set(&set(1)).unwrap();
        assert!(served(&catalogue, set(1), 10));
        assert_eq!(catalogue.object(index, ObjectNumber::page(1)), Stored::Page(b"page 1"));
        assert_eq!(catalogue.object(index, ObjectNumber(10)), Stored::PastEnd);
        assert_eq!(catalogue.object(index, ObjectNumber::page(2)), Stored::PastEnd);
        assert_eq!(catalogue.object(index + 1, ObjectNumber(0)), Stored::Absent);
        let info = catalogue.set(index).unwrap();
        assert_eq!((info.segments, info.segment_bytes, info.pages), (10, SEGMENT_BYTES, 2));
        assert_eq!((info.page_bytes, catalogue.page_bytes()), (10, 10));
        assert_eq!(store.catalogue().verify_set(&set(1)).unwrap(), [0; 0]);
        let usage = store.usage();
        assert_eq!((usage.files, usage.slots, usage.free_slots), (2, 14, 4));
        catalogue.populate(index, ObjectNumber(3)).unwrap();
        assert!(catalogue.is_resident(index, ObjectNumber(3)));
        assert_eq!(catalogue.mark(index, ObjectNumber(3)), 0);
        assert!(!catalogue.faulted(index, ObjectNumber(3)));
    };
    check(&store);
    drop(store);
    drop(before);
    // Any size is right for a store that exists.
    check(&Store::open(dir.path(), &Options::default()).unwrap());
}

#[test]
fn an_empty_title_has_pages_and_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 0);
    let catalogue = store.catalogue();
    assert_eq!(catalogue.object(0, ObjectNumber::page(0)), Stored::Page(b"root"));
    assert_eq!(catalogue.object(0, ObjectNumber(0)), Stored::PastEnd);
    assert_eq!(store.usage().files, 0);
}

#[test]
fn an_abort_leaves_nothing_but_free_slots() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut writer = store.begin_set(set(1), SEGMENT_BYTES, 7).unwrap();
    writer.write_segment(0, &segment(set(1), 0)).unwrap();
    assert_eq!(store.usage().free_slots, 0);
    assert!(matches!(
        store.begin_set(set(1), SEGMENT_BYTES, 1),
        Err(StoreError::SetBusy { set: busy }) if busy == set(1)
    ));
    drop(writer);
    assert_eq!((store.usage().files, store.usage().slots), (0, 0), "the file was taken back");
    write(&store, set(1), 7);
    assert_eq!(store.usage().files, 1);
    assert!(matches!(store.begin_set(set(1), SEGMENT_BYTES, 1), Err(StoreError::SetExists { .. })));
}

#[test]
fn a_writer_takes_each_segment_once_and_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut writer = store.begin_set(set(1), SEGMENT_BYTES, 3).unwrap();
    let good = segment(set(1), 0);
    let mut reason = |number, data: &[u8]| match writer.write_segment(number, data) {
        Err(StoreError::BadSegment { reason, .. }) => Some(reason),
        other => {
            other.unwrap();
            None
        }
    };
    assert_eq!(reason(3, &good), Some(BadSegment::Number { segments: 3 }));
    let length = BadSegment::Length { found: 4999, wanted: SEGMENT_BYTES };
    assert_eq!(reason(1, &good[1..]), Some(length));
    assert_eq!(reason(1, &good), None);
    assert_eq!(reason(1, &good), Some(BadSegment::Twice));
    let error = writer.commit(&[b"root"]).unwrap_err();
    assert!(matches!(error, StoreError::Incomplete { missing: 2, first: 0, .. }), "{error}");
    assert_eq!(store.usage().slots, 0);
}

#[test]
fn slots_of_a_removed_set_wait_for_the_last_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    let shown = store.catalogue();
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.catalogue().find_set(&set(1)), None);
    write(&store, set(2), 7);
    assert_eq!(store.usage().files, 2, "the removed set's slots were not used");
    let still = shown.object(shown.find_set(&set(1)).unwrap(), ObjectNumber(6));
    assert_eq!(still, Stored::Mapped(&segment(set(1), 6)));
    drop(shown);
    write(&store, set(3), 7);
    assert_eq!(store.usage().files, 2, "now they were");
    assert!(served(&store.catalogue(), set(2), 7) && served(&store.catalogue(), set(3), 7));
    assert!(matches!(store.remove_set(&set(1)), Err(StoreError::NoSuchSet { .. })));
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let error = Store::open(dir.path(), &options()).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let writer = store.begin_set(set(1), SEGMENT_BYTES, 1).unwrap();
    drop(store);
    assert!(Store::open(dir.path(), &options()).is_err(), "who has begun a set writes too");
    drop(writer);
    Store::open(dir.path(), &options()).unwrap();
}

#[test]
fn another_file_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    let open = |bytes| Store::open(dir.path(), &Options { file_bytes: Some(bytes), ..options() });
    match open(2 * FILE_BYTES).unwrap_err() {
        StoreError::FileBytesMismatch { found, wanted, .. } => {
            assert_eq!((found, wanted), (FILE_BYTES, 2 * FILE_BYTES));
        }
        other => panic!("{other}"),
    }
    assert!(matches!(open(FILE_BYTES + 1), Err(StoreError::BadFileBytes { .. })));
}

#[test]
fn a_segment_that_fits_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let error = store.begin_set(set(1), 60_000, 1).unwrap_err();
    assert!(matches!(error, StoreError::DoesNotFit(_)), "{error}");
    assert_eq!(store.usage().files, 0);
    let error = store.begin_set(set(1), 5000, u32::MAX).unwrap_err();
    assert!(matches!(error, StoreError::TooManySegments { .. }), "{error}");
}

#[test]
fn a_folder_without_a_store_is_not_made_one_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("store");
    for path in [dir.path(), &inside] {
        let error = Store::open(path, &Options::default()).unwrap_err();
        assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn a_lost_store_file_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 1);
    drop(store);
    std::fs::remove_file(dir.path().join("STORE")).unwrap();
    let error = Store::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::StoreFileLost { .. }), "{error}");
    std::fs::write(dir.path().join("STORE"), b"SGCSTORE").unwrap();
    let error = Store::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::StoreFile { .. }), "{error}");
}

#[test]
fn manifest_pages_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { page_memory: 15, ..options() };
    let store = Store::open(dir.path(), &small).unwrap();
    write(&store, set(1), 1);
    let writer = store.begin_set(set(2), SEGMENT_BYTES, 0).unwrap();
    let error = writer.commit(&[b"sixsix"]).unwrap_err();
    assert!(matches!(error, StoreError::PageMemory { bytes: 6, left: 5, limit: 15, .. }));
    let writer = store.begin_set(set(2), SEGMENT_BYTES, 0).unwrap();
    writer.commit(&[b"five!"]).unwrap();
    drop(store);
    let store = Store::open(dir.path(), &Options { page_memory: 12, ..options() }).unwrap();
    assert_eq!(store.usage().sets, 1);
    assert!(matches!(store.damage(), [Damage::OverLimit { set: over, .. }] if *over == set(2)));
}

#[test]
fn flipped_bits_in_data_are_found_by_a_check() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    // Data starts on the third page.
    flip(&segment_file(dir.path(), 1), 2 * 4096 + 2 * 8192 + 4999);
    assert_eq!(store.catalogue().verify_set(&set(1)).unwrap(), [2]);
    let damage = store.verify_slots().unwrap();
    assert!(matches!(damage[..], [Damage::Data { segment: 2, slot: 2, .. }]), "{damage:?}");
    // A header that is damaged while the store is open.
    flip(&segment_file(dir.path(), 1), 4096 + 5 * 64 + 9);
    assert_eq!(store.catalogue().verify_set(&set(1)).unwrap(), [2, 5]);
}

#[test]
fn a_damaged_header_costs_its_set_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    write(&store, set(2), 3);
    drop(store);
    flip(&segment_file(dir.path(), 1), 4096 + 64 + 30);
    let store = Store::open(dir.path(), &options()).unwrap();
    let damage = Damage::Missing { set: set(1), segments: 3, missing: 1, first: 1 };
    assert_eq!(store.damage(), [damage]);
    assert!(store.damage()[0].to_string().contains(&set(1).to_string()));
    assert_eq!(store.catalogue().find_set(&set(1)), None);
    assert!(served(&store.catalogue(), set(2), 3));
    // Its two whole slots are kept until it is removed.
    assert_eq!(store.usage().free_slots, 2);
    assert!(matches!(store.begin_set(set(1), SEGMENT_BYTES, 1), Err(StoreError::SetExists { .. })));
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.usage().free_slots, 4);
    write(&store, set(1), 4);
    assert!(served(&store.catalogue(), set(1), 4) && served(&store.catalogue(), set(2), 3));
}

#[test]
fn a_truncated_file_costs_the_sets_whose_slots_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    write(&store, set(2), 4);
    write(&store, set(3), 2);
    drop(store);
    let path = segment_file(dir.path(), 1);
    // The first three slots and a half are left.
    let left = 2 * 4096 + 3 * 8192 + 4096;
    OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let missing = Damage::Missing { set: set(2), segments: 4, missing: 4, first: 0 };
    let length = Damage::FileLength { path: path.clone(), found: left, wanted: FILE_BYTES };
    assert_eq!(store.damage(), [length, missing]);
    assert!(served(&store.catalogue(), set(1), 3) && served(&store.catalogue(), set(3), 2));
    // Nothing is written to the damaged file; what else the store does goes on.
    write(&store, set(4), 7);
    assert!(served(&store.catalogue(), set(4), 7));
    store.remove_set(&set(1)).unwrap();
    store.remove_set(&set(2)).unwrap();
    drop(store);
    assert_eq!(path.metadata().unwrap().len(), left);

    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(matches!(store.damage(), [Damage::SegmentFile { .. }]), "{:?}", store.damage());
    assert!(served(&store.catalogue(), set(3), 2) && served(&store.catalogue(), set(4), 7));
}

#[test]
fn a_file_that_shrinks_while_it_is_served_costs_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    let catalogue = store.catalogue();
    let (first, last) = (ObjectNumber(0), ObjectNumber(6));
    let mark = catalogue.mark(0, last);
    OpenOptions::new()
        .write(true)
        .open(segment_file(dir.path(), 1))
        .unwrap()
        .set_len(2 * 4096 + 6 * 8192)
        .unwrap();
    let Stored::Mapped(bytes) = catalogue.object(0, last) else { panic!("not looked at yet") };
    assert!(bytes.to_vec().iter().all(|byte| *byte == 0));
    assert_ne!(catalogue.mark(0, last), mark);
    assert!(catalogue.faulted(0, last) && !catalogue.faulted(0, first));
    assert_eq!(catalogue.object(0, last), Stored::Damaged);
    assert_eq!(catalogue.object(0, first), Stored::Mapped(&segment(set(1), 0)));
    assert_eq!(store.catalogue().verify_set(&set(1)).unwrap(), [6]);
}

#[test]
fn a_damaged_set_file_or_segment_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    write(&store, set(2), 3);
    let writer = store.begin_set(set(3), 3000, 1);
    let mut writer = writer.unwrap();
    writer.write_segment(0, &[7; 3000]).unwrap();
    writer.commit(&[b"root"]).unwrap();
    drop(store);
    flip(&dir.path().join(format!("sets/{}.set", set(1))), 60);
    flip(&segment_file(dir.path(), 2), 20);
    std::fs::write(dir.path().join("sets/notes.txt"), "").unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let texts: Vec<String> = store.damage().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    for (text, wanted) in texts.iter().zip([
        "00000002.seg".to_owned(),
        set(1).to_string(),
        set(3).to_string(),
        "notes.txt".to_owned(),
    ]) {
        assert!(text.contains(&wanted), "{text}");
    }
    assert!(served(&store.catalogue(), set(2), 3));
    // The slots of the set whose file cannot be read are kept.
    assert_eq!(store.usage().free_slots, 1);
    // The number of the damaged file is not used again.
    write(&store, set(4), 7);
    assert!(segment_file(dir.path(), 3).exists());
}

#[test]
fn what_a_crash_left_is_removed_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    let left = [
        dir.path().join("segments/00000001.seg.tmp"),
        dir.path().join(format!("sets/{}.set.tmp", set(1))),
    ];
    for path in &left {
        std::fs::write(path, "half").unwrap();
    }
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(left.iter().all(|path| !path.exists()));
    assert_eq!(store.damage(), []);
}

#[test]
fn what_a_link_leads_to_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let dir = dir.path().join("store");
    let store = Store::open(&dir, &options()).unwrap();
    // Under every name by which the store makes a file.
    let unfinished =
        [dir.join("segments/00000001.seg.tmp"), dir.join(format!("sets/{}.set.tmp", set(1)))];
    for path in &unfinished {
        std::os::unix::fs::symlink(&victim, path).unwrap();
    }
    write(&store, set(1), 2);
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    assert!(served(&store.catalogue(), set(1), 2));
    // And in the place of a segment file that it writes to again.
    let file = segment_file(&dir, 1);
    std::fs::copy(&file, &victim).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    let before = std::fs::read(&victim).unwrap();
    let error = store.begin_set(set(2), SEGMENT_BYTES, 2).unwrap_err();
    assert!(error.to_string().contains("00000001.seg"), "{error}");
    store.remove_set(&set(1)).unwrap();
    assert!(std::fs::read(&victim).unwrap() == before, "not even to clear its slots");
}

/// Bytes of blocks that a file has on the disk.
fn on_disk(path: &Path) -> u64 {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.sync_all().unwrap();
    file.metadata().unwrap().blocks() * 512
}

#[test]
fn blocks_that_a_writer_left_who_was_cut_short_are_returned() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 2);
    drop(store);
    let path = segment_file(dir.path(), 1);
    let before = on_disk(&path);
    // Cut short in its data: there are no headers.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[7; 5 * 8192], 2 * 4096 + 2 * 8192).unwrap();
    assert_eq!(on_disk(&path), before + 5 * 8192);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(on_disk(&path), before);
    // Cut short before its `.set` file has its name, or a removal after it is gone.
    write(&store, set(2), 5);
    drop(store);
    assert_eq!(on_disk(&path), before + 5 * 8192);
    std::fs::remove_file(dir.path().join(format!("sets/{}.set", set(2)))).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    drop(store.begin_set(set(3), 3000, 1).unwrap());
    assert_eq!((on_disk(&path), store.usage().free_slots), (before, 5));
    assert!(served(&store.catalogue(), set(1), 2));
    assert_eq!(store.verify_slots().unwrap(), []);
}
