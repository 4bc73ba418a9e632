//! The thread that verifies, decrypts and writes, so that disks and digests never hold up the sockets.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::title::Title;
use crate::file::{FileError, PartFile};

/// A kill loses at most what came in this time…
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// …or these many bytes.
const SYNC_BYTES: u64 = 256 << 20;

/// What the thread is given to do.
#[derive(Debug)]
pub enum Job {
    /// Verify the stored bytes of a segment, decrypt, write.
    Write {
        /// The segment.
        segment: u32,
        /// What an edge sent for it.
        stored: Vec<u8>,
    },
    /// Read a segment back from the part file and verify it.
    Recheck {
        /// The segment.
        segment: u32,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The bytes were right and are written.
    Written {
        /// The segment.
        segment: u32,
    },
    /// The bytes were not that segment; nothing was written.
    Wrong {
        /// The segment.
        segment: u32,
    },
    /// The part file was read back.
    Rechecked {
        /// The segment.
        segment: u32,
        /// Whether it holds that segment.
        good: bool,
    },
    /// The file failed; nothing more is done.
    Failed(FileError),
}

/// The thread, seen from the one that fetches.
pub struct Worker {
    jobs: Option<SyncSender<Job>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<PartFile>>,
}

impl Worker {
    /// Starts the thread. `depth`: jobs that may wait; `wake` is called after every outcome.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        title: Arc<Title>,
        part: PartFile,
        depth: usize,
        wake: Box<dyn Fn() + Send>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel(depth);
        let (outbox, outcomes) = channel();
        let run = move || Thread { title, part, outbox, wake, failed: false }.run(&inbox);
        let thread = std::thread::Builder::new().name("segcast-write".into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), outcomes, thread: Some(thread) })
    }

    /// Hands over a job. The caller keeps to `depth` jobs at once, so this never blocks; a job that
    /// finds no room comes back.
    ///
    /// # Errors
    /// The job itself.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        match &self.jobs {
            None => Err(job),
            Some(jobs) => jobs.try_send(job).map_err(|(Full(job) | Disconnected(job))| job),
        }
    }

    /// The next outcome, if there is one.
    pub fn poll(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Whether the thread still runs; it ends early only by a panic, which has been printed then.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Finishes all jobs handed over, syncs, and gives the part file back.
    pub fn stop(mut self) -> Option<PartFile> {
        self.jobs = None;
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already; there is nothing to add to it here.
            drop(thread.join());
        }
    }
}

struct Thread {
    title: Arc<Title>,
    part: PartFile,
    outbox: Sender<Outcome>,
    wake: Box<dyn Fn() + Send>,
    failed: bool,
}

impl Thread {
    fn run(mut self, inbox: &Receiver<Job>) -> PartFile {
        let mut synced = Instant::now();
        let mut plain = Vec::new();
        loop {
            match inbox.recv_timeout(SYNC_EVERY) {
                Ok(job) if !self.failed => {
                    let outcome = self.work(job, &mut plain);
                    self.tell(outcome);
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let segment = u64::from(self.part.identity().segment_bytes);
            let due = synced.elapsed() >= SYNC_EVERY
                || self.part.unsynced() as u64 * segment >= SYNC_BYTES;
            if due && !self.failed {
                self.sync();
                synced = Instant::now();
            }
        }
        // After a failure too: what was written before it is good.
        self.sync();
        self.part
    }

    fn work(&mut self, job: Job, plain: &mut Vec<u8>) -> Outcome {
        match job {
            Job::Write { segment, mut stored } => match self.title.open(segment, &mut stored) {
                Err(_) => Outcome::Wrong { segment },
                Ok(()) => match self.part.write(segment, &stored) {
                    Ok(()) => Outcome::Written { segment },
                    Err(error) => Outcome::Failed(error),
                },
            },
            Job::Recheck { segment } => match self.part.read(segment, plain) {
                Ok(()) => {
                    let good = self.title.recheck(segment, plain).is_ok();
                    Outcome::Rechecked { segment, good }
                }
                Err(error) => Outcome::Failed(error),
            },
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.part.sync()
            && !self.failed
        {
            self.tell(Outcome::Failed(error));
        }
    }

    fn tell(&mut self, outcome: Outcome) {
        self.failed |= matches!(outcome, Outcome::Failed(_));
        // The fetch may have ended already; then nobody needs to know.
        drop(self.outbox.send(outcome));
        (self.wake)();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::Identity;
    use crate::testing::{self, Packed, SEGMENT};

    fn start(packed: &Packed, name: &Path) -> Worker {
        let title = Arc::new(packed.open());
        let geometry = *title.manifest().root().geometry();
        let identity = Identity {
            set: title.manifest().root().set(),
            root_digest: [0; 32],
            segments: geometry.segments(),
            segment_bytes: geometry.segment_bytes(),
            length: geometry.true_length(),
        };
        let (part, _) = PartFile::open(name, identity, false).unwrap();
        Worker::start(title, part, 8, Box::new(|| ())).unwrap()
    }

    fn outcome(worker: &Worker) -> Outcome {
        worker.outcomes.recv().unwrap()
    }

    #[test]
    fn only_right_bytes_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("film");
        let packed = testing::title(2 * SEGMENT as u64 - 100, true);
        let worker = start(&packed, &name);
        let mut wrong = packed.stored[0].clone();
        wrong[0] ^= 1;
        worker.submit(Job::Write { segment: 0, stored: wrong }).unwrap();
        assert!(matches!(outcome(&worker), Outcome::Wrong { segment: 0 }));
        worker.submit(Job::Recheck { segment: 0 }).unwrap();
        assert!(matches!(outcome(&worker), Outcome::Rechecked { segment: 0, good: false }));
        for (segment, stored) in (0..).zip(&packed.stored) {
            worker.submit(Job::Write { segment, stored: stored.clone() }).unwrap();
            assert!(matches!(outcome(&worker), Outcome::Written { .. }));
            worker.submit(Job::Recheck { segment }).unwrap();
            assert!(matches!(outcome(&worker), Outcome::Rechecked { good: true, .. }));
        }
        worker.stop().unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), packed.plain);
    }

    #[test]
    fn what_was_written_survives_a_dropped_fetch() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("film");
        let packed = testing::title(2 * SEGMENT as u64, true);
        let worker = start(&packed, &name);
        worker.submit(Job::Write { segment: 1, stored: packed.stored[1].clone() }).unwrap();
        let identity = *worker.stop().unwrap().identity();
        let (_, map) = PartFile::open(&name, identity, false).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [1]);
    }
}
