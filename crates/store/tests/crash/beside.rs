//! A reader that has the store open while children write to it and are killed.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Catalogue, Reader, StoreError};

/// Catalogues that are kept, so that sets are shown for a while after they were removed.
const KEPT: usize = 4;

/// Runs `work` beside a reader that refreshes all the time. Gives what came of both; of the reader how many sets it found
/// whole.
pub(crate) fn read_while<T>(dir: &Path, work: impl FnOnce() -> T) -> (T, Result<usize, String>) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(dir, &ended));
        let result = work();
        ended.store(true, Ordering::Relaxed);
        (result, reader.join().expect("no failure"))
    })
}

fn read(dir: &Path, ended: &AtomicBool) -> Result<usize, String> {
    let text = |error: StoreError| error.to_string();
    let mut whole = 0;
    let mut shown: VecDeque<Catalogue> = VecDeque::new();
    let mut reader = None;
    while !ended.load(Ordering::Relaxed) {
        let reader = match &mut reader {
            Some(reader) => reader,
            None => match Reader::open(dir, PAGE_MEMORY_DEFAULT) {
                Ok(opened) => reader.insert(opened),
                Err(StoreError::NoStore { .. } | StoreError::StoreFileLost { .. }) => continue,
                Err(error) => return Err(text(error)),
            },
        };
        reader.refresh().map_err(text)?;
        if !reader.damage().is_empty() {
            return Err(format!("damage: {:?}", reader.damage()));
        }
        shown.push_back(reader.catalogue());
        if shown.len() > KEPT {
            shown.pop_front();
        }
        for catalogue in &shown {
            whole += check(catalogue)?;
        }
    }
    Ok(whole)
}

fn check(catalogue: &Catalogue) -> Result<usize, String> {
    for info in catalogue.sets() {
        let bad = catalogue.verify_set(&info.set).map_err(|error| error.to_string())?;
        let leaves = catalogue.verify_leaves(&info.set);
        // Of a set that has been removed meanwhile the name is gone, or another's; what is mapped stays.
        if leaves.is_ok_and(|bad| !bad.is_empty()) {
            return Err(format!("{}: leaves are wrong", info.set));
        }
        if !bad.is_empty() {
            return Err(format!("{}: segments {bad:?} of {} are wrong", info.set, info.segments));
        }
    }
    Ok(catalogue.sets().len())
}
