//! What commands say: results on standard output, all else on standard error. Where nobody reads (a closed pipe), or nothing
//! can be written (a full device), the standard macros panic; here a result is an error, and all else is dropped.

use std::fmt::Display;
use std::io::{self, Write};

/// A result that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write to standard output: {0}")]
pub(crate) struct OutputError(io::Error);

/// Prints a result, as lines of their own. The command's work is done and safe when it is called.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn result(text: impl Display) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(OutputError)
}

/// Prints a line on standard output that tells how far the work is.
pub(crate) fn step(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a line on standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what somebody is asked, without a line's end, on standard error.
pub(crate) fn question(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}
