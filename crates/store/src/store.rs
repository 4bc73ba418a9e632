//! The store: opening a folder, its sets, and removing one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_sysio::SysError;
use segcast_sysio::file::{self, LockError, LockFile};

use crate::announced::Readers;
use crate::catalogue::Catalogue;
use crate::error::{Damage, StoreError, failed};
use crate::files::read_store_file;
use crate::format::segment_file::Geometry;
use crate::format::store_file::{StoreFile, file_bytes_valid};
use crate::layer::{RealLayer, SyncPoint, WriteLayer};
use crate::limits::{FILE_BYTES_DEFAULT, PAGE_MEMORY_DEFAULT, SETS_MAX};
use crate::scan::{Scan, scan};
use crate::shared::{Held, Shared, State};
use crate::space::Space;
use crate::writer::SetWriter;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Make the store if the folder holds none.
    pub create: bool,
    /// The size of segment files. `None`: what the store was created with, and 1 GiB for a new one. Another size than
    /// an existing store's is refused.
    pub file_bytes: Option<u64>,
    /// The most memory that the manifest pages of all sets may take, bytes.
    pub page_memory: u64,
    /// What writes go through. `None`: the file system (or, with the feature `fault-layer`, what the environment
    /// names, see `fault`).
    pub layer: Option<Arc<dyn WriteLayer>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { create: false, file_bytes: None, page_memory: PAGE_MEMORY_DEFAULT, layer: None }
    }
}

/// How much of a store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Segment files.
    pub files: u32,
    /// Slots in them.
    pub slots: u64,
    /// Of these, free.
    pub free_slots: u64,
    /// Sets that are served.
    pub sets: u32,
    /// Bytes of manifest pages in memory.
    pub page_bytes: u64,
    /// The most that these may be.
    pub page_memory: u64,
}

/// A store that is open for writing, by one process at a time; others may have it open as [`Reader`](crate::Reader)s. All
/// methods may be called from any thread; they take a lock and wait for the disk, so a hot thread calls none of them but
/// works on a [`Catalogue`].
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// Opens the store in `dir` for writing and scans it. Damage from outside is reported by [`damage`](Self::damage) and
    /// keeps nothing else from being served.
    ///
    /// # Errors
    /// If `dir` is no store, another process writes to it, its file system has no locks, or it was made with another
    /// file size.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, StoreError> {
        let layer = options.layer.clone().unwrap_or_else(default_layer);
        if let Some(wanted) = options.file_bytes.filter(|bytes| !file_bytes_valid(*bytes)) {
            return Err(StoreError::BadFileBytes { wanted });
        }
        let store_file = dir.join("STORE");
        if options.create {
            layer.create_dir(dir).map_err(failed("creating", dir, 0))?;
        } else if !dir.is_dir() || (!store_file.exists() && !dir.join("segments").exists()) {
            return Err(StoreError::NoStore { dir: dir.to_owned() });
        }
        let lock = acquire(dir)?;
        let file_bytes = if store_file.exists() {
            as_wanted(dir, read_store_file(&store_file)?, options.file_bytes)?
        } else {
            create(&*layer, dir, options)?
        };
        let readers = Readers::open(&store_file)?;
        let mut space = Space {
            layer: Arc::clone(&layer),
            folder: dir.join("segments"),
            file_bytes,
            files: Vec::new(),
            highest: 0,
        };
        let sets_folder = dir.join("sets");
        let scan = scan(&mut space, &sets_folder, options.page_memory)?;
        let Scan { sets, broken, retired, damage, next_generation, page_bytes, .. } = scan;
        let state = State {
            space,
            sets,
            broken,
            retired,
            readers,
            writing: BTreeSet::new(),
            next_generation,
            page_bytes,
        };
        let catalogue = Mutex::new(state.snapshot());
        let (state, page_memory) = (Mutex::new(state), options.page_memory);
        let shared =
            Shared { layer, sets_folder, state, catalogue, damage, page_memory, _lock: lock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What is served now.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        self.shared.catalogue().clone()
    }

    /// What the start found damaged.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.shared.damage
    }

    /// How much is used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut state = self.shared.state();
        state.sweep();
        let files = &state.space.files;
        let count = |n: usize| u32::try_from(n).expect("bounded by FILES_MAX and SETS_MAX");
        Usage {
            files: count(files.len()),
            slots: files.iter().map(|file| u64::from(file.map.geometry.slots())).sum(),
            free_slots: files.iter().map(|file| u64::from(file.slots.free())).sum(),
            sets: count(state.sets.len()),
            page_bytes: state.page_bytes,
            page_memory: self.shared.page_memory,
        }
    }

    /// Begins to write a set of `segments` segments of `segment_bytes` each, and takes the room for it, so that a full
    /// disk shows here. Several sets may be written at once.
    ///
    /// # Errors
    /// If the set exists or is being written, or there is no room for it.
    pub fn begin_set(
        &self,
        set: SetId,
        segment_bytes: u32,
        segments: u32,
    ) -> Result<SetWriter, StoreError> {
        if segments > ObjectNumber::SEGMENTS_MAX {
            return Err(StoreError::TooManySegments { segments });
        }
        let mut state = self.shared.state();
        let geometry = Geometry::new(state.space.file_bytes, segment_bytes)?;
        if state.sets.contains_key(&set) || state.broken.contains_key(&set) {
            return Err(StoreError::SetExists { set });
        }
        if state.writing.contains(&set) {
            return Err(StoreError::SetBusy { set });
        }
        if state.sets.len() + state.broken.len() + state.writing.len() >= SETS_MAX {
            return Err(StoreError::TooManySets);
        }
        state.sweep();
        let places = state.space.take(geometry, segments)?;
        let generation = state.next_generation;
        state.next_generation += 1;
        state.writing.insert(set);
        drop(state);
        Ok(SetWriter::new(Arc::clone(&self.shared), set, generation, segment_bytes, places))
    }

    /// Removes a set, served or broken. Its slots are free once no catalogue shows it any more, in this process and in
    /// those that read the store: [`still_read`](Self::still_read).
    ///
    /// # Errors
    /// If there is no such set, or the system refuses; the set is then served as before.
    pub fn remove_set(&self, set: &SetId) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        if !state.sets.contains_key(set) && !state.broken.contains_key(set) {
            return Err(StoreError::NoSuchSet { set: *set });
        }
        self.shared.unlink_set(*set)?;
        if let Some(held) = state.broken.remove(set) {
            state.retired.extend(held);
        }
        if let Some(entry) = state.sets.remove(set) {
            state.page_bytes -= entry.page_bytes;
            let (generation, places) = (entry.generation, entry.places.to_vec());
            state.retired.push(Held { generation, places, entry: Some(entry) });
        }
        *self.shared.catalogue() = state.snapshot();
        state.sweep();
        Ok(())
    }

    /// How many removed sets somebody still reads. Their slots are freed here when that has ended, or else at a later
    /// start of a writer.
    #[must_use]
    pub fn still_read(&self) -> usize {
        let mut state = self.shared.state();
        state.sweep();
        state.retired.len()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

fn acquire(dir: &Path) -> Result<LockFile, StoreError> {
    let path = dir.join("LOCK");
    LockFile::acquire(&path).map_err(|error| match error {
        LockError::Held { pid, .. } => StoreError::Owned { dir: dir.to_owned(), pid },
        LockError::System(error) => failed("locking", &path, 0)(without_locks(error).into()),
    })
}

/// Says what to do where the file system has no locks (flock(2)).
fn without_locks(error: SysError) -> SysError {
    match error.errno() {
        Some(errno) if file::is_without_locks(errno) => error.with_hint(
            "its file system has no locks: there a store can be read, and must be written elsewhere",
        ),
        _ => error,
    }
}

/// The size of the store's segment files, unless another one is wanted.
fn as_wanted(dir: &Path, found: u64, wanted: Option<u64>) -> Result<u64, StoreError> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(StoreError::FileBytesMismatch { dir: dir.to_owned(), found, wanted })
        }
        _ => Ok(found),
    }
}

