//! Leaves beside a set: written with it, read with it, gone with it; whatever is wrong with them costs nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{SEGMENT_BYTES, options, segment, served, set, write};
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_store::error::BadSegment;
use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Damage, Reader, SetWriter, Store, StoreError, Stored};

const LEAVES: usize = 112;
const SEGMENTS: u32 = 3;

fn leaves(number: u32) -> Vec<u8> {
    vec![0xA0 | number as u8; LEAVES]
}

fn begun(store: &Store, set: SetId) -> SetWriter {
    let mut writer = store.begin_set(set, SEGMENT_BYTES, SEGMENTS).unwrap();
    for number in [2, 0, 1] {
        writer.write_segment(number, &segment(set, number)).unwrap();
    }
    writer
}

/// A store with set 1, which has leaves, and the path of these.
fn written() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut writer = begun(&store, set(1));
    for number in [1, 2, 0] {
        writer.write_leaves(number, &leaves(number)).unwrap();
    }
    writer.commit(&[b"root"]).unwrap();
    let path = dir.path().join(format!("sets/{}.leaves", set(1)));
    (dir, path)
}

fn reader(dir: &Path) -> Reader {
    Reader::open(dir, PAGE_MEMORY_DEFAULT).unwrap()
}

/// What of set 1 is said and shown: its damage, and whether it has leaves. The set itself is served in any case.
fn looked_at(reader: &Reader) -> (Vec<String>, bool) {
    let catalogue = reader.catalogue();
    assert!(served(&catalogue, set(1), SEGMENTS));
    let has_leaves = catalogue.set(0).unwrap().leaves_bytes > 0;
    let object = catalogue.object(0, ObjectNumber::leaves_of(1));
    assert_eq!(object, if has_leaves { Stored::Mapped(&[0xA1; LEAVES]) } else { Stored::PastEnd });
    (reader.damage().iter().map(ToString::to_string).collect(), has_leaves)
}

#[test]
fn leaves_are_objects_of_their_set() {
    let (dir, _) = written();
    let store = Store::open(dir.path(), &options()).unwrap();
    for catalogue in [store.catalogue(), reader(dir.path()).catalogue()] {
        assert_eq!(catalogue.set(0).unwrap().leaves_bytes as usize, LEAVES);
        for number in 0..SEGMENTS {
            let object = ObjectNumber::leaves_of(number);
            catalogue.populate(0, object).unwrap();
            assert_eq!(catalogue.object(0, object), Stored::Mapped(&leaves(number)));
            assert!(catalogue.is_resident(0, object) && !catalogue.faulted(0, object));
        }
        assert_eq!(catalogue.object(0, ObjectNumber::leaves_of(SEGMENTS)), Stored::PastEnd);
        assert_eq!(catalogue.verify_leaves(&set(1)).unwrap(), [0; 0]);
    }
}

#[test]
fn leaves_come_whole_or_not_at_all_and_go_with_their_set() {
    let (dir, path) = written();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut writer = begun(&store, set(2));
    writer.write_leaves(1, &leaves(1)).unwrap();
    let mut reason = |number, leaves: &[u8]| match writer.write_leaves(number, leaves) {
        Err(StoreError::BadSegment { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(1, &leaves(1)), BadSegment::Twice);
    assert_eq!(reason(3, &leaves(3)), BadSegment::Number { segments: SEGMENTS });
    let other_length = BadSegment::Leaves { found: 16, wanted: LEAVES as u32 };
    assert_eq!(reason(0, &[0; 16]), other_length);
    let error = writer.commit(&[b"root"]).unwrap_err();
    assert!(matches!(error, StoreError::Incomplete { missing: 2, first: 0, .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path().join("sets")).unwrap().count(), 2, "set 1 and its leaves");
    assert!(path.exists());
    store.remove_set(&set(1)).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("sets")).unwrap().count(), 0);
    // None is as right as all.
    write(&store, set(3), 2);
    assert_eq!(store.catalogue().set(0).unwrap().leaves_bytes, 0);
    assert_eq!(store.catalogue().object(0, ObjectNumber::leaves_of(0)), Stored::PastEnd);
}

#[test]
fn what_a_writer_left_is_taken_away_and_a_reader_passes_over_it() {
    let (dir, path) = written();
    let nobodys = path.with_file_name(format!("{}.leaves", set(7)));
    let unfinished = path.with_file_name(format!("{}.leaves.tmp", set(8)));
    fs::copy(&path, &nobodys).unwrap();
    fs::write(&unfinished, "half").unwrap();
    assert_eq!(looked_at(&reader(dir.path())), (vec![], true));
    assert!(nobodys.exists() && unfinished.exists());
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(store.damage(), []);
    assert!(!nobodys.exists() && !unfinished.exists() && path.exists());
}

#[test]
fn leaves_that_are_missing_short_or_altered_cost_only_themselves() {
    let (dir, path) = written();
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut shown = reader(dir.path());
    assert_eq!(looked_at(&shown), (vec![], false));

    let mut altered_head = whole.clone();
    altered_head[45] ^= 1;
    let mut of_another_attempt = whole.clone();
    of_another_attempt[39] ^= 1;
    let checksum = crc32c::crc32c(&of_another_attempt[..60]);
    of_another_attempt[60..64].copy_from_slice(&checksum.to_be_bytes());
    for (bytes, says) in [
        (&whole[..whole.len() - 1], "bytes where"),
        (&whole[..10], "failed to fill"),
        (&altered_head, "its checksum is wrong"),
        (&of_another_attempt, "another attempt"),
    ] {
        fs::write(&path, bytes).unwrap();
        shown = reader(dir.path());
        let (damage, has_leaves) = looked_at(&shown);
        let [damage] = &damage[..] else { panic!("{damage:?}") };
        for wanted in [says, "unicast", "segcast store leaves", &set(1).to_string()] {
            assert!(damage.contains(wanted), "{wanted}: {damage}");
        }
        assert!(!has_leaves);
        let store = Store::open(dir.path(), &options()).unwrap();
        assert!(matches!(store.damage(), [Damage::Leaves { .. }]), "{:?}", store.damage());
    }
    // One that was right all the time, or has been made anew, is found without a start.
    let before = shown.catalogue();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &whole).unwrap();
    assert!(shown.refresh().unwrap());
    assert_eq!(looked_at(&shown), (vec![], true));
    assert_eq!(before.index_in(0, &shown.catalogue()), Some(0), "what is locked stays");
}

#[test]
fn altered_leaves_are_found_before_anybody_is_sent_them() {
    let (dir, path) = written();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let catalogue = reader(dir.path()).catalogue();
    catalogue.populate(0, ObjectNumber::leaves_of(0)).unwrap();
    let error = catalogue.populate(0, ObjectNumber::leaves_of(2)).unwrap_err().to_string();
    assert!(error.contains("leaves of segment 2") && error.contains(".leaves"), "{error}");
    assert_eq!(catalogue.verify_leaves(&set(1)).unwrap(), [2]);
    assert_eq!(catalogue.verify_set(&set(1)).unwrap(), [0; 0]);
}
