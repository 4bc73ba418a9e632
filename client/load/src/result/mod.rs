//! The result of a run: what threads recorded, added up, judged and stored.

mod about;
mod clock;
mod collector;
mod document;
mod figures;
mod fingerprint;
pub mod generator;
mod little;
mod not_measured;
pub mod quantile;
mod series;
mod sums;

pub use crate::server::Server;
pub use about::{About, End, Extent, Identity, PhaseAbout};
pub use clock::Clock;
pub use collector::{ClosedSecond, Collector};
pub use document::{Judged, LoadResult, ResultError, SCHEMA, Verdict};
pub use figures::{Figures, Ledger, Playout, Second, Span, failure, unoffered};
pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::kibibytes;
pub use generator::Generator;
pub use little::{LITTLE_ERROR_MAX, Little};
pub use quantile::{Latency, Percentile, Point};
pub use series::{Basis, Quantity, Series, class_name};
pub use sums::Sums;
