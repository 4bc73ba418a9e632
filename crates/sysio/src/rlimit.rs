//! Resource limits that the product cares about: open files and locked memory.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

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

/// How much memory this process may lock, bytes; `None`: as much as there is, because nothing limits it or because it
/// has CAP_IPC_LOCK, for which the kernel asks before it looks at the limit (mlock(2)).
pub fn lockable() -> Option<u64> {
    let privileged =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if privileged { None } else { soft(Limit::LockedMemory) }
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

    #[test]
    fn who_may_lock_anything_has_no_limit_and_others_have_theirs() {
        if let Some(bytes) = lockable() {
            assert_eq!(Some(bytes), soft(Limit::LockedMemory));
        }
        let mut sets = capabilities(None).expect("capabilities of this thread");
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        // Of this thread alone, which ends with the test.
        rustix::thread::set_capabilities(None, sets).expect("giving up needs no right");
        assert_eq!(lockable(), soft(Limit::LockedMemory));
    }
}
