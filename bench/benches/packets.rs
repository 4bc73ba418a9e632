//! Packet protection alone: one pass from a memory-cold source into a small buffer, by datagram size.
//!
//! `cargo bench -p segcast-bench`. A first yardstick; the limits of the whole path have their own issue.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segcast_proto::crypto::{Sealer, Secret, Suite};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex};
use segcast_proto::limits::{DATAGRAM_LADDER, OVERHEAD};
use segcast_proto::time::Instant;
use segcast_proto::wire::{FrameHeader, PacketType};
use std::hint::black_box;

/// More than the caches hold, so that every packet's plaintext comes from memory.
const POOL: usize = 256 << 20;

fn seal(criterion: &mut Criterion) {
    let pool = vec![7u8; POOL];
    let mut out = vec![0u8; 65_536];
    let frame = FrameHeader { set_handle: 0, object: ObjectNumber(0), offset: 0, send_time: 0 };
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm] {
        let mut group = criterion.benchmark_group(format!("seal {suite:?}"));
        for datagram in DATAGRAM_LADDER {
            let payload = datagram - OVERHEAD;
            let mut sealer = Sealer::new(suite, Secret::new([9; 32]), Instant::ZERO);
            let mut at = 0;
            group.throughput(Throughput::Bytes(payload as u64));
            group.bench_function(BenchmarkId::from_parameter(datagram), |bencher| {
                bencher.iter(|| {
                    at = if at + 2 * payload > POOL { 0 } else { at + payload };
                    if sealer.next_sequence() % (1 << 20) == (1 << 20) - 1 {
                        sealer = Sealer::new(suite, Secret::new([9; 32]), Instant::ZERO);
                    }
                    let plain = &pool[at..at + payload];
                    let (kind, to) = (PacketType::Data, ReceiverIndex(1));
                    black_box(sealer.seal(Instant::ZERO, 0, kind, to, &frame, plain, &mut out))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, seal);
criterion_main!(benches);
