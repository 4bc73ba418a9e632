//! What a train costs from a filled buffer until the kernel is done with it, by driver, by copy or
//! zero copy, by length and by how many sizes are mixed. Two paths, in a namespace of its own: a
//! queue that drops everything, so that nothing after the sender's own work is measured and no page
//! is ever copied behind its back; and loopback, which copies what it was asked not to.
//!
//! `cargo bench -p segcast-sysio --bench sends` (needs root). Medians of interleaved
//! repeats, per CPU-second of this process. Each buffer is filled from memory that is in no cache,
//! where a shard would seal into it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use segcast_lab::cpu_clock::process_time;
use segcast_lab::netns::Namespace;
use segcast_sysio::driver::{Driver, DriverConfig, DriverStats, Outgoing, ZeroCopy};
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::{UdpConfig, UdpSocket};

const POOL: usize = 256 << 20;

/// One way to send.
struct Variant {
    name: &'static str,
    kind: IoKind,
    zero_copy: ZeroCopy,
}

const VARIANTS: [Variant; 4] = [
    Variant { name: "mmsg", kind: IoKind::Mmsg, zero_copy: ZeroCopy::Never },
    Variant { name: "ring never", kind: IoKind::Ring, zero_copy: ZeroCopy::Never },
    Variant { name: "ring always", kind: IoKind::Ring, zero_copy: ZeroCopy::Always },
    Variant { name: "ring auto", kind: IoKind::Ring, zero_copy: ZeroCopy::Auto },
];

/// Most datagrams of a train, and the sizes that its trains have in turn.
struct Shape {
    datagrams: usize,
    sizes: &'static [usize],
}

const SHAPES: [Shape; 6] = [
    Shape { datagrams: 2, sizes: &[1440] },
    Shape { datagrams: 4, sizes: &[1440] },
    Shape { datagrams: 8, sizes: &[1440] },
    Shape { datagrams: 16, sizes: &[1440] },
    Shape { datagrams: 45, sizes: &[1440] },
    Shape { datagrams: 54, sizes: &[1200, 8952, 1440] },
];

/// What one run did.
struct Run {
    cpu: Duration,
    bytes: u64,
    trains: u64,
    turns: u64,
    stats: DriverStats,
}

/// Sends as fast as it goes for `time`.
fn run(variant: &Variant, shape: &Shape, to: SocketAddr, pool: &[u8], time: Duration) -> Run {
    let options = UdpConfig { send_buffer_bytes: 4 << 20, ..UdpConfig::default() };
    let address = SocketAddr::new(to.ip(), 0);
    let socket = UdpSocket::bind(address, &options).expect("a free port");
    let config = DriverConfig { zero_copy: variant.zero_copy, ..DriverConfig::EDGE };
    let mut driver = Driver::new(variant.kind, vec![socket], config).expect("a driver");
    let clock = || process_time(std::process::id()).expect("own time");
    let (begin, before) = (Instant::now(), clock());
    let mut run = Run { cpu: Duration::ZERO, bytes: 0, trains: 0, turns: 0, stats: driver.stats() };
    while begin.elapsed() < time {
        while let Some(mut buffer) = driver.send_buffer() {
            let size = shape.sizes[run.trains as usize % shape.sizes.len()];
            let len = (shape.datagrams * size).min(65_507 / size * size);
            let from = (run.bytes as usize) % (POOL - len);
            buffer[..len].copy_from_slice(&pool[from..from + len]);
            driver.send(Outgoing { buffer, len, datagram_bytes: size, socket: 0, to, ticket: 0 });
            run.bytes += len as u64;
            run.trains += 1;
        }
        driver.turn(Some(Duration::from_millis(10)), &mut |_| ()).expect("a turn");
        run.turns += 1;
    }
    run.cpu = clock() - before;
    run.stats = driver.stats();
    run
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// All variants of one shape on one path, interleaved.
fn compare(path: &str, shape: &Shape, to: SocketAddr, pool: &[u8], repeats: usize, time: Duration) {
    let mut runs: Vec<Vec<Run>> = VARIANTS.iter().map(|_| Vec::new()).collect();
    for _ in 0..repeats {
        for (variant, runs) in VARIANTS.iter().zip(&mut runs) {
            runs.push(run(variant, shape, to, pool, time));
        }
    }
    for (variant, runs) in VARIANTS.iter().zip(&runs) {
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
        let speed = of(|run| run.bytes as f64 / run.cpu.as_secs_f64() / 1e9);
        let train = of(|run| run.cpu.as_secs_f64() * 1e9 / run.trains as f64);
        let calls = of(|run| run.stats.system_calls as f64 / run.turns as f64);
        let copied = of(|run| run.stats.zero_copy_copied as f64 / run.stats.trains_out as f64);
        let Shape { datagrams, sizes } = shape;
        println!(
            "{path:9} {datagrams:2} × {sizes:?} {:11} {speed:6.2} GB/CPU-s {train:6.0} ns/train \
             {calls:.2} calls/turn {copied:.2} copied late",
            variant.name
        );
    }
}

fn configure(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().expect("a word")).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
}

fn main() {
    // cargo test runs benches too, without this flag: then it is enough that it works.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (repeats, time) = if measures { (5, 200) } else { (1, 1) };
    let time = Duration::from_millis(time);
    let Ok(namespace) = Namespace::new() else {
        println!("not measured: needs namespaces (CAP_SYS_ADMIN)");
        return;
    };
    let pool = vec![7; POOL];
    let measure = || {
        configure("ip link set lo up");
        let sink = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let to = sink.local_addr().expect("bound");
        compare("loopback", &SHAPES[4], to, &pool, repeats, time);
        configure("tc qdisc replace dev lo root blackhole");
        for shape in &SHAPES {
            compare("drop", shape, to, &pool, repeats, time);
        }
    };
    namespace.run(measure).expect("entered");
}
