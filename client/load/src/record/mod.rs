//! What a thread of the generator records in one second, and how such records add up.

mod flight;
mod interval;
mod ledger;
mod playout;
mod times;
mod wire;

pub use flight::Flight;
pub(crate) use flight::Watched;
pub use interval::Interval;
pub use ledger::{Failure, Ledger, Unoffered};
pub use playout::Playout;
pub use times::{Class, ClassTimes, Pair, Times, Timings};
pub use wire::{Health, Wire};
