//! Readers beside a writer: they see what is committed, change nothing, and what they show is not written over.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::{FILE_BYTES, SEGMENT_BYTES, options, served, set, write};
use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Damage, Reader, Store, StoreError};

fn open(dir: &Path) -> Reader {
    Reader::open(dir, PAGE_MEMORY_DEFAULT).unwrap()
}

/// What is in the folder, and when it was last changed.
fn contents(dir: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        found.insert(entry.path(), entry.metadata().unwrap().modified().unwrap());
        if entry.path().is_dir() {
            found.extend(contents(&entry.path()));
        }
    }
    found
}

#[test]
fn readers_see_what_a_writer_commits_and_removes_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    let (mut one, mut two) = (open(dir.path()), open(dir.path()));
    assert!(!one.refresh().unwrap(), "nothing has changed");
    let before = one.catalogue();
    // Into free slots of a known file, and into a new file.
    write(&store, set(2), 9);
    let half = store.begin_set(set(3), SEGMENT_BYTES, 1).unwrap();
    for reader in [&mut one, &mut two] {
        assert!(reader.refresh().unwrap());
        let catalogue = reader.catalogue();
        assert_eq!(catalogue.sets().len(), 2);
        assert!(served(&catalogue, set(1), 3) && served(&catalogue, set(2), 9));
        assert_eq!(catalogue.verify_set(&set(2)).unwrap(), [0; 0]);
        assert_eq!(reader.damage(), []);
    }
    assert_eq!(before.index_in(0, &one.catalogue()), Some(0), "it is the same set");
    assert_eq!(before.index_in(0, &two.catalogue()), None, "another reader knows nothing of it");
    drop(half);
    store.remove_set(&set(1)).unwrap();
    assert!(one.refresh().unwrap());
    assert_eq!(one.catalogue().find_set(&set(1)), None);
    assert_eq!(before.index_in(0, &one.catalogue()), None);
    assert!(served(&one.catalogue(), set(2), 9) && served(&before, set(1), 3));
}

#[test]
fn a_reader_changes_nothing_and_needs_no_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    drop(store);
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    // What a writer is making, or left, is nothing to a reader.
    fs::write(dir.path().join("segments/00000002.seg.tmp"), "half").unwrap();
    fs::write(dir.path().join(format!("sets/{}.set.tmp", set(2))), "half").unwrap();
    let before = contents(dir.path());
    let mut reader = open(dir.path());
    assert!(!reader.refresh().unwrap() && served(&reader.catalogue(), set(1), 3));
    drop(reader);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn slots_of_a_removed_set_wait_for_the_last_reader() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    let mut reader = open(dir.path());
    let shown = reader.catalogue();
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.still_read(), 1);
    write(&store, set(2), 7);
    assert_eq!(store.usage().files, 2, "the removed set's slots were not used");
    // Nor are they by a later writer, who knows of the removal only what is on the disk.
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!((store.still_read(), store.usage().free_slots), (1, 0));
    write(&store, set(3), 7);
    assert_eq!(store.usage().files, 3);
    assert!(reader.refresh().unwrap());
    assert_eq!((reader.retired(), store.still_read()), (1, 1), "a catalogue still shows it");
    assert!(served(&shown, set(1), 7));
    drop(shown);
    assert!(!reader.refresh().unwrap());
    assert_eq!((reader.retired(), store.still_read()), (0, 0));
    write(&store, set(4), 7);
    assert_eq!(store.usage().files, 3, "now they were used");
    assert!(reader.refresh().unwrap());
    assert!((2..5).all(|number| served(&reader.catalogue(), set(number), 7)));
}

#[test]
fn a_reader_that_ends_lets_go_once_its_catalogues_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    let shown = open(dir.path()).catalogue();
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.still_read(), 1);
    assert!(served(&shown, set(1), 7));
    drop(shown);
    assert_eq!((store.still_read(), store.usage().free_slots), (0, 7));
}

#[test]
fn a_set_that_was_written_again_under_its_name_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    let mut reader = open(dir.path());
    let old = reader.catalogue();
    store.remove_set(&set(1)).unwrap();
    write(&store, set(1), 4);
    assert!(reader.refresh().unwrap());
    let new = reader.catalogue();
    assert_eq!((old.set(0).unwrap().segments, new.set(0).unwrap().segments), (3, 4));
    assert_eq!(old.index_in(0, &new), None);
    assert!(served(&old, set(1), 3) && served(&new, set(1), 4));
}

