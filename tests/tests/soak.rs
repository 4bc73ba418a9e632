//! An edge serves sessions that come and go, at half of what it could: its memory, its descriptors and its times stay what
//! they were.
//!
//! The shipped binary serves in its own process. Its capacity (with these clients, on this machine) is measured first; then
//! one segment is fetched at each beat of a clock, whether the last one has come or not. With `SEGCAST_FULL=1` that goes on
//! for 40 minutes, else for 12 s, which shows that it works, and a leak of more than some bytes for each session. `SEGCAST_SOAK_SHARE`: percent
//! of the capacity, 50 unless it says otherwise. Times are compared in the long run only.

use std::error::Error;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_center::keys::KeyDir;
use segcast_kit::needs::{self, trial};
use segcast_kit::process::{Edge, SEGMENT, World, segcast};
use segcast_kit::session::churn::{Churn, Shared};
use segcast_proto::time::Duration;

const SEGMENTS: usize = 64;
/// Samples of a run.
const SAMPLES: usize = 120;
/// What the least-squares line through the memory of the last two thirds may climb: samples of a process that does not
/// grow scatter by some hundred KiB.
const GROWTH_MAX: f64 = 1.0 * 1024.0 * 1024.0;
/// The same in the short run, whose tables still fill: sessions that went silently are kept until their timeout.
const GROWTH_MAX_SHORT: f64 = 4.0 * 1024.0 * 1024.0;
/// p99 of the last third, at most so many times that of the first, and a millisecond.
const P99_RATIO_MAX: f64 = 1.5;

/// One look at the edge.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Anonymous memory, bytes (proc_pid_status(5), RssAnon).
    anonymous: f64,
    /// Its share of all that is mapped (proc_pid_smaps(5), Pss).
    proportional: f64,
    descriptors: usize,
}

fn main() {
    needs::main(vec![trial("nothing_grows_while_sessions_come_and_go", &[], || {
        soak().expect("an edge that serves");
    })]);
}

fn soak() -> Result<(), Box<dyn Error>> {
    let full = needs::full();
    let share: f64 = std::env::var("SEGCAST_SOAK_SHARE").map_or(Ok(50.0), |text| text.parse())?;
    let long = Duration::from_secs(if full { 2400 } else { 12 });
    let world = World::new();
    let mut bytes = vec![0; SEGMENT * SEGMENTS];
    ChaCha20Rng::seed_from_u64(3).fill_bytes(&mut bytes);
    let title = world.pack_bytes(bytes, &["--clear"]);
    let arguments = ["--shards", "1", "--pin", "false", "--idle-timeout", "10s"];
    let edge = Edge::start(segcast(), world.folder(), "127.0.0.1:0", &arguments)?;
    let keys = KeyDir::open(&world.path("keys"))?;

    let seed = 5;
    println!("seed {seed}");
    let shared = Shared {
        edge: edge.socket_address(),
        edge_public: keys.edge()?.public,
        center: keys.center()?,
        set: title.set.parse()?,
        title: title.bytes,
        segment: SEGMENT,
    };
    let mut churn = Churn::new(shared, seed)?;
    let warm = Duration::from_secs(3);
    churn.run(Duration::ZERO, warm, |_| {})?;
    let opened = churn.done.segments;
    churn.run(Duration::ZERO, warm, |_| {})?;
    let capacity = (churn.done.segments - opened) as f64 / warm.as_secs_f64();
    let every = Duration::from_nanos((1e9 / (capacity * share / 100.0)) as u64);
    println!("{capacity:.0} segments/s at most; now {share} % of that, one each {every:?}");
    // Those that go silently are known for 10 s: let their number settle.
    churn.run(every, if full { Duration::from_secs(60) } else { warm }, |_| {})?;

    let before = churn.done;
    let (mut samples, mut times) = (Vec::new(), vec![Vec::new(); 3]);
    for number in 0..SAMPLES {
        let of_third = &mut times[number * 3 / SAMPLES];
        churn.run(every, long / SAMPLES as u32, |nanos| of_third.push(nanos))?;
        let sample = look(edge.child.id())?;
        if full && number % 3 == 2 {
            // So that a run which is cut short has said something.
            println!(
                "{} of {SAMPLES}: {} segments of this third, {sample:?}",
                number + 1,
                of_third.len()
            );
        }
        samples.push(sample);
    }
    let done = churn.done;
    println!("since it began: {done:?}");
    if done.opened - before.opened < 10 || done.vanished == before.vanished {
        return Err("too few sessions came and went to show anything".into());
    }
    judge(&samples, &mut times, full)
}

