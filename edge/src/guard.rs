//! The end of a thread without which an edge cannot serve, noticed however it comes.

use std::sync::Arc;

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
