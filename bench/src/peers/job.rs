//! What a client is to do in one cell and what it has done so far, shared with the thread that measures.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::objects::{OBJECT_BYTES, OBJECTS, Objects};

/// Fetch objects over `connections` connections, each one object after another, until told to stop.
#[derive(Debug)]
pub(super) struct Job {
    /// Connections, each with one request at a time.
    pub(super) connections: usize,
    /// Bytes of objects that have come.
    bytes: AtomicU64,
    /// Whole objects that have come, each of the right length.
    objects: AtomicU64,
    /// Objects that were compared byte by byte, or by the digest that was signed for them.
    compared: AtomicU64,
    /// Connections that are open.
    open: AtomicUsize,
    stop: AtomicBool,
    failure: Mutex<Option<anyhow::Error>>,
    claimed: Vec<AtomicBool>,
}

impl Job {
    /// Nothing has come yet.
    #[must_use]
    pub(super) fn new(connections: usize) -> Self {
        Self {
            connections,
            bytes: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            claimed: (0..OBJECTS).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// The objects that connection `index` asks for, without end: it begins elsewhere than the others.
    pub(super) fn order(&self, index: usize) -> impl Iterator<Item = u32> + use<> {
        let first = index * OBJECTS as usize / self.connections.max(1);
        (0..OBJECTS).cycle().skip(first)
    }

    /// Runs what `connection` makes of each connection's number as a task, and waits for all. What fails then is the
    /// job's failure, as that of `peer`.
    ///
    /// # Errors
    /// Those of `connection`, which end all others.
    pub(super) async fn run_connections<F>(
        self: &Arc<Self>,
        peer: &'static str,
        connection: impl Fn(usize) -> anyhow::Result<F>,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for index in 0..self.connections {
            let (job, fetched) = (Arc::clone(self), connection(index)?);
            tasks.spawn(async move {
                if let Err(error) = fetched.await {
                    job.fail(error.context(format!("{peer}, connection {index}")));
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// One more connection is open.
    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether all connections are.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.connections
    }

    /// Object `object` is on its way.
    pub(super) fn arriving(&self, object: u32) -> Arrival<'_> {
        let kept = self.claim(object).then(|| Vec::with_capacity(OBJECT_BYTES));
        Arrival { job: self, object, length: 0, kept }
    }

    /// Bytes of an object came.
    pub(super) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A whole object came.
    pub(super) fn completed(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the caller must keep this object's bytes and compare them: true once for each object.
    #[must_use]
    pub(super) fn claim(&self, object: u32) -> bool {
        !self.claimed[object as usize].swap(true, Ordering::Relaxed)
    }

    /// A claimed object was the right one.
    pub(super) fn compared(&self) {
        self.compared.fetch_add(1, Ordering::Relaxed);
    }

    /// Compares a claimed object with its file.
    ///
    /// # Errors
    /// When they differ.
    pub(super) fn compare(
        &self,
        object: u32,
        bytes: &[u8],
        source: &Objects,
    ) -> anyhow::Result<()> {
        let expected = source.get(object).context("an object beyond the last")?;
        anyhow::ensure!(expected == bytes, "object {object} is not what its file holds");
        self.compared();
        Ok(())
    }

    /// Bytes, whole objects and compared objects so far.
    #[must_use]
    pub(super) fn so_far(&self) -> (u64, u64, u64) {
        let [bytes, objects, compared] =
            [&self.bytes, &self.objects, &self.compared].map(|n| n.load(Ordering::Relaxed));
        (bytes, objects, compared)
    }

    /// Tells the client to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    #[must_use]
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One connection failed: the cell is worth nothing, and all of it ends. What fails after the end does not count.
    pub(super) fn fail(&self, error: anyhow::Error) {
        if !self.is_stopped() {
            let mut failure = self.failure.lock().unwrap_or_else(|e| e.into_inner());
            failure.get_or_insert(error);
            self.stop();
        }
    }

    /// The first failure.
    #[must_use]
    pub(super) fn take_failure(&self) -> Option<anyhow::Error> {
        self.failure.lock().unwrap_or_else(|e| e.into_inner()).take()
    }
}

/// An object that comes in pieces.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    job: &'a Job,
    object: u32,
    length: usize,
    /// Its bytes, where they are to be compared.
    kept: Option<Vec<u8>>,
}

impl Arrival<'_> {
    /// The next bytes came.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.job.received(bytes.len());
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }

    /// The last bytes have come.
    ///
    /// # Errors
    /// When it is not the right object.
    pub(super) fn complete(self, source: &Objects) -> anyhow::Result<()> {
        let Self { job, object, length, kept } = self;
        anyhow::ensure!(length == OBJECT_BYTES, "object {object} came with {length} bytes");
        job.completed();
        kept.map_or(Ok(()), |kept| job.compare(object, &kept, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_begin_apart_and_each_object_is_claimed_once() {
        let job = Job::new(4);
        let firsts: Vec<u32> = (0..4).filter_map(|index| job.order(index).next()).collect();
        assert_eq!(firsts, [0, OBJECTS / 4, OBJECTS / 2, OBJECTS / 4 * 3]);
        let wraps: Vec<u32> = job.order(3).skip(OBJECTS as usize / 4).take(2).collect();
        assert_eq!(wraps, [0, 1]);
        assert!(job.claim(7) && !job.claim(7));
    }

    #[test]
    fn only_the_first_failure_before_the_end_counts() {
        let job = Job::new(1);
        job.fail(anyhow::anyhow!("first"));
        job.fail(anyhow::anyhow!("second"));
        assert!(job.is_stopped());
        assert_eq!(job.take_failure().map(|e| e.to_string()), Some("first".to_owned()));
    }
}
