//! A full or failing disk: it shows before data is written where it can, and costs nothing that was committed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::ops::Range;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_store::layer::{RealLayer, SyncPoint, WriteFile, WriteLayer};
use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Options, Reader, Store, StoreError, Stored};

/// The real layer, in which only so many calls that need room succeed, and which can fail to keep names.
#[derive(Debug, Default)]
struct FullDisk {
    calls_left: AtomicI64,
    /// As a file system without fallocate(2).
    no_allocate: bool,
    /// Syncs of the folder of sets fail.
    names_fail: AtomicBool,
    /// Looks at the store before the next sync of that folder, which fails.
    looks_then_fails: Mutex<Option<Reader>>,
    /// That reader afterwards.
    looked: Mutex<Option<Reader>>,
}

impl FullDisk {
    fn room(&self) -> io::Result<()> {
        if self.calls_left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl WriteLayer for FullDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealLayer.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<WriteFile> {
        self.room()?;
        RealLayer.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<WriteFile> {
        RealLayer.open(path)
    }
    fn set_len(&self, file: &WriteFile, bytes: u64) -> io::Result<()> {
        RealLayer.set_len(file, bytes)
    }
    fn allocate(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        if self.no_allocate {
            return Ok(());
        }
        self.room()?;
        RealLayer.allocate(file, range)
    }
    fn release(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        RealLayer.release(file, range)
    }
    fn write_at(&self, file: &WriteFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        RealLayer.write_at(file, offset, bytes)
    }
    // Nothing crashes here, so nothing has to wait for the disk.
    fn sync_data(&self, _file: &WriteFile, _point: SyncPoint) -> io::Result<()> {
        self.room()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.room()?;
        RealLayer.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealLayer.remove(path)
    }
    fn sync_dir(&self, _path: &Path, point: SyncPoint) -> io::Result<()> {
        if point == SyncPoint::SetsFolder && self.names_fail.load(Ordering::Relaxed) {
            return Err(io::Error::other("injected"));
        }
        if point == SyncPoint::SetsFolder
            && let Some(mut reader) = self.looks_then_fails.lock().unwrap().take()
        {
            reader.refresh().unwrap();
            *self.looked.lock().unwrap() = Some(reader);
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

const PLENTY: i64 = 1 << 40;

fn write(store: &Store, number: u32, segments: u32) -> Result<(), StoreError> {
    let set = SetId::new([2; 12], number);
    let mut writer = store.begin_set(set, 5000, segments)?;
    for segment in 0..segments {
        writer.write_segment(segment, &[u8::try_from(number).unwrap(); 5000])?;
    }
    writer.commit(&[b"root"])
}

/// How many segment files below `dir` this process has mapped (proc_pid_maps(5)).
fn mapped(dir: &Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let segments = dir.join("segments").display().to_string();
    maps.lines().filter(|line| line.contains(&segments)).count()
}

/// Writes set 2 on a disk that is full after 0, 1, 2, … calls, until it succeeds. After each failure set 1 is whole, no
/// slot is lost, and set 2 can be written as soon as there is room; every second time after a start.
fn full_at_every_call(no_allocate: bool) {
    let mut refused = 0;
    for calls in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk =
            Arc::new(FullDisk { calls_left: PLENTY.into(), no_allocate, ..FullDisk::default() });
        let options = Options {
            create: true,
            file_bytes: Some(64 << 10),
            layer: Some(Arc::clone(&disk) as Arc<dyn WriteLayer>),
            ..Options::default()
        };
        let store = Store::open(dir.path(), &options).unwrap();
        write(&store, 1, 3).unwrap();
        let before = store.usage();

        disk.calls_left.store(calls, Ordering::Relaxed);
        let result = write(&store, 2, 9);
        disk.calls_left.store(PLENTY, Ordering::Relaxed);
        let store = if calls % 2 == 0 {
            drop(store);
            Store::open(dir.path(), &options).unwrap()
        } else {
            store
        };
        assert_eq!(store.damage(), [], "full at call {calls}");
        assert_eq!(store.verify_slots().unwrap(), [], "full at call {calls}");
        let catalogue = store.catalogue();
        let first = catalogue.find_set(&SetId::new([2; 12], 1)).unwrap();
        assert_eq!(catalogue.object(first, ObjectNumber(2)), Stored::Mapped(&[1; 5000]));
        match result {
            Ok(()) => {
                assert_eq!(store.usage().sets, 2);
                break;
            }
            Err(StoreError::Full { .. }) => refused += 1,
            Err(other) => panic!("full at call {calls}: {other}"),
        }
        let after = store.usage();
        assert_eq!(after.sets, before.sets);
        // The files that were made for it are taken back.
        assert_eq!((after.files, mapped(dir.path())), (before.files, 1), "full at call {calls}");
        let held = |usage: segcast_store::Usage| usage.slots - usage.free_slots;
        assert_eq!(held(after), held(before), "full at call {calls}");
        write(&store, 2, 9).unwrap();
    }
    assert!(refused > 20, "only {refused} calls needed room");
}

#[test]
fn a_disk_full_at_any_call_costs_only_the_set_being_written() {
    full_at_every_call(false);
    full_at_every_call(true);
}

#[test]
fn a_full_disk_shows_before_data_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk { calls_left: PLENTY.into(), ..FullDisk::default() });
    let layer = Some(Arc::clone(&disk) as Arc<dyn WriteLayer>);
    let options = Options { create: true, file_bytes: Some(64 << 10), layer, ..Options::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    disk.calls_left.store(0, Ordering::Relaxed);
    let error = store.begin_set(SetId([1; 16]), 5000, 1).unwrap_err();
    assert!(matches!(error, StoreError::Full { bytes: 1.., .. }), "{error}");
    assert!(error.to_string().starts_with("the disk is full"), "{error}");
}

#[test]
fn slots_of_a_set_that_may_be_on_the_disk_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk { calls_left: PLENTY.into(), ..FullDisk::default() });
    let layer = Some(Arc::clone(&disk) as Arc<dyn WriteLayer>);
    let options = Options { create: true, file_bytes: Some(64 << 10), layer, ..Options::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    write(&store, 1, 2).unwrap();
    disk.names_fail.store(true, Ordering::Relaxed);
    // Neither the name nor its removal can be made durable: nobody knows what a crash would leave.
    assert!(matches!(write(&store, 2, 3), Err(StoreError::Io { .. })));
    assert!(matches!(store.remove_set(&SetId::new([2; 12], 1)), Err(StoreError::Io { .. })));
    disk.names_fail.store(false, Ordering::Relaxed);
    assert!(matches!(write(&store, 2, 3), Err(StoreError::SetBusy { .. })));
    assert_eq!(store.usage().free_slots, 2);
    assert!(store.catalogue().find_set(&SetId::new([2; 12], 2)).is_none());
    // Still served; asking again removes it.
    assert!(store.catalogue().find_set(&SetId::new([2; 12], 1)).is_some());
    store.remove_set(&SetId::new([2; 12], 1)).unwrap();
    drop(store);
    let store = Store::open(dir.path(), &options).unwrap();
    assert_eq!((store.damage(), store.usage().free_slots), (&[][..], 7));
}

#[test]
fn slots_of_a_commit_that_failed_wait_for_whoever_has_seen_the_set() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk { calls_left: PLENTY.into(), ..FullDisk::default() });
    let layer = Some(Arc::clone(&disk) as Arc<dyn WriteLayer>);
    let options = Options { create: true, file_bytes: Some(64 << 10), layer, ..Options::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    let reader = Reader::open(dir.path(), PAGE_MEMORY_DEFAULT).unwrap();
    *disk.looks_then_fails.lock().unwrap() = Some(reader);
    assert!(matches!(write(&store, 1, 3), Err(StoreError::Io { .. })));
    let mut reader = disk.looked.lock().unwrap().take().unwrap();
    let shown = reader.catalogue();
    let is_whole =
        || (0..3).all(|n| shown.object(0, ObjectNumber(n)) == Stored::Mapped(&[1; 5000]));
    assert!(is_whole());
    assert_eq!((store.still_read(), store.usage().free_slots), (1, 4));
    // It can be written again meanwhile, elsewhere.
    write(&store, 1, 2).unwrap();
    assert!(is_whole());
    assert!(reader.refresh().unwrap());
    drop(shown);
    assert!(!reader.refresh().unwrap());
    assert_eq!((store.still_read(), store.usage().free_slots), (0, 5));
}

#[test]
fn a_file_made_for_a_commit_that_failed_is_removed_when_nobody_has_seen_the_set() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk { calls_left: PLENTY.into(), ..FullDisk::default() });
    let layer = Some(Arc::clone(&disk) as Arc<dyn WriteLayer>);
    let options = Options { create: true, file_bytes: Some(64 << 10), layer, ..Options::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    drop(Store::open(elsewhere.path(), &options).unwrap());
    let reader = Reader::open(elsewhere.path(), PAGE_MEMORY_DEFAULT).unwrap();
    *disk.looks_then_fails.lock().unwrap() = Some(reader);
    assert!(matches!(write(&store, 1, 3), Err(StoreError::Io { .. })));
    assert_eq!((store.still_read(), store.usage().files, mapped(dir.path())), (0, 0, 0));
}
