//! What a test that takes long says while it runs.
//!
//! libtest keeps what `println!` and `eprintln!` print until a test has failed; what is written to the standard error itself
//! it lets through, so a reader of `cargo test` sees that something goes on, and how far it is.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// Writes one line to the standard error, past what libtest keeps.
pub fn say(line: &str) {
    // A closed terminal is no reason to fail.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A test that runs: a line every ten seconds, until it is dropped.
pub struct Progress {
    name: Arc<str>,
    done: Arc<AtomicU64>,
    begun: Instant,
    /// Hung up at the end.
    running: Option<Sender<()>>,
    speaker: Option<JoinHandle<()>>,
}

impl Progress {
    /// Says that `name` begins; `what` it does, and about how long that takes.
    #[must_use]
    pub fn start(name: &str, what: &str) -> Self {
        say(&format!("{name}: {what}"));
        Self::new(name.into(), 0)
    }

    /// As [`Progress::start`], for `all` steps that are counted by [`Progress::step`].
    #[must_use]
    pub fn steps(name: &str, what: &str, all: u64) -> Self {
        say(&format!("{name}: {all} {what}"));
        Self::new(name.into(), all)
    }

    /// Says nothing at first: for those whose harness names them when they begin.
    pub(crate) fn quiet(name: String) -> Self {
        Self::new(name.into(), 0)
    }

    fn new(name: Arc<str>, all: u64) -> Self {
        let (running, ended) = channel::<()>();
        let (done, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let speaker = {
            let (name, done) = (name.clone(), done.clone());
            move || {
                while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    let seconds = begun.elapsed().as_secs();
                    let done = done.load(Ordering::Relaxed);
                    let part = if all == 0 { String::new() } else { format!(", {done} of {all}") };
                    say(&format!("{name}: {seconds} s{part}"));
                }
            }
        };
        let speaker = Some(std::thread::spawn(speaker));
        Self { name, done, begun, running: Some(running), speaker }
    }

    /// So many steps are done.
    pub fn set(&self, steps: u64) {
        self.done.store(steps, Ordering::Relaxed);
    }

    /// One more step is done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(speaker) = self.speaker.take() {
            // It has nothing that could panic.
            let _ = speaker.join();
        }
        let took = self.begun.elapsed();
        if took >= EVERY {
            say(&format!("{}: ended after {} s", self.name, took.as_secs()));
        }
    }
}
