//! Segcast measurements: what one core can do at most, and what the product makes of it.
//!
//! Every figure is per CPU-second, a median of interleaved repeats with its band, and comes from one command. Nothing
//! here is timed in a test, and no figure stands in a document without the command that gave it. Criterion benches of
//! the parts lie in `benches/`.
#![forbid(unsafe_code)]

pub mod audience;
pub mod coalesce;
pub mod drivers;
pub mod hostile;
pub mod limits;
pub mod measure;
#[cfg(feature = "peers")]
pub mod peers;
pub mod scale;
pub mod seal;
pub mod sink;
