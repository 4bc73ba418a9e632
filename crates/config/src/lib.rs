//! What every service of Segcast reads at its start: a configuration from a file, the environment and flags.
//!
//! A service says what its keys are ([`Configuration`], a table of [`Key`]s); where they come from
//! ([`Source`]), how amounts are written ([`amount`]), what an error says ([`ConfigError`]) and what the
//! process's exit code means ([`ExitCode`]) is here, the same for all of them.
#![forbid(unsafe_code)]

/// IP addresses with their ports and interfaces.
pub mod address;
/// Durations, sizes and rates as people write them.
pub mod amount;
/// Bounds that values keep, with errors that name both ends.
pub mod bounds;
mod error;
mod exit_code;
mod key;
mod service;
mod source;
mod value;

pub use amount::Problem;
pub use error::{ConfigError, ConfigErrors, Origin};
pub use exit_code::{ExitCode, HELP};
pub use key::{Configuration, Key};
pub use service::{Admin, LogFormat, LogLevel};
pub use source::Source;
pub use value::{Field, RateCap, Size, Value};

#[cfg(test)]
mod tests;