fn judge(samples: &[Sample], times: &mut [Vec<u64>], full: bool) -> Result<(), Box<dyn Error>> {
    let thirds: Vec<_> = samples.chunks(samples.len().div_ceil(3)).collect();
    let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
    let mut p99 = Vec::new();
    for (third, times) in thirds.iter().zip(times) {
        times.sort_unstable();
        let at = |part: f64| {
            times.get((times.len() as f64 * part) as usize).map_or(0.0, |&n| n as f64 / 1e6)
        };
        let mean = |of: fn(&Sample) -> f64| third.iter().map(of).sum::<f64>() / third.len() as f64;
        println!(
            "{} segments, p50 {:.2} ms, p99 {:.2} ms; anonymous {:.2} MiB, proportional {:.2} MiB, {} descriptors",
            times.len(),
            at(0.5),
            at(0.99),
            mib(mean(|s| s.anonymous)),
            mib(mean(|s| s.proportional)),
            third.iter().map(|s| s.descriptors).max().unwrap_or(0),
        );
        p99.push(at(0.99));
    }
    let late = &samples[samples.len() / 3..];
    let limit = if full { GROWTH_MAX } else { GROWTH_MAX_SHORT };
    let anonymous = late.iter().map(|sample| sample.anonymous).collect::<Vec<_>>();
    let proportional = late.iter().map(|sample| sample.proportional).collect::<Vec<_>>();
    for (name, figures) in [("anonymous", anonymous), ("proportional", proportional)] {
        let climb = climb(&figures);
        println!("{name} memory climbs by {:.3} MiB over the last two thirds", mib(climb));
        if climb > limit {
            return Err(format!("{name} memory grew by {:.2} MiB", mib(climb)).into());
        }
    }
    let most = |third: &[Sample]| third.iter().map(|sample| sample.descriptors).max();
    if most(thirds[2]) > most(thirds[0]) {
        return Err(
            format!("descriptors: {:?}, then {:?}", most(thirds[0]), most(thirds[2])).into()
        );
    }
    if full && p99[2] > p99[0] * P99_RATIO_MAX + 1.0 {
        return Err(format!("p99 rose from {:.2} to {:.2} ms", p99[0], p99[2]).into());
    }
    Ok(())
}

/// How far the least-squares line through `values` rises from the first to the last.
fn climb(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (mid, mean) = ((count - 1.0) / 2.0, values.iter().sum::<f64>() / count);
    let offsets = (0..values.len()).map(|at| at as f64 - mid);
    let slope = offsets.clone().zip(values).map(|(x, y)| x * (y - mean)).sum::<f64>();
    slope / offsets.map(|x| x * x).sum::<f64>() * (count - 1.0)
}

fn look(process: u32) -> Result<Sample, Box<dyn Error>> {
    let folder = format!("/proc/{process}");
    let kib = |file: &str, name: &str| -> Result<f64, Box<dyn Error>> {
        let text = std::fs::read_to_string(format!("{folder}/{file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
        Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
    };
    Ok(Sample {
        anonymous: kib("status", "RssAnon")?,
        proportional: kib("smaps_rollup", "Pss")?,
        descriptors: std::fs::read_dir(format!("{folder}/fd"))?.count(),
    })
}
