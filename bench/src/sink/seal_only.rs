//! The yardstick of the sink: the same packets sealed by the cipher alone, in the same order, on the server's core.

use std::time::{Duration, Instant};

use crate::measure::CpuClocks;
use crate::seal::{Cipher, Engine, Pool, SealLoop};

/// Sealing as if for so many sessions: a train for each in turn, each from a segment of its own.
pub(super) struct SealOnly {
    pool: Pool,
    sealing: SealLoop,
    /// For each session the place of its segment in the pool, and how much of it is sealed.
    segments: Vec<(usize, usize)>,
    /// Bytes of the title in a full train.
    train: usize,
}

impl SealOnly {
    pub(super) fn new(sessions: usize, datagram: usize, pool_bytes: usize, seed: u64) -> Self {
        let sealing = SealLoop::new(Engine::AwsLc, Cipher::Aes128Gcm, datagram, true);
        let train = sealing.train_payload();
        let mut pool = Pool::new(pool_bytes, seed);
        let segments = (0..sessions).map(|_| (pool.place(), 0)).collect();
        Self { pool, sealing, segments, train }
    }

    /// Seals for `time`; gives 10^9 bytes of the title per CPU-second of this thread.
    pub(super) fn measure(&mut self, time: Duration, core: usize) -> anyhow::Result<f64> {
        let clocks = CpuClocks::of_this_thread(core);
        let before = clocks.read()?;
        let bytes = self.work(time);
        let used = clocks.read()? - before;
        Ok(bytes as f64 / used.seconds() / 1e9)
    }

    fn work(&mut self, time: Duration) -> u64 {
        let end = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < end {
            for (place, done) in &mut self.segments {
                let segment = self.pool.at(*place);
                let train = &segment[*done..(*done + self.train).min(segment.len())];
                bytes += self.sealing.segment(train);
                *done += train.len();
                if *done == segment.len() {
                    (*place, *done) = (self.pool.place(), 0);
                }
            }
        }
        bytes
    }
}
