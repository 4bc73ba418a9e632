//! Copying segments out of cold memory into a small buffer: what a server pays that copies before it seals.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Pool, Row, Variant};
use crate::measure::Band;

/// A copy of 64 KiB at a time, as a train would be copied.
pub(super) struct Copying {
    buffer: Vec<u8>,
}

impl Copying {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; 65_536] }
    }
}

impl Variant for Copying {
    fn row(&self, figures: Band) -> Row {
        Row {
            what: "copy",
            engine: None,
            cipher: None,
            datagram_bytes: None,
            prefetch: None,
            link: None,
            gb_per_cpu_s: figures,
            ns_per_datagram: None,
        }
    }

    fn work(&mut self, pool: &mut Pool, time: Duration) -> anyhow::Result<u64> {
        let end = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < end {
            for train in pool.segment().chunks(self.buffer.len()) {
                self.buffer[..train.len()].copy_from_slice(train);
                black_box(&mut self.buffer);
                bytes += train.len() as u64;
            }
        }
        Ok(bytes)
    }
}
