//! A store that is only read, beside a process that may be writing to it: what is committed, looked at again and again.
//!
//! Nothing in the folder is changed. What a reader shows it announces by a shared lock on the byte of the file `STORE` that
//! the set's generation numbers (`announced.rs`); a writer frees the slots of a removed set when nobody announces it. The
//! order makes that safe: a reader locks, and then sees that the `.set` file is still there; a writer removes
//! the file, and then asks. One of the two finds the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use segcast_proto::ids::SetId;
use segcast_sysio::mapped::MappedFile;

use crate::announced::Announced;
use crate::catalogue::{Catalogue, FileMap, Place, SetEntry};
use crate::error::{Damage, StoreError, failed};
use crate::files::{self, Found, Opened, SetName, complete};
use crate::format::set_file::{SET_HEADER_BYTES, SetFile};
use crate::format::slot_header::SlotHeader;
use crate::limits::{FILES_MAX, LEAVES_MAX, SETS_MAX};

/// A folder's time of change says that nothing has changed since it was listed, if it lay so far back then: file systems
/// count that time in steps, of which the coarsest in use are 2 s.
const SETTLED: Duration = Duration::from_secs(3);
/// How often a `.set` file may be replaced while it is read, before that waits for the next look or counts as damage.
const ATTEMPTS: usize = 4;

/// Shows what is committed in a store, as of its last [`refresh`](Self::refresh).
#[derive(Debug)]
pub struct Reader {
    store_file: PathBuf,
    segments_folder: PathBuf,
    sets_folder: PathBuf,
    file_bytes: u64,
    page_memory: u64,
    announced: Announced,
    sets: BTreeMap<SetId, Arc<SetEntry>>,
    /// Of segment files those in which a set was ever found. None that a set is shown from leaves its place in the list.
    files: Vec<Arc<FileMap>>,
    /// Removed sets that some catalogue may still show.
    retired: Vec<Arc<SetEntry>>,
    damage: Vec<Damage>,
    page_bytes: u64,
    /// When the folder of sets had last changed, if nothing can have changed since.
    settled: Option<SystemTime>,
    catalogue: Catalogue,
}

/// What one look at the folder found.
#[derive(Debug, Default)]
struct Look {
    /// Every set that is there.
    there: BTreeMap<SetId, PathBuf>,
    /// Of which of them leaves are there.
    leaves: BTreeSet<SetId>,
    /// Those of them that are not shown yet, with the bytes of their pages.
    new: Vec<(SetFile, u64)>,
    found: HashMap<(SetId, u64), Vec<Found>>,
    damage: Vec<Damage>,
}

