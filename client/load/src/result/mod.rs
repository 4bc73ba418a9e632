//! The result of a run: what threads recorded, as figures that are judged and stored.

mod about;
mod clock;
mod document;
mod figures;
mod fingerprint;
pub mod generator;
mod little;
mod measured;
mod not_measured;
mod objective;
pub mod quantile;
mod series;
mod sums;

pub use about::{About, End, Extent, Identity, PhaseAbout};
pub use clock::Clock;
pub use document::{Judged, LoadResult, ResultError, SCHEMA, Verdict};
pub use figures::{Figures, Ledger, Playout, Second, Span, failure, unoffered};
pub use fingerprint::Fingerprint;
pub use generator::Generator;
pub use little::{LITTLE_ERROR_MAX, Little};
pub(crate) use measured::Measured;
pub use objective::Objective;
pub use quantile::{Latency, Percentile, Point};
pub use series::{Basis, Quantity, Series, class_name};
pub use sums::Sums;
pub(crate) use sums::share;

pub use crate::others::Others;
pub use crate::server::Server;
