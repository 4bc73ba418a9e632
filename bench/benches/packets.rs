//! Packets by themselves: sealing from memory-cold plaintext in one pass, opening, and reading headers and reports.
//!
//! `cargo bench -p segcast-bench --bench packets`. The limits of the whole path are `segcast-bench limits`.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segcast_proto::crypto::{Opener, Sealer, Secret, Suite};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::limits::{DATAGRAM_LADDER, OVERHEAD};
use segcast_proto::time::Instant;
use segcast_proto::wire::report::Report;
use segcast_proto::wire::{ClearHeader, FrameHeader, PacketType, SequenceRanges};

/// More than the caches hold, so that every packet's plaintext comes from memory.
const POOL: usize = 256 << 20;

fn seal(criterion: &mut Criterion) {
    let pool = vec![7u8; POOL];
    let mut out = vec![0u8; 65_536];
    let frame = FrameHeader {
        set_handle: SetHandle::FIRST,
        object: ObjectNumber(0),
        offset: 0,
        send_time: 0,
    };
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

/// Opening in place, as a client does and an edge with requests and reports.
fn open(criterion: &mut Criterion) {
    let frame = FrameHeader::default();
    let mut group = criterion.benchmark_group("open Aes128Gcm");
    for datagram in [100, 1200, 1440, 8952] {
        let payload = vec![7u8; datagram - OVERHEAD];
        let secret = || Secret::new([9; 32]);
        let mut sealer = Sealer::new(Suite::Aes128Gcm, secret(), Instant::ZERO);
        let mut opener = Opener::new(Suite::Aes128Gcm, secret(), 16_384);
        let mut sealed = || {
            sealer.on_peer_epoch(Instant::ZERO, sealer.epoch());
            let mut out = vec![0; datagram];
            let (kind, to) = (PacketType::Data, ReceiverIndex(1));
            let done = sealer.seal(Instant::ZERO, 0, kind, to, &frame, &payload, &mut out);
            done.expect("the buffer has the packet's length");
            out
        };
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(datagram), |bencher| {
            bencher.iter_batched_ref(
                &mut sealed,
                |packet| opener.open(Instant::ZERO, packet).expect("authentic").frame,
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Reading what peers sent, before and after it was opened.
fn parse(criterion: &mut Criterion) {
    let header = ClearHeader {
        flags: 0,
        packet_type: PacketType::Report,
        extension_words: 0,
        epoch: 0,
        receiver: ReceiverIndex(1),
        sequence: 77,
    };
    let datagram = header.encode();
    criterion.bench_function("parse a clear header", |bencher| {
        bencher.iter(|| ClearHeader::decode(black_box(&datagram)));
    });
    let mut ranges = SequenceRanges::new();
    for range in (0..16u64).rev() {
        assert!(ranges.push(range * 300, range * 300 + 250), "newest first");
    }
    let (echo_delay_us, room_kib, ce_count, received_count) = (10, 1 << 20, 0, 4096);
    let report = Report { echo: 1, echo_delay_us, room_kib, ce_count, received_count, ranges };
    let mut payload = [0; Report::LEN_MAX];
    let len = report.encode(&mut payload).expect("it fits");
    criterion.bench_function("parse a REPORT of 16 ranges", |bencher| {
        bencher.iter(|| Report::decode(black_box(&payload[..len])));
    });
}

criterion_group!(benches, seal, open, parse);
criterion_main!(benches);
