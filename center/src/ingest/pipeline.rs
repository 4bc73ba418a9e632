//! Reader → workers → writer, on threads that live for one pack run.
//!
//! A fixed number of segment buffers goes round: the reader takes a free one, a worker encrypts and digests
//! it in place, the calling thread stores it and frees it. No buffer free means that the reader waits, so memory is
//! bounded, and any side that ends early ends the others by closing its channel.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::SegmentCipher;
use segcast_proto::segment::digest::{Digester, Entry};
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::leaves::SegmentLeaves;

use super::PackError;
use super::source::Source;

/// Buffers beyond one for each worker: one being read, one being stored.
const SPARE_BUFFERS: usize = 2;

/// What every thread of a run knows.
pub(super) struct Plan<'a> {
    /// The set being packed.
    pub(super) set: SetId,
    /// How the title is cut.
    pub(super) geometry: Geometry,
    /// Encrypts segments; none for a clear set.
    pub(super) cipher: Option<&'a SegmentCipher>,
    /// Threads that encrypt and digest, at least 1.
    pub(super) workers: usize,
}

/// A plain segment on its way to a worker.
struct Job {
    segment: u32,
    buffer: Vec<u8>,
}

/// A stored segment on its way to the writer.
pub(super) struct Done {
    pub(super) segment: u32,
    pub(super) stored: Vec<u8>,
    pub(super) entry: Entry,
    /// None for a set without parity.
    pub(super) leaves: SegmentLeaves,
}

/// Runs the whole title through; `store` gets every segment exactly once, in any order, on this thread, and
/// gives its buffer back.
///
/// # Errors
/// The first error of the source or of `store`.
pub(super) fn run<R: Read + Send>(
    source: Source<R>,
    plan: &Plan<'_>,
    mut store: impl FnMut(Done) -> Result<Vec<u8>, PackError>,
) -> Result<(), PackError> {
    let buffers = plan.workers + SPARE_BUFFERS;
    let (free_in, free_out) = channel::<Vec<u8>>();
    // No more than the buffers are ever under way: sending never waits.
    let (job_in, job_out) = sync_channel::<Job>(buffers);
    let (done_in, done_out) = sync_channel::<Done>(buffers);
    for _ in 0..buffers.min(plan.geometry.segments() as usize) {
        free_in.send(vec![0; plan.geometry.segment_bytes() as usize]).expect("free_out is here");
    }
    let job_out = Mutex::new(job_out);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_all(source, plan.geometry, &free_out, &job_in));
        for _ in 0..plan.workers {
            let (jobs, done) = (&job_out, done_in.clone());
            scope.spawn(move || work(plan, jobs, &done));
        }
        drop(done_in);
        // Returning drops `free_in`: a reader that waits for a buffer then ends, and the workers with it.
        write_all(done_out, free_in, &mut store)?;
        match reader.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The reader: fills free buffers until the title ends or the others do.
fn read_all<R: Read>(
    mut source: Source<R>,
    geometry: Geometry,
    free: &Receiver<Vec<u8>>,
    jobs: &SyncSender<Job>,
) -> Result<(), PackError> {
    for segment in 0..geometry.segments() {
        let Ok(mut buffer) = free.recv() else { return Ok(()) };
        source.fill(&mut buffer)?;
        if jobs.send(Job { segment, buffer }).is_err() {
            return Ok(());
        }
    }
    Ok(source.finish()?)
}

/// A worker: encrypts and digests until the reader or the writer ends.
fn work(plan: &Plan<'_>, jobs: &Mutex<Receiver<Job>>, done: &SyncSender<Done>) {
    let mut digester = Digester::new(&plan.geometry, plan.set);
    loop {
        // Waiting happens under the lock: the next job goes to whoever waits first.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { segment, buffer: mut stored }) = job else { return };
        if let Some(cipher) = plan.cipher {
            cipher.apply(segment, &mut stored);
        }
        let (entry, leaves) = digester.entry_and_leaves(segment, &stored);
        if done.send(Done { segment, stored, entry, leaves }).is_err() {
            return;
        }
    }
}

/// The writer, on the caller's thread: stores until the last worker ends.
fn write_all(
    done: Receiver<Done>,
    free: Sender<Vec<u8>>,
    store: &mut impl FnMut(Done) -> Result<Vec<u8>, PackError>,
) -> Result<(), PackError> {
    for segment in done {
        let buffer = store(segment)?;
        // After the last segment the reader has gone, and its end of the channel with it.
        let _ = free.send(buffer);
    }
    Ok(())
}
