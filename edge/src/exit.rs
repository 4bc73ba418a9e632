//! What the process's exit status says. Supervisors and scripts rely on these numbers: they never change.

/// An exit status of `segcast edge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Stopped as asked: a drain that ended, or a check that found nothing.
    Ok = 0,
    /// Something failed while serving: a shard died, or sessions were left when `drain_timeout` ended.
    Runtime = 1,
    /// A mistake in the configuration, the environment or the flags. Starting again cannot help.
    Configuration = 2,
    /// The store cannot be opened: missing, damaged, or owned by another process.
    Store = 3,
    /// An address cannot be bound, or no driver works on this kernel.
    Network = 4,
    /// The edge's key or the centers' keys are missing or malformed. Starting again cannot help.
    Keys = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_systemd_unit() {
        assert_eq!((Exit::Configuration as u8, Exit::Keys as u8), (2, 5));
    }
}
