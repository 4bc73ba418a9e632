//! Segcast measurements: criterion benches of the parts lie in `benches/`.
//!
//! Nothing here is timed in a test, and no figure stands in a document without the command that gave it.
#![forbid(unsafe_code)]
