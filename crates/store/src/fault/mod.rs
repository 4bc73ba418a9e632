//! A write layer for tests that behaves like the worst disk which is still correct, and kills its own process.
//!
//! Nothing that the store writes, renames or removes reaches the files before the sync that makes it durable. That
//! sync applies it in pieces, in a random order; `kill -9` may come between any two pieces, and may tear one at a
//! multiple of 512 bytes. At the kill, a random part of what was never synced is applied too, as the kernel may
//! write back dirty pages at any time; the rest is lost. Two writes of the same bytes keep their order, as in a
//! page cache. The order of everything follows from a seed.

mod pending;

use core::ops::Range;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pending::{Name, Piece, Random, pick_legal};
use rustix::process::{Signal, getpid, kill_process};
use segcast_sysio::file::Inode;

use crate::layer::{RealLayer, SyncPoint, WriteFile, WriteLayer};

/// The environment variable with the seed: a store opened without a layer of its own then uses this one.
pub const SEED_VARIABLE: &str = "SEGCAST_FAULT_SEED";
/// The environment variable with the number of operations after which the process is killed; never if not set.
pub const KILL_VARIABLE: &str = "SEGCAST_FAULT_KILL_AFTER";

/// The layer; see the module.
#[derive(Debug)]
pub struct FaultLayer {
    state: Mutex<State>,
    without: Option<SyncPoint>,
}

#[derive(Debug)]
struct State {
    random: Random,
    operations: u64,
    kill_after: Option<u64>,
    pieces: Vec<Piece>,
    names: Vec<Name>,
}

impl FaultLayer {
    /// A layer whose every choice follows from `seed`. With `kill_after` the process ends by SIGKILL at that operation:
    /// a call of the store, or one piece applied by a sync.
    #[must_use]
    pub fn from_seed(seed: u64, kill_after: Option<u64>) -> Self {
        let state = State {
            random: Random::new(seed),
            operations: 0,
            kill_after,
            pieces: Vec::new(),
            names: Vec::new(),
        };
        Self { state: Mutex::new(state), without: None }
    }

    /// What [`SEED_VARIABLE`] and [`KILL_VARIABLE`] say; `None` without a seed. Prints the seed to standard error.
    ///
    /// # Panics
    /// If they are no numbers: a test that sets them so is wrong.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is no number")))
        };
        let seed = number(SEED_VARIABLE)?;
        let kill_after = number(KILL_VARIABLE);
        eprintln!("store: fault layer, {SEED_VARIABLE}={seed}, {KILL_VARIABLE}={kill_after:?}");
        Some(Self::from_seed(seed, kill_after))
    }

    /// Makes the store wrong for a test of the test: syncs at `point` do nothing. Without [`SyncPoint::Data`], for one,
    /// headers reach the disk in any order with the data that they describe.
    #[must_use]
    pub fn without(mut self, point: SyncPoint) -> Self {
        self.without = Some(point);
        self
    }

    /// How many operations there were, so that a test can choose one to be killed at.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.locked().operations
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one call.
    fn step(&self) -> MutexGuard<'_, State> {
        let mut state = self.locked();
        state.tick(None);
        state
    }
}

impl State {
    /// Counts one operation, and ends the process if it is the one. `tearing`: the piece about to be applied.
    fn tick(&mut self, tearing: Option<&Piece>) {
        self.operations += 1;
        if self.kill_after.is_none_or(|kill_after| self.operations < kill_after) {
            return;
        }
        if let Some(piece) = tearing {
            piece.tear(&mut self.random);
        }
        self.write_back_some();
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }

    /// What the kernel may have written by itself before the machine stopped: nothing, or any part, in any order.
    fn write_back_some(&mut self) {
        let percent = [0, 0, 10, 50, 90][self.random.below(5)];
        let mut pieces = std::mem::take(&mut self.pieces);
        while let Some(piece) = pick_legal(&mut pieces, &mut self.random, Piece::overlaps) {
            if self.random.below(100) < percent {
                piece.apply(0..piece.len()).ok();
            } else if self.random.below(100) < percent / 10 {
                piece.tear(&mut self.random);
            }
        }
        let mut names = std::mem::take(&mut self.names);
        while let Some(name) = pick_legal(&mut names, &mut self.random, Name::conflicts) {
            if self.random.below(100) >= percent {
                // A journal keeps the order of names: after one that is lost, those that build on it are too.
                names.retain(|later| !later.conflicts(&name));
                continue;
            }
            name.apply().ok();
        }
    }

