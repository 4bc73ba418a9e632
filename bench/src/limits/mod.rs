//! `limits`: what one core can do at most, without a protocol around it.
//!
//! All variants are interleaved: each repeat runs every one of them once, so that what the machine does meanwhile falls
//! on all alike.

mod copy;
mod seal;
mod send;

use std::time::Duration;

pub use send::{Link, SendLoop};
use serde::Serialize;

use crate::measure::{Band, Cores, CoresArgs, CpuClocks, OutputArgs, Repeats, Table, on_core};
use crate::seal::{Cipher, Engine, Pool, SealLoop};

/// Sizes of sealed packets, bytes of UDP payload; 16 384: a TLS record, for comparison.
const DATAGRAMS: [usize; 4] = [1200, 1440, 8952, 16_384];

/// Size of the datagrams that are sent.
const SENT_DATAGRAM: usize = 1440;

/// Arguments of `limits`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Seconds of each variant in each repeat
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// Repeats of all variants
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Memory that plaintext comes from, MiB: more than the caches hold
    #[arg(long, default_value_t = 1024)]
    pool: usize,
    /// Seed of the order in which segments are read
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// One variant's figure.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    engine: Option<Engine>,
    cipher: Option<Cipher>,
    datagram_bytes: Option<usize>,
    prefetch: Option<bool>,
    /// Of sends: where to.
    link: Option<Link>,
    /// 10^9 bytes of payload per CPU-second.
    gb_per_cpu_s: Band,
    /// Nanoseconds of the core for each packet.
    ns_per_datagram: Option<f64>,
}

/// Everything that `limits --json` prints.
#[derive(Debug, Serialize)]
struct Limits {
    cores: Cores,
    pool_bytes: usize,
    seed: u64,
    rows: Vec<Row>,
}

/// Something that works until its time is over and says how many bytes of payload it did.
trait Variant {
    fn row(&self, figures: Band) -> Row;
    fn work(&mut self, pool: &mut Pool, time: Duration) -> anyhow::Result<u64>;
}

/// Runs all variants.
///
/// # Errors
/// When a core cannot be had or the output fails.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let cores = args.cores.choose()?;
    let rows = on_core(cores.server, || measure(args, cores))?;
    let limits = Limits { cores, pool_bytes: args.pool << 20, seed: args.seed, rows };
    args.output.print(&limits, &limits.table())
}

fn measure(args: &Args, cores: Cores) -> anyhow::Result<Vec<Row>> {
    let mut pool = Pool::new(args.pool << 20, args.seed);
    let mut variants: Vec<Box<dyn Variant>> = vec![Box::new(copy::Copying::new())];
    for cipher in [Cipher::Aes128Gcm, Cipher::Aes256Gcm] {
        for datagram in DATAGRAMS {
            for (engine, prefetch) in
                [(Engine::AwsLc, true), (Engine::AwsLc, false), (Engine::RustCrypto, false)]
            {
                variants.push(Box::new(SealLoop::new(engine, cipher, datagram, prefetch)));
            }
        }
    }
    for (link, sealed) in
        [(Link::Loopback, false), (Link::Loopback, true), (Link::Sink, false), (Link::Sink, true)]
    {
        match SendLoop::new(link, sealed, SENT_DATAGRAM, cores) {
            Ok(sending) => variants.push(Box::new(sending)),
            Err(error) => eprintln!("not measured: sending on {link}: {error:#}"),
        }
    }
    let mut figures = vec![Repeats::default(); variants.len()];
    let time = Duration::from_secs_f64(args.seconds);
    let clocks = CpuClocks::of_this_thread(cores.server);
    for _ in 0..args.repeats {
        for (variant, figures) in variants.iter_mut().zip(&mut figures) {
            let before = clocks.read()?;
            let bytes = variant.work(&mut pool, time)?;
            let used = clocks.read()? - before;
            figures.push(bytes as f64 / used.seconds() / 1e9);
        }
    }
    let all = variants.iter().zip(&figures);
    Ok(all.map(|(variant, figures)| variant.row(figures.band().unwrap_or_default())).collect())
}

impl Limits {
    fn table(&self) -> Table {
        let header = ["what", "packet", "GB per CPU-second (band)", "ns per packet"];
        let mut table = Table::new(header);
        for row in &self.rows {
            let mut what = row.what.to_owned();
            if let (Some(engine), Some(cipher)) = (row.engine, row.cipher) {
                what = format!("{what} {cipher}, {engine}");
            }
            if let Some(link) = row.link {
                what = format!("{what}, {link}");
            }
            if row.prefetch == Some(true) {
                what.push_str(", prefetch");
            }
            let size = row.datagram_bytes.map(|size| size.to_string()).unwrap_or_default();
            let ns = row.ns_per_datagram.map(|ns| format!("{ns:.0}")).unwrap_or_default();
            table.row([what, size, row.gb_per_cpu_s.to_string(), ns]);
        }
        table
    }
}
