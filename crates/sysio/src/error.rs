//! One error type for the crate: which operation failed, with which errno, and what an operator can do about it.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// A failed system operation.
///
/// The message reads `operation: cause` and, where something on the machine can be changed to make the operation
/// work, ends in that hint: a sysctl, a capability or a limit.
#[derive(Debug, thiserror::Error)]
pub struct SysError {
    operation: Cow<'static, str>,
    #[source]
    source: io::Error,
    hint: Option<Cow<'static, str>>,
}

impl SysError {
    /// An error of `operation` (what was tried, with the path or address in it) caused by `source`.
    pub fn new(operation: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        let hint = source.raw_os_error().and_then(errno_hint).map(Cow::Borrowed);
        SysError { operation: operation.into(), source, hint }
    }

    /// The error of the last system call of this thread, read from `errno`.
    pub(crate) fn last(operation: impl Into<Cow<'static, str>>) -> Self {
        SysError::new(operation, io::Error::last_os_error())
    }

    /// Replaces the hint by one that the caller knows better.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What was tried.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The errno, if the system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// What an operator can change, if anything is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.source)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl From<SysError> for io::Error {
    fn from(error: SysError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// Hints that hold for an errno whatever was tried. Operations with better knowledge replace them.
fn errno_hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EMFILE => "raise the limit of open files: ulimit -n, or LimitNOFILE= in the unit",
        libc::ENFILE => "raise sysctl fs.file-max",
        libc::EADDRINUSE => "another process has this address and port: see ss -ulpn",
        libc::EADDRNOTAVAIL => "this address is on no interface of the machine: see ip addr",
        libc::EACCES => "check the owner and mode",
        libc::ENOSPC => "the file system is full: see df -h and df -i",
        libc::EDQUOT => "the disk quota is used up",
        libc::EROFS => "the file system is mounted read-only",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_operation_cause_and_hint() {
        let error = SysError::new("open store/LOCK", io::Error::from_raw_os_error(libc::EACCES));
        let text = error.to_string();
        assert!(text.starts_with("open store/LOCK: "), "{text}");
        assert!(text.contains("owner") && !text.contains("port"), "{text}");
        assert_eq!(error.errno(), Some(libc::EACCES));
    }

    #[test]
    fn without_a_hint_nothing_is_appended() {
        let error = SysError::new("read", io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(error.hint(), None);
        assert!(!error.to_string().ends_with(')') || error.to_string().contains("os error"));
        assert_eq!(error.with_hint("try again").hint(), Some("try again"));
    }
}
