//! `hostile --shares`: eight sessions at full speed beside four like themselves, and beside four that ask for nothing but
//! single bytes. What a shard gives to whom is its own business only while it is the bottleneck.

use rand_chacha::ChaCha20Rng;
use serde::Serialize;

use super::greedy::{self, Wish};
use super::stage::Stage;
use super::viewer::Progress;
use super::{Args, transfer};
use crate::measure::{Band, Repeats, Table, digits};

/// Sessions whose share is measured.
const HONEST: usize = 8;

/// What eight sessions have. Figures are medians of the rounds, with their bands.
#[derive(Debug, Serialize)]
pub(super) struct Shares {
    /// Beside four like themselves, bytes a second.
    beside_alike_bytes_per_s: Band,
    /// Beside four that ask for single bytes, bytes a second.
    beside_single_bytes_per_s: Band,
    /// The second by the first, round by round.
    kept: Band,
}

/// Measures on a running edge.
///
/// # Errors
/// When sessions do not open, or one has failed.
pub(super) fn measure(args: &Args, stage: &Stage, rng: &mut ChaCha20Rng) -> anyhow::Result<Shares> {
    let [mut alike, mut single, mut kept] = [(); 3].map(|()| Repeats::default());
    for round in 1..=args.repeats {
        eprintln!("round {round} of {}: shares", args.repeats);
        let [honest, others] = [stage.access(None, rng)?, stage.access(None, rng)?];
        let goodput = |progress: &Progress| Ok(stage.piece(progress, || args.pause())?.0.goodput());
        let beside_alike = transfer(args, stage, &honest, HONEST, |progress| {
            transfer(args, stage, &others, greedy::SESSIONS, |_| goodput(progress))
        })?;
        let beside_single = transfer(args, stage, &honest, HONEST, |progress| {
            let all = 0..stage.segments();
            let wish = Wish::SingleBytes;
            greedy::beside(args, stage, rng, (wish, all), || goodput(progress))
        })?;
        alike.push(beside_alike);
        single.push(beside_single);
        kept.push(beside_single / beside_alike);
    }
    let band = |repeats: &Repeats| repeats.band().unwrap_or_default();
    Ok(Shares {
        beside_alike_bytes_per_s: band(&alike),
        beside_single_bytes_per_s: band(&single),
        kept: band(&kept),
    })
}

impl Shares {
    /// For people.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(["eight sessions beside four", "GB/s"]);
        let gigabytes = |band: Band| digits(band.median / 1e9);
        table.row(["like themselves".to_owned(), gigabytes(self.beside_alike_bytes_per_s)]);
        let single = gigabytes(self.beside_single_bytes_per_s);
        table.row(["that ask for single bytes".to_owned(), single]);
        table.row(["share kept".to_owned(), self.kept.to_string()]);
        table
    }
}