#[test]
fn what_is_written_where_a_page_could_not_be_read_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 7);
    let mut reader = open(dir.path());
    let file = dir.path().join("segments/00000001.seg");
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(2 * 4096).unwrap();
    assert!(!served(&reader.catalogue(), set(1), 7), "a fault in every slot");
    file.set_len(FILE_BYTES).unwrap();
    store.remove_set(&set(1)).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(store.still_read(), 0);
    write(&store, set(2), 7);
    assert_eq!(store.usage().files, 1, "in the same slots");
    assert!(reader.refresh().unwrap());
    assert!(served(&reader.catalogue(), set(2), 7));
}

#[test]
fn damage_is_named_and_what_does_not_fit_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    (1..4).for_each(|number| write(&store, set(number), 2));
    drop(store);
    fs::write(dir.path().join(format!("sets/{}.set", set(2))), "no set").unwrap();
    fs::write(dir.path().join("sets/notes.txt"), "").unwrap();
    fs::write(dir.path().join("segments/00000009.seg"), "no segment file").unwrap();
    // Room for the ten bytes of pages of one set.
    let reader = Reader::open(dir.path(), 15).unwrap();
    assert_eq!(reader.catalogue().sets().len(), 1);
    assert!(served(&reader.catalogue(), set(1), 2));
    let damage = reader.damage();
    let is_there = |wanted: fn(&Damage) -> bool| damage.iter().any(wanted);
    assert!(is_there(|found| matches!(found, Damage::StrangeFile { .. })), "{damage:?}");
    assert!(is_there(|found| matches!(found, Damage::SetFile { .. })), "{damage:?}");
    assert!(is_there(|found| matches!(found, Damage::OverLimit { .. })), "{damage:?}");
    assert!(is_there(|found| matches!(found, Damage::SegmentFile { .. })), "{damage:?}");
    assert_eq!(damage.len(), 4);
    // What is not shown is not announced: whoever removes it has its slots at once.
    let store = Store::open(dir.path(), &options()).unwrap();
    for number in [2, 3] {
        store.remove_set(&set(number)).unwrap();
    }
    assert_eq!((store.still_read(), store.usage().free_slots), (0, 5));
}

#[test]
fn a_folder_without_a_store_is_no_store_to_a_reader_either() {
    let dir = tempfile::tempdir().unwrap();
    let error = Reader::open(dir.path(), PAGE_MEMORY_DEFAULT).unwrap_err();
    assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
    drop(Store::open(dir.path(), &options()).unwrap());
    fs::remove_file(dir.path().join("STORE")).unwrap();
    let error = Reader::open(dir.path(), PAGE_MEMORY_DEFAULT).unwrap_err();
    assert!(matches!(error, StoreError::StoreFileLost { .. }), "{error}");
}

/// Puts a copy of `from` in the place of `to`, as rsync does: under another name first.
fn replace(from: &Path, to: &Path) {
    let unfinished = to.with_extension("new");
    fs::copy(from, &unfinished).unwrap();
    fs::rename(&unfinished, to).unwrap();
}

#[test]
fn what_came_with_a_segment_file_that_took_anothers_place_is_served() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(there.path(), &options()).unwrap();
    let file = Path::new("segments/00000001.seg");
    write(&store, set(1), 2);
    drop(Store::open(here.path(), &options()).unwrap());
    let copy = |names: &[PathBuf]| {
        names.iter().for_each(|name| replace(&there.path().join(name), &here.path().join(name)));
    };
    let of_set = |number| PathBuf::from(format!("sets/{}.set", set(number)));
    copy(&[file.to_owned(), of_set(1)]);
    let mut reader = open(here.path());
    let mut old = vec![reader.catalogue()];
    for number in 2..5 {
        write(&store, set(number), 1);
        copy(&[file.to_owned(), of_set(number)]);
        assert!(reader.refresh().unwrap());
        assert!(served(&reader.catalogue(), set(number), 1), "set {number}");
        assert!(served(&reader.catalogue(), set(1), 2));
        old.push(reader.catalogue());
    }
    assert!(old[1..].iter().all(|catalogue| served(catalogue, set(2), 1)));
}

