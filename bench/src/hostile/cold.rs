//! `hostile --cold`: one session fetches segments that no memory holds, one after another, alone and beside sessions that ask
//! for others and give each up at once. Each segment is cold but once, so every round has segments of its own.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use rand_chacha::ChaCha20Rng;
use segcast_client::access::Access;
use segcast_client::connection::{ConnectionConfig, Connections, now};
use segcast_client::fetch;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::ClientEvent;
use segcast_proto::time::Duration;
use serde::Serialize;

use super::Args;
use super::greedy::{self, Wish};
use super::stage::Stage;
use crate::measure::metrics::sum;
use crate::measure::{Band, Repeats, Table};

/// The longest wait for a packet.
const TURN: Duration = Duration::from_millis(5);
/// For one segment; a disk takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long cold segments take. Figures are medians of the rounds, with their bands.
#[derive(Debug, Serialize)]
pub(super) struct Cold {
    /// Segments of one piece.
    segments: u32,
    /// The mean time of a segment, ms.
    alone_ms: Band,
    beside_ms: Band,
    /// The second by the first, round by round.
    ratio: Band,
    /// Segments that the edge read for the others, for each that the one session fetched beside them.
    others_reads: Band,
}

/// Measures on a running edge.
///
/// # Errors
/// When sessions do not open, or a segment does not come.
pub(super) fn measure(args: &Args, stage: &Stage, rng: &mut ChaCha20Rng) -> anyhow::Result<Cold> {
    // Half of the title for the one session, in two pieces a round; half for the others.
    let half = stage.segments() / 2;
    let count = half / (2 * u32::from(args.repeats));
    anyhow::ensure!(count > 0, "--title {}: too small for {} rounds", args.title, args.repeats);
    let access = stage.access(None, rng)?;
    let [mut alone, mut beside, mut ratio, mut reads] = [(); 4].map(|()| Repeats::default());
    for round in 0..u32::from(args.repeats) {
        eprintln!("round {} of {}: cold segments", round + 1, args.repeats);
        let first = 2 * round * count;
        let quiet = stage.at_client(|| mean_ms(stage, &access, first..first + count))?;
        let others = (Wish::GivenUp, half..stage.segments());
        let (second, before) = (first + count..first + 2 * count, populated(stage)?);
        let beside_ms = greedy::beside(args, stage, rng, others, || {
            stage.at_client(|| mean_ms(stage, &access, second))
        })?;
        let read = populated(stage)?.saturating_sub(before + u64::from(count));
        alone.push(quiet);
        beside.push(beside_ms);
        ratio.push(beside_ms / quiet);
        reads.push(read as f64 / f64::from(count));
    }
    let band = |repeats: &Repeats| repeats.band().unwrap_or_default();
    let [alone_ms, beside_ms] = [&alone, &beside].map(band);
    let [ratio, others_reads] = [&ratio, &reads].map(band);
    Ok(Cold { segments: count, alone_ms, beside_ms, ratio, others_reads })
}

/// Segments that the edge's helpers have read in, or found in memory.
fn populated(stage: &Stage) -> anyhow::Result<u64> {
    Ok(sum(&stage.metrics()?, "populated_total").unwrap_or_default())
}

/// Fetches `segments` one after another; their mean time, ms.
fn mean_ms(stage: &Stage, access: &Access, segments: Range<u32>) -> anyhow::Result<f64> {
    let config = ConnectionConfig::default();
    let stop = AtomicBool::new(false);
    let (manifest, _) = fetch::manifest(&[stage.edge], access, None, config.clone(), &stop)?;
    let bytes = manifest.root().geometry().segment_bytes();
    let mut connections = Connections::open(&[stage.edge], access.clone(), config)?;
    let count = segments.len() as f64;
    let mut took = 0.0;
    for segment in segments {
        let (begun, object) = (now(), ObjectNumber(segment));
        let session = connections.session(0);
        session.fetch(begun, SetHandle::FIRST, object, Some(bytes), Duration::ZERO)?;
        wait(&mut connections, object)?;
        took += now().saturating_since(begun).as_secs_f64() * 1e3;
    }
    connections.close();
    Ok(took / count)
}

fn wait(connections: &mut Connections, object: ObjectNumber) -> anyhow::Result<()> {
    let end = now() + PATIENCE;
    loop {
        while let Some((_, event)) = connections.poll_event() {
            match event {
                ClientEvent::Object(fetched) if fetched.object == object => return Ok(()),
                ClientEvent::Open | ClientEvent::PulseReply { .. } => {}
                other => anyhow::bail!("segment {}: {other:?}", object.0),
            }
        }
        anyhow::ensure!(now() < end, "segment {} does not come", object.0);
        connections.turn(TURN)?;
    }
}

impl Cold {
    /// For people.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(["one cold segment after another", "ms for one"]);
        table.row(["alone".to_owned(), self.alone_ms.to_string()]);
        table.row(["beside sessions that give up".to_owned(), self.beside_ms.to_string()]);
        table.row(["the second by the first".to_owned(), self.ratio.to_string()]);
        table.row(["read for the others, for each".to_owned(), self.others_reads.to_string()]);
        table.row(["segments in a piece".to_owned(), self.segments.to_string()]);
        table
    }
}
