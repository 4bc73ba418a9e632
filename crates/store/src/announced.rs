//! How readers and writers know of each other: a reader shares a lock on the byte of the file `STORE` that a set's
//! generation numbers, for as long as any catalogue of its shows the set; a writer asks for it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use segcast_sysio::byte_lock;
use segcast_sysio::file::{Inode, is_without_locks};

use crate::error::{StoreError, failed};

/// The file that says what is shown. Whatever is shown has a share of it: with the last one the locks go.
#[derive(Debug)]
pub(crate) struct ShownBy(Mutex<File>);

impl ShownBy {
    fn file(&self) -> MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShownBy {
    fn drop(&mut self) {
        // To close it is not enough where a copy of the descriptor is open.
        let _ = byte_lock::unlock_all(&self.file());
    }
}

/// What a reader announces.
#[derive(Debug)]
pub(crate) struct Announced {
    path: PathBuf,
    file: Arc<ShownBy>,
    inode: Inode,
    generations: BTreeSet<u64>,
    /// Why nothing can be announced, where the file system has no locks. Nobody writes to such a store.
    without_locks: Option<io::Error>,
}

impl Announced {
    /// Nothing yet, on the file `STORE` at `path`.
    ///
    /// # Errors
    /// If it cannot be opened, or not be locked although its file system has locks.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // Generations begin at 1.
        let tried = byte_lock::share(&file, 0).and_then(|()| byte_lock::unlock(&file, 0));
        let without_locks = match tried {
            Err(error) if error.raw_os_error().is_some_and(is_without_locks) => Some(error),
            Err(error) => {
                let text = format!("a byte of it cannot be locked: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
            Ok(()) => None,
        };
        Ok(Self {
            path: path.to_owned(),
            inode: Inode::of(&file)?,
            file: Arc::new(ShownBy(Mutex::new(file))),
            generations: BTreeSet::new(),
            without_locks,
        })
    }

    pub(crate) fn without_locks(&self) -> Option<&io::Error> {
        self.without_locks.as_ref()
    }

    pub(crate) fn file(&self) -> Arc<ShownBy> {
        Arc::clone(&self.file)
    }

    /// Whether another file has taken the place of `STORE`, on which writers ask from now on.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn is_elsewhere(&self) -> Result<bool, StoreError> {
        let found = Inode::at(&self.path).map_err(failed("looking at", &self.path, 0))?;
        Ok(found != self.inode)
    }

    /// Announces on the file that is `STORE` now all that was announced on the one that was.
    ///
    /// # Errors
    /// If it cannot be opened or locked; the other one then stays.
    pub(crate) fn renew(&mut self) -> Result<(), StoreError> {
        let failed = || failed("announcing in", &self.path, 0);
        let file = File::open(&self.path).map_err(failed())?;
        let inode = Inode::of(&file).map_err(failed())?;
        if self.without_locks.is_none() {
            for generation in &self.generations {
                byte_lock::share(&file, *generation).map_err(failed())?;
            }
        }
        *self.file.file() = file;
        self.inode = inode;
        Ok(())
    }

    pub(crate) fn has(&self, generation: u64) -> bool {
        self.without_locks.is_some() || self.generations.contains(&generation)
    }

    pub(crate) fn announce(&mut self, generation: u64) -> io::Result<()> {
        if self.without_locks.is_none() {
            let file = self.file.file();
            byte_lock::share(&file, generation)?;
            self.generations.insert(generation);
        }
        Ok(())
    }

    /// Takes back all but `shown`.
    pub(crate) fn withdraw(&mut self, shown: &BTreeSet<u64>) {
        let file = self.file.file();
        self.generations.retain(|generation| {
            // What cannot be unlocked keeps some slots from use; it cannot be helped.
            shown.contains(generation) || byte_lock::unlock(&file, *generation).is_err()
        });
    }
}

/// Asks which sets other processes read.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    file: File,
    inode: Inode,
}

impl Readers {
    /// # Errors
    /// If the file cannot be opened, or the file system has no locks: then nobody can be asked.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(failed("opening", path, 0))?;
        let inode = Inode::of(&file).map_err(failed("looking at", path, 0))?;
        // Generations begin at 1.
        byte_lock::is_shared(&file, 0).map_err(failed("asking for locks of", path, 0))?;
        Ok(Self { path: path.to_owned(), file, inode })
    }

    /// Not known is as good as yes: slots then stay as they are. It is not known either when another file has taken the
    /// place of this one, on which readers announce by now.
    pub(crate) fn show(&self, generation: u64) -> bool {
        let is_known = Inode::at(&self.path).is_ok_and(|found| found == self.inode);
        !is_known || byte_lock::is_shared(&self.file, generation).unwrap_or(true)
    }
}
