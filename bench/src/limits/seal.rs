//! Rows of sealing alone.

use std::time::{Duration, Instant};

use segcast_proto::limits::OVERHEAD;

use super::{Row, Variant};
use crate::measure::Band;
use crate::seal::{Pool, SealLoop};

impl Variant for SealLoop {
    fn row(&self, figures: Band) -> Row {
        let payload = (self.datagram - OVERHEAD) as f64;
        Row {
            what: "seal",
            engine: Some(self.engine),
            cipher: Some(self.cipher),
            datagram_bytes: Some(self.datagram),
            prefetch: Some(self.prefetch),
            link: None,
            gb_per_cpu_s: figures,
            ns_per_datagram: Some(payload / figures.median),
        }
    }

    fn work(&mut self, pool: &mut Pool, time: Duration) -> anyhow::Result<u64> {
        let end = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < end {
            bytes += self.segment(pool.segment());
        }
        Ok(bytes)
    }
}
