//! The exit codes of `segcast`, so that scripts and supervisors can tell failures apart.

/// How a command ended. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Success = 0,
    /// None of the failures below.
    Failure = 1,
    /// Wrong arguments or configuration (the argument parser uses it too).
    Usage = 2,
    /// A local file, folder or store: taken, foreign, full, unreadable.
    LocalFile = 3,
    /// The network: no edge answered, none made progress, an address cannot be bound.
    Network = 4,
    /// Keys, token or grant: missing, malformed, or they do not allow it.
    NotAllowed = 5,
    /// No edge had the bytes that the signed manifest describes, or a store has not those that were packed.
    WrongBytes = 6,
    /// A load missed an objective.
    ObjectiveMissed = 10,
    /// A load measured its generator and not the server, or could not judge an objective.
    Inconclusive = 11,
    /// Ended by Ctrl-C (128 + SIGINT).
    Interrupted = 130,
    /// Ended by SIGTERM (128 + 15).
    Terminated = 143,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// The table for `segcast --help`.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  a failure that is none of those below
    2  wrong arguments or configuration
    3  a local file, folder or store: taken, foreign, full, unreadable
    4  the network: no edge answered or made progress, an address cannot be bound
    5  keys, token or grant: missing, malformed, or they do not allow it
    6  wrong bytes: no edge had those of the manifest, or a store not those that were packed
   10  a load missed an objective (--slo)
   11  a load measured its own generator: inconclusive
  130  ended by Ctrl-C
  143  ended by SIGTERM";