#[test]
fn segment_files_that_are_replaced_again_and_again_are_mapped_as_often_as_they_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("segments/00000001.seg");
    let mapped = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains(&file.display().to_string())).count()
    };
    let write_one = |number| write(&Store::open(dir.path(), &options()).unwrap(), set(number), 1);
    write_one(0);
    let mut reader = open(dir.path());
    for number in 1..6 {
        replace(&file, &file);
        write_one(number);
        assert!(reader.refresh().unwrap());
        assert!(served(&reader.catalogue(), set(number), 1));
        Store::open(dir.path(), &options()).unwrap().remove_set(&set(number)).unwrap();
        assert!(reader.refresh().unwrap());
    }
    assert!(served(&reader.catalogue(), set(0), 1));
    assert_eq!(mapped(), 2, "one that set 0 is shown from, and the last");
}

#[test]
fn what_is_shown_is_announced_again_when_another_file_took_the_place_of_the_store_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    (1..3).for_each(|number| write(&store, set(number), 3));
    let mut reader = open(dir.path());
    store.remove_set(&set(1)).unwrap();
    let shown = reader.catalogue();
    let store_file = dir.path().join("STORE");
    replace(&store_file, &store_file);
    // A writer who has the old file open does not know who reads any more.
    store.remove_set(&set(2)).unwrap();
    assert_eq!(store.still_read(), 2);
    assert!(served(&shown, set(1), 3) && served(&shown, set(2), 3));
    assert!(reader.refresh().unwrap());
    assert_eq!(store.still_read(), 2, "it still does not");
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(store.still_read(), 2, "announced on the new file");
    assert!(served(&shown, set(1), 3) && served(&shown, set(2), 3));
    // Also when only the catalogue is left of the reader.
    drop(reader);
    assert_eq!(store.still_read(), 2);
    drop(shown);
    assert_eq!((store.still_read(), store.usage().free_slots), (0, 7));
}

#[test]
fn a_lost_store_file_is_an_error_and_costs_nothing_that_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    let mut reader = open(dir.path());
    let (here, away) = (dir.path().join("STORE"), dir.path().join("AWAY"));
    fs::rename(&here, &away).unwrap();
    let error = reader.refresh().unwrap_err();
    assert!(error.to_string().contains("STORE"), "{error}");
    assert!(served(&reader.catalogue(), set(1), 3));
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.still_read(), 1);
    fs::rename(&away, &here).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(store.still_read(), 0);
}

#[test]
fn a_removal_shows_although_the_segment_files_cannot_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    write(&store, set(1), 3);
    write(&store, set(2), 3);
    let mut reader = open(dir.path());
    store.remove_set(&set(1)).unwrap();
    let (segments, away) = (dir.path().join("segments"), dir.path().join("away"));
    fs::rename(&segments, &away).unwrap();
    let error = reader.refresh().unwrap_err();
    assert!(error.to_string().contains("segments"), "{error}");
    assert_eq!(reader.catalogue().find_set(&set(1)), None);
    assert!(served(&reader.catalogue(), set(2), 3));
    fs::rename(&away, &segments).unwrap();
    assert!(!reader.refresh().unwrap(), "nothing else has changed");
    assert_eq!((reader.retired(), store.still_read()), (0, 0));
}

#[test]
fn a_set_that_cannot_be_announced_is_shown_when_it_can_be() {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut reader = open(dir.path());
    let mut file = fs::OpenOptions::new();
    let file = file.read(true).write(true).open(dir.path().join("STORE")).unwrap();
    // Somebody else has all of the file to themselves (fcntl(2), F_SETLK).
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    write(&store, set(1), 2);
    assert!(!reader.refresh().unwrap());
    assert!(reader.unannounced().is_none());
    let named: Vec<_> = reader.damage().iter().map(Damage::set).collect();
    assert_eq!(named, [Some(set(1))]);
    // Long ago: a look that finds the folder as it was would be the last.
    let sets = fs::File::open(dir.path().join("sets")).unwrap();
    sets.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(!reader.refresh().unwrap());
    fcntl_lock(&file, FlockOperation::NonBlockingUnlock).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.damage(), []);
    assert!(served(&reader.catalogue(), set(1), 2));
    store.remove_set(&set(1)).unwrap();
    assert_eq!(store.still_read(), 1, "it was announced");
    drop(reader);
    // Nor does a start go on without, as where there are no locks.
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    let error = Reader::open(dir.path(), PAGE_MEMORY_DEFAULT).unwrap_err();
    assert!(error.to_string().contains("STORE"), "{error}");
}
