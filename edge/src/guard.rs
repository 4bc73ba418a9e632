//! The end of a thread of an edge, which none should come to by itself, noticed however it comes.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::Sender;

use crate::board::Board;
use crate::mailbox::Report;

/// Lives as long as its thread, and reports the end.
pub(crate) struct Guard {
    thread: String,
    board: Arc<Board>,
    reports: Sender<Report>,
    failure: Option<String>,
}

impl Guard {
    /// For the thread that people call `thread`.
    pub(crate) fn new(thread: String, board: Arc<Board>, reports: Sender<Report>) -> Self {
        Self { thread, board, reports, failure: Some("it has panicked".to_owned()) }
    }

    /// The thread's work has ended, with what failed if it was not asked to end.
    pub(crate) fn end(mut self, failure: Option<String>) {
        self.failure = failure;
    }
}

/// Starts the thread `name` with a guard; `work` returns what failed, if it was not asked to end.
///
/// # Errors
/// When there is none to be had.
pub(crate) fn spawn(
    name: &str,
    board: Arc<Board>,
    reports: Sender<Report>,
    work: impl FnOnce() -> Option<String> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let thread = name.to_owned();
    Builder::new().name(thread.clone()).spawn(move || {
        let guard = Guard::new(thread, board, reports);
        guard.end(work());
    })
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (thread, failure) = (core::mem::take(&mut self.thread), self.failure.take());
        if failure.is_some() {
            self.board.set_failed();
        }
        // Nobody listens any more only when the process ends.
        let _ = self.reports.send(Report::Ended { thread, failure });
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::*;

    #[test]
    fn a_panic_is_a_failure_and_an_end_that_was_asked_for_is_none() {
        for failure in [None, Some("it has panicked")] {
            let (board, (reports, ended)) = (Arc::new(Board::new(1)), bounded(1));
            let work = move || if failure.is_some() { panic!("as asked for") } else { None };
            let thread = spawn("one", Arc::clone(&board), reports, work).expect("a thread");
            assert_eq!(thread.join().is_err(), failure.is_some());
            let Ok(Report::Ended { thread, failure: told }) = ended.recv() else { panic!("none") };
            assert_eq!((&*thread, told.as_deref()), ("one", failure));
            assert_eq!(board.healthy(), failure.is_none());
        }
    }
}