    /// Applies everything that was written to one file.
    fn flush_file(&mut self, inode: Inode) -> io::Result<()> {
        let (mut ours, others) = std::mem::take(&mut self.pieces)
            .into_iter()
            .partition(|piece: &Piece| piece.inode == inode);
        self.pieces = others;
        while let Some(piece) = pick_legal(&mut ours, &mut self.random, Piece::overlaps) {
            // What is not applied yet may be written back at a kill, so it must be in its place then.
            self.pieces.append(&mut ours);
            self.tick(Some(&piece));
            piece.apply(0..piece.len())?;
            let (again, others) = std::mem::take(&mut self.pieces)
                .into_iter()
                .partition(|piece: &Piece| piece.inode == inode);
            (ours, self.pieces) = (again, others);
        }
        Ok(())
    }

    /// Applies all names that changed in one folder.
    fn flush_folder(&mut self, folder: &Path) -> io::Result<()> {
        let is_in = |name: &Name| name.folder() == Some(folder);
        while self.names.iter().any(is_in) {
            let (mut ours, others) = std::mem::take(&mut self.names).into_iter().partition(is_in);
            let next = pick_legal(&mut ours, &mut self.random, Name::conflicts);
            self.names = others;
            self.names.append(&mut ours);
            let Some(name) = next else { break };
            self.tick(None);
            name.apply()?;
        }
        Ok(())
    }

    fn keep_write(&mut self, file: &Arc<File>, inode: Inode, offset: u64, bytes: &[u8]) {
        self.pieces.extend(Piece::cut(file, inode, offset, bytes));
    }
}

impl WriteLayer for FaultLayer {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let _state = self.step();
        RealLayer.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<WriteFile> {
        let mut state = self.step();
        // The name is there again: a removal that was not durable must not take the new file.
        state.names.retain(|name| !matches!(name, Name::Removed(removed) if removed == path));
        RealLayer.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<WriteFile> {
        let _state = self.step();
        RealLayer.open(path)
    }

    fn set_len(&self, file: &WriteFile, bytes: u64) -> io::Result<()> {
        let mut state = self.step();
        let (shared, inode) = share(file)?;
        state.pieces.push(Piece::length(&shared, inode, bytes));
        Ok(())
    }

    fn allocate(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        // It changes nothing that can be read, and a later length stands.
        let _state = self.step();
        let end = range.end;
        if file.file.metadata()?.len() < end {
            return Ok(());
        }
        RealLayer.allocate(file, range)
    }

    fn release(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        let mut state = self.step();
        let (_, inode) = share(file)?;
        // Dirty pages of the range go with it.
        state.pieces.retain(|piece| piece.inode != inode || !piece.lies_in(&range));
        RealLayer.release(file, range)
    }

    fn write_at(&self, file: &WriteFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.step();
        let (shared, inode) = share(file)?;
        state.keep_write(&shared, inode, offset, bytes);
        Ok(())
    }

    fn sync_data(&self, file: &WriteFile, point: SyncPoint) -> io::Result<()> {
        let mut state = self.step();
        if self.without == Some(point) {
            return Ok(());
        }
        state.flush_file(share(file)?.1)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step();
        state.names.push(Name::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step();
        state.names.push(Name::Removed(PathBuf::from(path)));
        Ok(())
    }

    fn sync_dir(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        let mut state = self.step();
        if self.without == Some(point) {
            return Ok(());
        }
        state.flush_folder(path)
    }
}

/// A second handle of the file, which outlives the store's, and what names the file whatever it is called.
fn share(file: &WriteFile) -> io::Result<(Arc<File>, Inode)> {
    let inode = Inode::of(&file.file)?;
    Ok((Arc::new(file.file.try_clone()?), inode))
}
