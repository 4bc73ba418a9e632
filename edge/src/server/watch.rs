//! What is added to the store or removed from it while the edge serves: looked for on a thread of its own, so that a slow
//! disk holds up neither a shard nor a signal.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use segcast_store::error::Damage;
use segcast_store::{Catalogue, Reader, StoreError};

use crate::board::Board;
use crate::mailbox::Report;
use crate::{guard, limits};

/// The running thread; ends when it is dropped.
pub(super) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Reports every new catalogue of `reader` to `reports`, and there and to `board` if the thread ends by itself.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(super) fn start(
        reader: Reader,
        board: &Arc<Board>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let ended = reports.clone();
        let thread = guard::spawn("segcast-store", Arc::clone(board), ended, move || {
            watch(reader, &stopped, &reports);
            None
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic was reported already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(mut reader: Reader, stopped: &Receiver<()>, reports: &Sender<Report>) {
    let mut failure = None;
    loop {
        let pause = match reader.retired() {
            0 => limits::STORE_INTERVAL,
            // Whoever removed a set waits for the shards to let go of it.
            _ => limits::STORE_LET_GO,
        };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let (before, known) = (reader.catalogue(), reader.damage().to_vec());
        let looked = reader.refresh();
        tell_damage(&known, reader.damage());
        let catalogue = reader.catalogue();
        // Also a look that failed takes out what was removed.
        if !catalogue.is_same(&before) {
            tell_change(&before, &catalogue);
            // The server has ended when nobody listens.
            let _ = reports.send(Report::Store(catalogue));
        }
        match looked {
            Ok(_) => failure = None,
            Err(error) => tell_failure(&mut failure, &error),
        }
    }
}

/// Tells of damage that was not `known`.
pub(super) fn tell_damage(known: &[Damage], found: &[Damage]) {
    for damage in found.iter().filter(|damage| !known.contains(damage)) {
        tracing::error!(%damage, "the store is damaged: this part is not served");
    }
}

fn tell_change(before: &Catalogue, now: &Catalogue) {
    let missing = |here: &Catalogue, there: &Catalogue| {
        (0..).zip(here.sets()).filter(|(index, _)| here.index_in(*index, there).is_none()).count()
    };
    let (added, removed) = (missing(now, before), missing(before, now));
    tracing::info!(added, removed, sets = now.sets().len(), "the store has changed");
}

/// Tells of a failure once, until it is another one.
fn tell_failure(last: &mut Option<String>, error: &StoreError) {
    let text = error.to_string();
    if last.as_ref() != Some(&text) {
        tracing::error!(%error, "the store cannot be looked at: nothing new is served, what was served stays");
        *last = Some(text);
    }
}
