//! What a store and its writers share: what is in the folder, and who may change it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use segcast_proto::ids::SetId;
use segcast_sysio::file::LockFile;

use crate::announced::Readers;
use crate::catalogue::{Catalogue, Place, SetEntry};
use crate::error::{Damage, StoreError, failed};
use crate::files::set_file_name;
use crate::format::leaves_file::leaves_file_name;
use crate::layer::{SyncPoint, WriteLayer};
use crate::space::Space;

/// What the store and its writers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layer: Arc<dyn WriteLayer>,
    pub(crate) sets_folder: PathBuf,
    pub(crate) state: Mutex<State>,
    /// Apart from the state, so that taking it never waits for the disk.
    pub(crate) catalogue: Mutex<Catalogue>,
    /// Damage that the start found.
    pub(crate) damage: Vec<Damage>,
    pub(crate) page_memory: u64,
    /// Held until the last writer is gone too.
    pub(crate) _lock: LockFile,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) space: Space,
    pub(crate) sets: BTreeMap<SetId, Arc<SetEntry>>,
    /// Sets that are not served, and their slots.
    pub(crate) broken: BTreeMap<SetId, Vec<Held>>,
    /// Removed sets that somebody may still read.
    pub(crate) retired: Vec<Held>,
    /// Who reads the store in other processes.
    pub(crate) readers: Readers,
    /// Sets that are being written.
    pub(crate) writing: BTreeSet<SetId>,
    pub(crate) next_generation: u64,
    /// Bytes of manifest pages, of sets that are being committed too.
    pub(crate) page_bytes: u64,
}

/// Slots of one generation of a set that is not served any more, or never was.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) places: Vec<Place>,
    /// What catalogues of this process show.
    pub(crate) entry: Option<Arc<SetEntry>>,
}

impl Shared {
    /// A thread that panicked left the state whole: every change of it is made after the disk's.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the manifest pages of a set before it is committed.
    pub(crate) fn reserve_pages(&self, set: SetId, bytes: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        let left = self.page_memory.saturating_sub(state.page_bytes);
        if bytes > left {
            return Err(StoreError::PageMemory { set, bytes, left, limit: self.page_memory });
        }
        state.page_bytes += bytes;
        Ok(())
    }

    /// Shows a set whose `.set` file is durable.
    pub(crate) fn publish(&self, entry: SetEntry) {
        let mut state = self.state();
        state.writing.remove(&entry.set);
        state.space.keep(&entry.places);
        state.sets.insert(entry.set, Arc::new(entry));
        *self.catalogue() = state.snapshot();
    }

    /// Removes a set's `.set` file, durably; one that is gone already is no error.
    pub(crate) fn unlink_set(&self, set: SetId) -> Result<(), StoreError> {
        let path = self.sets_folder.join(set_file_name(set));
        match self.layer.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", &path, 0)(error));
            }
            _ => {}
        }
        self.layer.sync_dir(&self.sets_folder, SyncPoint::SetsFolder).map_err(failed(
            "making durable",
            &self.sets_folder,
            0,
        ))?;
        self.unlink_leaves(set);
        Ok(())
    }

    /// Removes the leaves of a set that is not there any more, durably: whoever writes the set again may write none. If they
    /// stay, the next start of a writer removes them.
    pub(crate) fn unlink_leaves(&self, set: SetId) {
        if self.layer.remove(&self.sets_folder.join(leaves_file_name(set))).is_ok() {
            let _ = self.layer.sync_dir(&self.sets_folder, SyncPoint::SetsFolder);
        }
    }
}

impl State {
    pub(crate) fn snapshot(&self) -> Catalogue {
        let files = self.space.files.iter().map(|file| Arc::clone(&file.map)).collect();
        Catalogue::new(self.sets.values().cloned().collect(), files)
    }

    /// Frees the slots of removed sets that nobody reads any more: no catalogue here, and no other process.
    pub(crate) fn sweep(&mut self) {
        for mut held in std::mem::take(&mut self.retired) {
            // Ours is the only reference left, and none can be made from it.
            let is_shown = held.entry.as_mut().is_some_and(|entry| Arc::get_mut(entry).is_none());
            if is_shown || self.readers.show(held.generation) {
                self.retired.push(held);
            } else {
                self.space.give_back(&held.places, true);
            }
        }
    }
}
