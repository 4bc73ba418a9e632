//! Resource limits that the product cares about: open files and locked memory.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::SysError;

/// A limit of the process (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `RLIMIT_NOFILE`: open files, a number.
    OpenFiles,
    /// `RLIMIT_MEMLOCK`: locked memory, bytes.
    LockedMemory,
}

impl Limit {
    fn resource(self) -> Resource {
        match self {
            Limit::OpenFiles => Resource::Nofile,
            Limit::LockedMemory => Resource::Memlock,
        }
    }
}

/// The soft limit in force; `None`: unlimited.
pub fn soft(limit: Limit) -> Option<u64> {
    getrlimit(limit.resource()).current
}

/// Raises the soft limit to the hard one and returns what is now in force (`None`: unlimited).
///
/// # Errors
/// What setrlimit(2) reports; the old limit is then still in force.
pub fn raise_soft_to_hard(limit: Limit) -> Result<Option<u64>, SysError> {
    let now = getrlimit(limit.resource());
    if now.current == now.maximum {
        return Ok(now.current);
    }
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    setrlimit(limit.resource(), wanted).map_err(|e| {
        SysError::new(format!("raise the soft limit {limit:?} to {:?}", now.maximum), e.into())
    })?;
    Ok(getrlimit(limit.resource()).current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_reaches_the_hard_limit() {
        for limit in [Limit::OpenFiles, Limit::LockedMemory] {
            let hard = getrlimit(limit.resource()).maximum;
            assert_eq!(raise_soft_to_hard(limit).unwrap(), hard);
            assert_eq!(soft(limit), hard);
        }
    }
}
