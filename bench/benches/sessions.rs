//! What a session costs beside its packets: the rate model for each train and report, and the handshake.
//!
//! `cargo bench -p segcast-bench --bench sessions`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use segcast_kit::endpoint::check_hello;
use segcast_proto::congestion::{FeedbackView, Sender, SenderConfig};
use segcast_proto::crypto::Suite;
use segcast_proto::handshake::{
    ClientHandshake, EdgeIdentity, HelloParams, ReceivedHello, StaticSecret, WELCOME_LEN,
    WelcomePayload,
};
use segcast_proto::ids::ReceiverIndex;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::code::Code;

const DATAGRAM: usize = 1440;
const TRAIN: u32 = 45;

/// A full train every 13 µs, and a report of it 50 µs later: one core's worth.
fn train_and_report(criterion: &mut Criterion) {
    let config = SenderConfig {
        initial_rtt: Some(Duration::from_micros(50)),
        datagram_bytes: DATAGRAM,
        rate_cap: None,
        skip_key: [5; 16],
    };
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut sender = Sender::new(now, config);
    let (mut next, mut low) = (0, 0);
    criterion.bench_function("rate model: a train and its REPORT", |bencher| {
        bencher.iter(|| {
            if sender.should_skip(next) {
                (next, low) = (next + 1, next + 1);
            }
            let sent = now;
            black_box(sender.train_budget(now));
            sender.on_sent(now, next, TRAIN, u64::from(TRAIN) * DATAGRAM as u64, false);
            next += u64::from(TRAIN);
            now += Duration::from_micros(50);
            let report = FeedbackView {
                echo: sent.wire_micros(),
                echo_delay: Duration::from_micros(1),
                room_bytes: 1 << 30,
                ce_count: 0,
                ranges: &[(low, next - 1)],
            };
            black_box(sender.on_report(now, &report)).expect("the truth")
        });
    });
}

/// The two ends of a handshake; the edge's is what a flood of new clients costs.
fn handshake(criterion: &mut Criterion) {
    let identity = EdgeIdentity::new(StaticSecret::new([1; 32]));
    let secret = StaticSecret::new([2; 32]);
    let params = HelloParams { datagram_max: 1440, room_kib: 1 << 20 };
    let hello = || {
        let edge = identity.public();
        ClientHandshake::new(Suite::Aes128Gcm, edge, &secret, params, &[7; 300], 4, [3; 32])
            .expect("the token is short enough")
    };
    criterion.bench_function("handshake: client's HELLO", |bencher| bencher.iter(hello));
    let client = hello();
    criterion.bench_function("handshake: edge checks mac1", |bencher| {
        bencher.iter(|| check_hello(&identity, black_box(client.hello())).is_ok());
    });
    let payload = WelcomePayload {
        code: Code::Ok,
        datagram_max: 1440,
        requests_max: 64,
        idle_timeout_s: 180,
        retry_after_ms: 0,
    };
    criterion.bench_function("handshake: edge, HELLO to WELCOME", |bencher| {
        bencher.iter(|| {
            let view = check_hello(&identity, client.hello()).expect("its own HELLO");
            let received = ReceivedHello::read(&identity, &view, [4; 32]).expect("it decrypts");
            let mut out = [0; WELCOME_LEN];
            received.welcome(ReceiverIndex(1), &payload, &mut out).expect("there is room")
        });
    });
}

criterion_group!(benches, train_and_report, handshake);
criterion_main!(benches);