/// Makes the folders and, last, the file `STORE`: a store cut short before that is begun again.
fn create(layer: &dyn WriteLayer, dir: &Path, options: &Options) -> Result<u64, StoreError> {
    let (segments, sets) = (dir.join("segments"), dir.join("sets"));
    for folder in [&segments, &sets] {
        let mut entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.map_err(failed("listing", folder, 0))?,
        };
        if entries.next().is_some() {
            return Err(StoreError::StoreFileLost { dir: dir.to_owned() });
        }
    }
    if !options.create {
        return Err(StoreError::NoStore { dir: dir.to_owned() });
    }
    for folder in [&segments, &sets] {
        layer.create_dir(folder).map_err(failed("creating", folder, 0))?;
    }
    let file_bytes = options.file_bytes.unwrap_or(FILE_BYTES_DEFAULT);
    let path = dir.join("STORE");
    let unfinished = dir.join("STORE.tmp");
    layer
        .create(&unfinished)
        .and_then(|file| {
            layer.write_at(&file, 0, &StoreFile { file_bytes }.encode())?;
            layer.sync_data(&file, SyncPoint::StoreFile)
        })
        .map_err(failed("writing", &unfinished, 0))?;
    layer.rename(&unfinished, &path).map_err(failed("naming", &path, 0))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    for folder in [dir, parent.unwrap_or(Path::new("."))] {
        layer.sync_dir(folder, SyncPoint::StoreFolder).map_err(failed(
            "making durable",
            folder,
            0,
        ))?;
    }
    Ok(file_bytes)
}

fn default_layer() -> Arc<dyn WriteLayer> {
    #[cfg(feature = "fault-layer")]
    if let Some(layer) = crate::fault::FaultLayer::from_environment() {
        return Arc::new(layer);
    }
    Arc::new(RealLayer)
}
