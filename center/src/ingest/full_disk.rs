//! Disks that fill up or fail in the middle of a run: a clear error, no set, nothing taken, and the next run works.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use segcast_proto::segment::geometry::UNIT;
use segcast_store::layer::{RealLayer, SyncPoint, WriteFile, WriteLayer};

use super::tests::{Bench, assert_untouched, bytes, small};
use super::*;

/// The file system, on which after `room` segments every write of one fails.
#[derive(Debug)]
struct Failing {
    room: AtomicU64,
    error: io::ErrorKind,
    sync_fails: bool,
}

impl Failing {
    fn new(room: u64, error: io::ErrorKind) -> Arc<Self> {
        Arc::new(Self { room: AtomicU64::new(room), error, sync_fails: false })
    }
}

impl WriteLayer for Failing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealLayer.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<WriteFile> {
        RealLayer.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<WriteFile> {
        RealLayer.open(path)
    }

    fn set_len(&self, file: &WriteFile, bytes: u64) -> io::Result<()> {
        RealLayer.set_len(file, bytes)
    }

    fn allocate(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        RealLayer.allocate(file, range)
    }

    fn release(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        RealLayer.release(file, range)
    }

    fn write_at(&self, file: &WriteFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() == UNIT as usize {
            let left =
                self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            left.map_err(|_| io::Error::from(self.error))?;
        }
        RealLayer.write_at(file, offset, bytes)
    }

    fn sync_data(&self, file: &WriteFile, point: SyncPoint) -> io::Result<()> {
        if self.sync_fails && point == SyncPoint::Data {
            return Err(self.error.into());
        }
        RealLayer.sync_data(file, point)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealLayer.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealLayer.remove(path)
    }

    fn sync_dir(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        RealLayer.sync_dir(path, point)
    }
}

#[test]
fn a_disk_that_fills_up_is_told_and_leaves_nothing() {
    let title = bytes(40 * UNIT as usize);
    for room in [0, 1, 39] {
        let layer = Failing::new(room, io::ErrorKind::StorageFull);
        let bench = Bench::with_layer(Some(layer.clone()));
        let path = bench.file(&title);
        let result = pack(&path, &small(), &bench.keys, &bench.store, |_| {});
        let error = result.unwrap_err();
        assert!(matches!(error, PackError::Store(StoreError::Full { .. })), "{error}");
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_untouched(&bench);
        layer.room.store(40, Ordering::Relaxed);
        let report = bench.pack(&title, &small());
        assert!(bench.title(report.set) == title, "the next run works");
    }
}

#[test]
fn a_commit_that_fails_leaves_no_set() {
    let layer =
        Failing { room: AtomicU64::new(u64::MAX), error: io::ErrorKind::Other, sync_fails: true };
    let bench = Bench::with_layer(Some(Arc::new(layer)));
    let path = bench.file(&bytes(3 * UNIT as usize));
    let error = pack(&path, &small(), &bench.keys, &bench.store, |_| {}).unwrap_err();
    assert!(matches!(error, PackError::Store(StoreError::Io { .. })), "{error}");
    assert_eq!(bench.store.usage().sets, 0);
}
