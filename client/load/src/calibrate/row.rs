//! What one check says.

use serde::Serialize;
use serde_json::Value;

/// One check's outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which check: `C1` to `C11`.
    pub id: &'static str,
    /// What was checked.
    pub name: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// The figures in words.
    pub says: String,
    /// The figures.
    pub figures: Value,
}