impl Reader {
    /// Opens the store in `dir`, whose manifest pages may take `page_memory` bytes. A folder that cannot be written to, or
    /// belongs to somebody else, will do.
    ///
    /// # Errors
    /// If `dir` is no store, or cannot be read.
    pub fn open(dir: &Path, page_memory: u64) -> Result<Self, StoreError> {
        let path = dir.join("STORE");
        let segments_folder = dir.join("segments");
        let announced = match Announced::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let dir = dir.to_owned();
                return Err(if segments_folder.exists() {
                    StoreError::StoreFileLost { dir }
                } else {
                    StoreError::NoStore { dir }
                });
            }
            other => other.map_err(failed("opening", &path, 0))?,
        };
        let mut reader = Self {
            segments_folder,
            sets_folder: dir.join("sets"),
            file_bytes: files::read_store_file(&path)?,
            page_memory,
            announced,
            store_file: path,
            sets: BTreeMap::new(),
            files: Vec::new(),
            retired: Vec::new(),
            damage: Vec::new(),
            page_bytes: 0,
            settled: None,
            catalogue: Catalogue::default(),
        };
        reader.refresh()?;
        Ok(reader)
    }

    /// What is shown now.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        self.catalogue.clone()
    }

    /// What the last look found damaged.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Why a writer cannot be told what is read here: the file system has no locks.
    #[must_use]
    pub fn unannounced(&self) -> Option<&io::Error> {
        self.announced.without_locks()
    }

    /// Removed sets that a catalogue of this reader still shows. The next [`refresh`](Self::refresh) lets go of those that
    /// no catalogue shows any more.
    #[must_use]
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Looks whether the store has changed: two system calls when it has not. Says whether another catalogue is there now.
    ///
    /// # Errors
    /// If the store cannot be read; what was shown stays, but for removed sets: another catalogue can be there then too.
    pub fn refresh(&mut self) -> Result<bool, StoreError> {
        let looked = self.look();
        // Also what a look that failed has announced.
        self.withdraw();
        looked
    }

    fn look(&mut self) -> Result<bool, StoreError> {
        if self.announced.is_elsewhere()? {
            self.file_bytes = files::read_store_file(&self.store_file)?;
            self.announced.renew()?;
        }
        let folder = &self.sets_folder;
        let changed = std::fs::metadata(folder).and_then(|found| found.modified());
        let changed = changed.map_err(failed("looking at", folder, 0))?;
        if self.settled == Some(changed) {
            return Ok(false);
        }
        let settled = is_settled(changed, SystemTime::now());
        let mut look = Look::default();
        self.list_sets(&mut look)?;
        let gone = self.retire(&look);
        self.read_new_sets(&mut look);
        let slots = self.look_for_slots(&mut look);
        let come = if slots.is_ok() { self.show(&mut look) } else { 0 };
        let mapped = self.map_leaves(&mut look);
        let is_other = gone + come + mapped > 0;
        // What is gone is gone, whatever hinders the search for what is new: the next look finds nothing removed any more.
        if is_other {
            let sets = self.sets.values().cloned().collect();
            self.catalogue = Catalogue::new(sets, self.files.clone());
        }
        slots?;
        self.damage = look.damage;
        // Whatever keeps a set from being announced may pass without a change of the folder.
        let is_again = |damage: &Damage| matches!(damage, Damage::Unannounced { .. });
        let settled = settled && !self.damage.iter().any(is_again);
        self.settled = settled.then_some(changed);
        Ok(is_other)
    }

    fn list_sets(&self, look: &mut Look) -> Result<(), StoreError> {
        for path in files::list(&self.sets_folder)? {
            match files::set_name(&path) {
                SetName::Set(set) => {
                    look.there.insert(set, path);
                }
                SetName::Leaves(set) => {
                    look.leaves.insert(set);
                }
                SetName::Unfinished => {}
                SetName::Strange => look.damage.push(Damage::StrangeFile { path }),
            }
        }
        Ok(())
    }

    /// Takes out what was removed, or removed and written again. A file that cannot be read now costs nothing: its
    /// set stays.
    fn retire(&mut self, look: &Look) -> usize {
        let is_gone = |entry: &SetEntry| match look.there.get(&entry.set).map(|p| generation(p)) {
            None => true,
            Some(Ok(found)) => found != entry.generation,
            Some(Err(error)) => error.kind() == io::ErrorKind::NotFound,
        };
        let gone: Vec<_> = self.sets.extract_if(.., |_, entry| is_gone(entry)).collect();
        let count = gone.len();
        for (_, entry) in gone {
            self.page_bytes -= entry.page_bytes;
            self.retired.push(entry);
        }
        count
    }

    fn read_new_sets(&mut self, look: &mut Look) {
        let new: Vec<(SetId, PathBuf)> = look
            .there
            .iter()
            .filter(|(set, _)| !self.sets.contains_key(set))
            .map(|(set, path)| (*set, path.clone()))
            .collect();
        let mut left = self.page_memory.saturating_sub(self.page_bytes);
        for (set, path) in new {
            if self.sets.len() + look.new.len() >= SETS_MAX {
                let reason = "the store has as many sets as it can hold";
                look.damage.push(Damage::OverLimit { set, reason });
                continue;
            }
            match self.read_new_set(set, &path, left) {
                Ok(Some((file, page_bytes))) => {
                    left -= page_bytes;
                    look.new.push((file, page_bytes));
                }
                Ok(None) => {}
                Err(damage) => look.damage.push(damage),
            }
        }
    }

    /// A set that is announced and, after that, still there. `None`: it is being removed or replaced.
    fn read_new_set(
        &mut self,
        set: SetId,
        path: &Path,
        left: u64,
    ) -> Result<Option<(SetFile, u64)>, Damage> {
        let mut last = Ok(None);
        for _ in 0..ATTEMPTS {
            match generation(path) {
                Ok(generation) => self.announced.announce(generation).map_err(|error| {
                    let reason = error.to_string();
                    Damage::Unannounced { set, reason }
                })?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                // Reading all of it says what is wrong.
                Err(_) => {}
            }
            last = match files::read_set_file(path, set, left) {
                Ok((file, _)) if !self.announced.has(file.generation) => Ok(None),
                Ok(read) => return Ok(Some(read)),
                // Or it was replaced just then: the next attempt says.
                Err((damage, _)) => Err(damage),
            };
        }
        last
    }

    /// Finds the slots of new sets, maps the files that they lie in, and names damaged files.
    fn look_for_slots(&mut self, look: &mut Look) -> Result<(), StoreError> {
        let wanted: BTreeSet<(SetId, u64)> =
            look.new.iter().map(|(file, _)| (file.set, file.generation)).collect();
        let sizes: BTreeSet<u32> = look.new.iter().map(|(file, _)| file.segment_bytes).collect();
        let there = files::segment_files(&self.segments_folder)?.whole;
        if there.len() > FILES_MAX {
            return Err(StoreError::TooManyFiles);
        }
        for (number, path) in there {
            let opened = match Opened::open(&path, number, self.file_bytes) {
                Ok(opened) => opened,
                // A writer has taken it back: no set was ever in it.
                Err(_) if !path.exists() => continue,
                Err(damage) => {
                    look.damage.push(damage);
                    continue;
                }
            };
            look.damage.extend(opened.wrong_length(&path));
            if !sizes.contains(&opened.geometry.segment_bytes()) {
                continue;
            }
            let mut slots = Vec::new();
            let read = opened.each_header(|slot, bytes| {
                let header = SlotHeader::decode(bytes, number, slot).ok();
                slots.extend(header.map(|header| (slot, header)).filter(|(_, header)| {
                    wanted.contains(&(header.set, header.generation))
                        && opened.geometry.data_range(slot).end <= opened.end()
                }));
            });
            look.damage.extend(read.err().map(|error| files::unreadable(&path, &error)));
            if !slots.is_empty() {
                let file = self.map(&path, &opened)?;
                for (slot, SlotHeader { set, segment, length, generation, .. }) in slots {
                    let place = Place { file, slot };
                    let found = look.found.entry((set, generation)).or_default();
                    found.push(Found { segment, length, place });
                }
            }
        }
        Ok(())
    }

    /// The index of a segment file, which is mapped when a set is first found in it.
    fn map(&mut self, path: &Path, opened: &Opened) -> Result<u32, StoreError> {
        // Another file that took the place of a known one is mapped anew, and so is one that has another length or other
        // slots by now: they may lie beyond the old mapping. So is one that could not be read somewhere: the mapping
        // remembers that, whatever is written there later.
        let is_same = |file: &Arc<FileMap>| {
            file.map.inode() == opened.inode
                && file.map.len() as u64 == opened.length
                && file.geometry == opened.geometry
                && !file.map.faulted()
        };
        let index = match self.files.iter().position(is_same) {
            Some(index) => index,
            None => {
                let map = MappedFile::of(&opened.file, path, opened.length)
                    .map_err(|error| failed("mapping", path, 0)(error.into()))?;
                let (number, geometry) = (opened.number, opened.geometry);
                self.take_up(Arc::new(FileMap { map, number, geometry }))
            }
        };
        Ok(u32::try_from(index).expect("bounded by FILES_MAX and SETS_MAX"))
    }

    /// Puts a file on the list: in the place of an earlier mapping of its number from which nothing is shown any more, so
    /// that files which are replaced again and again do not fill it. Catalogues that show the earlier one have it.
    fn take_up(&mut self, new: Arc<FileMap>) -> usize {
        let shown = self.sets.values().flat_map(|entry| &entry.places);
        let shown: BTreeSet<u32> = shown.map(|place| place.file).collect();
        let is_idle = |(index, known): (u32, &Arc<FileMap>)| {
            known.number == new.number && !shown.contains(&index)
        };
        if let Some(index) = (0..).zip(&self.files).position(is_idle) {
            self.files[index] = new;
            return index;
        }
        self.files.push(new);
        self.files.len() - 1
    }

    /// Takes up the new sets that are whole, and says how many.
    fn show(&mut self, look: &mut Look) -> usize {
        let mut come = 0;
        for (file, page_bytes) in std::mem::take(&mut look.new) {
            let found = look.found.get(&(file.set, file.generation)).map_or(&[][..], |found| found);
            match complete(&file, found) {
                Ok(places) => {
                    let shown_by = Some(self.announced.file());
                    let entry = SetEntry::new(file, places, page_bytes, shown_by);
                    self.page_bytes += page_bytes;
                    self.sets.insert(entry.set, Arc::new(entry));
                    come += 1;
                }
                Err(damage) => look.damage.push(damage),
            }
        }
        come
    }

    /// Maps the leaves of sets that are shown, and says how many. What is wrong with them keeps no set from being shown.
    fn map_leaves(&mut self, look: &mut Look) -> usize {
        let (with, without): (Vec<_>, Vec<_>) =
            self.sets.values().partition(|entry| entry.leaves.get().is_some());
        let mut room = LEAVES_MAX.saturating_sub(with.len());
        let mut mapped = 0;
        for entry in without.into_iter().filter(|entry| look.leaves.contains(&entry.set)) {
            let found = if room == 0 {
                let reason =
                    format!("those of {LEAVES_MAX} other sets are mapped, the most that can be");
                Err(Damage::Leaves { set: entry.set, reason })
            } else {
                entry.map_leaves(&self.sets_folder)
            };
            let one = usize::from(matches!(found, Ok(true)));
            (mapped, room) = (mapped + one, room - one);
            // Where the set is being removed, or written again, its leaves are another's.
            let is_there = look.there.get(&entry.set).and_then(|path| generation(path).ok())
                == Some(entry.generation);
            look.damage.extend(found.err().filter(|_| is_there));
        }
        mapped
    }

    /// Takes back the announcements of what no catalogue shows any more.
    fn withdraw(&mut self) {
        self.retired.retain_mut(|entry| Arc::get_mut(entry).is_none());
        let shown = self.sets.values().chain(&self.retired);
        let shown: BTreeSet<u64> = shown.map(|entry| entry.generation).collect();
        self.announced.withdraw(&shown);
    }
}

/// The generation that a `.set` file names: its head, without a look at the rest.
fn generation(path: &Path) -> io::Result<u64> {
    let mut head = [0; SET_HEADER_BYTES];
    File::open(path)?.read_exact_at(&mut head, 0)?;
    SetFile::generation_in(&head).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Whether a folder that had `changed` when it was looked at `now` shows any later change by another time.
fn is_settled(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed).is_ok_and(|ago| ago >= SETTLED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_just_before_a_look_or_in_the_future_is_looked_at_again() {
        let now = SystemTime::now();
        assert!(is_settled(now - SETTLED, now));
        assert!(!is_settled(now - SETTLED / 2, now));
        assert!(!is_settled(now + SETTLED, now), "a clock was set back, or is another's");
    }
}
