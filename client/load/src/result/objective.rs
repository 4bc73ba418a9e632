//! An objective as a result stores it: judged.

use serde::{Deserialize, Serialize};

/// An objective and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// Whether it was met. What was not measured at all was not met; null: it cannot be judged, for the reason in `found`.
    pub met: Option<bool>,
    /// What was found, in words; or why nothing was.
    pub found: String,
    /// The same as a number: µs, a share (0 to 1), a count, or bit/s. Null when nothing was found.
    pub value: Option<f64>,
    /// The bound, in the same unit.
    pub bound: f64,
    /// Samples behind it.
    pub n: u64,
}
